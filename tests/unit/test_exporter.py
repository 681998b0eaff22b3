"""The exporter: its metrics, in both formats, of daemons that answer, hang, end and come back."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gzip
import re
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client import Metric, parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from aiovirt.admin import protocol
from aiovirt.admin.exporter.collection import Collection, Reading
from aiovirt.admin.exporter.families import PREFIX, families
from aiovirt.admin.exporter.listen import ListenAddress
from aiovirt.admin.exporter.serving import Exporter
from aiovirt.admin.extension.protocol.tls import CertificateInfo, RevocationInfo, TlsInfo
from aiovirt.admin.watch.statistics import Histogram, ProcedureCounts, ServerCounts
from aiovirt.admin.watch.watched import Watched
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.unit.house import PATIENCE
from tests.unit.scripted_daemon import HangUp, raising, scripted_daemon

ROOT = Path(__file__).parents[2]
LOOPBACK = ListenAddress("127.0.0.1", 0)


class Got(NamedTuple):
    """An answer over HTTP: its status line, header fields and body."""

    status: int
    fields: dict[str, str]
    body: bytes

    def value(self, name: str, **labels: str) -> float | None:
        """The value of the one sample of this name with these labels among its labels."""
        found = [
            sample.value
            for family in parser.text_string_to_metric_families(self.body.decode())
            for sample in family.samples
            if sample.name == PREFIX + name and labels.items() <= sample.labels.items()
        ]
        assert len(found) <= 1, (name, labels, found)
        return found[0] if found else None


async def get(url: str, *fields: str, method: str = "GET", path: str | None = None) -> Got:
    where, _, rest = url.removeprefix("http://").partition("/")
    request = f"{method} {path or '/' + rest} HTTP/1.1\r\nHost: x\r\n"
    return await exchange(where, request + "".join(f"{one}\r\n" for one in fields) + "\r\n")


async def exchange(where: str, request: str) -> Got:
    host, _, port = where.rpartition(":")
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        with contextlib.closing(writer):
            writer.write(request.encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    named = dict(line.split(": ", 1) for line in lines)
    return Got(int(status.split(" ")[1]), named, body)


@contextlib.asynccontextmanager
async def exporting(
    *uris: str, timeout: float | None = None, address: ListenAddress = LOOPBACK
) -> AsyncIterator[str]:
    """An exporter of these daemons; the URL of its metrics."""
    exporter = Exporter([Watched(uri, timeout) for uri in uris])
    try:
        (url, *_) = await exporter.listen(address)
        yield url
    finally:
        await exporter.close()


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """The URI of a daemon that takes connections and never answers."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(f"{tmp_path}/silent")
        listener.listen()
        yield f"virtd:///session?socket={tmp_path}/silent"


async def test_the_common_admin_program_of_a_daemon_becomes_metrics() -> None:
    async with scripted_daemon() as daemon, exporting(daemon.uri) as url:
        got = await get(url)
    assert got.status == 200
    assert got.value("up", daemon=daemon.uri) == 1
    assert got.value("daemon_info", version="9.1.2", extension="no") == 1
    expected = {
        "workers": 6,
        "workers_idle": 4,
        "workers_min": 5,
        "workers_max": 20,
        "workers_priority": 5,
        "queued_calls": 1,
        "clients": 2,
        "clients_max": 5000,
        "clients_unauthenticated": 1,
        "clients_unauthenticated_max": 20,
    }
    for name, value in expected.items():
        assert got.value(f"server_{name}", daemon=daemon.uri, server="main") == value, name


async def test_a_daemon_that_hangs_or_is_not_there_costs_its_own_metrics_only(silent: str) -> None:
    gone = "logd:///session?socket=/nonexistent/sock"
    async with scripted_daemon() as daemon, exporting(daemon.uri, silent, gone, timeout=0.2) as url:
        got = await get(url)
        again = await get(url)
    assert [got.value("up", daemon=one) for one in (daemon.uri, silent, gone)] == [1, 0, 0]
    assert got.value("server_clients", server="main", daemon=daemon.uri) == 2
    assert got.value("server_clients", server="main", daemon=silent) is None
    for reading, count in ((got, 1), (again, 2)):
        failures = "poll_failures_total"
        assert reading.value(failures, daemon=silent, reason="timeout") == count
        assert reading.value(failures, daemon=gone, reason="unreachable") == count
        assert reading.value(failures, daemon=daemon.uri, reason="timeout") == 0


