"""SIGUSR1: execute the program anew, in the same process, and lose nothing.

In the order in which it happens:

1. A rehearsal, while everything is served as ever: the new program is started as a child that has a
   document like the real one and all descriptors in it. It reads everything back as the real one will,
   in memory, and exits with 0 before its loop could read or write any of them. If it fails, the restart
   is refused, the reason is logged, and nothing has changed.
2. Nothing more is read or accepted; calls in flight get their replies.
3. The document is written to memory (memfd), the descriptors in it are made to survive, signals are held
   back, and the program is executed. If that fails, the daemon goes on as before.
4. The new program finds the document by its environment, takes everything over and serves.

The document has a version. A field may be added if it has a default; whatever else changes takes a new
version, and code that still reads the old one. Source: libvirt's src/locking/lock_daemon.c and
src/logging/log_daemon.c (PreExecRestart, PostExecRestart); the rehearsal is ours.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.rpc.logs import get_logger

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.process.systemd import Notifier
    from aiovirt.daemons.runtime.settings.declaration import Value

_log = get_logger("daemons.runtime.handover.reexec")

#: How the new program learns of the document: "WHAT:DESCRIPTOR", WHAT being one of the two.
ENVIRONMENT: Final = "AIOVIRT_RESTART"
_TAKE_OVER: Final = "take-over"
_REHEARSE: Final = "rehearse"

#: Seconds that a rehearsal may take.
_REHEARSAL_PATIENCE: Final = 30.0
#: Of prctl(2): the signal that a process gets when its parent ends.
_PR_SET_PDEATHSIG: Final = 1
#: Signals that wait while nobody is there to take them.
_HELD_BACK: Final = {signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM, signal.SIGINT}


class RestartRefused(Exception):
    """The program cannot be executed anew now; the text says why. Nothing has changed."""


class Restartable(Protocol):
    """A daemon as far as a restart is concerned; see `instance.Instance`."""

    @property
    def is_ending(self) -> bool:
        """Whether it was told to end."""

    async def pause(self) -> None:
        """Stop everything that can be stopped without harm. Raises TimeoutError."""

    def resume(self) -> None:
        """The counterpart of `pause`."""

    def rehearsed(self) -> None:
        """A rehearsal is over."""

    def document(self, settings: Mapping[str, Value], keep: Callable[[int], int]) -> bytes:
        """The document for the next program."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """The document that this process got from the one before it, or, in a rehearsal, would get."""

    document: bytes
    rehearsal: bool


def inherited() -> Inheritance | None:
    """The document that an earlier program left, if any; a second call gives nothing.

    Raises StartError when it cannot be read.
    """
    said = os.environ.pop(ENVIRONMENT, None)
    if said is None:
        return None
    what, _, number = said.partition(":")
    if what not in (_TAKE_OVER, _REHEARSE) or not number.isdigit():
        raise StartError(Failure.INIT, f"{ENVIRONMENT}={said} is not what we would have left")
    if what == _REHEARSE:
        _end_with_parent()
    try:
        with open(int(number), "rb") as file:
            file.seek(0)
            return Inheritance(file.read(), what == _REHEARSE)
    except OSError as error:
        raise StartError(
            Failure.INIT, f"{ENVIRONMENT}={said}: nothing to read there: {error.strerror}"
        ) from error


def _end_with_parent() -> None:
    """Let the kernel end this process when its parent ends, and after the time of a rehearsal anyhow.

    A rehearsal has the daemon's descriptors: as long as it runs, no lock and no socket among them is
    free, even if the daemon was killed.
    """
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.alarm(math.ceil(_REHEARSAL_PATIENCE))


def take_signals() -> None:
    """Let the signals through that came while the program was executed anew."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)


