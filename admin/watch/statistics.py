"""Counts of a daemon of aiovirt, in the shape that views need.

Histograms are cumulative, as Prometheus has them: `counts[i]` is the number of durations of at most
`bounds[i]` seconds, and `count` the number of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Histogram:
    """Durations. bounds: upper bounds in seconds; total: the sum of all durations, in seconds."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    count: int
    total: float

    @property
    def mean(self) -> float | None:
        """The mean duration in seconds; None if there is no duration."""
        return self.total / self.count if self.count else None

    def quantile(self, part: float) -> float | None:
        """Estimate the duration in seconds that this part of all did not exceed.

        Args:
            part: between 0 and 1.

        Returns:
            A duration within its bucket, as if those there were evenly spread; at most the last bound;
            None if there is no duration.
        """
        if not self.count:
            return None
        wanted = part * self.count
        before, low = 0, 0.0
        for bound, count in zip(self.bounds, self.counts, strict=True):
            if count > before and count >= wanted:
                return low + (bound - low) * max(0.0, wanted - before) / (count - before)
            before, low = count, bound
        return low

    @classmethod
    def of_buckets(
        cls, bounds: tuple[float, ...], buckets: list[int], count: int, total: float
    ) -> Histogram:
        """Add up buckets of their own counts.

        Args:
            bounds: upper bounds in seconds.
            buckets: the number of durations in each, the last one without a bound.
            count: the number of all.
            total: the sum of all, in seconds.
        """
        reached, counts = 0, []
        for each in buckets[: len(bounds)]:
            reached += each
            counts.append(reached)
        counts += [reached] * (len(bounds) - len(counts))
        return cls(bounds, tuple(counts), max(count, reached), total)


@dataclass(frozen=True, slots=True)
class ServerCounts:
    """A server since its start.

    bytes_in, bytes_out: of whole messages; in_flight: calls without a reply so far; queued: those of
    them that wait for a worker; waits: the durations of such waiting.
    """

    calls: int
    errors: int
    bytes_in: int
    bytes_out: int
    in_flight: int
    queued: int
    waits: Histogram


@dataclass(frozen=True, slots=True)
class ProcedureCounts:
    """A procedure of a program on a server, since the server's start.

    errors: error replies by the name of libvirt's code; latency: from a call's arrival to its reply.
    """

    server: str
    program: str
    procedure: str
    calls: int
    errors: Mapping[str, int]
    bytes_in: int
    bytes_out: int
    latency: Histogram


@dataclass(frozen=True, slots=True)
class CallInFlight:
    """A call without a reply so far. age: seconds since it arrived; place: "worker" or "queue"."""

    server: str
    client: int
    program: str
    procedure: str
    age: float
    place: str
