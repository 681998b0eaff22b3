"""Fuzz everything that reads bytes, or some of it; see docs/fuzzing.md."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tests.fuzz import engine
from tests.fuzz.campaign import Campaign, Result
from tests.fuzz.inputs import load
from tests.fuzz.target import Target

_PLACE = Path("build/fuzz")


def main(arguments: list[str]) -> int:
    """The command; 1 when something was found, 2 for a mistake in the command line."""
    options = _parser().parse_args(arguments)
    if options.input:
        return _replay(options.targets, options.input)
    if not engine.is_available():
        print("tests.fuzz: atheris is not installed: pip install atheris", file=sys.stderr)
        return 2
    with engine.instrumented():
        from tests.fuzz.catalogue import targets

        known = targets()
    if options.list:
        print("\n".join(known))
        return 0
    chosen = _choose(known, options.targets)
    limits = engine.Limits(options.each or options.runs, options.seconds, options.hang)
    begun = time.monotonic()
    campaign = Campaign(options.place, limits, options.seed, options.jobs or os.cpu_count() or 1)
    results = campaign.run(chosen, equally=bool(options.each))
    print(table(results))
    inputs, took = sum(one.inputs for one in results), time.monotonic() - begun
    print(f"\n{inputs:,} inputs in {took:,.0f} s: {inputs / took:,.0f} a second")
    bad = [one for one in results if one.verdict != "ok"]
    for one in bad:
        print(f"\n{one.name}: {one.verdict}\n{one.details}")
        if one.crash is not None:
            path = os.path.relpath(one.crash)
            print(f"\nagain: python -m tests.fuzz {one.name} --input {path}")
    return 1 if bad else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all, unless some are named")
    parser.add_argument("--runs", type=int, default=100_000, help="inputs, over all targets")
    parser.add_argument(
        "--each", type=int, default=0, help="inputs for each target, instead of --runs"
    )
    parser.add_argument("--seconds", type=int, default=0, help="the most for each target; 0: any")
    parser.add_argument("--hang", type=int, default=10, help="seconds that one input may take")
    parser.add_argument(
        "--jobs", type=int, default=0, help="targets at a time; 0: one on each core"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same chances again; 0: other ones")
    parser.add_argument("--place", type=Path, default=_PLACE, help="a folder for corpora and logs")
    parser.add_argument(
        "--input", type=Path, help="run this one input (a .hex file) and nothing else"
    )
    parser.add_argument("--list", action="store_true", help="name the targets")
    return parser


def _choose(known: dict[str, Target], names: list[str]) -> list[Target]:
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no target {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        raise SystemExit(2)
    return [known[name] for name in names] or list(known.values())


def _replay(names: list[str], path: Path) -> int:
    from tests.fuzz.catalogue import targets

    (target,) = _choose(targets(), names or [path.parent.name])
    engine.watched(target, load(path))
    print(f"{target.name}: {path} passes")
    return 0


def table(results: list[Result]) -> str:
    """The results as a table in Markdown."""
    rows = [
        "| target | inputs | inputs/s | edges | corpus | MiB at begin, middle, end | verdict |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for one in results:
        memory = ", ".join(f"{each.resident / (1 << 20):.0f}" for each in one.samples or ())
        rate = one.inputs / one.seconds
        rows.append(
            f"| {one.name} | {one.inputs:,} | {rate:,.0f} | {one.edges:,} | {one.corpus:,} "
            f"| {memory} | {one.verdict} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
