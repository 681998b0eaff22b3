"""The counts of every procedure of every server, and the line that a call leaves at debug level.

The hot path counts by runs of calls of one procedure (see `hot_path`); every other call comes through
`answered` or `abandoned`, once. The calls of a run share its time equally. All durations are of the
clock `perf_counter`, from the time when a call was taken up until its reply was made; the time that
bytes wait in a socket is not in them.
"""

from __future__ import annotations

from bisect import bisect_left
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.wire.message import MIN_FRAME, Status, split_key

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client

#: Has one line for each call at debug level. While it is on, no call takes the hot path.
CALLS: Final = get_logger("rpc.server.call")
#: The largest durations of all buckets but the last, in seconds.
BOUNDS: Final = (1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 10.0)
#: What took no longer is in the first bucket, and counting it costs least.
FAST: Final = BOUNDS[0]
#: The error codes that one procedure has counters of its own for.
CODES_MAX: Final = 32
#: In place of an error's code: the client went before the reply (no error of libvirt has it).
UNANSWERED: Final = 0
#: In place of a code for which there is no counter left.
OTHER: Final = -1


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


class Durations:
    """How long things took: their number, the sum, and how many are in each bucket."""

    __slots__ = ("_slow", "calls", "seconds")

    def __init__(self) -> None:
        self.calls = 0
        self.seconds = 0.0
        self._slow: list[int] | None = None  # by bucket; those that are missing are in the first

    def add(self, took: float) -> None:
        """Count one of `took` seconds."""
        self.calls += 1
        self.seconds += took
        if took > FAST:
            self.spread(1, took)

    def spread(self, calls: int, took: float) -> None:
        """Put calls that took so many seconds together, more than FAST, into their bucket."""
        bucket = bisect_left(BOUNDS, took / calls)
        if bucket:
            if self._slow is None:
                self._slow = [0] * (len(BOUNDS) + 1)
            self._slow[bucket] += calls

    @property
    def buckets(self) -> tuple[int, ...]:
        """How many took at most each of BOUNDS and more than the bound before it, then the others."""
        slow = self._slow or [0] * (len(BOUNDS) + 1)
        return (self.calls - sum(slow), *slow[1:])


class Tally(Durations):
    """Something that counts calls.

    calls: those that were answered, in whatever way, or whose client went before; errors: those among
    them that were not answered with a result; bytes_in, bytes_out: of their frames; seconds: the sum
    of their durations.
    """

    __slots__ = ("_codes", "bytes_in", "bytes_out", "errors")

    def __init__(self) -> None:
        super().__init__()
        self.errors = self.bytes_in = self.bytes_out = 0
        self._codes: dict[int, int] | None = None

    @property
    def counts(self) -> Counts:
        """The counts until now."""
        return Counts(self.calls, self.errors, self.bytes_in, self.bytes_out)

    @property
    def codes(self) -> dict[int, int]:
        """The errors by their code, UNANSWERED or OTHER."""
        return dict(self._codes or {})

    def count(self, bytes_in: int, bytes_out: int, took: float) -> None:
        """Count one call, apart from its error."""
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out
        self.add(took)

    def count_error(self, code: int) -> None:
        """Count an error of a call that is counted as well."""
        self.errors += 1
        codes = self._codes
        if codes is None:
            codes = self._codes = {}
        if code not in codes and len(codes) >= CODES_MAX:
            code = OTHER
        codes[code] = codes.get(code, 0) + 1


#: When a call came, in seconds.
now: Final = perf_counter


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
        started: when it came, by the clock `now`.
    """
    code = error_code(reply)
    _count(client, key, size, len(reply), code, started)
    if CALLS.debug_on:
        _write_line(client, key, serial, size, len(reply), code or "ok", started)


def abandoned(client: Client, key: bytes, serial: int, size: int, started: float) -> None:
    """Count a call whose client went before it was answered, and write its line."""
    _count(client, key, size, 0, UNANSWERED, started)
    if CALLS.debug_on:
        _write_line(client, key, serial, size, 0, "client gone", started)


def _count(
    client: Client, key: bytes, size: int, sent: int, code: int | None, started: float
) -> None:
    tally = client.server.tally(key)
    tally.count(size, sent, now() - started)
    client.counted_calls += 1
    client.counted_in += size
    client.counted_out += sent
    if code is not None:
        tally.count_error(code)
        client.counted_errors += 1


def error_code(reply: bytes) -> int | None:
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
        "ms": round((now() - started) * 1000, 3),
    }
    CALLS.debug("call", **fields)