async def test_a_connection_is_kept_and_made_again_when_it_was_lost() -> None:
    hang_up = False

    def version(args: None) -> protocol.LibVersion:
        if hang_up:
            raise HangUp
        return protocol.LibVersion(9_000_000)

    script = {protocol.CONNECT_GET_LIB_VERSION: version}
    async with scripted_daemon(script) as daemon, exporting(daemon.uri) as url:
        assert [(await get(url)).value("up") for _ in range(3)] == [1, 1, 1]
        assert len(daemon.called(protocol.CONNECT_OPEN)) == 1
        hang_up = True
        assert (await get(url)).value("up") == 0
        hang_up = False
        assert (await get(url)).value("up") == 1


async def test_a_daemon_that_was_restarted_is_read_in_the_same_scrape() -> None:
    lost = []

    def version(args: None) -> protocol.LibVersion:
        if len(daemon.called(protocol.CONNECT_OPEN)) == 1 and len(daemon.calls) > 10:
            lost.append(True)
            raise HangUp
        return protocol.LibVersion(9_000_000)

    script = {protocol.CONNECT_GET_LIB_VERSION: version}
    async with scripted_daemon(script) as daemon, exporting(daemon.uri) as url:
        while not lost:
            assert (await get(url)).value("up") == 1
    assert len(daemon.called(protocol.CONNECT_OPEN)) == 2


async def test_scrapes_at_the_same_time_share_one_collection() -> None:
    async with scripted_daemon() as daemon:
        collection = Collection([Watched(daemon.uri)])
        readings = await asyncio.gather(*(collection.readings() for _ in range(20)))
        await collection.readings()
        await collection.close()
    assert all(one is readings[0] for one in readings)
    assert len(daemon.called(protocol.CONNECT_LIST_SERVERS)) == 2


async def test_a_daemon_without_the_extension_is_asked_for_it_once_a_connection() -> None:
    async with scripted_daemon() as daemon, exporting(daemon.uri) as url:
        for _ in range(3):
            await get(url)
    asked = [name for name, _ in daemon.calls if name.startswith("program ")]
    assert len(asked) == 2, asked  # for statistics, and for TLS


async def test_a_daemon_that_refuses_is_down() -> None:
    refusal = raising(RpcError(ErrorCode.ACCESS_DENIED, "not you"))
    script = {protocol.CONNECT_LIST_SERVERS: refusal}
    async with scripted_daemon(script) as daemon, exporting(daemon.uri) as url:
        got = await get(url)
    assert got.value("up") == 0
    assert got.value("poll_failures_total", reason="refused") == 1


async def test_a_scraper_chooses_between_the_two_formats_and_compression() -> None:
    async with scripted_daemon() as daemon, exporting(daemon.uri) as url:
        plain = await get(url)
        open_metrics = await get(url, "Accept: application/openmetrics-text; version=1.0.0")
        packed = await get(url, "Accept-Encoding: deflate, gzip;q=0.8")
        unpacked = await get(url, "Accept-Encoding: gzip;q=0")
    assert plain.fields["Content-Type"].startswith("text/plain; version=0.0.4")
    assert open_metrics.fields["Content-Type"].startswith("application/openmetrics-text")
    assert open_metrics.body.endswith(b"# EOF\n")
    names = {one.name for one in _parsed_strictly(open_metrics.body.decode())}
    assert f"{PREFIX}server_clients" in names
    assert packed.fields["Content-Encoding"] == "gzip"
    assert b"libvirt_admin_up" in gzip.decompress(packed.body)
    assert "Content-Encoding" not in unpacked.fields


def _parsed_strictly(text: str) -> list[Metric]:
    return list(openmetrics_parser.text_string_to_metric_families(text))


@pytest.mark.parametrize(
    "text", ["", "x", "9177", "::1:9177", "[::1]", "1.2.3.4:65536", "a:-1", "[]:1"]
)
def test_an_address_to_listen_on_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="option --listen takes ADDRESS:PORT") as refused:
        ListenAddress.parse(text)
    assert f"not '{text}'" in str(refused.value)


def test_addresses_to_listen_on_have_a_host_or_none() -> None:
    for text in ("127.0.0.1:9177", "[::1]:0", "localhost:1", ":9177"):
        assert str(ListenAddress.parse(text)) == text
    assert ListenAddress.parse(":9177") == ListenAddress(None, 9177)


