"""Lockspaces and their resources: who holds which file.

Rules of this file: a resource is in its lockspace's table exactly as long as somebody holds it. What
fails while a lock is taken fails before the table is touched; giving a lock back never fails, so that
trouble with one file is nobody else's.

Source: libvirt's src/util/virlockspace.c.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import time
from typing import Final

from aiovirt.daemons.lockd import kernel
from aiovirt.daemons.lockd.holder import NO_PROCESS, Holder
from aiovirt.daemons.lockd.kernel import AlreadyLocked, lock_existing, lock_made
from aiovirt.daemons.lockd.protocol import AcquireFlags, Owner
from aiovirt.daemons.lockd.table import Holding, LockTable, Resource
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

_log = get_logger("daemons.lockd.space")

_SHARED: Final = int(AcquireFlags.SHARED)
_AUTOCREATE: Final = int(AcquireFlags.AUTOCREATE)
_READ: Final = kernel.READ
_WRITE: Final = kernel.WRITE
_now = time.time


class LockSpace:
    """The resources of one directory, or, without a directory, files by their own path."""

    def __init__(self, directory: str | None = None, table: LockTable | None = None) -> None:
        self.directory = directory
        self.resources: dict[str, Resource] = {}
        self.table = LockTable() if table is None else table
        self.table.spaces.append(self)

    @classmethod
    def at(cls, directory: str, table: LockTable | None = None) -> LockSpace:
        """A lockspace in `directory`, which is made if it is missing. Raises RpcError."""
        try:
            if not _is_folder(directory):
                raise _error(
                    ErrorCode.INTERNAL_ERROR,
                    f"lockspace {directory} cannot be there: it exists and is not a directory",
                )
        except OSError as error:
            raise _system_error(f"lockspace {directory} cannot be made", error) from error
        return cls(directory, table)

    def path_of(self, name: str) -> str:
        """The file of a resource."""
        return name if self.directory is None else f"{self.directory}/{name}"

    def create(self, name: str) -> None:
        """Make the file of a resource. Raises RpcError: RESOURCE_BUSY, SYSTEM_ERROR."""
        self._refuse_if_locked(name)
        path = self.path_of(name)
        try:
            kernel.make(path)
        except OSError as error:
            # libvirt's touch is a helper of its own, with a domain of its own: none.
            raise _system_error(
                f"resource {path} cannot be made", error, ErrorDomain.NONE
            ) from error

    def delete(self, name: str) -> None:
        """Remove the file of a resource. Raises RpcError: RESOURCE_BUSY, SYSTEM_ERROR."""
        self._refuse_if_locked(name)
        path = self.path_of(name)
        try:
            status = os.lstat(path)
            others = self.table.with_file((status.st_dev, status.st_ino))
            if others:  # the same file by another name, which would be free to be made anew
                raise _busy_alias(name, others)
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
                raise OSError(errno.EINVAL, "it is not a regular file")
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _system_error(f"resource {path} cannot be removed", error) from error

    def acquire(
        self,
        name: str,
        flags: int,
        owner: Owner,
        client: int,
        holder: Holder,
        record: bytes = b"",
    ) -> None:
        """Lock a resource for `owner`, whose process is `holder`.

        Args:
            name: The resource.
            flags: AcquireFlags.
            owner: For whom.
            client: The id of the client that asks.
            holder: The owner's process.
            record: The owner as the journal takes it.

        Raises:
            RpcError: RESOURCE_BUSY, or SYSTEM_ERROR when the file cannot be locked or that cannot be
                written down; then nothing is held.
        """
        since = _now()
        if since <= self.table.latest:  # the clock was set back; the journal needs the true order
            since = math.nextafter(self.table.latest, math.inf)
        resource = self.resources.get(name)
        if resource is None:
            path = name if self.directory is None else self.path_of(name)
            lock = _READ if flags & _SHARED else _WRITE
            try:
                descriptor = (
                    lock_made(path, lock) if flags & _AUTOCREATE else lock_existing(path, lock)
                )
            except (OSError, AlreadyLocked) as error:
                raise self._refusal(name, path, error) from error
            try:
                slot = self._write_down(name, flags, record, since)
            except RpcError:
                kernel.close(descriptor, path)
                raise
            resource = Resource(name, path, descriptor, flags, [], self)
            self.resources[name] = resource
        elif resource.has_recovered and self._adopt(resource, flags, owner, client, holder):
            return
        elif resource.flags & flags & _SHARED:
            slot = self._write_down(name, flags, record, since)
        else:
            raise _busy(resource)
        self.table.enter(Holding(owner, client, since, slot, holder, resource))

    def _adopt(
        self, resource: Resource, flags: int, owner: Owner, client: int, holder: Holder
    ) -> bool:
        """Give a process the lock that it held at an earlier lockd. Returns whether it has it now.

        Args:
            resource: What is asked for.
            flags: AcquireFlags.
            owner: For whom.
            client: The id of the client that asks.
            holder: The owner's process.

        Raises:
            RpcError: RESOURCE_BUSY or SYSTEM_ERROR when its file is not locked yet, and cannot be.
        """
        if (resource.flags ^ flags) & _SHARED:
            return False
        for one in resource.holdings:
            if one.client == 0 and one.holder is holder and one.owner.uuid == owner.uuid:
                self.lock_again(resource)
                one.client = client
                resource.has_recovered = any(other.client == 0 for other in resource.holdings)
                return True
        return False

    def _refusal(self, name: str, path: str, error: OSError | AlreadyLocked) -> RpcError:
        """The error for a client whose resource could not be locked."""
        if isinstance(error, OSError):
            return _system_error(f"resource {path} cannot be locked", error)
        ours = self.table.with_file(error.identity)
        if ours:
            return _busy_alias(name, ours)
        by = f", by process {error.pid}" if error.pid else ""
        return _error(
            ErrorCode.RESOURCE_BUSY, f"resource '{name}' is locked outside this daemon{by}"
        )

    def _write_down(self, name: str, flags: int, record: bytes, since: float) -> int:
        """Put a holding into the journal, if there is one; its slot. Raises RpcError."""
        journal = self.table.journal
        if journal is None:
            return 0
        try:
            return journal.add(self.directory or "", name, flags, record, since)
        except OSError as error:
            raise _error(
                ErrorCode.SYSTEM_ERROR,
                f"the lock of '{name}' cannot be written down, so it is not given:"
                f" {error.strerror or error}",
            ) from error

    def enter(
        self,
        name: str,
        flags: int,
        owner: Owner,
        holder: Holder,
        since: float,
        slot: int,
        client: int = 0,
    ) -> Resource:
        """Note a holding that is there already: an earlier lockd gave it.

        Args:
            name: The resource; its file is locked by `lock_again`, not here.
            flags: AcquireFlags.
            owner: Who holds it.
            holder: The owner's process.
            since: When it was given, in epoch seconds.
            slot: Where it is in the journal.
            client: Through which client, 0 for one of an earlier lockd.
        """
        resource = self.resources.get(name)
        if resource is None:
            resource = Resource(name, self.path_of(name), -1, flags, [], self)
            self.resources[name] = resource
        resource.has_recovered = resource.has_recovered or client == 0
        self.table.enter(Holding(owner, client, since, slot, holder, resource))
        return resource

    def lock_again(self, resource: Resource) -> None:
        """Take the kernel's lock of a resource that is held without it. Raises RpcError."""
        path, lock = resource.path, _READ if resource.shared else _WRITE
        if resource.descriptor < 0:
            try:
                resource.descriptor = (
                    lock_made(path, lock)
                    if resource.flags & _AUTOCREATE
                    else lock_existing(path, lock)
                )
            except (OSError, AlreadyLocked) as error:
                raise self._refusal(resource.name, path, error) from error

    def release(self, name: str, holder: Holder) -> None:
        """Give back one holding of a process.

        Raises RpcError: RESOURCE_BUSY when nobody holds the resource, INTERNAL_ERROR when others do.
        """
        resource = self.resources.get(name)
        if resource is None:
            raise _error(ErrorCode.RESOURCE_BUSY, f"resource '{name}' is not locked")
        for holding in resource.holdings:
            if holding.holder is holder:
                self.table.give_back(holding)
                return
        for holding in resource.holdings:
            if _cleans_up(holder, holding.holder):
                self.table.give_back(holding)
                return
        raise _error(
            ErrorCode.INTERNAL_ERROR,
            f"process {holder.pid} does not hold resource '{name}': {holders(resource)} does",
        )

    def drop(self, resource: Resource) -> None:
        """Unlock a resource that nobody holds any more. Never fails."""
        del self.resources[resource.name]
        descriptor, resource.descriptor = resource.descriptor, -1
        if descriptor < 0:
            return
        if resource.flags & _AUTOCREATE:
            _remove_unshared(resource, descriptor)
        if self.table.shares_descriptors:
            kernel.unlock(descriptor, resource.path)
        try:
            os.close(descriptor)
        except (
            OSError
        ) as error:  # a delayed error of the disk; the descriptor is closed all the same
            _log.error("a file failed to close", path=resource.path, reason=error.strerror)

    def _refuse_if_locked(self, name: str) -> None:
        if name in self.resources:
            raise _busy(self.resources[name])


