"""The pid file: one daemon per file and per run directory, held by a lock that ends with the process.

The lock is an fcntl lock on the file's first byte, as libvirt takes it, so their tools and ours see
each other's. It belongs to the process that took it: take it after the last fork.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct

from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.rpc.logs import get_logger

_log = get_logger("daemons.runtime.process.pidfile")

_FLOCK = struct.Struct("hhqqi4x")
"""struct flock on 64-bit Linux: type, whence, start, length, pid."""


class PidFile:
    """A pid file that this process holds, by a lock on `descriptor`. Made by `acquire`."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self._owner = os.getpid()

    @classmethod
    def acquire(cls, path: str) -> PidFile:
        """Lock `path` and write this process's id into it.

        Raises StartError naming the process that holds it, or saying why it cannot be written.
        libvirt: src/util/virpidfile.c, virPidFileAcquirePath.
        """
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise _refusal(path, error.strerror or str(error)) from error
            try:
                _lock(path, descriptor)
                if _is_still_at(path, descriptor):
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                    return cls(path, descriptor)
            except OSError as error:
                os.close(descriptor)
                raise _refusal(path, error.strerror or str(error)) from error
            except StartError:
                os.close(descriptor)
                raise
            # Its owner removed it between our open and our lock: what we hold has no name any more.
            os.close(descriptor)

    @classmethod
    def take_over(cls, path: str, descriptor: int) -> PidFile:
        """Take over what an earlier program of this very process acquired."""
        os.set_inheritable(descriptor, False)
        return cls(path, descriptor)

    def release(self) -> None:
        """Remove the file and give up the lock; a file that cannot be removed is logged and left.

        Does nothing in a process that did not acquire it.
        """
        if self.descriptor < 0 or os.getpid() != self._owner:
            return
        # Unlink first: whoever waits for the lock must find that the name is gone.
        descriptor, self.descriptor = self.descriptor, -1
        try:
            if _is_still_at(self.path, descriptor):
                os.unlink(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:  # without a lock on it, the next daemon takes it all the same
            _log.warning("pid file not removed", path=self.path, reason=error.strerror)
        finally:
            with contextlib.suppress(OSError):  # the lock is given up also by a close that fails
                os.close(descriptor)


class HeldFiles:
    """The files that a daemon holds for its life: its pid file, and one for its run directory.

    The run directory is held by the usual pid file in it. folder: that file, if the daemon's own is
    another one and the directory is used; else None.
    """

    def __init__(self, pid_file: PidFile, folder: PidFile | None) -> None:
        self.pid_file = pid_file
        self.folder = folder

    @classmethod
    def acquire(cls, path: str, usual: str, *, uses_folder: bool) -> HeldFiles:
        """Take both, or none.

        Args:
            path: of the pid file.
            usual: the path that it has if nothing else is said.
            uses_folder: whether the daemon has files in the run directory.

        Raises:
            StartError: another process holds one of them; the pid file cannot be written.

        A run directory that does not exist or cannot be written is not held.
        """
        folder = None
        if os.path.realpath(path) != os.path.realpath(usual):
            require_free(usual)
            folder = _hold_folder(usual) if uses_folder else None
        try:
            return cls(PidFile.acquire(path), folder)
        except BaseException:
            if folder is not None:
                folder.release()
            raise

    @classmethod
    def take_over(cls, path: str, usual: str, pid_file: int, folder: int) -> HeldFiles:
        """Take over what an earlier program of this very process acquired.

        Args:
            path: of the pid file.
            usual: as for `acquire`.
            pid_file: the descriptor of the pid file.
            folder: the descriptor of the usual one, -1 if it is not held.
        """
        return cls(
            PidFile.take_over(path, pid_file),
            PidFile.take_over(usual, folder) if folder >= 0 else None,
        )

    def release(self) -> None:
        """Give them up, as `PidFile.release`."""
        self.pid_file.release()
        if self.folder is not None:
            self.folder.release()


def _hold_folder(usual: str) -> PidFile | None:
    try:
        return PidFile.acquire(usual)
    except StartError:
        require_free(usual)  # which names the folder, if somebody was faster
        return None


def require_free(path: str) -> None:
    """Raise StartError if a running process holds the pid file at `path`; take nothing.

    One that is missing or cannot be looked at is free.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return
    try:
        holder = _holder(descriptor)
    except OSError:
        return
    finally:
        os.close(descriptor)
    if holder:
        raise StartError(
            Failure.PIDFILE,
            f"process {holder} uses the folder {os.path.dirname(path)}: it holds {path}",
        )


def _lock(path: str, descriptor: int) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        holder = _holder(descriptor)
        who = f"process {holder}" if holder else "another process"
        raise _refusal(path, f"{who} holds it and is running") from error


def _holder(descriptor: int) -> int:
    """The process that holds the lock, 0 if it has just gone. The kernel's word, not the file's."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
    lock, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return 0 if lock == fcntl.F_UNLCK else int(pid)


def _is_still_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _refusal(path: str, because: str) -> StartError:
    return StartError(Failure.PIDFILE, f"the pid file {path} cannot be taken: {because}")
