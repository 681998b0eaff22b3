"""Disks of domains: block jobs, sizes, limits, errors."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import (
    DOMAIN_BLOCK_COPY_PARAMETERS_MAX,
    DOMAIN_BLOCK_IO_TUNE_PARAMETERS_MAX,
    DOMAIN_BLOCK_PEEK_BUFFER_MAX,
    DOMAIN_DISK_ERRORS_MAX,
)
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullDomain
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.typedparams import TypedParam


@xdr.struct
class DomainBlockPeekArgs:
    """Arguments of DOMAIN_BLOCK_PEEK."""

    dom: NonnullDomain
    path: xdr.Str
    offset: xdr.UHyper
    size: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class DomainBlockPeekRet:
    """Result of DOMAIN_BLOCK_PEEK."""

    buffer: Annotated[bytes, xdr.VarOpaque(DOMAIN_BLOCK_PEEK_BUFFER_MAX)]


@xdr.struct
class DomainPathFlagsArgs:
    """A disk of a domain. path: its source or target."""

    dom: NonnullDomain
    path: xdr.Str
    flags: xdr.UInt


@xdr.struct
class DomainGetBlockInfoRet:
    """Result of DOMAIN_GET_BLOCK_INFO."""

    allocation: xdr.UHyper
    capacity: xdr.UHyper
    physical: xdr.UHyper


@xdr.struct
class DomainGetBlockJobInfoRet:
    """Result of DOMAIN_GET_BLOCK_JOB_INFO."""

    found: xdr.Int
    type: Annotated[xdr.Int, names("domain.DomainBlockJobType")]
    bandwidth: xdr.UHyper
    cur: xdr.UHyper
    end: xdr.UHyper


@xdr.struct
class DomainBandwidthArgs:
    """A disk of a domain. path: its source or target; bandwidth: in MiB/s unless flags say bytes."""

    dom: NonnullDomain
    path: xdr.Str
    bandwidth: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class DomainBlockResizeArgs:
    """Arguments of DOMAIN_BLOCK_RESIZE. flags: DomainBlockResizeFlags."""

    dom: NonnullDomain
    disk: xdr.Str
    size: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class DomainSetBlockIoTuneArgs:
    """Arguments of DOMAIN_SET_BLOCK_IO_TUNE. flags: DomainModificationImpact."""

    dom: NonnullDomain
    disk: xdr.Str
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_BLOCK_IO_TUNE_PARAMETERS_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainGetBlockIoTuneArgs:
    """Arguments of DOMAIN_GET_BLOCK_IO_TUNE. nparams: the maximum number of parameters; 0 to ask
    for their number; flags: DomainModificationImpact | TypedParameterFlags."""

    dom: NonnullDomain
    disk: xdr.OptStr
    nparams: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainGetBlockIoTuneRet:
    """Result of DOMAIN_GET_BLOCK_IO_TUNE."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_BLOCK_IO_TUNE_PARAMETERS_MAX)]
    nparams: xdr.Int


@xdr.struct
class DomainGetDiskErrorsArgs:
    """Arguments of DOMAIN_GET_DISK_ERRORS."""

    dom: NonnullDomain
    maxerrors: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class DomainDiskError:
    """A disk with an error. error: DomainDiskErrorCode."""

    disk: xdr.Str
    error: Annotated[xdr.Int, names("domain.DomainDiskErrorCode")]


@xdr.struct
class DomainGetDiskErrorsRet:
    """Result of DOMAIN_GET_DISK_ERRORS."""

    errors: Annotated[list[DomainDiskError], xdr.Array(DomainDiskError, DOMAIN_DISK_ERRORS_MAX)]
    nerrors: xdr.Int


@xdr.struct
class DomainBlockRebaseArgs:
    """Arguments of DOMAIN_BLOCK_REBASE. flags: DomainBlockRebaseFlags."""

    dom: NonnullDomain
    path: xdr.Str
    base: xdr.OptStr
    bandwidth: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class DomainBlockCommitArgs:
    """Arguments of DOMAIN_BLOCK_COMMIT. flags: DomainBlockCommitFlags."""

    dom: NonnullDomain
    disk: xdr.Str
    base: xdr.OptStr
    top: xdr.OptStr
    bandwidth: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class DomainBlockCopyArgs:
    """Arguments of DOMAIN_BLOCK_COPY. flags: DomainBlockCopyFlags."""

    dom: NonnullDomain
    path: xdr.Str
    destxml: xdr.Str
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_BLOCK_COPY_PARAMETERS_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainSetBlockThresholdArgs:
    """Arguments of DOMAIN_SET_BLOCK_THRESHOLD."""

    dom: NonnullDomain
    dev: xdr.Str
    threshold: xdr.UHyper
    flags: xdr.UInt


