"""The table of every method of the client: what libvirtd and virtd answer, on both drivers.

    python -m tests.interop.comparison_table          # show it
    python -m tests.interop.comparison_table -v       # with both outcomes of what differs
    python -m tests.interop.comparison_table write    # into docs/comparison.md

A method may be called several times. A cell has all outcomes in their order: "result", or the code of
the refusal. "same" means equal results; of results that are never the same twice, times for example,
the types are compared. Root is needed for qemu:///system.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiovirt.rpc.wire.errors import ErrorCode
from tests import harness
from tests.interop.comparison import Both, Outcome, hosts, outcome
from tests.interop.differing_methods import REASONS, UNSERVED
from tests.interop.every_method import methods, steps

DOCUMENT: Final = harness.ROOT / "docs" / "comparison.md"
DRIVERS: Final = {"test": "test:///default", "qemu": "qemu:///system"}
#: Seconds for an answer: libvirtd asks every emulator what it can do.
_PATIENCE: Final = 120.0
_BEGIN: Final = "<!-- begin: every method -->\n"
_END: Final = "<!-- end: every method -->\n"
_QEMU_CONF: Final = """
stdio_handler = "file"
security_driver = "none"
user = "root"
group = "root"
"""


@dataclass
class Row:
    """One method on one driver: the outcomes of its calls on libvirtd and on virtd."""

    theirs: list[Outcome] = field(default_factory=list)
    ours: list[Outcome] = field(default_factory=list)

    @property
    def is_same(self) -> bool:
        """Whether all outcomes agree; refusals do by code and domain."""
        pairs = zip(self.theirs, self.ours, strict=True)
        return all(one.key(text=False) == other.key(text=False) for one, other in pairs)

    @property
    def is_unserved(self) -> bool:
        """Whether all that differs is a call that virtd does not serve."""
        pairs = zip(self.theirs, self.ours, strict=True)
        different = [two for one, two in pairs if one.key(text=False) != two.key(text=False)]
        return all((one.refusal or (0,))[0] == ErrorCode.NO_SUPPORT for one in different)


Rows = dict[str, Row]


@contextmanager
def _libvirtd(folder: Path) -> Iterator[harness.RunningDaemon]:
    """A libvirtd whose guests run as its user."""
    if os.geteuid() == 0:
        (folder / "etc-libvirt").mkdir()
        (folder / "etc-libvirt" / "qemu.conf").write_text(_QEMU_CONF)
    daemon = harness.start("libvirtd", folder)
    try:
        yield daemon
    finally:
        daemon.kill()
        for file in folder.glob("run/libvirt/qemu/*.pid"):
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(file.read_text()), signal.SIGKILL)


@asynccontextmanager
async def _both(driver: str) -> AsyncIterator[tuple[Both, Path]]:
    """A host of each daemon, and a folder that both may use."""
    with tempfile.TemporaryDirectory(prefix="av-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "files").mkdir()
        for image in ("guest.img", "other.img"):
            (folder / "files" / image).write_bytes(bytes(1 << 20))
        with _libvirtd(folder) as libvirtd, harness.running("virtd") as virtd:
            async with hosts(libvirtd, virtd, DRIVERS[driver], timeout=_PATIENCE) as both:
                yield both, folder / "files"


async def compared(driver: str) -> Rows:
    """Call every method on both daemons."""
    rows: Rows = {}
    async with _both(driver) as (both, folder):
        for step in steps(driver, folder):
            row = rows.setdefault(step.method, Row())
            for host, found in (both.theirs, row.theirs), (both.ours, row.ours):
                one = await outcome(step.call, host)
                value, refusal = one.value, one.refusal
                if ".list_" in step.method and value is not None:
                    value = sorted(value, key=str)  # libvirtd's order is that of a hash table
                found.append(Outcome(_shape(value) if step.shape else value, refusal))
    return rows


def _shape(value: Any) -> Any:
    """The types of a value, and the number and names of its parts."""
    if isinstance(value, dict):
        return {name: _shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return type(value).__name__


def _cell(outcomes: list[Outcome]) -> str:
    told = ["result" if one.refusal is None else str(one.refusal[0]) for one in outcomes]
    return ", ".join(dict.fromkeys(told))


def table(found: dict[str, Rows]) -> str:
    """The table in Markdown. found: the rows of each driver."""
    lines = [
        "| Method | libvirtd, test | virtd, test | libvirtd, qemu | virtd, qemu | Comparison |",
        "|---|---|---|---|---|---|",
    ]
    for method in methods():
        cells = [
            _cell(getattr(found[one][method], side))
            for one in DRIVERS
            for side in ("theirs", "ours")
        ]
        differs = [one for one in DRIVERS if not found[one][method].is_same]
        reasons = dict.fromkeys(reason(one, method, found[one][method]) for one in differs)
        told = f"differs ({', '.join(differs)}): {' '.join(reasons)}" if differs else "same"
        lines.append(f"| {method} | {' | '.join(cells)} | {told} |")
    return "\n".join(lines) + "\n"


def reason(driver: str, method: str, row: Row) -> str:
    """Why the outcomes of a method differ; empty if nobody has written it down."""
    return UNSERVED if row.is_unserved else REASONS.get(f"{driver} {method}", "")


def summary(found: dict[str, Rows]) -> str:
    """How many methods agree, in one sentence for each driver."""
    return "\n".join(
        f"On {uri}, {sum(row.is_same for row in found[one].values())} of {len(found[one])} methods"
        " agree in all of their calls."
        for one, uri in DRIVERS.items()
    )


def differences(found: dict[str, Rows]) -> str:
    """Both outcomes of every call that differs."""
    return "\n".join(
        f"{driver} {method}\n    libvirtd: {theirs}\n    virtd:    {ours}"[:3000]
        for driver, rows in found.items()
        for method, row in rows.items()
        for theirs, ours in zip(row.theirs, row.ours, strict=True)
        if theirs.key(text=False) != ours.key(text=False)
    )


async def _all() -> dict[str, Rows]:
    return {driver: await compared(driver) for driver in DRIVERS}


def main(arguments: list[str]) -> int:
    """Compare, and show or write the table. Returns the exit status."""
    found = asyncio.run(_all())
    made = f"{summary(found)}\n\n{table(found)}"
    if "write" in arguments:
        before, _, rest = DOCUMENT.read_text().partition(_BEGIN)
        DOCUMENT.write_text(f"{before}{_BEGIN}\n{made}\n{_END}{rest.partition(_END)[2]}")
    else:
        print(made)
    if "-v" in arguments:
        print(differences(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
