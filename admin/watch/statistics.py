"""Counts of a daemon of aiovirt, in the shape that views need.

The histograms are cumulative, as Prometheus has them: `counts[i]` is how many observations were at most
`bounds[i]` seconds, and `count` is all of them.
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


@dataclass(frozen=True, slots=True)
class ProcedureCounts:
    """A procedure of a program on a server, since the daemon started.

    errors: error replies by libvirt's code; latency: from the whole call's arrival to its reply, None
    if it is not measured for this procedure.
    """

    server: str
    program: str
    procedure: str
    calls: int
    errors: Mapping[str, int]
    bytes_in: int
    bytes_out: int
    latency: Histogram | None


@dataclass(frozen=True, slots=True)
class CallInFlight:
    """A call without a reply so far. age: seconds since it arrived; place: "worker" or "queue"."""

    server: str
    client: int
    program: str
    procedure: str
    age: float
    place: str


@dataclass(frozen=True, slots=True)
class Statistics:
    """Everything counted. queue_times: for each server, how long calls waited for a worker."""

    procedures: tuple[ProcedureCounts, ...]
    in_flight: tuple[CallInFlight, ...]
    queue_times: Mapping[str, Histogram]
