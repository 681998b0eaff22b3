"""A run of the benchmarks: who takes part, and how their turns alternate."""

from __future__ import annotations

import contextlib
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from statistics import median

import pytest

from tests.bench import load
from tests.bench.contenders import Contender, contender, processor_time
from tests.bench.findings import Findings, alternate


@dataclass
class Bench:
    """How to measure. only: the contenders that take part; None for all that can run here."""

    rounds: int
    seconds: float
    only: frozenset[str] | None = None
    left_out: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def running(self, *names: str) -> Iterator[dict[str, Contender]]:
        """Run those contenders that take part at the same time; idle ones cost the others nothing."""
        with contextlib.ExitStack() as stack:
            yield {
                name: found
                for name in names
                if self.only is None or name in self.only
                if (found := self._start(stack, name)) is not None
            }

    def _start(self, stack: contextlib.ExitStack, name: str) -> Contender | None:
        try:
            return stack.enter_context(contender(name))
        except pytest.skip.Exception as reason:
            self.left_out[name] = str(reason)
            return None

    def rates(
        self, servers: dict[str, Contender], connections: int, in_flight: int
    ) -> dict[str, list[float]]:
        """Calls per second of each server, turn by turn.

        A single call at a time is several times faster when the kernel happens to put both ends on
        one core, which it decides anew for each run: hence more and shorter ones.
        """
        split = 3 if connections == 1 else 1
        seconds = self.seconds / split
        return alternate(
            self.rounds * split,
            {
                name: partial(load.calls, server.socket, connections, in_flight, seconds)
                for name, server in servers.items()
            },
        )

    def watched(
        self,
        findings: Findings,
        unit: str,
        servers: Mapping[str, Contender],
        measure: Callable[[Contender], float],
        label: str = "",
    ) -> None:
        """Measure each server, turn by turn, and note how busy it and its load were.

        label: what comes before the servers' names.
        """
        busy = _Busy()
        measures = {name: partial(busy.watch, measure, server) for name, server in servers.items()}
        for name, values in alternate(self.rounds, measures).items():
            findings.add(f"{label}{name}", unit, values)
        findings.notes.append(f"{label}{busy.note()}.")


class _Busy:
    """Which part of the time each server was busy, and its load: which of them is measured?"""

    def __init__(self) -> None:
        self._shares: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def watch(self, measure: Callable[[Contender], float], server: Contender) -> float:
        """Measure once."""
        server_before, load_before, begin = processor_time(server.pid), _ended(), time.monotonic()
        found = measure(server)
        taken = time.monotonic() - begin
        shares = processor_time(server.pid) - server_before, _ended() - load_before
        self._shares[server.name].append((shares[0] / taken, shares[1] / taken))
        return found

    def note(self) -> str:
        """All in one line."""
        return "; ".join(
            f"{name} was busy for {median(one for one, _ in shares):.0%} of the time,"
            f" its load for {median(load for _, load in shares):.0%}"
            for name, shares in self._shares.items()
        )


def _ended() -> float:
    """Seconds of processor time of all children that have ended: daemons that run are not in it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
