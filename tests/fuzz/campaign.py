"""Several targets, one process each, as many at a time as there are cores; and what came of them."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from tests.fuzz import engine
from tests.fuzz.engine import Limits, Sample
from tests.fuzz.inputs import CRASHES, save
from tests.fuzz.target import Target

#: Memory that may be had at the end of a run beyond what was there at its middle, in all and for each
#: input between: the fuzzer itself takes that much. What is left behind shows more clearly in blocks.
_SLACK_RESIDENT: Final = 16 << 20
_SLACK_PER_INPUT: Final = 256
_SLACK_BLOCKS: Final = 20_000
_SLACK_DESCRIPTORS: Final = 4


class Result(NamedTuple):
    """What came of one target. edges: branches seen; corpus: inputs kept; samples: memory at the
    begin, in the middle and at the end; verdict: "ok", or what was found; crash: the input that did it.
    """

    name: str
    inputs: int
    seconds: float
    edges: int
    corpus: int
    samples: tuple[Sample, Sample, Sample] | None
    verdict: str
    crash: Path | None = None
    details: str = ""


def shares(targets: Iterable[Target], runs: int) -> dict[str, int]:
    """So many inputs in all, divided by the targets' shares and costs; every target gets some."""
    chosen = list(targets)
    total = sum(target.share for target in chosen)
    parts = {target.name: max(1, runs * target.share // total // target.cost) for target in chosen}
    largest = max(chosen, key=lambda target: target.share / target.cost).name
    parts[largest] = max(1, parts[largest] + runs - sum(parts.values()))
    return parts


class Campaign:
    """Runs targets. place: a folder for corpora and traces; seed: where chance begins, 0 for anew."""

    def __init__(self, place: Path, limits: Limits, seed: int = 0, jobs: int = 1) -> None:
        self.place = place
        self._limits = limits
        self._seed = seed
        self._jobs = jobs
        self._running: dict[int, tuple[Target, float]] = {}

    def run(self, targets: list[Target], *, equally: bool = False) -> list[Result]:
        """Fuzz them all; the results in the order of the targets.

        equally: the limit's inputs are for each one, not for all together; fewer where one costs more.
        """
        parts = shares(targets, self._limits.runs)
        if equally:
            parts = {one.name: max(1, self._limits.runs // one.cost) for one in targets}
        waiting = sorted(targets, key=lambda target: -target.share)
        results: dict[str, Result] = {}
        while waiting or self._running:
            while waiting and len(self._running) < self._jobs:
                target = waiting.pop(0)
                pid = self._start(target, self._limits._replace(runs=parts[target.name]))
                self._running[pid] = target, time.monotonic()
            pid, status = os.wait()
            if pid in self._running:
                target, begun = self._running.pop(pid)
                code = os.waitstatus_to_exitcode(status)
                results[target.name] = self._result(target, code, time.monotonic() - begun)
        return [results[target.name] for target in targets]

    def _start(self, target: Target, limits: Limits) -> int:
        folder = self.place / "runs" / target.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        try:
            seed = Random(f"{self._seed} {target.name}").randrange(1, 1 << 31) if self._seed else 0
            engine.run(target, limits, folder, self.place / "corpus" / target.name, seed)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

    def _result(self, target: Target, code: int, seconds: float) -> Result:
        folder = self.place / "runs" / target.name
        log = (folder / engine.LOG).read_text(errors="replace")
        samples = _samples(folder / engine.SAMPLES)
        found = sorted(folder.glob("found-*"))
        crash, details, verdict = None, "", "ok"
        if found:
            kind = found[0].name.split("-")[1]
            verdict = {"crash": "CRASH", "timeout": "HANG", "oom": "GROWTH"}.get(kind, kind)
            crash = save(CRASHES, target.name, found[0].read_bytes())
            details = _what_happened(log)
        elif code:
            verdict, details = f"ENDED WITH {code}", log[-3000:]
        elif samples and (grown := growth(samples)):
            verdict, details = "GROWTH", grown
        inputs = _last(r"^stat::number_of_executed_units:\s*(\d+)", log) or _last(r"^#(\d+)\s", log)
        edges, corpus = _last(r"cov: (\d+)", log), _last(r"corp: (\d+)", log)
        return Result(target.name, inputs, seconds, edges, corpus, samples, verdict, crash, details)


def growth(samples: tuple[Sample, Sample, Sample]) -> str:
    """What grew in the second half of a run, or nothing."""
    _, middle, end = samples
    resident = _SLACK_RESIDENT + _SLACK_PER_INPUT * (end.inputs - middle.inputs)
    for what, one, other, slack in (
        ("bytes of memory", middle.resident, end.resident, resident),
        ("blocks", middle.blocks, end.blocks, _SLACK_BLOCKS),
        ("descriptors", middle.descriptors, end.descriptors, _SLACK_DESCRIPTORS),
    ):
        if other - one > slack:
            return f"{one} {what} at the middle, {other} at the end"
    return ""


def _samples(path: Path) -> tuple[Sample, Sample, Sample] | None:
    lines = path.read_text().splitlines() if path.exists() else []
    taken = [Sample(*map(int, line.split())) for line in lines]
    if not taken:
        return None
    return taken[0], taken[len(taken) // 2], taken[-1]


def _last(pattern: str, text: str) -> int:
    found = re.findall(pattern, text, re.MULTILINE)
    return int(found[-1]) if found else 0


def _what_happened(log: str) -> str:
    lines = log.splitlines()
    signs = ("Traceback", "ERROR: libFuzzer", "ALARM:")
    begin = next((at for at, line in enumerate(lines) if line.startswith(signs)), 0)
    return "\n".join(lines[begin:][-40:])
