"""The benchmarks run: with few clients and for moments, so that nothing is measured here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import harness
from tests.bench import (
    attack_phase,
    load,
    lock_phases,
    log_load,
    log_phases,
    phases,
    report,
    turns,
    virtd_phase,
)
from tests.bench.findings import Findings


@pytest.mark.parametrize("name", phases.PHASES)
def test_a_phase_measures_our_daemon(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "IDLE", 20)
    monkeypatch.setattr(phases, "HELD", 30)
    monkeypatch.setattr(lock_phases, "HOLDERS", 20)
    monkeypatch.setattr(log_phases, "MANY", 3)
    monkeypatch.setattr(log_phases, "GUESTS", 20)
    monkeypatch.setattr(attack_phase, "CASES", attack_phase.CASES[:2])
    for number in ("GUESTS", "MANY", "CLIENTS"):
        monkeypatch.setattr(virtd_phase, number, 3)
    if name == "virtd" and not virtd_phase.has_binding():
        harness.missing(virtd_phase.MISSING)
    try:
        load.build("load")
    except load.Unbuildable as error:
        harness.missing(str(error))
    bench = turns.Bench(rounds=1, seconds=0.03, only=frozenset(harness.OURS))
    findings = phases.PHASES[name](bench)
    assert findings.series
    assert findings.title in report.phase(findings)


def test_a_bound_is_held_to_the_median_of_the_ratios_of_each_round() -> None:
    findings = Findings("title")
    findings.add("ours", "calls/s", [30.0, 300.0, 31.0])
    findings.add("theirs", "calls/s", [10.0, 100.0, 31.0])
    findings.ratio("claim", "ours", "theirs", 3)
    assert [(found.found, found.kept) for found in findings.verdicts] == [(3.0, True)]


def test_a_promise_about_locks_is_held_to_for_each_depth() -> None:
    findings = Findings("title")
    for depth, rate in zip(lock_phases.DEPTHS, (11.0, 20.0), strict=True):
        findings.add(f"{depth} in flight: virtlockd", "pairs/s", [10.0])
        findings.add(f"{depth} in flight: lockd", "pairs/s", [rate])
    lock_phases.promise(findings, "claim", 1.2)
    assert [found.kept for found in findings.verdicts] == [False, True]


def test_nothing_is_claimed_about_what_was_not_measured() -> None:
    findings = Findings("title")
    findings.add("ours", "s", [1.0])
    findings.ratio("claim", "ours", "theirs", 3)
    findings.at_most("claim", "theirs", 3)
    assert findings.verdicts == []


def test_never_above_is_held_to_the_worst_of_all_rounds() -> None:
    findings = Findings("title")
    findings.add("ours", "ms", [1.0, 60.0, 2.0])
    findings.never_above("claim", "ours", 50)
    assert [(found.found, found.kept) for found in findings.verdicts] == [(60.0, False)]


@pytest.mark.parametrize("start", [b"", b"a line\n"])
def test_a_log_says_itself_how_much_its_guest_wrote(start: bytes, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(start + b"end 1234\n")
    size = log.stat().st_size
    assert log_load.end_of(str(log), size) == 1234 + len(b"end 1234\n")
    for damaged in (start, start + b"end 1234", start + b"end 1234\n" * 2, start + b"end 12\n"):
        log.write_bytes(damaged)
        with pytest.raises(RuntimeError):
            log_load.end_of(str(log), size)
