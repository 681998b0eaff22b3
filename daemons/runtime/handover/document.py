"""The document that goes from one program to the next at a restart, and whether it fits.

Read only where there is a restart: it is what needs `msgspec`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from aiovirt import __version__
from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.daemons.runtime.settings.declaration import Value
from aiovirt.rpc.server.restart import DaemonState

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.kind import Own

FORMAT: Final = "aiovirt restart"
#: What this program writes, and the oldest that it reads.
VERSION: Final = 1
OLDEST: Final = 1


class LoggingState(msgspec.Struct):
    """Logging as it is now, in the words of the admin program; is_default: nobody asked for these
    outputs."""

    level: int
    filters: str
    outputs: str
    is_default: bool


class _Header(msgspec.Struct):
    format: str
    version: int
    daemon: str


class Document(msgspec.Struct):
    """Everything. settings: what the settings file said last; pid_file: the descriptor that holds its
    lock; own: what the daemon has of its own, in a layout of its own."""

    daemon: str
    settings: dict[str, Value]
    logging: LoggingState
    pid_file: int
    servers: DaemonState
    own: msgspec.Raw
    written_by: str = f"aiovirt {__version__}"
    format: str = FORMAT
    version: int = VERSION


def encode(document: Document) -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document)


def decode(data: bytes, daemon: str) -> Document:
    """Read a document for the daemon of this name. Raises StartError when it does not fit."""
    try:
        header = msgspec.json.decode(data, type=_Header)
        if header.format != FORMAT or header.daemon != daemon:
            raise StartError(
                Failure.INIT,
                f"a document '{header.format}' of '{header.daemon}' is not for {daemon}",
            )
        if not OLDEST <= header.version <= VERSION:
            raise StartError(
                Failure.INIT,
                f"the restart document has version {header.version}; this program reads"
                f" {OLDEST} to {VERSION}",
            )
        return msgspec.json.decode(data, type=Document)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise StartError(Failure.INIT, f"the restart document does not fit: {error}") from error


def decode_own(document: Document, own: Own) -> Any:
    """The daemon's own part. Raises StartError when it does not fit."""
    try:
        return msgspec.json.decode(document.own, type=own.state_type)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise StartError(
            Failure.INIT, f"the restart document's own part does not fit: {error}"
        ) from error
