"""Emulators written down for the next program, and read back there.

`save` and `restore` are for a restart, whose descriptors are inherited. `GuestEmulator.kept` and
`found` are for a virtd that ended in any way: the processes of its guests went on, and have the
descriptors.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import msgspec

from aiovirt.daemons.lockd.protocol import ResourceArgs
from aiovirt.daemons.runtime.process.others import start_time
from aiovirt.daemons.virtd.emulation.device_logs import DeviceLogs
from aiovirt.daemons.virtd.emulation.emulator import GuestEmulator, Locks, Log
from aiovirt.daemons.virtd.emulation.locks import LockManager
from aiovirt.daemons.virtd.emulation.logs import LogManager
from aiovirt.daemons.virtd.emulation.process import Process, open_process
from aiovirt.daemons.virtd.emulation.state import EmulatorState
from aiovirt.rpc.logs import get_logger

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.component import Keep

_log = get_logger("daemons.virtd.emulation")


def save(emulator: GuestEmulator, keep: Keep) -> EmulatorState:
    """Write down an emulator for the next program; `restore` is the counterpart.

    Args:
        emulator: of one guest.
        keep: notes each descriptor.
    """
    state = emulator.state()
    process, log = emulator.process, emulator.log
    if process is not None and state.process is not None:
        if process.control is None:
            state.process.pidfd = keep(process.pidfd)
        else:
            state.process.control = keep(process.control.fileno())
    if log is not None and state.log is not None and log.pipe >= 0:
        state.log.pipe = keep(log.pipe)
    if log is not None:
        state.devices = log.devices.save(keep)
    return state


def restore(saved: EmulatorState) -> GuestEmulator:
    """Return the emulator of the program before this one. saved: what is known of it."""
    emulator = _emulator(saved)
    if saved.process is not None:
        one = saved.process
        control = socket.socket(fileno=one.control) if one.control >= 0 else None
        emulator.process = Process(one.pid, one.started, control, one.pidfd, is_kept=one.is_kept)
    elif saved.locks is not None and saved.locks.control >= 0:
        control = socket.socket(fileno=saved.locks.control)
        emulator.process = Process(saved.locks.pid, start_time(saved.locks.pid), control)
    if emulator.log is not None and saved.log is not None:
        emulator.log.pipe = saved.log.pipe
        emulator.log.devices.restore(saved.devices)
    return emulator


def _emulator(saved: EmulatorState) -> GuestEmulator:
    """The emulator without its process and its descriptors."""
    emulator = GuestEmulator(saved.name, bytes.fromhex(saved.uuid), saved.number)
    if saved.locks is not None:
        locks = saved.locks
        emulator.locks = Locks(
            LockManager(locks.path, locks.lockspace),
            [ResourceArgs(*one) for one in locks.resources],
        )
        emulator.is_locked = locks.is_locked
    if saved.log is not None:
        manager = LogManager(saved.log.path, saved.log.folder)
        devices = DeviceLogs(emulator.name, emulator.uuid, manager)
        emulator.log = Log(manager, devices, -1, saved.log.held)
    return emulator


def found(data: bytes) -> GuestEmulator:
    """Return the emulator that a virtd before this one kept.

    Returns:
        The emulator; one without a process if that has ended, and its locks with it.

    Raises:
        OSError: it is not known whether the process has ended.
    """
    saved = msgspec.msgpack.decode(data, type=EmulatorState)
    emulator = _emulator(saved)
    one = saved.process
    if one is None:
        emulator.is_locked = False
        return emulator
    try:
        emulator.process = open_process(one.pid, one.started, emulator.uuid)
    except ProcessLookupError:
        emulator.is_locked = False
        return emulator
    if emulator.log is not None:
        emulator.log.pipe = _pipe(emulator, one.pid, emulator.log.held)
        pipes = {log.key: _pipe(emulator, one.pid, log.held) for log in saved.devices}
        emulator.log.devices.restore(saved.devices, pipes)
    return emulator


def _pipe(emulator: GuestEmulator, pid: int, number: int) -> int:
    """Open a pipe that a process holds; -1 if that is not possible."""
    if number < 0:
        return -1
    try:
        return os.open(f"/proc/{pid}/fd/{number}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:  # the log manager has ended, for example
        _log.warning("the log has ended", guest=emulator.name, reason=error.strerror)
        return -1
