"""The counts of every procedure of every server, and the line that a call leaves at debug level.

The hot path counts by runs of calls of one procedure (see `hot_path`); every other call comes through
`answered` or `abandoned`, once. No clock is read unless the line is written.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.wire.message import MIN_FRAME, Status, split_key

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client

#: Has one line for each call at debug level. While it is on, no call takes the hot path.
CALLS: Final = get_logger("rpc.server.call")


class Counts(NamedTuple):
    """Calls since the server was made.

    calls: those that were answered, in whatever way, or whose client went before; errors: those among
    them that were not answered with a result; bytes_in, bytes_out: of their frames.
    """

    calls: int
    errors: int
    bytes_in: int
    bytes_out: int

    def __add__(self, other: tuple[Any, ...]) -> Counts:
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Tally:
    """Something that counts calls."""

    __slots__ = ("bytes_in", "bytes_out", "calls", "errors")

    def __init__(self) -> None:
        self.calls = self.errors = self.bytes_in = self.bytes_out = 0

    @property
    def counts(self) -> Counts:
        """The counts until now."""
        return Counts(self.calls, self.errors, self.bytes_in, self.bytes_out)

    def count_run(self, calls: int, bytes_in: int, bodies: int) -> None:
        """Count calls that came one after the other. bodies: bytes of replies without headers."""
        self.calls += calls
        self.bytes_in += bytes_in
        self.bytes_out += bodies + MIN_FRAME * calls

    def count(self, bytes_in: int, bytes_out: int, *, failed: bool) -> None:
        """Count one call."""
        self.calls += 1
        self.errors += failed
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out


def now() -> float:
    """When a call came, in seconds; 0.0 while nobody wants to know how long it takes."""
    return perf_counter() if CALLS.debug_on else 0.0


def answered(
    client: Client, key: bytes, serial: int, size: int, reply: bytes, started: float
) -> None:
    """Count a call, and write its line.

    Args:
        client: where it came from.
        key: of the procedure, which need not exist.
        serial: its serial.
        size: the bytes of the call.
        reply: the frame that answers it.
        started: what `now` returned when it came.
    """
    code = _error_code(reply)
    client.server.tally(key).count(size, len(reply), failed=code is not None)
    if CALLS.debug_on:
        _write_line(client, key, serial, size, len(reply), code or "ok", started)


def abandoned(client: Client, key: bytes, serial: int, size: int, started: float) -> None:
    """Count a call whose client went before it was answered, and write its line."""
    client.server.tally(key).count(size, 0, failed=True)
    if CALLS.debug_on:
        _write_line(client, key, serial, size, 0, "client gone", started)


def _error_code(reply: bytes) -> int | None:
    """The code of the error that a reply carries; None for a result."""
    if int.from_bytes(reply[MIN_FRAME - 4 : MIN_FRAME], "big") == Status.OK:
        return None
    return int.from_bytes(reply[MIN_FRAME : MIN_FRAME + 4], "big", signed=True)


def _write_line(
    client: Client,
    key: bytes,
    serial: int,
    size: int,
    sent: int,
    status: int | str,
    started: float,
) -> None:
    number, version, which = split_key(key)
    handlers = client.server.programs.get((number, version))
    procedure = handlers.program.get(which) if handlers is not None else None
    fields: dict[str, object] = {
        "server": client.server.name,
        "client": client.id,
        "program": handlers.program.name if handlers is not None else f"0x{number:x}",
        "procedure": procedure.name if procedure is not None else which,
        "serial": serial,
        "received": size,
        "sent": sent,
        "status": status,
    }
    if started:
        fields["ms"] = round((perf_counter() - started) * 1000, 3)
    CALLS.debug("call", **fields)
