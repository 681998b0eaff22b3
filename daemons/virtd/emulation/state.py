"""Emulators on their way from one program to the next."""

from __future__ import annotations

import msgspec


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
