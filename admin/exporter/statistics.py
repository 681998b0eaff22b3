"""Metrics of what daemons of aiovirt count: calls, errors, bytes, latencies, queue times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from aiovirt.admin.exporter.collection import Reading
from aiovirt.admin.watch.state import DaemonState
from aiovirt.admin.watch.statistics import Histogram

_SERVER = ("daemon", "server")
_PROCEDURE = (*_SERVER, "program", "procedure")


def printable(text: str) -> str:
    """Return a text from a daemon as valid UTF-8, which the exposition formats demand."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def statistics_families(prefix: str, readings: Iterable[Reading]) -> Iterator[Metric]:
    """Yield the metrics of those daemons that count.

    Args:
        prefix: the beginning of every name.
        readings: of all daemons.
    """
    up = [(reading.name, reading.state) for reading in readings if reading.state is not None]
    yield from _procedure_families(prefix, up)
    yield from _server_families(prefix, up)


def _procedure_families(prefix: str, up: list[tuple[str, DaemonState]]) -> Iterator[Metric]:
    calls = CounterMetricFamily(f"{prefix}calls", "Calls that were received.", labels=_PROCEDURE)
    errors = CounterMetricFamily(
        f"{prefix}call_errors", "Error replies, by libvirt's code.", labels=(*_PROCEDURE, "code")
    )
    received = CounterMetricFamily(
        f"{prefix}received_bytes", "Bytes of the calls.", labels=_PROCEDURE
    )
    sent = CounterMetricFamily(f"{prefix}sent_bytes", "Bytes of the replies.", labels=_PROCEDURE)
    latency = HistogramMetricFamily(
        f"{prefix}call_duration_seconds", "From a call to its reply.", labels=_PROCEDURE
    )
    for daemon, state in up:
        for one in state.procedures or ():
            place = tuple(map(printable, (daemon, one.server, one.program, one.procedure)))
            calls.add_metric(place, one.calls)
            received.add_metric(place, one.bytes_in)
            sent.add_metric(place, one.bytes_out)
            for code, count in one.errors.items():
                errors.add_metric((*place, code), count)
            _add_histogram(latency, place, one.latency)
    yield from (calls, errors, received, sent, latency)


def _server_families(prefix: str, up: list[tuple[str, DaemonState]]) -> Iterator[Metric]:
    waits = HistogramMetricFamily(
        f"{prefix}queue_duration_seconds", "Time that calls waited for a worker.", labels=_SERVER
    )
    flying = GaugeMetricFamily(
        f"{prefix}calls_in_flight", "Calls without a reply so far.", labels=_SERVER
    )
    for daemon, state in up:
        for server in state.servers:
            if server.counts is not None:
                place = (daemon, printable(server.name))
                flying.add_metric(place, server.counts.in_flight)
                _add_histogram(waits, place, server.counts.waits)
    yield from (waits, flying)


def _add_histogram(
    family: HistogramMetricFamily, labels: tuple[str, ...], histogram: Histogram
) -> None:
    buckets = [
        (repr(float(bound)), count)
        for bound, count in zip(histogram.bounds, histogram.counts, strict=True)
    ]
    family.add_metric(labels, [*buckets, ("+Inf", histogram.count)], histogram.total)
