"""The document that goes from one program to the next at a restart, and whether it fits.

Read only where there is a restart: it is what needs `msgspec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from aiovirt import __version__
from aiovirt.daemons.runtime.logging import LoggingState
from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.daemons.runtime.settings.declaration import Value
from aiovirt.rpc.server.restart import DaemonState

FORMAT: Final = "aiovirt restart"
#: The version that this program writes, and the oldest that it reads.
VERSION: Final = 3
#: The version of a document without large buffers: programs of that version can read it.
WITHOUT_BUFFERS: Final = 2
OLDEST: Final = 1
#: The name of the state in a document of version 1: it belongs to the first component that has one.
UNNAMED: Final = ""


class _Header(msgspec.Struct):
    format: str
    version: int
    daemon: str


class Document(msgspec.Struct):
    """Everything that a program leaves to the next.

    settings: the values in force as far as the settings file is concerned; administered: the values in
    force that an administrator has chosen; given: the names that the file sets, none if that is not
    known; pid_file: the descriptor that holds its lock; folder: the one that holds the run directory, -1
    for none; components: the state of each component by its name, in a layout of its own; signals: the
    descriptor of those that were not acted upon, -1 for none; temporary: the run directory, if it is
    removed at the end, else empty.
    """

    daemon: str
    settings: dict[str, Value]
    logging: LoggingState
    pid_file: int
    servers: DaemonState
    components: dict[str, msgspec.Raw]
    written_by: str = f"aiovirt {__version__}"
    format: str = FORMAT
    version: int = VERSION
    signals: int = -1
    administered: dict[str, Value] = {}
    given: list[str] | None = None
    temporary: str = ""
    folder: int = -1


class _FirstVersion(msgspec.Struct):
    """Version 1: a daemon had one part of its own, without a name; null for none."""

    daemon: str
    settings: dict[str, Value]
    logging: LoggingState
    pid_file: int
    servers: DaemonState
    own: msgspec.Raw
    written_by: str


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
        if header.version == 1:
            return _from_first(msgspec.json.decode(data, type=_FirstVersion))
        return msgspec.json.decode(data, type=Document)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise StartError(Failure.INIT, f"the restart document does not fit: {error}") from error


def _from_first(old: _FirstVersion) -> Document:
    components = {} if bytes(old.own) == b"null" else {UNNAMED: old.own}
    return Document(
        old.daemon,
        old.settings,
        old.logging,
        old.pid_file,
        old.servers,
        components,
        old.written_by,
    )


def encode_states(states: Mapping[str, Any]) -> dict[str, msgspec.Raw]:
    """The states of components, as `Document.components` has them."""
    return {name: msgspec.Raw(msgspec.json.encode(state)) for name, state in states.items()}


def decode_states(document: Document, types: Mapping[str, Any]) -> dict[str, Any]:
    """The states of components by name.

    types: of the components that have a state. A state without a component is refused, since it would be
    lost; a component without a state is not in the result. Raises StartError.
    """
    components = dict(document.components)
    if UNNAMED in components and types:
        components[next(iter(types))] = components.pop(UNNAMED)
    unknown = sorted(components.keys() - types.keys())
    if unknown:
        raise StartError(
            Failure.INIT,
            f"the restart document has the state of {', '.join(unknown)}, which this program does not"
            f" have; it has {', '.join(types) or 'none'}",
        )
    found = {}
    for name, state in components.items():
        try:
            found[name] = msgspec.json.decode(state, type=types[name])
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise StartError(
                Failure.INIT, f"the state of {name} in the restart document does not fit: {error}"
            ) from error
    return found