async def test_an_ipv6_address_is_listened_on() -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    async with exporting(address=ListenAddress("::1", 0)) as url:
        assert url.startswith("http://[::1]:")
        assert (await get(url)).status == 200


HISTOGRAM = Histogram((0.001, 0.01, 1.0), (1, 4, 5), 6, 2.5)
COUNTS = ProcedureCounts(
    "main", "remote", "DOMAIN_GET_XML", 6, {"NO_DOMAIN": 2}, 600, 1200, HISTOGRAM
)
SERVER = ServerCounts(6, 2, 600, 1200, 3, 1, HISTOGRAM)


async def read(daemon_uri: str) -> Reading:
    collection = Collection([Watched(daemon_uri)])
    try:
        (reading,) = await collection.readings()
    finally:
        await collection.close()
    return reading


async def test_counts_and_histograms_are_cumulative_and_name_no_client() -> None:
    async with scripted_daemon() as daemon:
        reading = await read(daemon.uri)
    assert reading.state is not None
    servers = tuple(dataclasses.replace(one, counts=SERVER) for one in reading.state.servers)
    state = dataclasses.replace(reading.state, servers=servers, procedures=(COUNTS,))
    samples = {
        (one.name.removeprefix(PREFIX), one.labels.get("le")): one
        for family in families([reading, dataclasses.replace(reading, name="b", state=state)])
        for one in family.samples
        if one.labels.get("daemon") == "b"
    }
    values = {key: one.value for key, one in samples.items()}
    assert values["calls_total", None] == 6
    assert values["call_errors_total", None] == 2
    assert (values["received_bytes_total", None], values["sent_bytes_total", None]) == (600, 1200)
    buckets = [
        values["call_duration_seconds_bucket", le] for le in ("0.001", "0.01", "1.0", "+Inf")
    ]
    assert buckets == [1, 4, 5, 6]
    assert values["call_duration_seconds_sum", None] == 2.5
    assert values["queue_duration_seconds_count", None] == 6
    assert values["calls_in_flight", None] == 3
    assert not any("client" in one.labels for one in samples.values())


def certificate(subject: str, end: int) -> CertificateInfo:
    return CertificateInfo(subject, "CN=ca", "1", "", 0, end)


async def test_certificates_of_one_subject_are_one_series_with_the_earliest_end() -> None:
    tls = TlsInfo(
        "c", "k", "a", "r", 5, [certificate("CN=me", 70)],
        [certificate("CN=ca", 200), certificate("CN=ca", 100), certificate("CN=\udcff", 9)],
        [RevocationInfo("CN=ca", 0, 0, 50), RevocationInfo("CN=ca", 0, 0, 0)], False, "NORMAL",
    )  # fmt: skip
    async with scripted_daemon() as daemon:
        reading = await read(daemon.uri)
    assert reading.state is not None
    servers = tuple(dataclasses.replace(one, tls=tls) for one in reading.state.servers)
    reading = dataclasses.replace(
        reading, state=dataclasses.replace(reading.state, servers=servers)
    )
    found = {
        (one.labels.get("kind"), one.labels.get("subject") or one.labels.get("issuer")): one.value
        for family in families([reading])
        for one in family.samples
        if one.name.startswith(f"{PREFIX}server_tls") and one.labels["server"] == "main"
    }
    assert found == {
        ("own", "CN=me"): 70,
        ("authority", "CN=ca"): 100,
        ("authority", "CN=\ufffd"): 9,
        (None, "CN=ca"): 50,
        (None, None): 5,
    }


async def test_the_document_names_every_metric() -> None:
    text = (ROOT / "docs" / "exporter.md").read_text()
    tables = text[text.index("## Metrics of every daemon") : text.index("## Useful expressions")]
    written = set()
    for cell in re.findall(r"^\| (`libvirt_admin_[^|]*) \|", tables, re.MULTILINE):
        first, *more = re.findall(r"`([^`]+)`", cell)
        stem = re.sub(r"_(min|clients|clients_unauthenticated)$", "", first)
        written |= {first, *(stem + one if one.startswith("_") else one for one in more)}
    async with scripted_daemon() as daemon, exporting(daemon.uri) as url:
        got = await get(url)
    served = re.findall(r"^# TYPE (\S+)", got.body.decode(), re.MULTILINE)
    assert written == set(served)
