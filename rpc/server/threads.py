"""Work that blocks, on threads that nobody has to wait for.

A fixed executor would be used up by threads stuck in a dead file system. Here a call that is given up
leaves its thread alone and the next call gets another one; idle threads are reused, and none of
them holds up the end of the process. How many run at once is bounded by the worker pool, since each
call that waits here holds a worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Callable
from typing import Any, TypeVar

from aiovirt.rpc.background import start_thread

T = TypeVar("T")

_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class _Thread:
    """A daemon thread with a mailbox; it lies in `_idle` between two jobs."""

    __slots__ = ("_jobs",)

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        start_thread(self._serve, name="aiovirt-blocking")

    def give(self, job: _Job) -> None:
        self._jobs.put(job)

    def _serve(self) -> None:
        while True:
            loop, future, work = self._jobs.get()
            try:
                outcome, failed = work(), False
            except BaseException as error:  # the awaiting call raises it, whatever it is
                outcome, failed = error, True
            if len(_idle) >= _IDLE_MAX:
                _deliver(loop, future, outcome, failed)
                return
            _idle.append(self)
            _deliver(loop, future, outcome, failed)
            del loop, future, work, outcome


#: Idle threads kept for the next call.
_IDLE_MAX = 16
_idle: list[_Thread] = []


async def run_blocking(function: Callable[..., T], *args: Any) -> T:
    """Run `function(*args)` on a thread and return its result or raise its exception.

    Cancelling the wait abandons the thread: it ends when its work ends, and nobody looks at the
    result. A `function` that opens something must therefore know where to put it by itself.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    try:
        thread = _idle.pop()
    except IndexError:
        thread = _Thread()
    thread.give((loop, future, lambda: function(*args)))
    return await future


def _deliver(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], outcome: Any, failed: bool
) -> None:
    def set_outcome() -> None:
        if future.done():
            return
        if isinstance(outcome, StopIteration) and failed:
            future.set_exception(RuntimeError("blocking work raised StopIteration"))
        elif failed:
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
        loop.call_soon_threadsafe(set_outcome)
