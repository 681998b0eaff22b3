"""Lockspaces and their resources: locks of the kernel, on files.

The locks are open-file-description locks. They exclude libvirt's process locks and are excluded by
them, but they belong to the descriptor: with a process lock, closing any other descriptor of the same
file, such as one reached through a symbolic link, would silently give the lock away.

Rules of this file: a resource is in its lockspace's table exactly as long as its descriptor is open and
locked; whatever fails, fails before the table is touched.

Source: libvirt's src/util/virlockspace.c.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import time
from dataclasses import dataclass
from typing import Final, NoReturn

from aiovirt.daemons.lockd.journal import Journal
from aiovirt.daemons.lockd.protocol import AcquireFlags, Owner
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

#: struct flock on 64-bit Linux: type, whence, start, length, pid (0 for these locks).
_FLOCK: Final = struct.Struct("hhqqi4x")
_FIRST_BYTE: Final = {
    kind: _FLOCK.pack(kind, os.SEEK_SET, 0, 1, 0) for kind in (fcntl.F_RDLCK, fcntl.F_WRLCK)
}
_UNLOCKED: Final = _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 1, 0)
_READ: Final = fcntl.F_RDLCK
_WRITE: Final = fcntl.F_WRLCK
_SHARED: Final = int(AcquireFlags.SHARED)
_AUTOCREATE: Final = int(AcquireFlags.AUTOCREATE)
_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY

#: Whether another process has our descriptors, too (the rehearsal of a restart). Then a lock is not
#: released by closing its descriptor.
shares_descriptors = False


@dataclass(slots=True)
class Holding:
    """One owner's share of a resource: for whom, through which client, since when (epoch seconds).

    client: 0 when that was a client of a lockd that was killed. slot: where it is in the journal.
    start: when the owner's process started (`fate.started_at`), as far as is known.
    """

    owner: Owner
    client: int
    since: float
    slot: int
    start: int | None = None


@dataclass(slots=True)
class Resource:
    """A locked file. holdings: one, or several that share it."""

    name: str
    path: str
    descriptor: int
    flags: int
    holdings: list[Holding]

    @property
    def shared(self) -> bool:
        """Whether others may join."""
        return bool(self.flags & _SHARED)


class LockSpace:
    """The resources of one directory, or, without a directory, files by their own path.

    journal: where holdings are written down for the case that lockd is killed.
    """

    def __init__(self, directory: str | None = None, journal: Journal | None = None) -> None:
        self.directory = directory
        self.resources: dict[str, Resource] = {}
        self.journal = journal

    @classmethod
    def at(cls, directory: str, journal: Journal | None = None) -> LockSpace:
        """A lockspace in `directory`, which is made if it is missing. Raises RpcError."""
        if os.path.exists(directory):
            if not os.path.isdir(directory):
                raise _error(
                    ErrorCode.INTERNAL_ERROR,
                    f"lockspace {directory} cannot be there: it exists and is not a directory",
                )
        else:
            try:
                _make_folders(directory)
            except OSError as error:
                _system_error(f"lockspace {directory} cannot be made", error)
        return cls(directory, journal)

    def path_of(self, name: str) -> str:
        """The file of a resource."""
        return name if self.directory is None else f"{self.directory}/{name}"

    def create(self, name: str) -> None:
        """Make the file of a resource. Raises RpcError: RESOURCE_BUSY, SYSTEM_ERROR."""
        self._refuse_if_locked(name)
        path = self.path_of(name)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            # libvirt's touch is a helper of its own, with a domain of its own: none.
            _system_error(f"resource {path} cannot be made", error, ErrorDomain.NONE)

    def delete(self, name: str) -> None:
        """Remove the file of a resource. Raises RpcError: RESOURCE_BUSY, SYSTEM_ERROR."""
        self._refuse_if_locked(name)
        path = self.path_of(name)
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            _system_error(f"resource {path} cannot be removed", error)

    def acquire(
        self,
        name: str,
        flags: int,
        owner: Owner,
        client: int,
        record: bytes = b"",
        since: float = 0.0,
        start: int | None = None,
    ) -> None:
        """Lock a resource for `owner`. Raises RpcError: RESOURCE_BUSY, SYSTEM_ERROR.

        record: the owner as the journal takes it; since: when that was, if it was not now; start: when
        the owner's process started.
        """
        since = since or time.time()
        resource = self.resources.get(name)
        if resource is not None:
            if not (resource.flags & flags & _SHARED):
                raise _busy(resource)
            slot = self._write_down(name, flags, record, since)
            resource.holdings.append(Holding(owner, client, since, slot, start))
            return
        path = name if self.directory is None else self.path_of(name)
        lock = _READ if flags & _SHARED else _WRITE
        descriptor = (
            _lock_made(name, path, lock)
            if flags & _AUTOCREATE
            else _lock_existing(name, path, lock)
        )
        try:
            slot = self._write_down(name, flags, record, since)
        except RpcError:
            os.close(descriptor)
            raise
        holding = Holding(owner, client, since, slot, start)
        self.resources[name] = Resource(name, path, descriptor, flags, [holding])

    def _write_down(self, name: str, flags: int, record: bytes, since: float) -> int:
        """Put a holding into the journal, if there is one; its slot. Raises RpcError."""
        if self.journal is None:
            return 0
        try:
            return self.journal.add(self.directory or "", name, flags, record, since)
        except (OSError, ValueError, SystemError) as error:  # what mmap says of a full disk
            raise _error(
                ErrorCode.SYSTEM_ERROR, f"the lock of '{name}' cannot be written down: {error}"
            ) from error

    def release(self, name: str, pid: int) -> None:
        """Give back one holding of the owner process `pid`.

        Raises RpcError: RESOURCE_BUSY when nobody holds the resource, INTERNAL_ERROR when others do.
        """
        resource = self.resources.get(name)
        if resource is None:
            raise _error(ErrorCode.RESOURCE_BUSY, f"resource '{name}' is not locked")
        for holding in resource.holdings:
            if holding.owner.pid == pid:
                self._drop(resource, holding)
                return
        raise _error(
            ErrorCode.INTERNAL_ERROR,
            f"process {pid} does not hold resource '{name}': {holders(resource)} does",
        )

    def release_owner(self, pid: int) -> int:
        """Give back one holding of `pid` in every resource; how many there were."""
        count = 0
        for resource in list(self.resources.values()):
            for holding in resource.holdings:
                if holding.owner.pid == pid:
                    self._drop(resource, holding)
                    count += 1
                    break
        return count

    def holds(self, pid: int) -> bool:
        """Whether the owner process `pid` holds anything here."""
        return any(
            holding.owner.pid == pid
            for resource in self.resources.values()
            for holding in resource.holdings
        )

    def give_back(self, resource: Resource, holding: Holding) -> None:
        """Give back one holding, unless that has been done already."""
        if any(one is holding for one in resource.holdings):
            self._drop(resource, holding)

    def _drop(self, resource: Resource, holding: Holding) -> None:
        resource.holdings.remove(holding)
        if self.journal is not None:
            self.journal.remove(holding.slot)
        if resource.holdings:
            return
        del self.resources[resource.name]
        try:
            if resource.flags & _AUTOCREATE:
                _remove_unshared(resource)
        finally:
            if shares_descriptors:
                fcntl.fcntl(resource.descriptor, fcntl.F_OFD_SETLK, _UNLOCKED)
            os.close(resource.descriptor)

    def _refuse_if_locked(self, name: str) -> None:
        if name in self.resources:
            raise _busy(self.resources[name])


def _make_folders(path: str) -> None:
    """Make a folder and those above it, all with mode 0700. Raises OSError."""
    above = os.path.dirname(path.rstrip("/"))
    if above and not os.path.exists(above):
        _make_folders(above)
    os.mkdir(path, mode=0o700)


def _lock_existing(name: str, path: str, lock: int) -> int:
    try:
        descriptor = os.open(path, _OPEN)
    except OSError as error:
        _system_error(f"resource {path} cannot be opened", error)
    _lock(descriptor, name, path, lock)
    return descriptor


def _lock_made(name: str, path: str, lock: int) -> int:
    """Make or reuse the file and lock it; what was replaced underneath is tried again."""
    while True:
        try:
            descriptor = os.open(path, _OPEN | os.O_CREAT, 0o600)
        except OSError as error:
            _system_error(f"resource {path} cannot be made", error)
        _lock(descriptor, name, path, lock)
        try:
            there = os.stat(path)
        except OSError:
            os.close(descriptor)
            continue
        ours = os.fstat(descriptor)
        if (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev):
            return descriptor
        os.close(descriptor)


def _lock(descriptor: int, name: str, path: str, lock: int) -> None:
    """Lock the first byte, as libvirt does, or close the descriptor and raise RpcError."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FIRST_BYTE[lock])
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EACCES, errno.EAGAIN):
            by = _kernel_holder(path, lock)
            raise _error(
                ErrorCode.RESOURCE_BUSY, f"resource '{name}' is locked outside this daemon{by}"
            ) from None
        _system_error(f"resource {path} cannot be locked", error)


