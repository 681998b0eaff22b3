"""The processes that stand for the emulators of guests, while a lock or log manager needs them.

Starting a guest is a plain function, and what its emulator needs has to be waited for. So a call is a
trial: it is begun, finds that the emulator of its guest is missing (`Wanted`), and everything that it
has changed is taken back. The emulator is made, and the call is begun once more. Without a maker,
nothing of this happens.

The process of an emulator goes on when the daemon ends, however that happens, unless the store ends with
the daemon as well. So each emulator has a row in the store, which is written before the process is
told; the next daemon finds it there.

What an emulator has to do afterwards follows from its guest: locks are held while the guest runs, not
while it is paused, and the emulator ends with it.

Source: libvirt's src/locking/domain_lock.c and src/qemu/qemu_process.c (qemuProcessStartCPUs,
qemuProcessStopCPUs, qemuProcessStop).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakValueDictionary

import msgspec

from aiovirt.daemons.virtd.constants.domain import DomainShutoffReason, DomainState
from aiovirt.daemons.virtd.constants.domain_events import DomainEventStoppedDetailType
from aiovirt.daemons.virtd.host.emulator import Emulator, Maker, Need, Wanted
from aiovirt.daemons.virtd.host.emulator_rows import EmulatorRows
from aiovirt.rpc.wire.errors import RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.host import Host

T = TypeVar("T")


#: How often a call is begun: its guest may be changed by others while its emulator is made.
_TRIALS: Final = 8
#: Seconds until an emulator of a guest that runs already is made again after a refusal.
_RETRY: Final = 0.25
#: Seconds for what was begun, at a restart and at the end of the daemon.
_FINISH: Final = 3.0
#: States in which a guest holds no locks.
_WITHOUT_LOCKS: Final = (DomainState.PAUSED, DomainState.CRASHED)


class _Trial(msgspec.Struct):
    """A call that can wait. ready: the emulator that was made for it; kept: see `Emulators.kept`."""

    need: Need | None = None
    ready: Emulator | None = None
    kept: dict[str, Any] = msgspec.field(default_factory=dict)
    touched: set[bytes] = msgspec.field(default_factory=set)


class Emulators:
    """The emulators of a host's guests, by UUID.

    maker: makes those of guests that are started from now on; None for guests without. rows: those of
    the store.
    """

    def __init__(self, host: Host) -> None:
        self.maker: Maker | None = None
        self.running: dict[bytes, Emulator] = {}
        self.rows = EmulatorRows(host, self.running)
        self._host = host
        self._trial: _Trial | None = None
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self._tasks: dict[asyncio.Task[None], bytes] = {}

    # What the life of a domain says ----------------------------------------------------------------

    def number(self, domain: Domain, config: str, *, paused: bool) -> int:
        """Return the id for a guest that is about to run.

        Args:
            domain: the domain.
            config: the document that it runs from.
            paused: it does not run at first.

        Raises:
            Wanted: the call has to wait for the emulator.
        """
        numbers = self._host.domains
        if self.maker is None:
            return numbers.next_number()
        trial = self._trial
        if trial is None:  # nobody can wait for it
            self._host.store.after(self._later, domain.uuid)
            return numbers.next_number()
        need = Need(domain.uuid, domain.name, config, paused)
        if trial.ready is None or trial.need != need:
            raise Wanted(domain, need)
        return trial.ready.number

    def resumes(self, domain: Domain) -> None:
        """Say that a paused guest is about to run on. Raises Wanted if its locks are to be acquired."""
        emulator = self.running.get(domain.uuid)
        if emulator is None or emulator.is_locked:
            return
        if self._trial is None:
            self.changed(domain)
        else:
            raise Wanted(domain)

    def plugged(self, domain: Domain) -> None:
        """Say that a guest's devices have changed. Raises Wanted if there are locks to be acquired."""
        emulator = self.running.get(domain.uuid)
        live = domain.record.live
        if emulator is None or live is None:
            return
        if self._trial is not None and emulator.lacks(live):
            raise Wanted(domain, live=live)
        self._host.store.after(self._later, domain.uuid)

    def changed(self, domain: Domain, reason: int = DomainShutoffReason.UNKNOWN) -> None:
        """Say that a guest was paused or has ended.

        Args:
            domain: the guest.
            reason: a DomainShutoffReason, if it has ended.
        """
        if domain.uuid in self.running:
            self._host.store.after(self._later, domain.uuid, reason)

    def kept(self, name: str, make: Callable[[], T]) -> T:
        """Return what a call makes, the same thing each time that it is begun.

        Args:
            name: tells it from other things of the call.
            make: makes it; a document without a UUID gets one, for example.
        """
        if self._trial is None:
            return make()
        if name not in self._trial.kept:
            self._trial.kept[name] = make()
        found: T = self._trial.kept[name]
        return found

    def write(self, domain: Domain, data: bytes, device: str) -> None:
        """Add to the log of a guest and of a device, if they have one.

        Args:
            domain: the guest.
            data: what it shows.
            device: the alias of the device.
        """
        emulator = self.running.get(domain.uuid)
        if emulator is not None:
            emulator.write(data, device)

    # Calls -----------------------------------------------------------------------------------------

    async def attempt(self, act: Callable[[], T], *, settled: bool = True) -> T:
        """Make a call that may need an emulator, and return its result.

        The call is over when the locks of guests that it has paused or ended are given back.

        Args:
            act: the call; it is begun again, after everything that it has changed was taken back.
            settled: False to return at once when it has succeeded, so that it cannot be cancelled then.

        Raises RpcError from the call, or when the emulator cannot be made.
        """
        if self.maker is None and not self.running:
            return act()
        trial = _Trial()
        held: asyncio.Lock | None = None
        try:
            for _ in range(_TRIALS):
                try:
                    result = self._once(trial, act)
                except Wanted as wanted:
                    lock = self._lock(wanted.uuid)
                    if held is lock:
                        await self._provide(trial, wanted)
                        continue
                    if held is not None:
                        held.release()
                        held = None
                    await lock.acquire()  # another call may have started the guest meanwhile
                    held = lock
                else:
                    break
            else:
                raise RuntimeError("the guest was changed each time that its emulator was made")
        finally:
            if trial.ready is not None:
                await self._discard(trial.ready, "failed")
            if held is not None:
                held.release()
        if settled:
            await self._settled(trial.touched)
        return result

    def _once(self, trial: _Trial, act: Callable[[], T]) -> T:
        """Begin a call; its emulator is that of its guest if it succeeds."""
        self._trial = trial
        try:
            with self._host.store.batch():
                result = act()
                if trial.ready is not None:
                    self.rows.put(trial.ready)
        finally:
            self._trial = None
        if trial.ready is not None and trial.need is not None:
            self._attach(trial.need.uuid, trial.ready)
            self.rows.outlive(trial.ready)
            trial.ready = None
        return result

    async def _provide(self, trial: _Trial, wanted: Wanted) -> None:
        """Make what a call needs. Raises RpcError."""
        if trial.ready is not None:
            ready, trial.ready = trial.ready, None
            await self._discard(ready, "failed")
        if wanted.need is None:
            emulator = self.running.get(wanted.uuid)
            if emulator is not None:
                if wanted.live is not None:
                    await emulator.update(wanted.live)
                else:
                    await emulator.lock()
                self.rows.follow(emulator)
                trial.touched.add(wanted.uuid)
                self._later(wanted.uuid)  # in case that the call fails all the same
            return
        earlier = self.running.pop(wanted.uuid, None)
        if earlier is not None:  # the call ends its guest first
            await self._discard(earlier, "from-snapshot")
        try:
            trial.ready = await self._made(wanted.need)
        except RpcError:
            if earlier is not None:
                self._fail(wanted.uuid, earlier.number)
            raise
        trial.need = wanted.need

    async def _made(self, need: Need) -> Emulator:
        maker = self.maker
        if maker is None:
            raise RuntimeError("no emulators are made any more")
        return await maker.make(need._replace(number=self._host.domains.next_number()))

    # What follows ----------------------------------------------------------------------------------

    def follow_all(self) -> None:
        """Give running guests their emulators, and end those without a guest; after a start."""
        for domain in self._host.domains.active():
            if self.maker is not None or domain.uuid in self.running:
                self._later(domain.uuid)
        for uuid in list(self.running):
            self._later(uuid)

    def restored(self, uuid: bytes, emulator: Emulator) -> None:
        """Take over the emulator of a guest from the program before this one."""
        self._attach(uuid, emulator)

    def lost(self, key: str, uuid: bytes, emulator: Emulator) -> None:
        """End a guest whose emulator has ended while there was no daemon.

        Args:
            key: of its row.
            uuid: of the guest.
            emulator: what is left of it.
        """
        self.rows.forget(key)
        self._fail(uuid, emulator.number, DomainShutoffReason.CRASHED)
        self._task(uuid, emulator.end("crashed"))

    def _attach(self, uuid: bytes, emulator: Emulator) -> None:
        self.running[uuid] = emulator
        emulator.ended = lambda: self._ended(uuid, emulator)

    def _ended(self, uuid: bytes, emulator: Emulator) -> None:
        """The process of a guest has ended by itself: the guest has crashed."""
        if self.running.get(uuid) is not emulator:
            return
        del self.running[uuid]
        self._task(uuid, self._discard(emulator, "crashed"))
        self._fail(uuid, emulator.number, DomainShutoffReason.CRASHED)

    def _fail(self, uuid: bytes, number: int, reason: int = DomainShutoffReason.FAILED) -> None:
        from aiovirt.daemons.virtd.host import lifecycle

        domain = self._host.domains.by_uuid(uuid)
        if domain is not None and domain.is_active and domain.record.number == number:
            try:
                lifecycle.stop(domain, reason, DomainEventStoppedDetailType.FAILED)
            except RpcError:  # it cannot be stored now
                self._host.timers.after(1.0, (uuid, "failed"), self._fail, uuid, number, reason)

    def _later(self, uuid: bytes, reason: int = DomainShutoffReason.UNKNOWN) -> None:
        self._task(uuid, self._bring(uuid, reason))

    def _task(self, uuid: bytes, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = uuid
        if self._trial is not None:
            self._trial.touched.add(uuid)
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _bring(self, uuid: bytes, reason: int) -> None:
        """Bring the emulator of a guest to where its guest is. reason: why the guest ended."""
        async with self._lock(uuid):
            domain = self._host.domains.by_uuid(uuid)
            emulator = self.running.get(uuid)
            record = domain.record if domain is not None else None
            if emulator is not None and (
                record is None or not record.is_active or record.number != emulator.number
            ):
                del self.running[uuid]
                await self._discard(emulator, _text(reason))
                emulator = None
            if record is None or not record.is_active:
                return
            try:
                if emulator is None and self.maker is not None:
                    await self._supply(uuid, record.number)
                elif emulator is not None:
                    if record.state in _WITHOUT_LOCKS:
                        await emulator.unlock()
                    await emulator.update(record.text)
                    if record.state not in _WITHOUT_LOCKS and not emulator.is_locked:
                        await emulator.lock()
                    self.rows.follow(emulator)
            except RpcError:
                self._fail(uuid, record.number)

    async def _supply(self, uuid: bytes, number: int) -> None:
        """Make the emulator of a guest that runs already. Raises RpcError."""
        domain = self._host.domains.by_uuid(uuid)
        if domain is None or domain.record.live is None or self.maker is None:
            return
        record = domain.record
        paused = record.state in _WITHOUT_LOCKS
        need = Need(uuid, record.name, record.text, paused, number)
        for left in reversed(range(_TRIALS)):
            try:
                emulator = await self.maker.make(need)
                break
            except RpcError:  # a manager that starts, or that has not noticed yet what has ended
                if not left:
                    raise
                await asyncio.sleep(_RETRY)
        self._attach(uuid, emulator)
        self.rows.follow(emulator)
        if not domain.is_active or domain.record.number != number:
            self._later(uuid)

    async def _discard(self, emulator: Emulator, reason: str) -> None:
        emulator.ended = None
        key = emulator.key
        await emulator.end(reason)
        self.rows.forget(key)

    async def _settled(self, touched: set[bytes]) -> None:
        """Wait for what follows for some guests."""
        waiting = [task for task, uuid in self._tasks.items() if uuid in touched]
        if waiting:
            await asyncio.wait(waiting)

    async def finish(self) -> None:
        """Wait for what was begun. Raises TimeoutError when a manager holds it up."""
        if self._tasks:
            _, late = await asyncio.wait(list(self._tasks), timeout=_FINISH)
            if late:
                raise TimeoutError("a lock or log manager does not answer")

    async def close(self) -> None:
        """Leave the emulators to the next daemon; end those that nothing leads to then."""
        running = list(self.running.values())
        self.running.clear()
        stays = self.rows.are_found
        ends = []
        for emulator in running:
            emulator.ended = None
            if stays and emulator.outlives:
                emulator.let_go()
            else:
                ends.append(asyncio.ensure_future(self._discard(emulator, "daemon")))
        if ends:
            await asyncio.wait(ends, timeout=_FINISH)

    def _lock(self, uuid: bytes) -> asyncio.Lock:
        return self._locks.setdefault(uuid, asyncio.Lock())


def _text(reason: int) -> str:
    """The reason of an end, in the words of libvirt (virDomainShutoffReasonTypeToString)."""
    return DomainShutoffReason(reason).name.lower().replace("_", "-")
