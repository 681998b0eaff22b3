"""Work with files that belongs to no open log: opening, adding once, reading, removing old ones.

Each piece runs on a thread of its own, since any disk may be stuck. A thread that is left behind by
a call that was given up is still known here: a process cannot be executed anew while one of its
threads hangs in the kernel, so that a restart has to know.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aiovirt.rpc.server import run_blocking

T = TypeVar("T")


class Outside:
    """All such work of a daemon."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count()
        self._going_on: dict[int, tuple[str, float]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, what: str, function: Callable[..., T], *args: Any) -> T:
        """Run `function(*args)` on a thread. what: the path that it is about, for messages.

        Raises OSError (EAGAIN) when there can be no more threads, and whatever `function` raises.
        """
        number = next(self._numbers)
        self._going_on[number] = what, self._loop.time()
        self._idle.clear()
        begun = False

        def work() -> T:
            nonlocal begun
            begun = True
            try:
                return function(*args)
            finally:
                self._loop.call_soon_threadsafe(self._done, number)

        try:
            return await run_blocking(work)
        except RuntimeError as error:  # which `function` may raise, too
            if begun:
                raise
            self._done(number)
            raise OSError(errno.EAGAIN, str(error)) from error

    async def whole(
        self, work: Coroutine[Any, Any, T], unwanted: Callable[[T], None] | None = None
    ) -> T:
        """Run a coroutine to its end, even if the call that waits for it is given up.

        unwanted: called with a result that nobody waits for any more.
        """

        def retrieve(task: asyncio.Task[T]) -> None:
            # Taken, so that an exception is not reported as forgotten.
            if not task.cancelled() and task.exception() is None and unwanted is not None:
                unwanted(task.result())

        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(retrieve)
            raise

    def _done(self, number: int) -> None:
        del self._going_on[number]
        if not self._going_on:
            self._idle.set()

    async def finished(self) -> None:
        """Return when nothing goes on."""
        while self._tasks or self._going_on:
            if self._tasks:
                await asyncio.wait(self._tasks)
            await self._idle.wait()

    def busy(self) -> list[str]:
        """The paths that threads are working on at this moment."""
        return [what for what, _ in self._going_on.values()]

    def is_stuck(self, path: str, seconds: float) -> bool:
        """Whether work in the same folder has been going on for longer than that."""
        folder, begun = os.path.dirname(path), self._loop.time() - seconds
        return any(
            since < begun and os.path.dirname(what) == folder
            for what, since in self._going_on.values()
        )
