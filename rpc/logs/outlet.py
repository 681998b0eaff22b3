"""Where every record of the process passes on its way out.

Rules of this file: `OUTLET` is the one thing shared by all threads that log. Its lock is the only
one taken for a record, and both writing and swapping outputs happen under it; so a record sees the
old set of outputs or the new one, whole, and no output is closed while something is being written
to it. Nothing raised by an output gets past here. No file system is waited for: files and standard error
are written by threads (`writer`), which report here.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .settings import Destination, FormatName, Level, Output
from .sinks import Sink, StreamSink
from .writer import Writer

if TYPE_CHECKING:
    from .record import Render

EventDict = dict[str, Any]

OWN_KEYS = frozenset({"timestamp", "level", "source", "thread", "event", "exception"})
"""Keys that a record has of itself; a field of that name is written with a `_` behind it."""

SOURCE = "rpc.logs"
"""The source of records that logging itself writes."""


class LiveOutput:
    """An output in force: what was asked for, the opened sink, and how its records are written."""

    __slots__ = ("_render", "format", "ident", "output", "sink")

    def __init__(self, output: Output, sink: Sink, format_name: FormatName, ident: str) -> None:
        self.output = output
        self.sink = sink
        self.format = format_name
        self.ident = ident
        self._render: Render | None = None

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
        #: Records of logging itself, for those who follow; told when the lock is free.
        self._reports: deque[tuple[Level, str, dict[str, object]]] = deque()
        self.on_report: Callable[[Level, str, dict[str, object]], object] | None = None
        self._banner: tuple[str, ...] = ()
        self._last_resort = self._stderr(stderr, threaded=False)

    @property
    def lives(self) -> tuple[LiveOutput, ...]:
        """The outputs in force."""
        return self._lives

    @property
    def least(self) -> Level:
        """The lowest level that any output takes."""
        return min((live.output.level for live in self._lives), default=Level.DEBUG)

    def swap(self, lives: tuple[LiveOutput, ...]) -> list[Sink]:
        """Put a new set in force; returns the sinks that are in it no longer, for closing."""
        with self._lock:
            old, self._lives = self._lives, lives
        kept = {id(live.sink) for live in lives}
        return [live.sink for live in old if id(live.sink) not in kept]

    def start(self, banner: tuple[str, ...], stderr: int, *, threaded: bool) -> None:
        """Set the lines that open each output, and the descriptor that is the last resort.

        threaded: whether a thread writes there, too; else each record is there when it was logged.
        """
        with self._lock:
            self._banner = banner
            old, self._last_resort = self._last_resort, self._stderr(stderr, threaded=threaded)
        old.sink.close()

    def _stderr(self, descriptor: int, *, threaded: bool) -> LiveOutput:
        sink = StreamSink(descriptor)
        output = Output(Level.DEBUG, Destination.STDERR)
        return LiveOutput(output, Writer(sink, self.settle) if threaded else sink, "text", "")

    def hold(self) -> threading.RLock:
        """Returns the lock, for changing a sink in place while nothing is being written."""
        return self._lock

    def emit(self, record: EventDict) -> None:
        """Write one record; raises nothing that an output raised.

        A warning or an error is waited for until it is written, for `PATIENCE` at most, so that it
        survives a crash. Lower levels may come by the thousand, and are not waited for.
        """
        with self._lock:
            # Busy: this was logged by a finaliser or a __str__, amid the writing of another record.
            outermost = not self._busy
            self._waiting.append((record, None))
            self._drain()
            marks = self._marks() if outermost and record["level"] in ("warning", "error") else ()
        if outermost and self._reports:
            self._tell_reports()
        for writer, mark in marks:
            writer.wait_on_loop(mark)

    def _drain(self) -> None:
        """Deliver the records that wait, unless that is being done."""
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                self._deliver(*self._waiting.popleft())
        finally:
            self._busy = False

    def _marks(self) -> list[tuple[Writer, threading.Lock]]:
        lives = (*self._lives, self._last_resort)
        return [(live.sink, live.sink.mark()) for live in lives if isinstance(live.sink, Writer)]

    def flush(self, seconds: float) -> bool:
        """Wait until everything logged so far is written; returns whether it is.

        Args:
            seconds: the most that is waited for each output.
        """
        with self._lock:
            marks = self._marks()
        reached = [writer.wait(mark, seconds) for writer, mark in marks]
        return all(reached)

    def settle(self, writer: Writer, lost: int, error: Exception | None) -> None:
        """Take note of how a deferred write went; called on the writer's thread (see `Writer`)."""
        with self._lock:
            for live in (*self._lives, self._last_resort):
                if live.sink is writer:
                    if error is None:
                        self._works(live)
                    else:
                        self._fails(live, lost, error)
                    break
            self._drain()
        self._tell_reports()

    def _tell_reports(self) -> None:
        while True:
            try:
                level, event, fields = self._reports.popleft()
            except IndexError:  # told, perhaps by another thread
                return
            if self.on_report is not None:
                self.on_report(level, event, fields)

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
        except Exception as err:  # an OSError, or a mistake of ours that must not reach the caller
            self._fails(live, 1, err)
            return False
        if isinstance(live.sink, Writer):
            return not condition.failing  # it was only accepted: `settle` tells the rest
        self._works(live)
        return True

    def _fails(self, live: LiveOutput, lost: int, error: Exception) -> None:
        condition = live.sink.condition
        condition.lost += lost
        if not condition.failing:
            condition.failing = True
            reason = getattr(error, "strerror", None) or repr(error)
            self._report(live, "error", "log output fails", reason=reason)

    def _works(self, live: LiveOutput) -> None:
        condition = live.sink.condition
        if condition.failing:
            lost, condition.lost, condition.failing = condition.lost, 0, False
            self._report(live, "warning", "log output works again", records_lost=lost)

    def _report(self, live: LiveOutput, level: str, event: str, **fields: object) -> None:
        if live is self._last_resort:
            return  # there is nobody left to tell
        fields = {"output": str(live.output), **fields}
        report = _own_record(level, event, threading.get_native_id()) | fields
        self._reports.append((Level[level.upper()], event, fields))
        self._waiting.append((report, live.sink if level == "error" else None))


def _own_record(level: str, event: str, thread: int) -> EventDict:
    return {
        "timestamp": time.time(),
        "level": level,
        "source": SOURCE,
        "thread": thread,
        "event": event,
    }


OUTLET = Outlet()