def _cleans_up(holder: Holder, held_by: Holder) -> bool:
    """Whether a client registered a process that had ended, and this is what that process held."""
    return holder.start == NO_PROCESS and holder.pid == held_by.pid and held_by.has_ended()


def _is_folder(path: str) -> bool:
    """Whether there is a folder at `path`; it is made if nothing is there. Raises OSError."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except FileNotFoundError:
        _make_folders(path)
        return True


def _make_folders(path: str) -> None:
    """Make a folder and those above it, all with mode 0700. Raises OSError."""
    missing = [path]
    while (above := os.path.dirname(missing[-1].rstrip("/"))) and not os.path.exists(above):
        missing.append(above)
    for folder in reversed(missing):
        os.mkdir(folder, mode=0o700)


def _remove_unshared(resource: Resource, descriptor: int) -> None:
    """Remove a file that was made for its lock, unless somebody else still shares it.

    A device or a FIFO stays: no lock has made it. A file that has been put in its place goes, too, as
    with libvirt, unless somebody has it locked.
    """
    path, replaced = resource.path, -1
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return
        if resource.shared:
            kernel.lock_alone(descriptor)
        if not kernel.is_at(descriptor, path):
            replaced = lock_existing(path, _WRITE)
        os.unlink(path)
    except (OSError, AlreadyLocked):
        pass  # it is shared, or gone already: either way it is not ours to remove
    if replaced >= 0:
        kernel.close(replaced, path)


def holders(resource: Resource) -> str:
    """The holders of a resource, for a message."""
    return ", ".join(
        f"{holding.owner.name} (process {holding.owner.pid})" for holding in resource.holdings
    )


def _busy(resource: Resource) -> RpcError:
    return _error(
        ErrorCode.RESOURCE_BUSY, f"resource '{resource.name}' is locked by {holders(resource)}"
    )


def _busy_alias(name: str, resources: list[Resource]) -> RpcError:
    """A refusal of a file that is locked under another name."""
    names = " and ".join(f"'{one.path}', locked by {holders(one)}" for one in resources)
    return _error(ErrorCode.RESOURCE_BUSY, f"resource '{name}' is the same file as {names}")


def _error(code: ErrorCode, message: str) -> RpcError:
    return RpcError(code, message, domain=ErrorDomain.LOCKSPACE)


def _system_error(what: str, error: OSError, domain: int = ErrorDomain.LOCKSPACE) -> RpcError:
    return RpcError(ErrorCode.SYSTEM_ERROR, f"{what}: {error.strerror}", domain=domain)
