"""The emulator of one guest: its process, its locks and its log, and what makes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from aiovirt.admin.compatibility import version_text
from aiovirt.daemons.lockd.protocol import Owner, ResourceArgs
from aiovirt.daemons.virtd.emulation.connecting import refusal
from aiovirt.daemons.virtd.emulation.device_logs import DeviceLogs
from aiovirt.daemons.virtd.emulation.locks import LockManager
from aiovirt.daemons.virtd.emulation.logs import LogManager
from aiovirt.daemons.virtd.emulation.managers import Managers
from aiovirt.daemons.virtd.emulation.process import Process
from aiovirt.daemons.virtd.emulation.state import EmulatorState, LocksState, LogState, ProcessState
from aiovirt.daemons.virtd.host.consoles import Terminal
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.xml import devices
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server.threads import run_blocking
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.emulator import Need

_log = get_logger("daemons.virtd.emulation")

#: Domains of errors, as libvirt names them in a line for people.
_NAMES: Final[Mapping[int, str]] = {ErrorDomain.LOCKING: "Lock Driver"}
#: What a guest's console shows while it boots.
_BOOT: Final = (
    "[    0.000000] Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)",
    "[    0.004000] Console: colour VGA+ 80x25",
    "[    1.012000] Run /init as init process",
)


class Locks(msgspec.Struct):
    """Where a guest has its locks. manager: where they are; resources: all that it locks."""

    manager: LockManager
    resources: list[ResourceArgs]


class Log(msgspec.Struct):
    """The log of a guest.

    devices: the logs of its devices; pipe: a descriptor for writing, -1 when the log manager has gone;
    held: its number in the guest's process, -1 for none.
    """

    manager: LogManager
    devices: DeviceLogs
    pipe: int
    held: int = -1


class GuestEmulator:
    """See `host.emulator.Emulator`. locks, log: None without such a manager; process: None if it ended
    before this virtd began."""

    def __init__(
        self,
        name: str,
        uuid: bytes,
        number: int,
        *,
        process: Process | None = None,
        locks: Locks | None = None,
        log: Log | None = None,
        is_locked: bool = False,
    ) -> None:
        self.name = name
        self.uuid = uuid
        self.number = number
        self.process = process
        self.locks = locks
        self.log = log
        self._is_locked = is_locked
        self.ended: Callable[[], object] | None = None

    @property
    def is_locked(self) -> bool:
        """See `Emulator`; a guest without a lock manager has all that it needs."""
        return self._is_locked or self.locks is None

    @is_locked.setter
    def is_locked(self, value: bool) -> None:
        self._is_locked = value

    @property
    def owner(self) -> Owner:
        """The guest as a lock manager knows it."""
        return Owner(self.uuid, self.name, self.number, self.process.pid if self.process else 0)

    @property
    def key(self) -> str:
        """See `Emulator`: the number of the process."""
        return str(self.owner.pid)

    @property
    def outlives(self) -> bool:
        """See `Emulator`."""
        return self.process is not None and self.process.is_kept

    def kept(self) -> bytes:
        """See `Emulator`."""
        return msgspec.msgpack.encode(self.state())

    def state(self) -> EmulatorState:
        """Return everything that is known of it, without descriptors."""
        state = EmulatorState(self.name, self.uuid.hex(), self.number)
        if self.process is not None:
            one = self.process
            state.process = ProcessState(one.pid, one.started, is_kept=one.is_kept)
        if self.locks is not None:
            manager = self.locks.manager
            resources = [(one.path, one.name, one.flags) for one in self.locks.resources]
            state.locks = LocksState(manager.path, manager.lockspace, resources, self.is_locked)
        if self.log is not None:
            log = self.log
            state.log = LogState(log.manager.path, log.manager.folder, held=log.held)
            state.devices = log.devices.save(None)
        return state

    def outlive(self) -> None:
        """See `Emulator`."""
        if self.process is not None:
            self.process.outlive()

    def let_go(self) -> None:
        """See `Emulator`."""
        if self.process is not None:
            self.process.close()
        self._close_log()

    def took_over(self) -> None:
        """Keep the descriptors from the processes of other guests; a new program inherited them."""
        if self.process is not None:
            self.process.took_over()
        if self.log is not None:
            self.log.devices.took_over()
            if self.log.pipe >= 0:
                os.set_inheritable(self.log.pipe, False)
        self.watch()

    def watch(self) -> None:
        """Notice from now on when the process ends by itself."""
        if self.process is not None:
            self.process.watch(self._ended)

    def _ended(self) -> None:
        _log.warning("emulator has ended", guest=self.name, pid=self.owner.pid)
        if self.ended is not None:
            self.ended()

    async def lock(self) -> None:
        """See `Emulator`."""
        if self.locks is None or self._is_locked:
            return
        manager = self.locks.manager
        try:
            await manager.acquire(self.owner, self.locks.resources)
        except (RpcError, OSError) as error:
            raise refusal(error, manager.path) from error
        self._is_locked = True

    async def unlock(self) -> None:
        """See `Emulator`."""
        if self.locks is None or not self._is_locked:
            return
        self._is_locked = False
        await self._release(self.locks.resources)

    def lacks(self, config: str) -> bool:
        """See `Emulator`."""
        if self.log is not None and self.log.devices.lacks(config):
            return True
        if self.locks is None:
            return False
        wanted = self.locks.manager.resources(config)  # which refuses some leases
        return self._is_locked and any(one not in self.locks.resources for one in wanted)

    async def update(self, config: str) -> None:
        """See `Emulator`."""
        await self._update_locks(config)
        if self.log is not None:
            await self.log.devices.update(config, self.process)

    async def _update_locks(self, config: str) -> None:
        if self.locks is None:
            return
        manager, held = self.locks.manager, self.locks.resources
        wanted = manager.resources(config)
        new = [one for one in wanted if one not in held]
        gone = [one for one in held if one not in wanted]
        if self._is_locked and new:
            try:
                await manager.acquire(self.owner, new)
            except (RpcError, OSError) as error:
                raise refusal(error, manager.path) from error
        self.locks.resources = wanted
        if self._is_locked and gone:
            await self._release(gone)

    async def _release(self, resources: list[ResourceArgs]) -> None:
        if self.locks is None:
            return
        try:
            await self.locks.manager.release(self.owner, resources)
        except (RpcError, OSError) as error:
            _log.warning("unable to release the locks", guest=self.name, reason=str(error))

    async def end(self, reason: str) -> None:
        """See `Emulator`."""
        if self.process is not None:
            self.process.unwatch()
        await self.unlock()
        if self.process is not None:
            await self.process.end()
        self._close_log()
        if self.log is not None:
            try:
                await self.log.manager.append(
                    self.name, self.uuid, _line(f"shutting down, reason={reason}")
                )
            except (RpcError, OSError) as error:
                _log.warning("unable to write the log", guest=self.name, reason=str(error))

    def write(self, data: bytes, device: str = "") -> None:
        """See `Emulator`."""
        if self.log is None:
            return
        if device:
            self.log.devices.write(device, data)
        if self.log.pipe < 0 or device.startswith("channel"):
            return
        try:
            os.write(self.log.pipe, data)
        except BlockingIOError:
            pass  # the log manager does not keep up
        except OSError as error:
            _log.warning("the log has ended", guest=self.name, reason=error.strerror)
            self._close_pipe()

    def _close_log(self) -> None:
        if self.log is not None:
            self.log.devices.close()
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self.log is not None and self.log.pipe >= 0:
            os.close(self.log.pipe)
            self.log.pipe = -1


class EmulatorMaker:
    """Makes emulators. managers: what they need."""

    def __init__(self, managers: Managers) -> None:
        self.managers = managers

    async def make(self, need: Need) -> GuestEmulator:
        """See `host.emulator.Maker`."""
        emulator = GuestEmulator(need.name, need.uuid, need.number)
        logs = await run_blocking(self.managers.logs)
        locks = await run_blocking(self.managers.locks)
        try:
            if logs is not None:
                await self._open_log(logs, emulator)
            await self._start(emulator, need.config)
            if locks is not None:
                await self._register(locks, emulator, need.config)
                if not need.paused:
                    await emulator.lock()
        except BaseException as error:
            if isinstance(error, RpcError):
                _log.warning("emulator refused", guest=need.name, reason=error.message)
            await emulator.end("failed")
            raise
        first = _first_terminal(need.config)
        emulator.write("".join(f"{line}\r\n" for line in _BOOT).encode(), first)
        emulator.write(Terminal(need.name).greeting(), first)
        emulator.watch()
        return emulator

    async def _open_log(self, logs: LogManager, emulator: GuestEmulator) -> None:
        try:
            pipe = await logs.open(emulator.name, emulator.uuid)
        except (RpcError, OSError) as error:
            raise refusal(error, logs.path) from error
        emulator.log = Log(logs, DeviceLogs(emulator.name, emulator.uuid, logs), pipe)
        emulator.write(
            _line(f"starting up libvirt version: {version_text(self.managers.version)}").encode()
        )

    async def _start(self, emulator: GuestEmulator, config: str) -> None:
        """Start the process, which gets copies of the descriptors of logs."""
        try:
            process = await Process.start(emulator.name, emulator.uuid, self.managers.folders[0])
            emulator.process = process
            if emulator.log is not None:
                emulator.log.held = await process.hold(emulator.log.pipe)
        except OSError as error:
            raise RpcError.of(
                ErrorCode.INTERNAL_ERROR,
                f"unable to start the process of the guest: {error.strerror or error}",
                domain=ErrorDomain.QEMU,
            ) from error
        if emulator.log is not None:
            await emulator.log.devices.update(config, process)

    async def _register(self, locks: LockManager, emulator: GuestEmulator, config: str) -> None:
        """Have the lock manager know the process; libvirt reports what the process says there."""
        if emulator.process is None:
            raise RuntimeError("the process is not started yet")
        try:
            emulator.locks = Locks(locks, locks.resources(config))
            connection = await emulator.process.connect(locks.path)
            await locks.register(connection, emulator.owner)
        except (RpcError, OSError) as error:
            told = refusal(error, locks.path)
            named = _NAMES.get(told.domain, "XML-RPC")
            raise RpcError.of(
                ErrorCode.INTERNAL_ERROR,
                f"Process exited prior to exec: libvirt: {named} error : {told.message}",
                domain=ErrorDomain.QEMU,
            ) from error


def _first_terminal(config: str) -> str:
    """The alias of the device on which a guest shows how it boots; "" without one."""
    root = cached("domain", config).root
    for tag in ("serial", "console"):
        device = root.find(f"devices/{tag}")
        if device is not None:
            return devices.value(device, "alias/@name") or f"{tag}0"
    return ""


def _line(text: str) -> str:
    """A line of virtd's own in a log, as libvirt writes it."""
    now = datetime.now(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "+0000")
    return f"{now}: {text}\n"
