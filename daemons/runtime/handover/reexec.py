"""SIGUSR1: execute the program anew, in the same process, and lose nothing.

In the order in which it happens:

1. Calls in flight get their replies, while everything is served as ever.
2. A rehearsal, still while everything is served: the new program is started as a child that has a
   document like the real one and all descriptors in it. It reads everything back as the real one will,
   in memory, and exits with 0 before its loop could read or write any of them. If it fails, the restart
   is refused, the reason is logged, and nothing has changed. It comes this late so that nothing has
   time to change between it and the real thing.
3. Nothing more is read or accepted; the last calls get their replies, and components come to rest.
4. Signals are held back (see `signals`), the document is written to memory (memfd), the descriptors in
   it are made to survive, and the program is executed. The document has an error for each stream and
   each call that still hangs; the new program sends it. If any of this fails, the daemon goes on as
   before, and so do they.
5. The new program finds the document by its environment, takes everything over, acts upon the signals
   that came meanwhile, and serves.

The document has a version. A field may be added if it has a default; whatever else changes takes a new
version, and code that still reads the old one. Source: libvirt's src/locking/lock_daemon.c and
src/logging/log_daemon.c (PreExecRestart, PostExecRestart); the rehearsal is ours.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

import msgspec

from aiovirt.daemons.runtime.component import Keep, Unsaved
from aiovirt.daemons.runtime.handover import signals
from aiovirt.daemons.runtime.handover.rehearsal import (
    RehearsalFailed,
    end_with_parent,
    rehearse,
    working_in,
)
from aiovirt.daemons.runtime.handover.threads import until_none_is_held_up
from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.rpc.logs import get_logger

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.process.systemd import Notifier

_log = get_logger("daemons.runtime.handover.reexec")

#: How the new program learns of the document: "WHAT:DESCRIPTOR", WHAT being one of the two.
ENVIRONMENT: Final = "AIOVIRT_RESTART"
_TAKE_OVER: Final = "take-over"
_REHEARSE: Final = "rehearse"
#: Rehearsals at most, while files in the document are closed before the new program has them.
_REHEARSALS: Final = 10
#: Seconds that threads may be held up by a disk, while everything is served, and while nothing is.
_THREADS: Final = 3.0
_LAST_THREADS: Final = 1.0


class RestartRefused(Exception):
    """The program cannot be executed anew now; the text says why. Nothing has changed."""


class Restartable(Protocol):
    """A daemon as far as a restart is concerned; see `instance.Instance`."""

    @property
    def is_ending(self) -> bool:
        """Whether it was told to end."""

    async def settle(self) -> None:
        """Wait for calls in flight, and serve as ever meanwhile."""

    def busy(self) -> list[str]:
        """The paths that threads work on at this moment."""

    async def pause(self) -> None:
        """Stop everything that can be stopped without harm. Raises TimeoutError."""

    def resume(self) -> None:
        """The counterpart of `pause`, also after a document was made."""

    def rehearsed(self) -> None:
        """A rehearsal is over."""

    def document(self, keep: Keep, *, signals: int, rehearsal: bool) -> bytes:
        """Write the document for the next program. Raises Exception if that is not possible."""


class Inheritance(msgspec.Struct, frozen=True):
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
    if what not in (_TAKE_OVER, _REHEARSE) or not number.isdecimal():
        raise StartError(Failure.INIT, f"{ENVIRONMENT}={said} is not what we would have left")
    if what == _REHEARSE:
        end_with_parent()
    try:
        with open(int(number), "rb") as file:
            file.seek(0)
            return Inheritance(file.read(), what == _REHEARSE)
    except (OSError, OverflowError) as error:
        raise StartError(
            Failure.INIT, f"{ENVIRONMENT}={said}: nothing to read there: {error}"
        ) from error


class Origin(msgspec.Struct, frozen=True):
    """Where a program was started, and whether anything in its command line depends on that."""

    folder: str
    has_relative_paths: bool

    def enterable(self) -> str | None:
        """The folder, if it is still there; None if it is gone and not needed.

        Raises RestartRefused if it is needed.
        """
        try:
            os.stat(f"{self.folder}/.")
        except OSError as error:
            if self.has_relative_paths:
                raise RestartRefused(
                    f"the folder {self.folder}, in which relative paths of the command line begin,"
                    f" cannot be entered: {error.strerror}"
                ) from error
            return None
        return self.folder


class Restart:
    """The way from this program to the next.

    Args:
        instance: the daemon.
        notifier: its address goes to the next program.
        origin: where this program was started.
        noted: the signals of this process.
    """

    def __init__(
        self,
        instance: Restartable,
        notifier: Notifier,
        origin: Origin,
        noted: Callable[[], signals.Signals],
    ) -> None:
        self._instance = instance
        self._notifier = notifier
        self._origin = origin
        self._noted = noted
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._lingering: asyncio.Future[int] | None = None  # a rehearsal that a disk holds up

    def request(self) -> None:
        """Begin; if it has begun and is refused, begin once more, since the cause may be mended."""
        if self._task is not None:
            self._again = True
        elif not self._instance.is_ending:
            self._task = asyncio.get_running_loop().create_task(self._restart_as_asked())

    async def _restart_as_asked(self) -> None:
        try:
            while True:
                self._again = False
                await self._restart()
                if not self._again or self._instance.is_ending:
                    return
        finally:
            self._task = None

    async def _restart(self) -> None:
        _log.info("restart", program=" ".join(_command()))
        try:
            await self._instance.settle()
            await self._rehearse()
            _log.info("rehearsal done")
            await self._hand_over()
        except RestartRefused as refusal:
            _log.error("restart refused, everything goes on as before", reason=str(refusal))
        except OSError as error:  # of descriptors or memory, there is not enough
            _log.error("restart refused, everything goes on as before", reason=str(error))
        except Exception as error:  # a mistake of ours must not cost anybody a lock
            _log.error("restart failed, everything goes on as before", exc_info=error)

    async def _rehearse(self) -> None:
        """Raises RestartRefused unless the new program could take over.

        The daemon goes on meanwhile, and threads of it may close a file that the document has, such as
        a log that is rotated. Then there is another rehearsal.
        """
        for _ in range(_REHEARSALS - 1):
            try:
                await self._rehearse_once()
            except RestartRefused as refusal:
                if not _is_bad_descriptor(refusal):
                    raise
            else:
                return
        await self._rehearse_once()

    async def _rehearse_once(self) -> None:
        if self._lingering is not None:
            await asyncio.wait([self._lingering], timeout=_THREADS)
        if self._lingering is not None:
            raise RestartRefused("the last rehearsal has not ended: a disk holds it up")
        folder = self._origin.enterable()
        try:
            document, shared = self._document(rehearsal=True)
            try:
                environment = {**os.environ, ENVIRONMENT: f"{_REHEARSE}:{document}"}
                await rehearse(_command(), folder, environment, [*shared, document])
            finally:
                os.close(document)
        except RehearsalFailed as failure:
            self._lingering = failure.lingering
            raise RestartRefused(str(failure)) from failure
        finally:
            if self._lingering is None:
                self._instance.rehearsed()
            else:
                self._lingering.add_done_callback(self._gone)

    def _gone(self, _: object) -> None:
        self._lingering = None
        self._instance.rehearsed()

    async def _hand_over(self) -> None:
        try:
            try:
                await self._threads_done(_THREADS)
                await self._instance.pause()
                await self._threads_done(_LAST_THREADS)
            except TimeoutError as error:
                raise RestartRefused(str(error) or "the daemon cannot be paused") from error
            if self._instance.is_ending:
                raise RestartRefused("the daemon is about to end")
            self._execute()
        except BaseException:
            self._instance.resume()
            raise

    async def _threads_done(self, patience: float) -> None:
        try:
            await until_none_is_held_up(patience)
        except TimeoutError as error:
            paths = ", ".join(self._instance.busy())
            raise TimeoutError(f"{error}: {paths}" if paths else str(error)) from None

    def _execute(self) -> NoReturn:
        signals.block()
        try:
            folder = self._origin.enterable()
            document, kept = self._document(rehearsal=False)
            try:
                self._execute_with(document, [*kept, document], folder)
            finally:
                os.close(document)
        finally:  # it failed
            signals.unblock()

    def _execute_with(self, document: int, kept: list[int], folder: str | None) -> NoReturn:
        command = _command()
        environment = {
            **os.environ,
            **self._notifier.environment(),
            ENVIRONMENT: f"{_TAKE_OVER}:{document}",
        }
        try:
            for descriptor in kept:
                os.set_inheritable(descriptor, True)
            self._noted().make_room()
            with working_in(folder):
                os.execve(command[0], command, environment)  # noqa: S606  it is ourselves
        except OSError as error:
            raise RestartRefused(f"the program cannot be executed: {error.strerror}") from error
        finally:
            for descriptor in kept:
                os.set_inheritable(descriptor, False)

    def _document(self, *, rehearsal: bool) -> tuple[int, list[int]]:
        """A descriptor of the document, in memory, and the descriptors in it. Raises RestartRefused."""
        kept: list[int] = []

        def keep(descriptor: int) -> int:
            os.get_inheritable(descriptor)  # raises OSError unless it is open
            kept.append(descriptor)
            return descriptor

        try:
            text = self._instance.document(
                keep, signals=self._noted().descriptor, rehearsal=rehearsal
            )
        except Unsaved as error:
            raise RestartRefused(str(error)) from error
        descriptor = os.memfd_create("aiovirt-restart", os.MFD_CLOEXEC)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(text)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, kept


def _is_bad_descriptor(error: BaseException | None) -> bool:
    """Whether an error was caused by a descriptor that is not open."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.EBADF:
            return True
        error = error.__cause__
    return False


def _command() -> list[str]:
    """The command that this program was started with."""
    return [sys.executable, *sys.orig_argv[1:]]
