"""Run the benchmarks: `make bench`, or `python -m tests.bench 16x5 --only virtd --rounds 3`.

What is printed is written to build/bench.md as well, and with --document into docs/bench.md.
"""

from __future__ import annotations

import argparse
import sys

from tests import harness
from tests.bench import contenders, load, machine, report
from tests.bench.findings import Verdict
from tests.bench.phases import HELD, PHASES
from tests.bench.turns import Bench

_OUT = harness.ROOT / "build" / "bench.md"
_DOCUMENT = harness.ROOT / "docs" / "bench.md"
_MEASURED = "\n## Measured\n"
"""The document's last heading; everything below it is this program's output."""
_NAMES = {
    "ours": frozenset(harness.OURS),
    "bare": frozenset((contenders.BARE,)),
    **{name: frozenset((name,)) for name in (*harness.OURS, *harness.REAL)},
}


def main() -> int:
    """Measure what was asked for; 1 if something cannot be measured, or with --strict is missed."""
    wanted = _arguments()
    descriptors = contenders.allow_descriptors()
    if descriptors < HELD + 1000:
        print(f"Only {descriptors} open files are allowed; `ulimit -n {HELD * 2}` allows enough.")
        return 1
    try:
        load.build("load")
    except load.Unbuildable as error:
        print(error)
        return 1
    only = frozenset().union(*(_NAMES[name] for name in wanted.only)) if wanted.only else None
    bench = Bench(wanted.rounds, wanted.seconds, only)
    parts: list[str] = []

    def say(text: str) -> None:
        parts.append(text)
        print(f"{text}\n", flush=True)

    say(report.machine(machine.describe()))
    verdicts: list[Verdict] = []
    for name in wanted.phases or PHASES:
        findings = PHASES[name](bench)
        say(report.phase(findings))
        verdicts += findings.verdicts
    for name, reason in bench.left_out.items():
        say(f"Left out: {name}: {reason}")
    if len(wanted.phases) != 1 and verdicts:
        say(f"### All promises\n\n{report.verdicts(verdicts)}")
    _OUT.parent.mkdir(exist_ok=True)
    measured = "\n\n".join(parts) + "\n"
    _OUT.write_text(measured)
    if wanted.document:
        written, heading, _ = _DOCUMENT.read_text().partition(_MEASURED)
        _DOCUMENT.write_text(f"{written}{heading}\n{measured}")
    return int(wanted.strict and not all(verdict.kept for verdict in verdicts))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    add = parser.add_argument
    add("phases", nargs="*", metavar="PHASE", help=f"of: {' '.join(PHASES)}; all without any")
    add("--rounds", type=int, default=5, help="measurements of each contender (default 5)")
    add("--seconds", type=float, default=0.8, help="length of a measurement (default 0.8)")
    add("--only", action="append", metavar="NAME", help=f"of: {' '.join(_NAMES)}; repeatable")
    add("--strict", action="store_true", help="exit with 1 if a promise is not kept")
    add("--document", action="store_true", help="write the result into docs/bench.md")
    found = parser.parse_args()
    for given, allowed in ((found.phases, PHASES), (found.only or (), _NAMES)):
        for name in given:
            if name not in allowed:
                parser.error(f"{name!r} is not one of {', '.join(allowed)}")
    return found


if __name__ == "__main__":
    sys.exit(main())
