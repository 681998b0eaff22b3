"""What is measured of the log manager program, logd's next to virtlogd's."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from functools import partial

from tests.bench import log_load
from tests.bench.contenders import LOGD, VIRTLOGD, Contender
from tests.bench.findings import Findings, alternate
from tests.bench.log_load import Delays, Logs
from tests.bench.turns import Bench

RATE = "MB/s"
MANY = 50
GUESTS = 500
_MEGABYTE = 1e6


def one_writer(bench: Bench) -> Findings:
    """One guest that writes as fast as it can."""
    return _throughput(bench, 1, "one guest writes as fast as it can")


def many_writers(bench: Bench) -> Findings:
    """Many guests that do."""
    return _throughput(bench, MANY, f"{MANY} guests write as fast as they can")


def _throughput(bench: Bench, writers: int, title: str) -> Findings:
    findings = Findings(title)

    with _opened(bench, writers, full=True) as (servers, logs):

        def rate(server: Contender) -> float:
            return logs[server.name].throughput(bench.seconds) / _MEGABYTE

        bench.watched(findings, RATE, servers, rate)
    findings.notes.append(_place())
    findings.ratio(f"{title}: logd over virtlogd", LOGD, VIRTLOGD, 3)
    return findings


def one_floods(bench: Bench) -> Findings:
    """How long the lines of quiet guests take while one floods its log."""
    findings = Findings(f"{GUESTS} guests of which one floods: delays of the others' lines")
    found: dict[str, list[Delays]] = defaultdict(list)

    def longest(name: str, logs: Logs) -> float:
        found[name].append(logs.delays(bench.seconds))
        return found[name][-1].longest

    with _opened(bench, GUESTS) as (_, opened):
        measures = {name: partial(longest, name, logs) for name, logs in opened.items()}
        alternate(bench.rounds, measures)
    for name, delays in found.items():
        findings.add(f"{name}: median", "ms", [one.median for one in delays])
        findings.add(f"{name}: 99 % are below", "ms", [one.percentile_99 for one in delays])
        findings.add(f"{name}: longest", "ms", [one.longest for one in delays])
        findings.add(f"{name}: the flood", RATE, [one.flood / _MEGABYTE for one in delays])
        lines = sum(one.lines for one in delays)
        findings.notes.append(f"{name} was given {lines} lines by quiet guests.")
    findings.notes.append(_place())
    findings.never_above("a line beside a flood: the longest of all delays", f"{LOGD}: longest", 50)
    return findings


def _place() -> str:
    return f"The logs are on {log_load.file_system()}."


@contextlib.contextmanager
def _opened(
    bench: Bench, guests: int, *, full: bool = False
) -> Iterator[tuple[dict[str, Contender], dict[str, Logs]]]:
    """The daemons, and for each so many logs, for all rounds."""
    with bench.running(VIRTLOGD, LOGD) as servers, contextlib.ExitStack() as stack:
        yield (
            servers,
            {
                name: stack.enter_context(Logs(server.main, guests, full=full))
                for name, server in servers.items()
            },
        )
