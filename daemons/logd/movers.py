"""The threads that move bytes from guests' pipes to their files, so that no disk holds up the loop.

One thread moves the bytes of all logs of one file system, as long as that is quick: it waits for
all their pipes at once, and reads and writes once for each that is ready. When a single step,
whatever it is, takes longer than PATIENCE, that log keeps the thread, and another one looks after
the rest: a stuck disk has a thread of its own for each log that was tried there, and nobody else
notices. A log whose disk has been quick for some steps goes back to the others.

Rules of this file:

- A log's file is touched by one thread at a time: the one that has its station. Whatever else is to be
  done with the file is a job for that thread (see `OpenLog.do`).
- `Movers.lock` guards who has what. It is held for moments, and never while anything is done with a
  file. - Threads take no signals: those are the loop's, and must not be lost at a restart.

Nothing here knows what a log does; `stations.Log` is all that it asks of one.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Final

from aiovirt.daemons.logd.stations import Buffer, Log, Moved, Station
from aiovirt.rpc.background import start_thread
from aiovirt.rpc.logs import get_logger

_log = get_logger("daemons.logd.movers")

#: A step that takes longer, in seconds, costs its log the company of the others.
PATIENCE: Final = 0.02
#: Seconds between two looks at what the threads do, and without any work until nobody looks any more.
_LOOK_EVERY: Final = 0.01
_LOOK_UNTIL: Final = 0.1
#: Quick steps in a row that bring a log back to the others.
_QUICK_AGAIN: Final = 50


class Mover:
    """A thread.

    station: what it looks after; log and since: what it does at this moment, and since when.
    """

    def __init__(self, movers: Movers, station: Station) -> None:
        """Raises RuntimeError when there can be no more threads."""
        self.station: Station | None = station
        self.log: Log | None = None
        self.since = time.monotonic()
        self.parked = False
        self._movers = movers
        self._buffer = Buffer()
        self._quick = 0
        start_thread(self._run, name="aiovirt-logs")

    def _run(self) -> None:
        while (station := self._movers.station_of(self)) is not None:
            ready = station.wait()
            for pipe in ready:
                log = station.logs.get(pipe)
                if log is not None and not self._step(station, log, log.move):
                    break
            else:
                self._look_around(station)

    def _look_around(self, station: Station) -> None:
        """Do jobs, and try again what has failed."""
        while station.asked:
            log = station.asked.popleft()
            if not self._step(station, log, log.do_jobs):
                return
        if station.due:
            now = time.monotonic()
            for log in [log for log, when in station.due.items() if when <= now]:
                if not self._step(station, log, log.move):
                    return

    def _step(self, station: Station, log: Log, work: Callable[[Buffer], Moved]) -> bool:
        """Do something with a log, and note what came of it; whether this thread still has the
        station.
        """
        movers = self._movers
        with movers.lock:
            if self.station is not station:
                return False
            if log.station is not station:
                return True
            self.since = begin = time.monotonic()
            self.log = log
            if not movers.watched:
                movers.watch()
        try:
            moved = work(self._buffer)
        except (
            Exception
        ) as error:  # a mistake of ours must not end the thread that others need, too
            _log.error("a step with a log failed", path=log.path, exc_info=error)
            moved = Moved.FAILED
        with movers.lock:
            self.log = None
            self._settle(log, moved, time.monotonic() - begin)
            return self.station is station

    def _settle(self, log: Log, moved: Moved, took: float) -> None:
        station = log.station  # another one than before, when that took long
        if station is None:
            return
        if moved is Moved.ENDED:
            self._movers.forget(log)
            return
        station.wait_for_pipe(log, moved)
        if station.apart:
            self._quick = self._quick + 1 if moved is Moved.WELL and took < PATIENCE else 0
            if self._quick >= _QUICK_AGAIN:
                self._quick = 0
                self._movers.bring_back(log)


class Movers:
    """All threads of a daemon. lock: see above; watched: whether the loop looks at what they do."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.watched = False
        self._loop = asyncio.get_running_loop()
        self._stations: dict[int, Station] = {}  # of all that is quick, by device
        self._movers: list[Mover] = []
        self._go_on = threading.Event()
        self._go_on.set()
        self._all_parked: asyncio.Event | None = None
        self._complained = False  # that there is no descriptor or thread for a slow log

    # For logs ------------------------------------------------------------------------------------

    def add(self, log: Log, *, due: float | None = None) -> None:
        """Begin to look after a log. Does nothing if that has begun. Raises OSError, RuntimeError.

        due: the moment for a step without waiting for the pipe.
        """
        with self.lock:
            if log.station is None:
                self._station(log.device).add(log, due=due)

    def ask(self, log: Log) -> None:
        """A log has a job for its thread."""
        with self.lock:
            if log.station is not None:
                log.station.asked.append(log)
                log.station.ring()

    def _station(self, device: int) -> Station:
        station = self._stations.get(device)
        if station is None:
            station = Station(device)
            try:
                self._movers.append(Mover(self, station))
            except RuntimeError:
                station.close()
                raise
            self._stations[device] = station
        return station

    # For threads, which hold the lock ----------------------------------------------------------------

    def station_of(self, mover: Mover) -> Station | None:
        """The work of a thread now; None if it has to end. Waits while everything is paused."""
        while True:
            with self.lock:
                station = mover.station
                if station is not None and not station.logs:
                    mover.station = None
                    if not station.apart:
                        del self._stations[station.device]
                    station.close()
                    station = None
                if station is None:
                    self._movers.remove(mover)
                    self._tell_parked()
                    return None
                if self._go_on.is_set() or station.asked:
                    mover.parked = False
                    return station
                mover.parked = True
                self._tell_parked()
            self._go_on.wait()

    def forget(self, log: Log) -> None:
        """A log has ended."""
        if log.station is not None:
            log.station.remove(log)
        log.let_go()

    def bring_back(self, log: Log) -> None:
        """A log that was apart is quick again."""
        apart = log.station
        if apart is None:
            return
        station = self._stations.get(log.device)
        if station is None:  # nobody else is there: this is the station of all from now on
            apart.apart = False
            self._stations[log.device] = apart
        else:
            station.add(log, due=apart.remove(log))

    # Watching ------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Look at what the threads do from now on. Called by a thread that begins to work."""
        self.watched = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: the daemon has ended
            self._loop.call_soon_threadsafe(self._loop.call_later, _LOOK_EVERY, self._look)

    def _look(self) -> None:
        now = time.monotonic()
        active = False
        with self.lock:
            for mover in list(self._movers):
                station, log = mover.station, mover.log
                if log is None or station is None:
                    active = active or now - mover.since < _LOOK_UNTIL
                elif station.apart:
                    pass  # nobody waits for it
                else:
                    active = True
                    if now - mover.since > PATIENCE:
                        self._set_apart(mover, station, log)
            self.watched = active
        if active:
            self._loop.call_later(_LOOK_EVERY, self._look)

    def _set_apart(self, mover: Mover, station: Station, log: Log) -> None:
        """Leave a thread to the log that holds it up, and give the others a new one."""
        if log.station is not station:
            return
        if len(station.logs) == 1:  # nobody waits for it, and nobody shall
            station.apart = True
            del self._stations[station.device]
            return
        try:
            apart = Station(station.device, apart=True)
        except OSError as error:
            self._complain(log, error)
            return
        mover.station = apart
        try:
            self._movers.append(Mover(self, station))
        except RuntimeError as error:
            self._complain(log, error)
            mover.station = station
            apart.close()
            return
        self._complained = False
        apart.add(log, due=station.remove(log))
        station.ring()

    def _complain(self, log: Log, error: Exception) -> None:
        """Say once that a log cannot be set apart; it is tried again at the next look."""
        if not self._complained:
            self._complained = True
            _log.error("a slow log keeps others waiting", path=log.path, reason=str(error))

    # Pausing -------------------------------------------------------------------------------------

    async def pause(self) -> None:
        """Return when no thread does anything. All jobs are done then. Cancelling it changes nothing."""
        parked = asyncio.Event()
        with self.lock:
            self._go_on.clear()
            self._all_parked = parked
            for mover in self._movers:
                if mover.station is not None:
                    mover.station.ring()
            self._tell_parked()
        await parked.wait()

    def _tell_parked(self) -> None:
        if self._all_parked is not None and all(mover.parked for mover in self._movers):
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._all_parked.set)
            self._all_parked = None

    @property
    def paused(self) -> bool:
        """Whether nothing new is begun now."""
        return not self._go_on.is_set()

    def resume(self) -> None:
        """Go on after a pause, or after one that did not come about. Does nothing without one."""
        with self.lock:
            self._all_parked = None
            self._go_on.set()

    def is_stuck(self, log: Log, seconds: float) -> bool:
        """Whether a log's thread has been at one step for longer than that."""
        now = time.monotonic()
        with self.lock:
            return any(one.log is log and now - one.since > seconds for one in self._movers)

    def busy(self) -> list[str]:
        """The paths of the logs that threads are working on at this moment."""
        with self.lock:
            return [mover.log.path for mover in self._movers if mover.log is not None]
