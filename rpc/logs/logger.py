"""The face for code that logs: a `Logger` per source, with switches that are plain attributes.

Rules of this file: a statement that is off costs one attribute read and nothing else, so whether a
logger is on is worked out when settings change, never when something is logged. `SWITCHBOARD` knows
every logger there is and is the only one that sets the switches.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiovirt.rpc.spare import Reserve

from .following import Kept, Listener, Listeners, is_sending
from .outlet import OUTLET, OWN_KEYS, SOURCE
from .settings import DEFAULT_LEVEL, Level

if TYPE_CHECKING:
    from .record import Recorder


_NAMES = {level: level.name.lower() for level in Level}

#: What a first record is loaded with when no other descriptor is left; empty but for `keep_room`.
_ROOM = Reserve(2)


class Logger:
    """Writes records for one source.

    `debug_on`, `info_on`, `warning_on` and `error_on` tell whether a record of that level would be
    written anywhere. They are plain bools, right at any time, to be asked before arguments that
    cost something are made::

        if _log.debug_on:
            _log.debug("call received", client=client.id, procedure=str(procedure))

    Fields are any keywords; their values are printed with `str` when the record is written (JSON
    keeps numbers, lists and the like as they are). `exc_info=True` or `exc_info=exception` adds the
    traceback to the record. A field that has the name of a part of the record (`level`, `source`,
    `event` ...) is written as `level_`. No method raises: an output that fails is the outlet's
    affair.
    """

    __slots__ = (
        "_listeners",
        "_outputs_from",
        "_recorder",
        "debug_on",
        "error_on",
        "info_on",
        "name",
        "warning_on",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self._recorder: Recorder | None = None
        self._outputs_from: int = DEFAULT_LEVEL
        self._listeners: Listeners = ()
        self.debug_on = self.info_on = self.warning_on = self.error_on = False

    def debug(self, event: str, /, **fields: object) -> None:
        """Writes a record that helps whoever works on this code."""
        if self.debug_on:
            self._record(Level.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Writes a record of the ordinary course of things."""
        if self.info_on:
            self._record(Level.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Writes a record of something that is not as it should be, and was coped with."""
        if self.warning_on:
            self._record(Level.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """Writes a record of something that failed."""
        if self.error_on:
            self._record(Level.ERROR, event, fields)

    def exception(self, event: str, /, **fields: object) -> None:
        """Writes an error with the traceback of the exception being handled."""
        if self.error_on:
            self._record(Level.ERROR, event, {"exc_info": True, **fields})

    def _record(self, level: Level, event: str, fields: dict[str, object]) -> None:
        fields = _renamed(fields)
        if self._listeners:
            fields["timestamp"] = self.tell_listeners(level, event, fields)
        if level >= self._outputs_from:
            self._write(_NAMES[level], event, fields)

    def tell_listeners(self, level: Level, event: str, fields: dict[str, object]) -> float:
        """Gives a record to those who follow, and to no output; returns its time."""
        now = time.time()
        unfollowed = is_sending()
        data = None
        for least, listener in self._listeners:
            if level >= least and not listener.full and not (unfollowed and listener.sends):
                data = self._captured(level, event, fields, now)
                break
        record = None if data is None else Kept(now, level, self.name, data)
        with SWITCHBOARD.lock:
            for least, listener in self._listeners:  # again: they may have changed
                if level >= least and not (unfollowed and listener.sends):
                    listener.put(record)
        return now

    def _captured(
        self, level: int, event: str, fields: dict[str, object], when: float
    ) -> bytes | None:
        try:
            capture = _CAPTURE or _load_capture()
            return capture(level, self.name, event, fields, when=when)
        except Exception as error:  # it cannot be imported, or no memory is left
            OUTLET.write_stderr(f"{self.name}: a record cannot be followed: {error}")
            return None

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        recorder = self._recorder
        if recorder is None:
            try:
                recorder = self._recorder = _new_recorder(self.name)
            except Exception as err:  # the record may well be that no descriptors are left
                what = f"{level} : {self.name}: {event}"
                OUTLET.write_stderr(f"{what} (structlog cannot be loaded: {err})")
                return
        recorder.record(level, event, fields)

    def switch(self, outputs_from: int, listeners: Listeners) -> None:
        """Set who gets which records from now on.

        Args:
            outputs_from: the lowest level that an output may want.
            listeners: those beside the outputs, each with the lowest level that it wants.
        """
        self._outputs_from, self._listeners = outputs_from, listeners
        least = min((outputs_from, *(level for level, _ in listeners)))
        self.debug_on = least <= Level.DEBUG
        self.info_on = least <= Level.INFO
        self.warning_on = least <= Level.WARNING
        self.error_on = least <= Level.ERROR

    def __repr__(self) -> str:
        return f"<Logger {self.name}>"


_CAPTURE: Callable[..., bytes] | None = None


def _load_capture() -> Callable[..., bytes]:
    """Load what captures records, which is for those who follow."""
    global _CAPTURE
    with _ROOM.lent():
        from .capture import capture
    _CAPTURE = capture
    return capture


def _new_recorder(source: str) -> Recorder:
    """Make what writes the records of a source, late: structlog takes longer than many a program."""
    with _ROOM.lent():
        from .record import CHAIN, Recorder
    return Recorder(OUTLET, CHAIN, {"source": source})


def _renamed(fields: dict[str, object]) -> dict[str, object]:
    if OWN_KEYS.isdisjoint(fields):
        return fields
    return {f"{key}_" if key in OWN_KEYS else key: value for key, value in fields.items()}


class Switchboard:
    """Every logger there is, and the rule by which they are on or off.

    lock: around the loggers, and around what listeners have.
    """

    def __init__(self) -> None:
        # Reentrant: a collected object's finaliser may make a logger, or log.
        self.lock = threading.RLock()
        self._by_name: dict[str, Logger] = {}
        self._least: Callable[[str], int] = lambda _source: DEFAULT_LEVEL
        self._listeners: tuple[Listener, ...] = ()

    def get(self, name: str) -> Logger:
        """Returns the one logger of a source, making it if need be, with its switches right."""
        with self.lock:
            logger = self._by_name.get(name)
            if logger is None:
                logger = self._by_name[name] = Logger(name)
                self._switch(logger)
            return logger

    def apply(self, least: Callable[[str], int]) -> None:
        """Puts a new rule in force: `least` gives the lowest level written, by source."""
        with self.lock:
            self._least = least
            self._switch_all()

    def listen(self, listeners: tuple[Listener, ...]) -> None:
        """Replaces those who take records beside the outputs."""
        with self.lock:
            self._listeners = listeners
            self._switch_all()

    def _switch_all(self) -> None:
        for logger in list(self._by_name.values()):
            self._switch(logger)

    def _switch(self, logger: Logger) -> None:
        name = logger.name
        logger.switch(self._least(name), tuple((one.least(name), one) for one in self._listeners))


SWITCHBOARD = Switchboard()
OUTLET.on_report = SWITCHBOARD.get(SOURCE).tell_listeners


def keep_room() -> None:
    """Keep descriptors for what the first record loads, until `load` is done."""
    _ROOM.fill()


def load() -> None:
    """Load everything that a record needs, so that no later one depends on files or descriptors.

    A daemon calls it when its start is over. structlog's console renderer would load rich if it is
    installed (35 of 50 ms), and is not used here: rich is hidden from it. No other thread should import
    rich meanwhile.
    """
    hidden = "rich" not in sys.modules
    if hidden:
        sys.modules["rich"] = None  # type: ignore[assignment]  # so that importing it fails
    try:
        with _ROOM.lent():
            importlib.import_module(f"{__package__}.record")
            importlib.import_module(f"{__package__}.capture")
    finally:
        if hidden:
            del sys.modules["rich"]
    _ROOM.drain()


def get_logger(name: str) -> Logger:
    """Returns the logger of a source, named like `rpc.server.client`; the same one every time.

    Opens nothing. Until a `LogControl` exists, warnings and errors go to stderr.
    """
    return SWITCHBOARD.get(name)
