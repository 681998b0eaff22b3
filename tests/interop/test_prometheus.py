"""A real Prometheus scrapes the exporter, of our daemons and libvirt's, and evaluates the dashboard."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from aiovirt.admin import pki
from tests import harness

DAEMONS = ("virtd", "lockd", "logd", "virtlogd", "virtlockd")
DASHBOARD = harness.ROOT / "conf" / "grafana" / "aiovirt.json"
#: A daemon that is not there.
GONE = "libvirtd:///system?socket=/nonexistent/sock"


@contextlib.contextmanager
def process(*command: str, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the length of a block, its output in a file."""
    with output.open("wb") as file:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(harness.PATIENCE)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=harness.PATIENCE) as answer:
        text: str = answer.read().decode()
        return text


class Prometheus:
    """A running Prometheus. url: its base; exporter: the URL of what it scrapes."""

    def __init__(self, url: str, exporter: str, uris: dict[str, str]) -> None:
        self.url = url
        self.exporter = exporter
        self.uris = uris

    def query(self, expression: str) -> list[Any]:
        """The result of an instant query."""
        query = urllib.parse.urlencode({"query": expression})
        answer = json.loads(fetch(f"{self.url}/api/v1/query?{query}"))
        assert answer["status"] == "success", answer
        found: list[Any] = answer["data"]["result"]
        return found

    def value(self, expression: str) -> float | None:
        """The one value of an expression, None if there is none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    program = harness.require("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    pki.create(folder / "pki", hosts=["localhost"])
    with contextlib.ExitStack() as stack:
        uris = {}
        for name in DAEMONS:
            settings = harness.tls_settings(str(folder / "pki"), harness.free_port())
            daemon = stack.enter_context(
                harness.running(name, settings if name == "virtd" else None)
            )
            scheme = name if name in harness.OURS else "libvirtd"
            uris[name] = daemon.uri.replace("libvirtd:", f"{scheme}:", 1)
        exporter = stack.enter_context(exporting([*uris.values(), GONE], folder / "exporter"))
        url = stack.enter_context(scraping(program, exporter, folder))
        yield Prometheus(url, exporter, uris)


@contextlib.contextmanager
def exporting(uris: Sequence[str], output: Path) -> Iterator[str]:
    """Run the exporter; the URL of its metrics."""
    words = [word for uri in uris for word in ("-c", uri)]
    command = [sys.executable, "-m", "aiovirt.admin.cli", *words]
    with process(*command, "exporter", "--listen", "127.0.0.1:0", output=output) as running:
        wait_for(lambda: b"\n" in output.read_bytes() or running.poll() is not None, output)
        text = output.read_text()
        assert text.startswith("metrics at "), text
        yield text.split()[-1]
        running.send_signal(signal.SIGTERM)
        assert running.wait(harness.PATIENCE) == 0
        assert output.read_text() == text


@contextlib.contextmanager
def scraping(program: str, exporter: str, folder: Path) -> Iterator[str]:
    """Run Prometheus until it has scraped twice; its URL."""
    target = urllib.parse.urlsplit(exporter).netloc
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
        "scrape_configs:\n- job_name: libvirt\n"
        f"  scrape_timeout: 500ms\n  static_configs: [{{targets: ['{target}']}}]\n"
    )
    port = harness.free_port()
    url = f"http://127.0.0.1:{port}"
    output = folder / "prometheus.log"
    with process(
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        output=output,
    ):
        scrapes = "count_over_time(libvirt_admin_up[1m])"
        there = Prometheus(url, exporter, {})

        def scraped() -> bool:
            with contextlib.suppress(OSError):
                counts = [float(one["value"][1]) for one in there.query(scrapes)]
                return len(counts) == len(DAEMONS) + 1 and min(counts) >= 2
            return False

        wait_for(scraped, output)
        yield url


def wait_for(thing: Any, output: Path) -> None:
    """Wait until `thing()` is true; fail with a program's output when that does not come."""
    deadline = time.monotonic() + harness.PATIENCE
    while not thing():
        assert time.monotonic() < deadline, output.read_text()[-4000:]
        time.sleep(0.05)


def test_prometheus_gets_every_daemon_and_knows_which_one_is_gone(prometheus: Prometheus) -> None:
    assert prometheus.value("up") == 1
    up = {one["metric"]["daemon"]: one["value"][1] for one in prometheus.query("libvirt_admin_up")}
    assert up == {**dict.fromkeys(prometheus.uris.values(), "1"), GONE: "0"}
    assert prometheus.value(f'libvirt_admin_server_clients{{daemon="{GONE}"}}') is None
    failed = prometheus.value("sum by (reason) (libvirt_admin_poll_failures_total) > 0")
    assert failed is not None
    assert failed >= 2


@pytest.mark.parametrize("name", DAEMONS)
def test_each_daemon_counts_the_exporter_among_its_clients(
    prometheus: Prometheus, name: str
) -> None:
    daemon = f'daemon="{prometheus.uris[name]}"'
    assert prometheus.value(f'libvirt_admin_server_clients{{{daemon}, server="admin"}}') == 1
    assert prometheus.value(f'libvirt_admin_server_clients_max{{{daemon}, server="admin"}}') == 5000
    assert prometheus.value(f'libvirt_admin_server_queued_calls{{{daemon}, server="{name}"}}') == 0


def test_ours_tell_more_than_libvirts(prometheus: Prometheus) -> None:
    counted = prometheus.query(
        'rate(libvirt_admin_calls_total{procedure="CONNECT_LIST_SERVERS"}[1m]) > 0'
    )
    assert {one["metric"]["daemon"] for one in counted} == {
        prometheus.uris[name] for name in harness.OURS
    }
    quantile = "histogram_quantile(0.9, sum by (le) (libvirt_admin_call_duration_seconds_bucket))"
    slow = prometheus.value(quantile)
    assert slow is not None
    assert 0 < slow < 10
    days = prometheus.value(
        "min(libvirt_admin_server_tls_certificate_expiry_timestamp_seconds - time()) / 86400"
    )
    assert days is not None
    assert days > 1


def test_promtool_finds_nothing_to_say_about_the_metrics(prometheus: Prometheus) -> None:
    tool = harness.require("promtool")
    checked = subprocess.run(
        [tool, "check", "metrics"],
        input=fetch(prometheus.exporter),
        capture_output=True,
        text=True,
        timeout=harness.PATIENCE,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def expressions() -> list[tuple[str, str]]:
    """The title of each panel of the dashboard, with each of its expressions."""
    dashboard = json.loads(DASHBOARD.read_text())
    return [
        (panel["title"], target["expr"])
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


@pytest.mark.parametrize(("title", "expression"), expressions())
def test_every_panel_of_the_dashboard_has_data(
    prometheus: Prometheus, title: str, expression: str
) -> None:
    for variable, value in (("$__rate_interval", "1m"), ("$daemon", ".*"), ("$server", ".*")):
        expression = expression.replace(variable, value)
    assert "$" not in expression
    # Nothing waits for a worker here, and no call of the exporter fails on every daemon.
    if "queue_duration" in expression:
        assert prometheus.query("libvirt_admin_queue_duration_seconds_count")
        prometheus.query(expression)
    else:
        assert prometheus.query(expression), expression


def test_the_dashboards_variables_name_metrics_and_labels(prometheus: Prometheus) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [
        one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"
    ]
    assert len(queries) == 2
    for query in queries:
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        assert match is not None, query
        found = prometheus.query(match[1].replace("$daemon", ".*"))
        assert found
        assert all(match[2] in one["metric"] for one in found)
