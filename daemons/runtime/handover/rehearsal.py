"""A rehearsal: the new program as a child that reads everything back and goes away.

Its parent is the daemon, which goes on serving meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

#: Seconds that a rehearsal may take.
PATIENCE: Final = 30.0
#: Seconds that its process has to be gone when it was killed.
_KILLED: Final = 1.0
#: Bytes that are kept of what a rehearsal writes to its standard error: the last line is wanted.
_KEPT: Final = 64 * 1024
#: Signals that would end it before it has a handler, when they are for all processes of this name.
_HELD_BACK: Final = (signal.SIGHUP, signal.SIGUSR1)
#: A first program for the child, which gives it standard streams of its own, and executes the one that
#: is meant. What it closes for that may be on a disk that hangs, and the daemon must not wait for it.
_FIRST: Final = """
import os, sys
null = os.open(os.devnull, os.O_RDWR)
for there in 0, 1:
    os.dup2(null, there)
stderr, *command = sys.argv[1:]
os.dup2(int(stderr), 2)
os.close(int(stderr))
try:
    os.execv(command[0], command)
except OSError as error:
    sys.exit(f"{command[0]} cannot be executed: {error.strerror}")
"""
#: Of prctl(2): the signal that a process gets when its parent ends.
_PR_SET_PDEATHSIG: Final = 1


class RehearsalFailed(Exception):
    """The new program would not take over; the text says why.

    lingering: done when its process is gone, if a disk holds that up; it has our descriptors until then.
    """

    lingering: asyncio.Future[int] | None = None


async def rehearse(
    command: Sequence[str],
    folder: str | None,
    environment: Mapping[str, str],
    descriptors: Collection[int],
) -> None:
    """Run a rehearsal to its end.

    Args:
        command: the program and its arguments.
        folder: where to run it; None for the working directory.
        environment: says that it is a rehearsal.
        descriptors: those that it shares with this process.

    Raises:
        RehearsalFailed: it failed, or could not be started, or took too long.
    """
    try:
        child = _Child(command, folder, environment, descriptors)
    except OSError as error:
        raise RehearsalFailed(f"the program cannot be executed: {error.strerror}") from error
    try:
        done, _ = await asyncio.wait([child.status], timeout=PATIENCE)
        if not done:
            raise RehearsalFailed(
                f"the new program was not done with its rehearsal in {PATIENCE:g} s"
            )
    except RehearsalFailed as failure:
        child.kill()
        done, _ = await asyncio.wait([child.status], timeout=_KILLED)
        if not done:
            failure.lingering = child.status
        raise
    finally:  # this daemon ends, perhaps
        child.kill()
    if status := child.status.result():
        last = child.said.decode(errors="replace").strip().splitlines()[-1:]
        reason = last[0] if last else f"its rehearsal ended with {status}"
        raise RehearsalFailed(f"the new program would not take over: {reason}")


class _Child:
    """The process of a rehearsal.

    The loop never waits for it, not even for its first steps: it closes copies of descriptors before it
    is the new program, and with some file systems that hangs with the disk. `posix_spawn` is done when
    the program is found, if the child has nothing to do before that; `subprocess` and uvloop wait.

    status: its exit status, when it has ended. said: the last part of what it wrote to its standard
    error. Raises OSError when it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: str | None,
        environment: Mapping[str, str],
        descriptors: Collection[int],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.status: asyncio.Future[int] = self._loop.create_future()
        self.said = b""
        self._reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.set_blocking(writing, True)
            self._pid = _spawn(command, folder, environment, descriptors, writing)
        except BaseException:
            os.close(self._reading)
            raise
        finally:
            os.close(writing)  # so that there is a descriptor for the process, too
        self._process = os.pidfd_open(self._pid)
        self._loop.add_reader(self._reading, self._read)
        self._loop.add_reader(self._process, self._ended)

    def _read(self) -> None:
        try:
            piece = os.read(self._reading, _KEPT)
        except BlockingIOError:
            return
        self.said = (self.said + piece)[-_KEPT:]
        if not piece:
            self._loop.remove_reader(self._reading)

    def _ended(self) -> None:
        self._read()
        for descriptor in (self._process, self._reading):
            self._loop.remove_reader(descriptor)
            os.close(descriptor)
        _, status = os.waitpid(self._pid, 0)
        self.status.set_result(os.waitstatus_to_exitcode(status))

    def kill(self) -> None:
        """End it, if it has not ended."""
        if not self.status.done():
            signal.pidfd_send_signal(self._process, signal.SIGKILL)


def _spawn(
    command: Sequence[str],
    folder: str | None,
    environment: Mapping[str, str],
    descriptors: Collection[int],
    stderr: int,
) -> int:
    """Start a program; its process id. Raises OSError."""
    first = [sys.executable, "-S", "-P", "-c", _FIRST, str(stderr)]
    inherited = [*descriptors, stderr]
    try:
        for descriptor in inherited:
            os.set_inheritable(descriptor, True)
        with working_in(folder):
            return os.posix_spawn(
                sys.executable, [*first, *command], environment, setsigmask=_HELD_BACK
            )
    finally:
        for descriptor in inherited:
            with contextlib.suppress(OSError):
                os.set_inheritable(descriptor, False)


@contextlib.contextmanager
def working_in(folder: str | None) -> Iterator[None]:
    """Change the working directory for a `with`; None leaves it alone, also if it is not accessible."""
    if folder is None:
        yield
        return
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(folder)
        try:
            yield
        finally:
            os.fchdir(here)
    finally:
        os.close(here)


def end_with_parent() -> None:
    """Let the kernel end this process when its parent ends, and after the time of a rehearsal anyhow.

    A rehearsal has the daemon's descriptors: as long as it runs, no lock and no socket among them is
    free, even if the daemon was killed.
    """
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.alarm(math.ceil(PATIENCE))