class Restart:
    """The way from this program to the next.

    Args:
        instance: the daemon.
        settings: gives those in force as far as the settings file is concerned.
        notifier: its address goes to the next program.
        folder: where this program was started.
    """

    def __init__(
        self,
        instance: Restartable,
        settings: Callable[[], Mapping[str, Value]],
        notifier: Notifier,
        folder: str,
    ) -> None:
        self._instance = instance
        self._settings = settings
        self._notifier = notifier
        self._folder = folder
        self._task: asyncio.Task[None] | None = None

    def request(self) -> None:
        """Begin, unless it has begun."""
        if self._task is None and not self._instance.is_ending:
            self._task = asyncio.get_running_loop().create_task(self._restart())

    async def _restart(self) -> None:
        _log.info("restart", program=" ".join(_command()))
        try:
            await self._rehearse()
            await self._hand_over()
        except RestartRefused as refusal:
            _log.error("restart refused, everything goes on as before", reason=str(refusal))
        except Exception as error:  # a mistake of ours must not cost anybody a lock
            _log.error("restart failed, everything goes on as before", exc_info=error)
        finally:
            self._task = None

    async def _rehearse(self) -> None:
        """Raises RestartRefused unless the new program could take over."""
        try:
            await self._rehearse_in_child()
        finally:
            self._instance.rehearsed()

    async def _rehearse_in_child(self) -> None:
        document, shared = self._document()
        try:
            child = await asyncio.create_subprocess_exec(
                *_command(),
                cwd=self._folder,
                env={**os.environ, ENVIRONMENT: f"{_REHEARSE}:{document}"},
                pass_fds=[*shared, document],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise RestartRefused(f"the program cannot be executed: {error.strerror}") from error
        finally:
            os.close(document)
        await self._hear(child)

    async def _hear(self, child: asyncio.subprocess.Process) -> None:
        """Wait for the end of a rehearsal. Raises RestartRefused with its last line if it failed."""
        try:
            async with asyncio.timeout(_REHEARSAL_PATIENCE):
                _, said = await child.communicate()
        except TimeoutError:
            child.kill()
            await child.wait()
            raise RestartRefused(
                f"the new program was not done with its rehearsal in {_REHEARSAL_PATIENCE:g} s"
            ) from None
        except asyncio.CancelledError:  # the daemon ends
            child.kill()
            raise
        if child.returncode:
            last = said.decode(errors="replace").strip().splitlines()[-1:]
            reason = last[0] if last else f"its rehearsal ended with {child.returncode}"
            raise RestartRefused(f"the new program would not take over: {reason}")

    async def _hand_over(self) -> None:
        try:
            await self._instance.pause()
            if self._instance.is_ending:
                raise RestartRefused("the daemon is about to end")
            self._execute()
        except BaseException:
            self._instance.resume()
            raise

    def _execute(self) -> NoReturn:
        document, kept = self._document()
        kept.append(document)
        command = _command()
        environment = {
            **os.environ,
            **self._notifier.environment(),
            ENVIRONMENT: f"{_TAKE_OVER}:{document}",
        }
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
        here = os.getcwd()
        try:
            for descriptor in kept:
                os.set_inheritable(descriptor, True)
            os.chdir(self._folder)
            os.execve(command[0], command, environment)  # noqa: S606  it is ourselves
        except OSError as error:
            os.chdir(here)
            for descriptor in kept:
                os.set_inheritable(descriptor, False)
            os.close(document)
            take_signals()
            raise RestartRefused(f"the program cannot be executed: {error.strerror}") from error

    def _document(self) -> tuple[int, list[int]]:
        """A descriptor of the document, in memory, and the descriptors in it."""
        kept: list[int] = []

        def keep(descriptor: int) -> int:
            kept.append(descriptor)
            return descriptor

        text = self._instance.document(self._settings(), keep)
        descriptor = os.memfd_create("aiovirt-restart", os.MFD_CLOEXEC)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(text)
        return descriptor, kept


def _command() -> list[str]:
    """The command that this program was started with."""
    return [sys.executable, *sys.orig_argv[1:]]
