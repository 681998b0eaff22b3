"""The daemon's log: following it, and its latest records."""

from __future__ import annotations

from enum import IntFlag
from typing import Annotated, Final

from aiovirt.admin.extension.protocol.program import EXTENSION
from aiovirt.admin.extension.protocol.settings import Level
from aiovirt.rpc.wire import xdr

#: The most bytes of records in one batch, which then is one packet of the stream.
BATCH_MAX: Final = 32000
#: The longest text of filters, in bytes.
FILTERS_MAX: Final = 65536


class FollowFlags(IntFlag):
    """Where following ends; without a flag, when the client wants."""

    ONLY_LAST = 1  # after the records of the ring


@xdr.struct
class FollowArgs:
    """Arguments of LOG_FOLLOW.

    level: a `Level`, for sources that no filter matches, 0 for the daemon's; filters: as
    the setting log_filters has them (without a level and filters, the daemon's own count); last: the
    number of records of the ring to begin with, as far as level and filters want them; since: of those
    only the later ones, in seconds since 1970; flags: FollowFlags.
    """

    level: Annotated[xdr.UInt, Level]
    filters: Annotated[str, xdr.String(FILTERS_MAX)]
    last: xdr.UInt
    since: xdr.Double
    flags: xdr.UInt


@xdr.struct
class FollowRet:
    """Following has begun. ring: the number of records that the daemon's ring keeps."""

    ring: xdr.UInt


@xdr.struct
class FiltersForNowArgs:
    """Arguments of LOG_FILTERS_FOR_NOW.

    filters: as the setting log_filters has them; at_most: seconds after which they end, 0 for no bound;
    flags: none are defined.
    """

    filters: Annotated[str, xdr.String(FILTERS_MAX)]
    at_most: xdr.Double
    flags: xdr.UInt


@xdr.struct
class FiltersForNowRet:
    """The filters are in force as long as the stream is open. found: those that were before."""

    found: Annotated[str, xdr.String(FILTERS_MAX)]


@xdr.struct
class LogBatch:
    """Part of LOG_FOLLOW's stream; each packet is one.

    records: one JSON array a line, [TIME, LEVEL, SOURCE, THREAD, MESSAGE, FIELDS, TRACEBACK], with the
    time in seconds since 1970, the level's number, and a traceback if there is one; lost: the number of
    records that are missing after these, since the client was too slow.
    """

    records: Annotated[bytes, xdr.VarOpaque(BATCH_MAX)]
    lost: xdr.UHyper


EXTENSION.records = (*EXTENSION.records, LogBatch)

LOG_FOLLOW: Final = EXTENSION.procedure(
    10, "LOG_FOLLOW", FollowArgs, FollowRet, stream=True, flags=FollowFlags
)

LOG_FILTERS_FOR_NOW: Final = EXTENSION.procedure(
    11, "LOG_FILTERS_FOR_NOW", FiltersForNowArgs, FiltersForNowRet, stream=True, flags=0
)
