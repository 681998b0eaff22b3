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
from aiovirt.admin.watch.statistics import Histogram, Statistics

_SERVER = ("daemon", "server")
_PROCEDURE = (*_SERVER, "program", "procedure")


def printable(text: str) -> str:
    """Return a text from a daemon as valid UTF-8, which the exposition formats demand."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def statistics_families(prefix: str, readings: Iterable[Reading]) -> Iterator[Metric]:
    """Yield the metrics of those daemons that count.

    Args:
        prefix: what every name begins with.
        readings: of all daemons.
    """
    counted = [
        (reading.name, reading.state.statistics)
        for reading in readings
        if reading.state is not None and reading.state.statistics is not None
    ]
    yield from _procedure_families(prefix, counted)
    yield from _waiting_families(prefix, counted)


def _procedure_families(prefix: str, counted: list[tuple[str, Statistics]]) -> Iterator[Metric]:
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
    for daemon, statistics in counted:
        for one in statistics.procedures:
            place = (daemon, one.server, one.program, one.procedure)
            calls.add_metric(place, one.calls)
            received.add_metric(place, one.bytes_in)
            sent.add_metric(place, one.bytes_out)
            for code, count in one.errors.items():
                errors.add_metric((*place, code), count)
            if one.latency is not None:
                _add_histogram(latency, place, one.latency)
    yield from (calls, errors, received, sent, latency)


def _waiting_families(prefix: str, counted: list[tuple[str, Statistics]]) -> Iterator[Metric]:
    queue = HistogramMetricFamily(
        f"{prefix}queue_duration_seconds", "How long calls waited for a worker.", labels=_SERVER
    )
    flying = GaugeMetricFamily(
        f"{prefix}calls_in_flight", "Calls without a reply so far.", labels=(*_SERVER, "place")
    )
    for daemon, statistics in counted:
        for server, histogram in statistics.queue_times.items():
            _add_histogram(queue, (daemon, server), histogram)
        for server in statistics.queue_times:
            for place in ("worker", "queue"):
                here = (one.server == server and one.place == place for one in statistics.in_flight)
                flying.add_metric((daemon, server, place), sum(here))
    yield from (queue, flying)


def _add_histogram(
    family: HistogramMetricFamily, labels: tuple[str, ...], histogram: Histogram
) -> None:
    buckets = [
        (repr(float(bound)), count)
        for bound, count in zip(histogram.bounds, histogram.counts, strict=True)
    ]
    family.add_metric(labels, [*buckets, ("+Inf", histogram.count)], histogram.total)