DOMAIN_BLOCK_PEEK: Final = REMOTE.procedure(
    103, "DOMAIN_BLOCK_PEEK", DomainBlockPeekArgs, DomainBlockPeekRet
)
DOMAIN_GET_BLOCK_INFO: Final = REMOTE.procedure(
    194, "DOMAIN_GET_BLOCK_INFO", DomainPathFlagsArgs, DomainGetBlockInfoRet, reads=True
)
DOMAIN_BLOCK_JOB_ABORT: Final = REMOTE.procedure(
    237,
    "DOMAIN_BLOCK_JOB_ABORT",
    DomainPathFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainBlockJobAbortFlags"),
)
DOMAIN_GET_BLOCK_JOB_INFO: Final = REMOTE.procedure(
    238,
    "DOMAIN_GET_BLOCK_JOB_INFO",
    DomainPathFlagsArgs,
    DomainGetBlockJobInfoRet,
    flags=names("domain_flags.DomainBlockJobInfoFlags"),
    reads=True,
)
DOMAIN_BLOCK_JOB_SET_SPEED: Final = REMOTE.procedure(
    239,
    "DOMAIN_BLOCK_JOB_SET_SPEED",
    DomainBandwidthArgs,
    xdr.Void,
    flags=names("domain_flags.DomainBlockJobSetSpeedFlags"),
)
DOMAIN_BLOCK_PULL: Final = REMOTE.procedure(
    240,
    "DOMAIN_BLOCK_PULL",
    DomainBandwidthArgs,
    xdr.Void,
    flags=names("domain_flags.DomainBlockPullFlags"),
)
DOMAIN_BLOCK_RESIZE: Final = REMOTE.procedure(
    251,
    "DOMAIN_BLOCK_RESIZE",
    DomainBlockResizeArgs,
    xdr.Void,
    flags=names("domain_flags.DomainBlockResizeFlags"),
)
DOMAIN_SET_BLOCK_IO_TUNE: Final = REMOTE.procedure(
    252,
    "DOMAIN_SET_BLOCK_IO_TUNE",
    DomainSetBlockIoTuneArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_GET_BLOCK_IO_TUNE: Final = REMOTE.procedure(
    253,
    "DOMAIN_GET_BLOCK_IO_TUNE",
    DomainGetBlockIoTuneArgs,
    DomainGetBlockIoTuneRet,
    flags=names("domain_flags.DomainModificationImpact | connect.TypedParameterFlags"),
    reads=True,
)
DOMAIN_GET_DISK_ERRORS: Final = REMOTE.procedure(
    263, "DOMAIN_GET_DISK_ERRORS", DomainGetDiskErrorsArgs, DomainGetDiskErrorsRet, reads=True
)
DOMAIN_BLOCK_REBASE: Final = REMOTE.procedure(
    266,
    "DOMAIN_BLOCK_REBASE",
    DomainBlockRebaseArgs,
    xdr.Void,
    flags=names("domain_flags.DomainBlockRebaseFlags"),
)
DOMAIN_BLOCK_COMMIT: Final = REMOTE.procedure(
    290,
    "DOMAIN_BLOCK_COMMIT",
    DomainBlockCommitArgs,
    xdr.Void,
    flags=names("domain_flags.DomainBlockCommitFlags"),
)
DOMAIN_BLOCK_COPY: Final = REMOTE.procedure(
    345,
    "DOMAIN_BLOCK_COPY",
    DomainBlockCopyArgs,
    xdr.Void,
    flags=names("domain_flags.DomainBlockCopyFlags"),
)
DOMAIN_SET_BLOCK_THRESHOLD: Final = REMOTE.procedure(
    386, "DOMAIN_SET_BLOCK_THRESHOLD", DomainSetBlockThresholdArgs, xdr.Void
)
