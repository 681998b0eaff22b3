"""Emulators on their way from one program to the next.

After a restart by SIGUSR1, the next program inherits the descriptors. After the end of virtd, the next
one reads the same from the store, without descriptors: the process of the guest has them.
"""

from __future__ import annotations

import msgspec


class ProcessState(msgspec.Struct):
    """The process of a guest. started: in clock ticks since boot; pidfd, control: descriptors, -1 for
    none; is_kept: see `Process`."""

    pid: int
    started: int
    pidfd: int = -1
    control: int = -1
    is_kept: bool = False


class LocksState(msgspec.Struct):
    """The locks of a guest. resources: lockspace, name, flags.

    pid, control: the process, as programs wrote it that had no `ProcessState`.
    """

    path: str
    lockspace: str
    resources: list[tuple[str, str, int]]
    is_locked: bool
    pid: int = 0
    control: int = -1


class LogState(msgspec.Struct):
    """The log of a guest. pipe: a descriptor, -1 for none; held: its number in the process, likewise."""

    path: str
    folder: str
    pipe: int = -1
    held: int = -1


class DeviceLogState(msgspec.Struct):
    """The log of a device. key: see `device_logs.wanted`; file: its path; pipe, held: see `LogState`."""

    key: str
    file: str
    pipe: int = -1
    held: int = -1


class EmulatorState(msgspec.Struct):
    """The emulator of one guest. uuid: in hexadecimal digits."""

    name: str
    uuid: str
    number: int
    locks: LocksState | None = None
    log: LogState | None = None
    process: ProcessState | None = None
    devices: list[DeviceLogState] = []


class EmulatorsState(msgspec.Struct):
    """All emulators of the qemu driver's host."""

    emulators: list[EmulatorState] = []