def _kernel_holder(path: str, lock: int) -> str:
    """Who has the kernel's lock, as far as it says: processes are known, descriptions are not."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, _OPEN)
        try:
            found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _FIRST_BYTE[lock])
        finally:
            os.close(descriptor)
        kind, *_, pid = _FLOCK.unpack(found)
        if kind != fcntl.F_UNLCK and pid > 0:
            return f", by process {pid}"
    return ""


def _remove_unshared(resource: Resource) -> None:
    """Remove a file that was made for its lock, unless somebody else still shares it."""
    try:
        if resource.shared:
            fcntl.fcntl(resource.descriptor, fcntl.F_OFD_SETLK, _FIRST_BYTE[fcntl.F_WRLCK])
        os.unlink(resource.path)
    except OSError:
        pass  # it is shared, or gone already: either way it is not ours to remove


def holders(resource: Resource) -> str:
    """Who holds it, for a message."""
    return ", ".join(
        f"{holding.owner.name} (process {holding.owner.pid})" for holding in resource.holdings
    )


def _busy(resource: Resource) -> RpcError:
    return _error(
        ErrorCode.RESOURCE_BUSY, f"resource '{resource.name}' is locked by {holders(resource)}"
    )


def _error(code: ErrorCode, message: str) -> RpcError:
    return RpcError(code, message, domain=ErrorDomain.LOCKSPACE)


def _system_error(what: str, error: OSError, domain: int = ErrorDomain.LOCKSPACE) -> NoReturn:
    message = f"{what}: {error.strerror}"
    raise RpcError(ErrorCode.SYSTEM_ERROR, message, domain=domain) from error
