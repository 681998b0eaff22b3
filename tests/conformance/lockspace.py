"""The calls of the lock space program, as somebody makes them in a scenario.

Source: libvirt's src/locking/lock_protocol.x.
"""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import dataclass

from tests.conformance.acts import See
from tests.conformance.case import ok, refused
from tests.conformance.differences import Difference
from tests.conformance.scenario import Argument, Ask, Outcomes, Scene
from tests.conformance.wire import string, u32

LOCK_SPACE = 0x0EA7BEEF
SHARED, AUTOCREATE = 1, 2

DONE = ok(b"")
BAD_FLAGS = refused(8, 7)
NO_OWNER = refused(55, 7)
RESTRICTED = refused(29, 7)
NO_SPACE = refused(1, 7)
BUSY = refused(87, 51)
SYSTEM = refused(38, 51)
NOT_THE_HOLDER = refused(1, 51)
TOUCH = refused(38, 0)
"""What a file that cannot be made is refused with: libvirt's helper for that has no domain."""

UUID = bytes(range(16))

DISK, SPACE = "{dir}/disk", "{dir}/space"

_KINDS = {fcntl.F_RDLCK: "a shared", fcntl.F_WRLCK: "an exclusive", fcntl.F_UNLCK: "no"}
_FIRST_BYTE = {kind: struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 1, 0) for kind in _KINDS}


@dataclass(frozen=True)
class Holder:
    """Somebody with a connection, who acts for a process: his own calls, by their names."""

    name: str

    def call(
        self,
        procedure: int,
        *arguments: Argument,
        outcome: Outcomes = DONE,
        eventually: bool = False,
        version: int = 1,
    ) -> Ask:
        """Any call at all."""
        return Ask(self.name, LOCK_SPACE, procedure, arguments, outcome, eventually, version)

    def register(
        self,
        outcome: Outcomes = DONE,
        *,
        guest: str | None = None,
        pid: int | None = None,
        number: int = 1,
        name: str = "guest",
        flags: int = 0,
        eventually: bool = False,
    ) -> Ask:
        """REGISTER, for the process `guest`, which is named as the connection unless told otherwise."""

        def process(scene: Scene) -> bytes:
            return u32(scene.guest(guest or self.name).pid if pid is None else pid)

        owner = UUID, name, u32(number), process
        return self.call(1, *owner, u32(flags), outcome=outcome, eventually=eventually)

    def restrict(self, outcome: Outcomes = DONE, *, flags: int = 0) -> Ask:
        """RESTRICT."""
        return self.call(2, u32(flags), outcome=outcome)

    def new(self, space: str, outcome: Outcomes = DONE, *, flags: int = 0) -> Ask:
        """NEW."""
        return self.call(3, space, u32(flags), outcome=outcome)

    def create(
        self, name: str, outcome: Outcomes = DONE, *, space: str = "", flags: int = 0
    ) -> Ask:
        """CREATE_RESOURCE."""
        return self.call(4, space, name, u32(flags), outcome=outcome)

    def delete(
        self, name: str, outcome: Outcomes = DONE, *, space: str = "", flags: int = 0
    ) -> Ask:
        """DELETE_RESOURCE."""
        return self.call(5, space, name, u32(flags), outcome=outcome)

    def acquire(
        self,
        name: str,
        outcome: Outcomes = DONE,
        *,
        space: str = "",
        flags: int = 0,
        eventually: bool = False,
    ) -> Ask:
        """ACQUIRE_RESOURCE."""
        arguments = space, name, u32(flags)
        return self.call(6, *arguments, outcome=outcome, eventually=eventually)

    def release(
        self, name: str, outcome: Outcomes = DONE, *, space: str = "", flags: int = 0
    ) -> Ask:
        """RELEASE_RESOURCE."""
        return self.call(7, space, name, u32(flags), outcome=outcome)

    def create_lockspace(self, space: str, outcome: Outcomes = DONE) -> Ask:
        """CREATE_LOCKSPACE."""
        return self.call(8, space, outcome=outcome)


def owner(pid: int = 1, number: int = 1, name: str | bytes = "guest") -> bytes:
    """A packed owner."""
    return UUID + string(name) + u32(number) + u32(pid)


def beside_the_daemon(name: str) -> See:
    """There is such a file in the folder that the daemon was started in."""
    return See(f"{name} is there", lambda scene: (scene.daemon.folder / name).exists())


def _lock(scene: Scene, name: str, kind: int) -> bool:
    """Try to lock a file's first byte, as a program that is neither libvirt nor ours."""
    key = f"stranger at {name}"
    if key not in scene.descriptors:
        scene.descriptors[key] = os.open(scene.path(name), os.O_RDWR)
    try:
        fcntl.fcntl(scene.descriptors[key], fcntl.F_OFD_SETLK, _FIRST_BYTE[kind])
    except BlockingIOError:
        return False
    return True


def _may_lock(scene: Scene, name: str, kind: int) -> bool:
    """Whether a stranger could lock it; he does not keep it."""
    return _lock(scene, name, kind) and _lock(scene, name, fcntl.F_UNLCK)


def lock_outside(name: str, kind: int = fcntl.F_WRLCK) -> See:
    """A stranger locks a file, and keeps it."""
    return See(f"{name} was open to {_KINDS[kind]} lock", lambda scene: _lock(scene, name, kind))


def locked(name: str, kind: int = fcntl.F_WRLCK, why: Difference | None = None) -> See:
    """A stranger cannot lock the file so."""
    what = f"{name} is closed to {_KINDS[kind]} lock"
    return See(what, lambda scene: not _may_lock(scene, name, kind), why=why)


def unlocked(name: str, kind: int = fcntl.F_WRLCK) -> See:
    """A stranger can."""
    return See(f"{name} is open to {_KINDS[kind]} lock", lambda scene: _may_lock(scene, name, kind))
