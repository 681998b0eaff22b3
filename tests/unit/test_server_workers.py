"""The worker pool: who runs, who waits, and numbers that always fit together."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from aiovirt.rpc.server import PoolStats, WorkerPool
from aiovirt.rpc.server.workers import NOWHERE, ORDINARY, PRIORITY, QUEUED
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from tests.unit.house import Job

UINT_MAX = 0xFFFFFFFF


class Work:
    """Jobs for one pool, by number, and the order in which they were started."""

    def __init__(self, pool: WorkerPool) -> None:
        self.pool = pool
        self.started: list[int] = []
        self.jobs: dict[int, Job] = {}

    def submit(self, *numbers: int, priority: bool = False) -> None:
        for number in numbers:
            self.jobs[number] = Job(number, priority, self.started)
            self.pool.submit(self.jobs[number])

    def end(self, *numbers: int) -> None:
        for number in numbers:
            self.pool.release(self.jobs[number])


class TestOrder:
    def test_no_more_than_the_maximum_run_and_the_rest_come_in_order(self) -> None:
        work = Work(WorkerPool(0, 2, 0))
        work.submit(1, 2, 3, 4, 5)
        assert (work.started, work.pool.queue_depth) == ([1, 2], 3)
        work.end(2)
        assert work.started == [1, 2, 3]
        work.end(1, 3)
        assert (work.started, work.pool.queue_depth) == ([1, 2, 3, 4, 5], 0)

    def test_priority_calls_run_though_every_ordinary_worker_is_stuck(self) -> None:
        work = Work(WorkerPool(1, 1, 2))
        work.submit(1, 2)
        work.submit(10, 11, 12, priority=True)
        assert work.started == [1, 10, 11]
        work.end(10)
        assert work.started == [1, 10, 11, 12]
        assert work.pool.queue_depth == 1

    def test_an_ordinary_call_never_takes_a_priority_worker(self) -> None:
        work = Work(WorkerPool(1, 1, 5))
        work.submit(1, 2, 3)
        work.submit(10, priority=True)
        work.end(10)
        assert work.started == [1, 10]

    def test_an_ordinary_worker_takes_both_kinds_in_order_of_arrival(self) -> None:
        work = Work(WorkerPool(1, 1, 0))
        work.submit(1)
        work.submit(2, priority=True)
        work.submit(3)
        work.submit(4, priority=True)
        work.end(1, 2, 3)
        assert work.started == [1, 2, 3, 4]

    def test_a_job_taken_from_the_queue_is_never_started(self) -> None:
        work = Work(WorkerPool(1, 1, 0))
        work.submit(1, 2, 3)
        work.end(2)
        assert work.pool.queue_depth == 1
        work.end(1)
        assert work.started == [1, 3]

    def test_a_second_release_frees_nothing_more(self) -> None:
        work = Work(WorkerPool(1, 2, 0))
        work.submit(1, 2, 3, 4)
        work.end(1, 1, 1)
        assert work.started == [1, 2, 3]
        assert work.pool.stats().free == 0

    def test_jobs_that_end_inside_start_do_not_pile_up_on_the_stack(self) -> None:
        pool = WorkerPool(1, 1, 0)
        started: list[int] = []

        class Brief(Job):
            def start(self) -> None:
                super().start()
                pool.release(self)

        blocker = Job(0, False, started)
        pool.submit(blocker)
        for number in range(1, 20_001):
            pool.submit(Brief(number, number % 2 == 0, started))
        pool.release(blocker)
        assert started == list(range(20_001))


class TestSettings:
    def test_a_raised_maximum_is_used_at_once(self) -> None:
        work = Work(WorkerPool(0, 1, 0))
        work.submit(1, 2, 3, 4)
        work.pool.set(maximum=3)
        assert work.started == [1, 2, 3]

    def test_a_raised_number_of_priority_workers_is_used_at_once(self) -> None:
        work = Work(WorkerPool(1, 1, 0))
        work.submit(1)
        work.submit(10, 11, priority=True)
        work.pool.set(priority=1)
        assert work.started == [1, 10]

    def test_lowered_numbers_stop_nobody_and_hold_for_who_comes_next(self) -> None:
        work = Work(WorkerPool(0, 3, 2))
        work.submit(1, 2, 3)
        work.submit(10, 11, priority=True)
        work.pool.set(maximum=1, priority=1)
        work.submit(4)
        work.submit(12, priority=True)
        assert work.pool.stats() == PoolStats(0, 1, 3, 0, 1, 2)
        work.end(1, 2)
        assert work.started == [1, 2, 3, 10, 11]
        work.end(10)
        assert work.started == [1, 2, 3, 10, 11]
        work.end(11)
        assert work.started == [1, 2, 3, 10, 11, 12]
        work.end(3)
        assert work.started == [1, 2, 3, 10, 11, 12, 4]
        assert work.pool.stats() == PoolStats(0, 1, 1, 0, 1, 0)

    def test_the_largest_numbers_cost_nothing(self) -> None:
        pool = WorkerPool(UINT_MAX, UINT_MAX, UINT_MAX)
        assert pool.stats() == PoolStats(UINT_MAX, UINT_MAX, UINT_MAX, UINT_MAX, UINT_MAX, 0)
        pool = WorkerPool(5, 20, 5)
        pool.set(minimum=UINT_MAX, maximum=UINT_MAX, priority=UINT_MAX)
        work = Work(pool)
        work.submit(*range(1000))
        assert pool.stats() == PoolStats(UINT_MAX, UINT_MAX, UINT_MAX, UINT_MAX - 1000, UINT_MAX, 0)

    @pytest.mark.parametrize(
        "change",
        [
            {"minimum": 21},
            {"maximum": 4},
            {"minimum": 8, "maximum": 7, "priority": 9},
            {"maximum": 0},
            {"minimum": 0, "maximum": 0},
        ],
    )
    def test_what_does_not_fit_is_refused_and_changes_nothing(self, change: dict[str, int]) -> None:
        pool = WorkerPool(5, 20, 5)
        before = pool.stats()
        with pytest.raises(RpcError) as caught:
            pool.set(**change)
        assert (caught.value.code, caught.value.domain) == (
            ErrorCode.INVALID_ARG,
            ErrorDomain.NONE,
        )
        assert pool.stats() == before

    def test_a_minimum_above_the_maximum_is_lowered_to_it_at_the_start(self) -> None:
        assert WorkerPool(30, 20, 5).stats() == PoolStats(20, 20, 20, 20, 5, 0)


class TestNoPool:
    def test_everything_starts_at_once(self) -> None:
        work = Work(WorkerPool(0, 0, 0))
        work.submit(*range(500))
        assert work.started == list(range(500))
        assert work.pool.stats() == PoolStats(0, 0, 0, 0, 0, 0)
        work.end(*range(500))
        assert work.pool.ready

    @pytest.mark.parametrize(
        "change", [{"maximum": 1}, {"minimum": 1}, {"minimum": 1, "maximum": 2}]
    )
    def test_it_stays_no_pool(self, change: dict[str, int]) -> None:
        pool = WorkerPool(0, 0, 0)
        with pytest.raises(RpcError):
            pool.set(**change)
        assert pool.stats() == PoolStats(0, 0, 0, 0, 0, 0)


class TestReportedNumbers:
    def test_places_grow_on_demand_and_stay(self) -> None:
        work = Work(WorkerPool(2, 20, 5))
        assert work.pool.stats() == PoolStats(2, 20, 2, 2, 5, 0)
        work.submit(1, 2, 3, 4)
        assert work.pool.stats() == PoolStats(2, 20, 4, 0, 5, 0)
        work.end(1, 2, 3, 4)
        assert work.pool.stats() == PoolStats(2, 20, 4, 4, 5, 0)

    def test_the_call_that_asks_counts_as_busy(self) -> None:
        assert WorkerPool(5, 20, 5).stats(running_inline=1) == PoolStats(5, 20, 5, 4, 5, 0)
        assert WorkerPool(0, 20, 5).stats(running_inline=1) == PoolStats(0, 20, 1, 0, 5, 0)

    def test_the_call_that_asks_is_not_a_worker_too_many(self) -> None:
        work = Work(WorkerPool(1, 1, 5))
        work.submit(1)
        assert work.pool.stats(running_inline=1) == PoolStats(1, 1, 1, 0, 5, 0)


class PoolMachine(RuleBasedStateMachine):
    """Any order of submitting, ending and changing, checked against a plain model.

    The model knows who has been submitted and not ended; from that alone follow the claims.
    """

    running = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self.pool = WorkerPool(1, 3, 1)
        self.started: list[int] = []
        self.jobs: list[Job] = []

    @rule(target=running, priority=st.booleans())
    def submit(self, priority: bool) -> Job:
        job = Job(len(self.jobs), priority, self.started)
        self.jobs.append(job)
        self.pool.submit(job)
        return job

    @rule(job=consumes(running))
    def end(self, job: Job) -> None:
        self.pool.release(job)

    @rule(job=running)
    def end_twice(self, job: Job) -> None:
        self.pool.release(job)
        self.pool.release(job)

    sizes = st.none() | st.integers(0, 5) | st.just(UINT_MAX)

    @rule(minimum=sizes, maximum=sizes, priority=sizes)
    def set(self, minimum: int | None, maximum: int | None, priority: int | None) -> None:
        old = (self.pool.minimum, self.pool.maximum, self.pool.priority)
        new = tuple(
            o if n is None else n for o, n in zip(old, (minimum, maximum, priority), strict=True)
        )
        try:
            self.pool.set(minimum=minimum, maximum=maximum, priority=priority)
        except RpcError:
            assert new[0] > new[1] or new[1] == 0
            new = old
        assert (self.pool.minimum, self.pool.maximum, self.pool.priority) == new

    def _at(self, place: int) -> list[Job]:
        return [job for job in self.jobs if job.place == place]

    @invariant()
    def reported_numbers_fit_together(self) -> None:
        for inline in (0, 1):
            stats = self.pool.stats(running_inline=inline)
            busy = len(self._at(ORDINARY))
            assert 0 <= stats.free <= stats.current
            assert stats.minimum <= stats.maximum
            assert stats.minimum <= stats.current <= max(stats.maximum, busy)
            assert stats.queue_depth == len(self._at(QUEUED))
            if not inline:
                assert stats.current - stats.free == busy

    @invariant()
    def nobody_waits_who_could_run(self) -> None:
        queued = self._at(QUEUED)
        if queued:
            assert len(self._at(ORDINARY)) >= self.pool.maximum
        if any(job.priority for job in queued):
            assert len(self._at(PRIORITY)) >= self.pool.priority

    @invariant()
    def each_runs_once_and_equals_run_in_order(self) -> None:
        assert len(set(self.started)) == len(self.started)
        for priority in (False, True):
            mine = [number for number in self.started if self.jobs[number].priority == priority]
            assert mine == sorted(mine)

    @invariant()
    def only_priority_calls_hold_priority_workers(self) -> None:
        assert all(job.priority for job in self._at(PRIORITY))

    @invariant()
    def who_has_a_place_has_been_started_and_who_waits_has_not(self) -> None:
        started = set(self.started)
        for job in self.jobs:
            if job.place in (ORDINARY, PRIORITY):
                assert job.number in started
            elif job.place == QUEUED:
                assert job.number not in started
            else:
                assert job.place == NOWHERE

    @invariant()
    def readiness_is_what_the_numbers_say(self) -> None:
        assert self.pool.ready == (len(self._at(ORDINARY)) < self.pool.maximum)
        assert self.pool.priority_ready == (len(self._at(PRIORITY)) < self.pool.priority)


TestAnyOrder = PoolMachine.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
