"""noted: a daemon of one's own, with everything that aiovirt's daemons have. It keeps notes.

`python -m noted --rundir /tmp/noted` starts it; virt-admin and virtadm administer it, SIGHUP changes
its settings, and its notes and its clients survive SIGUSR1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from aiovirt.daemons import runtime
from aiovirt.rpc.server import Client, Daemon, Handlers, Server, serves
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.program import Program


@xdr.struct
class Note:
    text: Annotated[str, xdr.String(1000)]


@xdr.struct
class Number:
    number: xdr.UInt


NOTES = Program("notes", 0x2A000001, 1)
ADD = NOTES.procedure(1, "ADD", Note, Number)
READ = NOTES.procedure(2, "READ", Number, Note)


class Notes(runtime.Component):
    """The notes, and the program that serves them."""

    name = "notes"
    state_type = list[str]

    def __init__(self, most: int) -> None:
        self._notes: list[str] = []
        self._most = most

    @serves(ADD)
    def add(self, client: Client, note: Note) -> Number:
        if len(self._notes) >= self._most:
            raise RpcError(ErrorCode.OPERATION_DENIED, f"there are {self._most} notes already")
        self._notes.append(note.text)
        return Number(len(self._notes))

    @serves(READ)
    def read(self, client: Client, which: Number) -> Note:
        if not 1 <= which.number <= len(self._notes):
            raise RpcError(ErrorCode.INVALID_ARG, f"{which.number} is not the number of a note")
        return Note(self._notes[which.number - 1])

    def apply(self, changes: Mapping[str, runtime.Value]) -> None:
        self._most = int(str(changes["most"]))

    def save(self, keep: runtime.Keep) -> list[str]:
        return self._notes

    def restore(self, state: list[str]) -> None:
        self._notes = state


def _build(daemon: Daemon, main: Server, admin: Server, start: runtime.Start) -> list[Notes]:
    notes = Notes(start.settings.integer("max_notes"))
    main.add_program(Handlers.of(notes))
    return [notes]


MAX_NOTES = runtime.Setting(
    name="max_notes",
    group="Notes",
    kind=runtime.Integer(0, 1000),
    default=100,
    change=runtime.Live("notes", "most"),
    doc="Maximum number of notes.",
)
KIND = runtime.DaemonKind(
    "noted", "Keeps notes.", _build, lambda: runtime.daemon_settings(MAX_NOTES)
)
