"""Logging as settings, environment and command line want it together.

The command line comes before the environment, which comes before the settings file; what the
environment sets, a reload of the file does not change. libvirt: src/util/virdaemon.c,
virDaemonSetupLogging.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from aiovirt import __version__
from aiovirt.admin.extension.protocol.settings import Origin
from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.daemons.runtime.process.paths import default_log_file, make_folder
from aiovirt.daemons.runtime.settings.live import Override
from aiovirt.rpc.background import start_thread
from aiovirt.rpc.logs import (
    Filter,
    Level,
    LogControl,
    LogSettingError,
    get_logger,
    parse_filters,
    parse_level,
    parse_outputs,
)
from aiovirt.rpc.logs.settings import outputs_text, parse_formats
from aiovirt.rpc.server.threads import run_blocking

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.process.options import Options
    from aiovirt.daemons.runtime.settings import Loaded, Value

_log = get_logger("daemons.runtime.logging")

#: Seconds that a new program waits for its log outputs after a restart.
_OPENING: Final = 2.0
_JOURNAL = "/run/systemd/journal/socket"

ENVIRONMENT = {
    "level": "LIBVIRT_DEBUG",
    "filters": "LIBVIRT_LOG_FILTERS",
    "outputs": "LIBVIRT_LOG_OUTPUTS",
}
"""What is set -> the variable that comes before the settings file."""


class LoggingState(msgspec.Struct):
    """Logging as it is now, in the words of the admin program, on its way to the next program.

    is_default: whether the outputs are the daemon's own choice; records: the latest ones.
    """

    level: int
    filters: str
    outputs: str
    is_default: bool
    records: list[str] = msgspec.field(default_factory=list)


class LogSettings:
    """The logging of this daemon: opens it, and changes it when the settings change.

    Args:
        name: of the daemon.
        options: the command line.
        settings: those to begin with.
        earlier: what an earlier program of this process logged like; its outputs, filters and level
            come before those of the settings. Outputs that cannot be opened any more are logged and
            replaced by standard error.
        rehearsal: open nothing; errors go to standard error.

    Raises StartError when the environment's or the file's wishes cannot be met.
    """

    def __init__(
        self,
        name: str,
        options: Options,
        settings: Loaded,
        earlier: LoggingState | None = None,
        *,
        rehearsal: bool = False,
    ) -> None:
        self._name = name
        self._background = options.background
        self._rundir = options.rundir
        self._level_at_most = Level.INFO if options.verbose else Level.ERROR
        self._pinned = {
            what: variable for what, variable in ENVIRONMENT.items() if os.environ.get(variable)
        }
        self._default_in_force = not settings.text("log_outputs") and "outputs" not in self._pinned
        wanted = {what: os.environ[variable] for what, variable in self._pinned.items()}
        try:
            level = self._level(wanted.get("level", settings.integer("log_level")))
            filters = wanted.get("filters", settings.text("log_filters"))
            outputs = wanted.get("outputs", settings.text("log_outputs"))
            if earlier is not None:
                self._default_in_force = earlier.is_default
                level, filters, outputs = earlier.level, earlier.filters, earlier.outputs
            elif not outputs:
                self._make_default_folder()
            parse_outputs(outputs)
            if rehearsal:
                outputs = f"{Level.ERROR}:stderr"
            self.control = self._open(
                level, filters, outputs, settings, forgiving=earlier is not None
            )
            if earlier is not None:
                self.control.audience.restore(earlier.records)
        except ValueError as error:  # a LogSettingError, or a record that does not fit
            raise StartError(Failure.SETTINGS, self._blame(str(error))) from error

    def _open(
        self, level: int, filters: str, outputs: str, settings: Loaded, *, forgiving: bool
    ) -> LogControl:
        """Open the outputs.

        Args:
            level, filters, outputs: what is wanted.
            settings: those to begin with.
            forgiving: log to standard error if the outputs cannot be opened, and until they are.
        """
        control = LogControl(
            self._name,
            level=level,
            filters=filters,
            outputs=f"{level}:stderr" if forgiving else outputs,
            log_format=settings.text("log_format"),
            default=self._default_outputs(level),
            buffer_size=settings.integer("log_buffer_size"),
            banner=(f"aiovirt version: {__version__}", f"hostname: {os.uname().nodename}"),
        )
        if forgiving:
            _open_in_time(control, outputs)
        return control

    def _blame(self, text: str) -> str:
        return (
            f"{text} (from the environment: {', '.join(self._pinned.values())})"
            if self._pinned
            else text
        )

    def _level(self, wanted: int | str) -> int:
        """The level in force: 0 stands for the default, and --verbose for info at least."""
        return min(parse_level(wanted or Level.WARNING), self._level_at_most)

    def _default_outputs(self, level: int) -> str:
        """The destination of log lines when nothing sets it.

        libvirt takes the journal whenever it exists and standard input is not a terminal. A daemon in
        the foreground takes it here only when its standard error leads there: one started by a test
        shows its errors to that test. With `--rundir`, a daemon in the background logs to a file there.
        """
        if self._background:
            file = self._default_file()
            return f"{level}:file:{file}" if file else f"{max(level, Level.INFO)}:journald"
        if _stderr_is_the_journal():
            return f"{max(level, Level.INFO)}:journald"
        return f"{level}:stderr"

    def _make_default_folder(self) -> None:
        """Make the folder of the default log file, if there is one. Raises StartError."""
        file = self._default_file()
        if file:
            make_folder(os.path.dirname(file))

    def _default_file(self) -> str | None:
        """Return the path of the default log file; None if the default is not a file."""
        if not self._background or (not self._rundir and os.access(_JOURNAL, os.W_OK)):
            return None
        return default_log_file(self._name, self._rundir)

    async def change(self, changes: Mapping[str, Value]) -> None:
        """Take changed settings as `apply` does, on a thread."""
        await run_blocking(self.apply, changes)

    def apply(self, changes: Mapping[str, Value]) -> None:
        """Take changed settings, keyed "level", "filters", "outputs", "log_format", "buffer_size".

        All of them or none.

        Opens files, so that it may block; threads may call it. Raises LogSettingError.
        """
        texts = {
            what: str(value)
            for what, value in changes.items()
            if what not in ("level", "buffer_size")
        }
        buffer_size = changes.get("buffer_size")
        level = self.control.level
        if "level" in changes:
            level = parse_level(str(changes["level"] or int(Level.WARNING)))
        outputs = texts.pop("outputs", None)
        default = self._default_in_force if outputs is None else not outputs
        if outputs == "" or (default and level != self.control.level and self._untouched()):
            with contextlib.suppress(StartError):  # that it is missing is found when it is opened
                self._make_default_folder()
            outputs = self._default_outputs(level)
        self.control.configure(
            level=level,
            outputs=outputs,
            filters=texts.get("filters"),
            log_format=texts.get("log_format"),
            buffer_size=None if buffer_size is None else int(str(buffer_size)),
        )
        self._default_in_force = default

    def in_force(self, knob: str, last: Value) -> Value:
        """See `Receiver`. Filters are as they can be set again."""
        match knob:
            case "level":
                return self.control.level
            case "filters":
                return self._filters()
            case "outputs":
                return self.control.outputs_text()
            case "log_format":
                return self.control.log_format
            case "buffer_size":
                return self.control.audience.ring_size
        return last

    def override(self, knob: str, value: Value) -> Override | None:
        """See `Receiver`."""
        if knob in self._pinned:
            variable = self._pinned[knob]
            found: Value = os.environ[variable]
            if knob == "level":
                found = self._level(os.environ[variable])
            return Override(found, Origin.ENVIRONMENT, variable)
        if (
            knob == "level"
            and isinstance(value, int)
            and self._level(value) != (value or Level.WARNING)
        ):
            return Override(self._level(value), Origin.COMMAND_LINE, "--verbose")
        return None

    def as_in_force(self, knob: str, value: Value) -> Value:
        """See `Receiver`."""
        match knob:
            case "level":
                return value or int(Level.WARNING)
            case "filters":
                return _filters_text(parse_filters(str(value)))
            case "outputs":
                outputs = parse_outputs(str(value))
                return outputs_text(
                    outputs or parse_outputs(self._default_outputs(self.control.level))
                )
            case "log_format":
                return str(parse_formats(str(value)))
        return value

    def check(self, values: Mapping[str, Value]) -> None:
        """See `Receiver`. Files are opened when the daemon starts."""

    def rank(self, changes: Mapping[str, Value]) -> int:
        """See `Receiver`."""
        return 0

    def _filters(self) -> str:
        """Return the filters as they were asked for; temporary ones belong to their clients."""
        return _filters_text(self.control.lasting_filters())

    def save(self) -> LoggingState:
        """Write down what is in force, for `earlier` of the next program.

        The execution of that program ends our threads, so everything logged is written first.
        """
        control = self.control
        control.flush()
        outputs, records = control.outputs_text(), control.audience.save()
        return LoggingState(
            control.level, self._filters(), outputs, self._default_in_force, records
        )

    def _untouched(self) -> bool:
        """Whether the outputs are the default ones, and not set over the admin socket."""
        return self.control.outputs_text() == self._default_outputs(self.control.level)


def _filters_text(filters: Sequence[Filter]) -> str:
    """Return filters without the stars that are put around every match."""
    return " ".join(f"{one.level.value}:{one.match[1:-1]}" for one in filters)


def _stderr_is_the_journal() -> bool:
    """Whether systemd connected our standard error to the journal: systemd.exec(5),
    $JOURNAL_STREAM."""
    journal = os.environ.get("JOURNAL_STREAM")
    if not journal:
        return False  # unasked: the disk of a file may hang
    status = os.fstat(2)
    return journal == f"{status.st_dev}:{status.st_ino}"


def _open_in_time(control: LogControl, outputs: str) -> None:
    """Open outputs on a thread: their disk may hang. One that hangs is in force when it answers."""

    def open_them() -> None:
        try:
            control.configure(outputs=outputs)
        except (
            LogSettingError,
            RuntimeError,
        ) as error:  # the latter: the daemon has ended meanwhile
            _log.error("logging is not as it was before the restart", reason=str(error))
        finally:
            done.set()

    done = threading.Event()
    start_thread(open_them, name="aiovirt-log-opening")
    if not done.wait(_OPENING):
        _log.error(
            "log outputs not opened yet, standard error is used until their disk answers",
            outputs=outputs,
            seconds=_OPENING,
        )
