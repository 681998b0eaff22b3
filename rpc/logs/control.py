"""Changing what is logged, and where to, while the daemon runs.

Rules of this file: every change goes through `LogControl.configure`. It reads all texts first, then
opens what is new, then swaps, then closes what is gone; whatever fails, fails before the swap. A file
system that hangs holds up only those who open files: records, filters and levels go on.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final

from .audience import Audience
from .logger import SWITCHBOARD
from .opening import open_sink
from .outlet import OUTLET, LiveOutput
from .settings import (
    DEFAULT_LEVEL,
    Filter,
    Formats,
    Level,
    LogSettingError,
    Output,
    filters_text,
    level_chooser,
    outputs_text,
    parse_filters,
    parse_formats,
    parse_level,
    parse_outputs,
)
from .sinks import PATIENCE, Sink, SinkPaths
from .temporary import TEMPORARY_MAX, TemporaryFilters
from .writer import FileWriter

#: Seconds that the end of logging waits for each output.
_END_PATIENCE: Final = 1.0

_owner_lock = threading.Lock()
_owner: LogControl | None = None


class LogControl:
    """The logging of this process: level, filters, outputs and formats, changeable at any time.

    There is at most one open at a time, since loggers belong to the process; a second raises
    RuntimeError.

    Args:
        ident: the daemon's name, for the journal and an empty syslog identity.
        level, filters, outputs, log_format: the first settings, as in `configure`.
        default: the meaning of an empty `outputs`; standard error if left out.
        buffer_size: as in `configure`.
        banner: lines that open every output, as libvirt opens its with version and host.
        paths: where stderr, syslog and the journal are.

    Raises LogSettingError if a setting is refused; then nothing is in force or left open.
    """

    def __init__(
        self,
        ident: str = "",
        *,
        level: int | str = DEFAULT_LEVEL,
        filters: str = "",
        outputs: str = "",
        log_format: str = "text",
        default: str | None = None,
        buffer_size: int = 0,
        banner: Sequence[str] = (),
        paths: SinkPaths = SinkPaths(),  # noqa: B008  frozen, so sharing it is harmless
    ) -> None:
        self._opening = threading.Lock()  # around all that opens files: may be held for long
        self._lock = threading.Lock()  # around what is in force: held for a moment
        self._ident = ident or os.path.basename(sys.argv[0]) or "python"
        self._places = paths
        self._level = parse_level(level)
        self._lasting: list[Filter] = []
        self._temporary: list[TemporaryFilters] = []
        self._formats = Formats()
        self._default = parse_outputs(default or f"{int(self._level)}:stderr")
        #: Those who take records beside the outputs.
        self.audience = Audience()
        self._open = True
        _claim(self)
        try:
            OUTLET.start(tuple(banner), paths.stderr, threaded=True)
            atexit.register(self.close)
            self.configure(
                level=level,
                filters=filters,
                outputs=outputs,
                log_format=log_format,
                buffer_size=buffer_size,
            )
        except BaseException:
            self.close()
            raise

    def configure(
        self,
        *,
        level: int | str | None = None,
        filters: str | None = None,
        outputs: str | None = None,
        log_format: str | None = None,
        buffer_size: int | None = None,
    ) -> None:
        """Changes the settings given, all of them or none; None leaves one as it is.

        Args:
            level: 1 (debug) to 4 (error), for sources that no filter matches.
            filters: see `parse_filters`; empty means none.
            outputs: see `parse_outputs`; empty means the default.
            log_format: see `parse_formats`.
            buffer_size: number of the latest records that are kept in memory.

        Raises LogSettingError and changes nothing if any of them is refused
        or an output cannot be opened.
        """
        if outputs is None:
            self._commit(level, filters, None, log_format, buffer_size)
            return
        with self._opening:
            self._check(level, filters, log_format)  # before any file is created
            # libvirt takes mere spaces for an empty set, which its admin API then fails to show.
            sinks, fresh = self._sinks(parse_outputs(outputs) or self._default)
            try:
                gone = self._commit(level, filters, sinks, log_format, buffer_size)
            except BaseException:
                _close(fresh)
                raise
            _close(gone)

    def _check(
        self, level: int | str | None, filters: str | None, log_format: str | None
    ) -> tuple[Level, list[Filter], Formats]:
        """Returns what would be in force; raises LogSettingError."""
        if not self._open:
            raise RuntimeError("this LogControl is closed: its settings are no longer in force")
        return (
            self._level if level is None else parse_level(level),
            self._lasting if filters is None else parse_filters(filters),
            self._formats if log_format is None else parse_formats(log_format),
        )

    def _commit(
        self,
        level: int | str | None,
        filters: str | None,
        sinks: list[tuple[Output, Sink]] | None,
        log_format: str | None,
        buffer_size: int | None,
    ) -> list[Sink]:
        """Put settings in force; None leaves one as it is. Never waits for a file system.

        Returns the sinks that are not used any more; the caller closes them.
        """
        with self._lock:
            checked = self._check(level, filters, log_format)
            if sinks is None:
                sinks = [(live.output, live.sink) for live in OUTLET.lives]
            self._level, self._lasting, self._formats = checked
            replaced: list[TemporaryFilters] = []
            if filters is not None:
                replaced, self._temporary = self._temporary, replaced
            gone = OUTLET.swap(
                tuple(
                    LiveOutput(one, sink, self._formats.of(one), self._ident) for one, sink in sinks
                )
            )
            self._choose_levels(buffer_size)
        for one in replaced:
            one.replaced()
        return gone

    def _choose_levels(self, buffer_size: int | None = None) -> None:
        choose, least = level_chooser(self.filters(), self._level), OUTLET.least
        kept = self.audience.ring_size if buffer_size is None else buffer_size
        self.audience.set_ring(kept, choose)
        SWITCHBOARD.apply(lambda source: max(choose(source), least))

    def _sinks(self, wanted: list[Output]) -> tuple[list[tuple[Output, Sink]], list[Sink]]:
        """Takes over what is open already and still in its place, and opens the rest.

        Returns all of them, and by themselves those just opened.

        Raises LogSettingError if one cannot be opened; those opened before it are closed again.
        """
        in_force = {live.output.place: live.sink for live in OUTLET.lives}
        found: list[tuple[Output, Sink]] = []
        fresh: list[Sink] = []
        try:
            for output in wanted:
                sink = in_force.get(output.place)
                if sink is None or not sink.current():
                    sink = open_sink(output, self._places)
                    fresh.append(sink)
                found.append((output, sink))
        except BaseException:
            _close(fresh)
            raise
        return found, fresh

    @property
    def level(self) -> int:
        """The level for sources that no filter matches: 1 debug, 2 info, 3 warning, 4 error.

        Setting another value raises LogSettingError.
        """
        return int(self._level)

    @level.setter
    def level(self, value: int) -> None:
        self.configure(level=value)

    @property
    def log_format(self) -> str:
        """The formats in force, as `parse_formats` reads them; setting may raise LogSettingError."""
        return str(self._formats)

    @log_format.setter
    def log_format(self, value: str) -> None:
        self.configure(log_format=value)

    def set_filters(self, text: str | None) -> None:
        """Replaces the filters; None or an empty text removes them.

        Raises LogSettingError, changing nothing.
        Source: libvirt: src/util/virlog.c, virLogSetFilters.
        """
        self.configure(filters=text or "")

    def set_filters_for_now(self, text: str, replaced: Callable[[], object]) -> TemporaryFilters:
        """Put filters in force until `end_filters`, or until others are set to last.

        Of several temporary ones, the latest are in force; when they end, those before them, and after
        all the lasting ones.

        Args:
            text: see `parse_filters`.
            replaced: called on any thread, at most once, when others were set to last.

        Raises:
            LogSettingError: the text is wrong, or there are TEMPORARY_MAX already.
        """
        one = TemporaryFilters(parse_filters(text), replaced)
        with self._lock:
            self._check(None, None, None)
            if len(self._temporary) >= TEMPORARY_MAX:
                raise LogSettingError(
                    f"there are {TEMPORARY_MAX} temporary log filters already",
                    code_name="RESOURCE_BUSY",
                )
            self._temporary.append(one)
            self._choose_levels()
        return one

    def end_filters(self, one: TemporaryFilters) -> None:
        """End temporary filters; does nothing if they have ended."""
        with self._lock:
            if self._open and one in self._temporary:
                self._temporary.remove(one)
                self._choose_levels()

    def set_outputs(self, text: str | None) -> None:
        """Replaces the outputs; None or an empty text brings the default back.

        Raises LogSettingError, changing nothing.
        A file that stays keeps its descriptor, unless its path has come to name another file.
        Source: libvirt: src/util/virlog.c, virLogSetOutputs.
        """
        self.configure(outputs=text or "")

    def filters(self) -> list[Filter]:
        """Returns the filters in force, in the order in which they are tried."""
        return list(self._temporary[-1].filters if self._temporary else self._lasting)

    def lasting_filters(self) -> list[Filter]:
        """Returns the filters that are in force when no temporary ones are."""
        return list(self._lasting)

    def outputs(self) -> list[Output]:
        """Returns the outputs in force."""
        return [live.output for live in OUTLET.lives]

    def filters_text(self) -> str:
        """Returns the filters as libvirt prints them, each followed by a space."""
        return filters_text(self.filters())

    def outputs_text(self) -> str:
        """Returns the outputs as libvirt prints them, between single spaces."""
        return outputs_text(self.outputs())

    def reopen(self) -> None:
        """Turns every file output to the file its path names now; for SIGHUP after a rotation.

        Files still in their place are left alone, so calling this once too often does no harm.

        Raises LogSettingError (SYSTEM_ERROR) naming those that could not be opened; they go on
        in the old file, and the others are reopened all the same.
        """
        failed: list[tuple[Output, OSError]] = []
        with self._opening:
            self._check(None, None, None)
            for live in OUTLET.lives:
                if isinstance(live.sink, FileWriter) and not live.sink.current():
                    try:
                        fresh = live.sink.open_anew()
                    except OSError as err:
                        failed.append((live.output, err))
                        continue
                    self._turn(live.sink, fresh)
        if failed:
            what = ", ".join(f"'{output}' ({err.strerror})" for output, err in failed)
            raise LogSettingError(
                f"log outputs that cannot be reopened, and go on in the old file: {what}",
                code_name="SYSTEM_ERROR",
                errno=failed[0][1].errno or 0,
            )

    @staticmethod
    def _turn(writer: FileWriter, fresh: int) -> None:
        with OUTLET.hold():
            if all(writer is not other.sink for other in OUTLET.lives):  # closed meanwhile
                os.close(fresh)
                return
            mark = writer.turn_to(fresh)
        writer.wait(mark)

    def flush(self, seconds: float = PATIENCE / 1000) -> bool:
        """Wait until everything logged so far is written, and return whether it is.

        Debug and info records are written by threads, a moment later than they are logged; call this
        before their file is read or the process is replaced.

        Args:
            seconds: the most that is waited for each output.
        """
        return OUTLET.flush(seconds)

    def close(self) -> None:
        """Close the outputs and go back to how a process starts: warnings and errors to stderr.

        What was logged is written before, unless that takes longer than a second.
        """
        with self._lock:
            if not self._open:
                return
            self._open = False
            OUTLET.flush(_END_PATIENCE)
            gone = OUTLET.swap(())
            OUTLET.start((), SinkPaths().stderr, threaded=False)
            SWITCHBOARD.apply(lambda _source: DEFAULT_LEVEL)
            self.audience.close()
            _release(self)
        _close(gone)
        atexit.unregister(self.close)


def _close(sinks: list[Sink]) -> None:
    for sink in sinks:
        sink.close()


def _claim(control: LogControl) -> None:
    global _owner
    with _owner_lock:
        if _owner is not None:
            raise RuntimeError(
                "the logging of this process has a LogControl already "
                f"(it writes to {_owner.outputs_text()}): close that one first"
            )
        _owner = control


def _release(control: LogControl) -> None:
    global _owner
    with _owner_lock:
        if _owner is control:
            _owner = None
