"""Where every record of the process passes on its way out.

Rules of this file: `OUTLET` is the one thing shared by all threads that log. Its lock is the only
one taken for a record, and both writing and swapping outputs happen under it; so a record sees the
old set of outputs or the new one, whole, and no output is closed while something is being written
to it. Nothing raised by an output gets past here.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .settings import Destination, FormatName, Level, Output
from .sinks import Sink, StreamSink

if TYPE_CHECKING:
    from .record import Render

EventDict = dict[str, Any]

OWN_KEYS = frozenset({"timestamp", "level", "source", "thread", "event", "exception"})
"""Keys that a record has of itself; a field of that name is written with a `_` behind it."""

SOURCE = "rpc.logs"
"""The source of records that logging itself writes."""


@dataclass(slots=True, eq=False)
class LiveOutput:
    """An output in force: what was asked for, the opened sink, and how its records are written."""

    output: Output
    sink: Sink
    format: FormatName
    ident: str
    _render: Render | None = field(default=None)

    @property
    def render(self) -> Render:
        """The function from an event dict to what the sink takes, found when first needed."""
        if self._render is None:
            self._render = _renderer(self.output, self.format, self.ident)
        return self._render


def _renderer(output: Output, format_name: FormatName, ident: str) -> Render:
    from . import record  # late: it imports structlog

    if output.destination is Destination.JOURNALD:
        return record.journal_renderer(ident)
    if output.destination is Destination.SYSLOG:
        return record.syslog_renderer(output.name or ident, as_json=format_name == "json")
    return record.render_json if format_name == "json" else record.render_text


class Outlet:
    """Takes finished event dicts and writes them to every output that wants them.

    With no outputs, everything goes to stderr, as in libvirt. An output that fails is reported
    once, through the others or else on stderr, and once more, with the number of records lost, when
    it works again.
    """

    def __init__(self, stderr: int = 2) -> None:
        self._lock = threading.RLock()
        self._lives: tuple[LiveOutput, ...] = ()
        self._waiting: deque[tuple[EventDict, Sink | None]] = deque()
        self._busy = False
        self._banner: tuple[str, ...] = ()
        self._last_resort = _last_resort(stderr)

    @property
    def lives(self) -> tuple[LiveOutput, ...]:
        """The outputs in force."""
        return self._lives

    @property
    def least(self) -> Level:
        """The lowest level that any output takes."""
        return min((live.output.level for live in self._lives), default=Level.DEBUG)

    def swap(self, lives: tuple[LiveOutput, ...]) -> None:
        """Puts a new set in force and closes the sinks that are in it no longer."""
        with self._lock:
            old, self._lives = self._lives, lives
        kept = {id(live.sink) for live in lives}
        for live in old:
            if id(live.sink) not in kept:
                live.sink.close()

    def start(self, banner: tuple[str, ...], stderr: int) -> None:
        """Sets what opens each output, and the descriptor to turn to when there is no other way."""
        with self._lock:
            self._banner = banner
            self._last_resort = _last_resort(stderr)

    def hold(self) -> threading.RLock:
        """Returns the lock, for changing a sink in place while nothing is being written."""
        return self._lock

    def emit(self, record: EventDict) -> None:
        """Writes one record; raises nothing that an output raised."""
        with self._lock:
            self._waiting.append((record, None))
            # Busy: this was logged by a finaliser or a __str__, amid the writing of another record.
            if self._busy:
                return
            self._busy = True
            try:
                while self._waiting:
                    self._deliver(*self._waiting.popleft())
            finally:
                self._busy = False

    def write_stderr(self, text: str) -> None:
        """Writes a bare line to stderr, for when no record can be built."""
        with self._lock, contextlib.suppress(OSError):
            self._last_resort.sink.write(f"{text}\n".encode("utf-8", "backslashreplace"))

    def _deliver(self, record: EventDict, not_to: Sink | None) -> None:
        level = Level[record["level"].upper()]
        delivered = False
        for live in self._lives:
            if level >= live.output.level and live.sink is not not_to:
                delivered |= self._write(live, record)
        if not self._lives or (not_to is not None and not delivered):
            self._write(self._last_resort, record)

    def _write(self, live: LiveOutput, record: EventDict) -> bool:
        condition = live.sink.condition
        try:
            if self._banner and not condition.greeted:
                for text in self._banner:
                    live.sink.write(live.render(_own_record("info", text, record["thread"])))
                condition.greeted = True
            live.sink.write(live.render(record))
        except (
            Exception
        ) as err:  # an OSError, or else a mistake of ours that must not reach the caller
            condition.lost += 1
            if not condition.failing:
                condition.failing = True
                reason = getattr(err, "strerror", None) or repr(err)
                self._report(live, "error", "log output fails", reason=reason)
            return False
        if condition.failing:
            lost, condition.lost, condition.failing = condition.lost, 0, False
            self._report(live, "warning", "log output works again", records_lost=lost)
        return True

    def _report(self, live: LiveOutput, level: str, event: str, **fields: object) -> None:
        if live is self._last_resort:
            return  # there is nobody left to tell
        report = _own_record(level, event, threading.get_native_id())
        report |= {"output": str(live.output), **fields}
        self._waiting.append((report, live.sink if level == "error" else None))


def _last_resort(stderr: int) -> LiveOutput:
    return LiveOutput(Output(Level.DEBUG, Destination.STDERR), StreamSink(stderr), "text", "")


def _own_record(level: str, event: str, thread: int) -> EventDict:
    return {
        "timestamp": time.time(),
        "level": level,
        "source": SOURCE,
        "thread": thread,
        "event": event,
    }


OUTLET = Outlet()
