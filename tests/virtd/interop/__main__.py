"""Compares virsh on libvirtd and on virtd: `python -m tests.virtd.interop [WORD...]`.

A WORD chooses the stories whose driver, area or name has it. `--differences` shows what differs,
`--update` corrects the list of known differences and the section of docs/virtd.md.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter

from tests.virtd.interop import differences
from tests.virtd.interop.performing import Compared, perform
from tests.virtd.interop.story import DRIVERS, stories


async def _compared(words: list[str], show: str) -> list[Compared]:
    chosen = [one for one in stories() if all(word in str(one) for word in words)]
    known = differences.listed()
    results = []
    async for one in perform(chosen):
        results.append(one)
        if not one.alike and (
            show == "all" or (show == "new" and differences.key(one) not in known)
        ):
            print(one, end="\n\n", flush=True)
    return results


def _report(results: list[Compared]) -> None:
    count: Counter[tuple[str, str]] = Counter()
    alike: Counter[tuple[str, str]] = Counter()
    for one in results:
        for area in (one.story.area, "(all)"):
            count[one.story.driver, area] += 1
            alike[one.story.driver, area] += one.alike
    for driver in DRIVERS:
        for key in sorted(key for key in count if key[0] == driver):
            print(f"{driver:5} {key[1]:15} {alike[key]:4} of {count[key]:4} agree")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.virtd.interop")
    parser.add_argument("--differences", choices=["all", "new"], default="", help="show them")
    parser.add_argument("--update", action="store_true", help="correct the list of differences")
    parser.add_argument("words", nargs="*", metavar="WORD")
    options = parser.parse_args()
    results = asyncio.run(_compared(options.words, options.differences))
    _report(results)
    if options.update:
        differences.write(differences.updated(differences.listed(), results))


if __name__ == "__main__":
    main()
