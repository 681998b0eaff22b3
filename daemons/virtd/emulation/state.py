"""Emulators on their way from one program to the next."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import msgspec

from aiovirt.daemons.lockd.protocol import ResourceArgs
from aiovirt.daemons.virtd.emulation.emulator import GuestEmulator, Locks, Log
from aiovirt.daemons.virtd.emulation.locks import LockManager
from aiovirt.daemons.virtd.emulation.logs import LogManager
from aiovirt.daemons.virtd.emulation.process import Process

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.component import Keep
    from aiovirt.daemons.virtd.host.host import Host


class LocksState(msgspec.Struct):
    """The process of a guest and its locks. control: a descriptor; resources: lockspace, name, flags."""

    pid: int
    control: int
    path: str
    lockspace: str
    resources: list[tuple[str, str, int]]
    is_locked: bool


class LogState(msgspec.Struct):
    """The log of a guest. pipe: a descriptor, -1 for none."""

    path: str
    folder: str
    pipe: int


class EmulatorState(msgspec.Struct):
    """The emulator of one guest. uuid: in hexadecimal digits."""

    name: str
    uuid: str
    number: int
    locks: LocksState | None = None
    log: LogState | None = None


class EmulatorsState(msgspec.Struct):
    """All emulators of the qemu driver's host."""

    emulators: list[EmulatorState] = []


def save(host: Host, keep: Keep) -> EmulatorsState:
    """Write down the emulators of a host.

    Args:
        host: whose guests have them.
        keep: notes each descriptor.
    """
    running = host.emulators.running.values()
    return EmulatorsState([_saved(one, keep) for one in running if isinstance(one, GuestEmulator)])


def _saved(emulator: GuestEmulator, keep: Keep) -> EmulatorState:
    state = EmulatorState(emulator.name, emulator.uuid.hex(), emulator.number)
    if emulator.locks is not None and emulator.process is not None:
        manager = emulator.locks.manager
        state.locks = LocksState(
            emulator.process.pid,
            keep(emulator.process.control.fileno()),
            manager.path,
            manager.lockspace,
            [(one.path, one.name, one.flags) for one in emulator.locks.resources],
            emulator.is_locked,
        )
    if emulator.log is not None:
        pipe = emulator.log.pipe
        state.log = LogState(
            emulator.log.manager.path,
            emulator.log.manager.folder,
            keep(pipe) if pipe >= 0 else -1,
        )
    return state


def restore(host: Host, state: EmulatorsState) -> None:
    """Have the emulators that `save` wrote down.

    Args:
        host: whose guests have them.
        state: what `save` returned in the program before this one.
    """
    for saved in state.emulators:
        uuid = bytes.fromhex(saved.uuid)
        emulator = GuestEmulator(saved.name, uuid, saved.number)
        if saved.locks is not None:
            locks = saved.locks
            emulator.process = Process(locks.pid, socket.socket(fileno=locks.control))
            emulator.locks = Locks(
                LockManager(locks.path, locks.lockspace),
                [ResourceArgs(*one) for one in locks.resources],
            )
            emulator.is_locked = locks.is_locked
        if saved.log is not None:
            manager = LogManager(saved.log.path, saved.log.folder)
            emulator.log = Log(manager, saved.log.pipe)
        host.emulators.restored(uuid, emulator)
