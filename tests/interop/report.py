"""How far virtd answers as libvirtd does, by the calls of our client.

    python -m tests.interop.report                     # test:///default
    python -m tests.interop.report qemu:///system -v   # with both outcomes of each difference

One table row for each call: the same, or what differs. The status is 1 if a call differs.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass

from tests import harness
from tests.interop.calls import ANY, calls_of
from tests.interop.comparison import Outcome, hosts

#: Seconds for an answer: libvirtd asks every emulator what it can do.
_PATIENCE = 120.0


@dataclass(frozen=True)
class Row:
    """One call and its two outcomes."""

    name: str
    theirs: Outcome
    ours: Outcome

    @property
    def verdict(self) -> str:
        """In a word or two what the comparison found."""
        if -1 in (self.theirs.refusal or (0,))[:1] or -1 in (self.ours.refusal or (0,))[:1]:
            return "no answer"
        if self.theirs.key(text=False) == self.ours.key(text=False):
            return "same" if self.theirs.key(text=True) == self.ours.key(text=True) else "same code"
        if self.ours.refusal is not None and self.ours.refusal[0] == 3:
            return "not served"
        if self.theirs.refusal is None and self.ours.refusal is None:
            return "another result"
        return "another refusal" if self.theirs.refusal and self.ours.refusal else "refused"


async def rows_of(uri: str) -> list[Row]:
    """Make all calls of a URI on both daemons. Each call has its own line in what is given back."""
    with harness.running("libvirtd") as libvirtd, harness.running("virtd") as virtd:
        async with hosts(libvirtd, virtd, uri, timeout=_PATIENCE) as both:
            return [
                Row(name, *await both.outcomes(call, ignoring=ANY)) for name, call in calls_of(uri)
            ]


def report(rows: list[Row], *, verbose: bool) -> str:
    """The table of the comparison.

    Args:
        rows: the calls.
        verbose: give both outcomes of what differs.
    """
    lines = ["| call | virtd |", "|---|---|"]
    for row in rows:
        lines.append(f"| {row.name} | {row.verdict} |")
        if verbose and not row.verdict.startswith("same"):
            lines += [f"    libvirtd: {row.theirs}", f"    virtd:    {row.ours}"]
    counted = Counter(row.verdict for row in rows)
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counted.most_common())
    return "\n".join([*lines, "", f"{len(rows)} calls: {summary}"])


def main(arguments: list[str]) -> int:
    """Compare, and print the report. Returns the exit status."""
    uris = [one for one in arguments if not one.startswith("-")] or ["test:///default"]
    status = 0
    for uri in uris:
        rows = asyncio.run(rows_of(uri))
        print(f"\n## {uri}\n\n{report(rows, verbose='-v' in arguments)}")
        status |= any(not row.verdict.startswith("same") for row in rows)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
