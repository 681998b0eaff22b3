"""Metrics out of readings.

Every name begins with `libvirt_admin_`; units are seconds and bytes. Labels are daemons, servers,
programs, procedures and error codes, of which there are few: never a client.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)

from aiovirt import __version__
from aiovirt.admin.compatibility import version_text
from aiovirt.admin.exporter.collection import Reading
from aiovirt.admin.exporter.statistics import printable, statistics_families
from aiovirt.admin.watch.state import ServerState

PREFIX: Final = "libvirt_admin_"

#: Names and help of the gauges of each server; the values are read by `_server_values`.
_SERVER_GAUGES: Final = {
    "workers": "Workers of the server's pool that exist.",
    "workers_idle": "Workers that have nothing to do.",
    "workers_min": "Lower bound of the pool.",
    "workers_max": "Upper bound of the pool.",
    "workers_priority": "Workers kept for calls that must not wait.",
    "queued_calls": "Calls that wait for a worker.",
    "clients": "Connected clients.",
    "clients_max": "Maximum number of connected clients.",
    "clients_unauthenticated": "Connected clients that have not yet authenticated.",
    "clients_unauthenticated_max": "Maximum number of clients that have not yet authenticated.",
}


def families(readings: Iterable[Reading]) -> Iterator[Metric]:
    """Yield all metrics of these readings."""
    readings = list(readings)
    yield from _exporter_families(readings)
    yield from _daemon_families(readings)
    yield from _server_families(readings)
    yield from _tls_families(readings)
    yield from statistics_families(PREFIX, readings)


def _exporter_families(readings: list[Reading]) -> Iterator[Metric]:
    build = InfoMetricFamily(f"{PREFIX}exporter_build", "The exporter itself.")
    build.add_metric([], {"version": __version__})
    yield build
    up = GaugeMetricFamily(
        f"{PREFIX}up", "Whether the daemon answered (1) or not (0).", labels=["daemon"]
    )
    duration = GaugeMetricFamily(
        f"{PREFIX}poll_duration_seconds",
        "Duration of the exporter's poll of the daemon.",
        labels=["daemon"],
    )
    failures = CounterMetricFamily(
        f"{PREFIX}poll_failures",
        "Polls of the daemon that failed, by reason.",
        labels=["daemon", "reason"],
    )
    for reading in readings:
        up.add_metric([reading.name], 0 if reading.state is None else 1)
        duration.add_metric([reading.name], reading.seconds)
        for reason, count in reading.failures.items():
            failures.add_metric([reading.name, reason], count)
    yield from (up, duration, failures)


def _daemon_families(readings: list[Reading]) -> Iterator[Metric]:
    info = InfoMetricFamily(
        f"{PREFIX}daemon",
        "The daemon's version of libvirt, and whether it has the extension program of aiovirt.",
        labels=["daemon"],
    )
    for reading in readings:
        if reading.state is not None:
            extension = "no" if "tls" in reading.state.missing else "yes"
            version = version_text(reading.state.lib_version)
            info.add_metric([reading.name], {"version": version, "extension": extension})
    yield info


def _server_families(readings: list[Reading]) -> Iterator[Metric]:
    gauges = {
        name: GaugeMetricFamily(f"{PREFIX}server_{name}", text, labels=["daemon", "server"])
        for name, text in _SERVER_GAUGES.items()
    }
    for reading, server in _servers(readings):
        for name, value in _server_values(server).items():
            if value is not None:
                gauges[name].add_metric([reading.name, printable(server.name)], value)
    yield from gauges.values()


def _server_values(server: ServerState) -> dict[str, int | None]:
    pool, limits = server.pool, server.limits
    return {
        "workers": pool.n_workers,
        "workers_idle": pool.free_workers,
        "workers_min": pool.min_workers,
        "workers_max": pool.max_workers,
        "workers_priority": pool.prio_workers,
        "queued_calls": pool.job_queue_depth,
        "clients": limits.clients,
        "clients_max": limits.max_clients,
        "clients_unauthenticated": limits.unauth_clients,
        "clients_unauthenticated_max": limits.max_unauth_clients,
    }


def _tls_families(readings: list[Reading]) -> Iterator[Metric]:
    expiry = GaugeMetricFamily(
        f"{PREFIX}server_tls_certificate_expiry_timestamp_seconds",
        "End of the certificate's validity; the earliest one of those with this subject.",
        labels=["daemon", "server", "kind", "subject"],
    )
    due = GaugeMetricFamily(
        f"{PREFIX}server_tls_revocation_list_due_timestamp_seconds",
        "When the issuer wants to have published the next revocation list.",
        labels=["daemon", "server", "issuer"],
    )
    loaded = GaugeMetricFamily(
        f"{PREFIX}server_tls_loaded_timestamp_seconds",
        "When the server read its TLS files.",
        labels=["daemon", "server"],
    )
    for reading, server in _servers(readings):
        if server.tls is None:
            continue
        place = (reading.name, printable(server.name))
        loaded.add_metric(place, server.tls.loaded)
        ends = [("own", one.subject, one.not_after) for one in server.tls.own]
        ends += [("authority", one.subject, one.not_after) for one in server.tls.authorities]
        # Two series of the same labels would cost the whole scrape.
        for kind, subject in dict.fromkeys(end[:2] for end in ends):
            earliest = min(end[2] for end in ends if end[:2] == (kind, subject))
            expiry.add_metric([*place, kind, printable(subject)], earliest)
        for issuer in dict.fromkeys(one.issuer for one in server.tls.revocations if one.due):
            dues = (one.due for one in server.tls.revocations if one.issuer == issuer and one.due)
            due.add_metric([*place, printable(issuer)], min(dues))
    yield from (expiry, due, loaded)


def _servers(readings: list[Reading]) -> Iterator[tuple[Reading, ServerState]]:
    for reading in readings:
        if reading.state is not None:
            for server in reading.state.servers:
                yield reading, server
