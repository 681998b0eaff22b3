"""The worker pool: the number of calls of a server that may be under way, and their order.

A worker is a place, not a thread, so a pool of 4294967295 costs nothing until it is used. Ordinary
workers take calls in order of arrival. Priority workers take priority calls only, so those still
run when every ordinary worker is stuck. With a maximum of 0 the server has no pool: every call
starts at once, as on libvirt's virtlockd and virtlogd.

Reported numbers follow libvirt: places grow on demand from the minimum to the maximum and stay.

Source: libvirt's src/util/virthreadpool.c.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

from aiovirt.rpc.server.counts import Durations, now
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError


class Job(Protocol):
    """Work that a pool schedules. Only the pool writes to `place`."""

    priority: bool
    place: int

    def start(self) -> None:
        """Begin; the job calls `WorkerPool.release(job)` when it ends."""


#: Values of Job.place.
NOWHERE, QUEUED, ORDINARY, PRIORITY = range(4)


class PoolStats(NamedTuple):
    """The numbers that libvirt reports of a pool: of workers, and in the last field of calls."""

    minimum: int
    maximum: int
    current: int
    free: int
    priority: int
    queue_depth: int


class WorkerPool:
    """The workers of one server.

    `ready` and `priority_ready` are plain attributes, kept right at every change, because the
    dispatcher asks them on every call. waits: the times that calls waited for a worker, of those that
    did and then got one.
    """

    __slots__ = (
        "_busy",
        "_busy_priority",
        "_grown",
        "_queue",
        "_queue_priority",
        "_running_queue",
        "_sequence",
        "maximum",
        "minimum",
        "priority",
        "priority_ready",
        "ready",
        "waits",
    )

    def __init__(self, minimum: int, maximum: int, priority: int) -> None:
        self.minimum = min(minimum, maximum)
        self.maximum = maximum
        self.priority = priority
        self._busy = 0
        self._busy_priority = 0
        self._grown = self.minimum
        self._sequence = 0
        self._queue: deque[tuple[int, float, Job]] = deque()
        self._queue_priority: deque[tuple[int, float, Job]] = deque()
        self._running_queue = False
        self.waits = Durations()
        self._update()

    # Scheduling ----------------------------------------------------------------------------------

    def submit(self, job: Job) -> None:
        """Start `job` when a worker is free for it, else queue it."""
        if self.ready:
            self._occupy(job, ORDINARY)
            job.start()
        elif job.priority and self.priority_ready:
            self._occupy(job, PRIORITY)
            job.start()
        else:
            self._sequence += 1
            job.place = QUEUED
            (self._queue_priority if job.priority else self._queue).append(
                (self._sequence, now(), job)
            )

    def release(self, job: Job) -> None:
        """Free the worker of a job that ended, or take a waiting one from the queue.

        A second call does nothing: a forced disconnect frees a worker before its job has unwound.
        """
        place, job.place = job.place, NOWHERE
        if place == ORDINARY:
            self._busy -= 1
        elif place == PRIORITY:
            self._busy_priority -= 1
        elif place == QUEUED:
            queue = self._queue_priority if job.priority else self._queue
            for entry in queue:
                if entry[2] is job:
                    queue.remove(entry)
                    break
            return
        else:
            return
        self._update()
        self._serve_queue()

    def _serve_queue(self) -> None:
        # A plain function ends inside start() and comes back here: one loop serves them all, however
        # many wait, instead of one stack frame each.
        if self._running_queue:
            return
        self._running_queue = True
        try:
            while (chosen := self._next()) is not None:
                job, place = chosen
                self._occupy(job, place)
                job.start()
        finally:
            self._running_queue = False

    def _next(self) -> tuple[Job, int] | None:
        ordinary, urgent = self._queue, self._queue_priority
        if self.ready and (ordinary or urgent):
            if not ordinary or (urgent and urgent[0][0] < ordinary[0][0]):
                return self._taken(urgent), ORDINARY
            return self._taken(ordinary), ORDINARY
        if self.priority_ready and urgent:
            return self._taken(urgent), PRIORITY
        return None

    def _taken(self, queue: deque[tuple[int, float, Job]]) -> Job:
        """Take the first job of a queue, and count the time that it waited."""
        _, since, job = queue.popleft()
        self.waits.add(now() - since)
        return job

    def _occupy(self, job: Job, place: int) -> None:
        job.place = place
        if place == ORDINARY:
            self._busy += 1
            if self._busy > self._grown and self.maximum:
                self._grown = self._busy
        else:
            self._busy_priority += 1
        self._update()

    def _update(self) -> None:
        self.ready = self._busy < self.maximum or not self.maximum
        self.priority_ready = self._busy_priority < self.priority
        if self._grown > self.maximum:
            # Places above a lowered maximum go as their calls end.
            self._grown = max(self.maximum, min(self._grown, self._busy))

    # Administration ------------------------------------------------------------------------------

    def stats(self, running_inline: int = 0) -> PoolStats:
        """The pool's numbers.

        running_inline: calls running on the loop at this moment (the asking one, if it came through
        this very server); each counts as one busy worker.
        """
        if not self.maximum:
            return PoolStats(self.minimum, 0, 0, 0, self.priority, self.queue_depth)
        # An asking call that came through the queue is among the busy ones already.
        busy = max(self._busy, min(self._busy + running_inline, self.maximum))
        current = max(self._grown, busy)
        return PoolStats(
            self.minimum, self.maximum, current, current - busy, self.priority, self.queue_depth
        )

    @property
    def queue_depth(self) -> int:
        """Calls waiting for a worker."""
        return len(self._queue) + len(self._queue_priority)

    def set(
        self,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
        priority: int | None = None,
    ) -> None:
        """Change any of the three, all or nothing; calls under way go on.

        Raises RpcError (INVALID_ARG) when the minimum would exceed the maximum, or the maximum would
        go from zero to non-zero or back. libvirt: virThreadPoolSetParameters.
        """
        new_minimum = self.minimum if minimum is None else minimum
        new_maximum = self.maximum if maximum is None else maximum
        if new_minimum > new_maximum:
            raise _refusal(f"minWorkers {new_minimum} is larger than maxWorkers {new_maximum}")
        if (new_maximum == 0) != (self.maximum == 0):
            raise _refusal(
                f"maxWorkers cannot go from {self.maximum} to {new_maximum}: a pool stays a pool, "
                "and no pool stays no pool, until the daemon is started anew"
            )
        self.minimum, self.maximum = new_minimum, new_maximum
        if priority is not None:
            self.priority = priority
        self._grown = max(self._grown, new_minimum)
        self._update()
        self._serve_queue()


def _refusal(message: str) -> RpcError:
    return RpcError(ErrorCode.INVALID_ARG, message, domain=ErrorDomain.NONE)
