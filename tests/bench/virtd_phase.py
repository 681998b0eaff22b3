"""What is measured of the remote program: virtd next to libvirtd, both with libvirt's test driver.

The clients are libvirt's own library, by its Python binding (see `guest_load`), each a process.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Final

from tests import harness
from tests.bench.contenders import LIBVIRTD, OURS, Contender
from tests.bench.findings import Findings, alternate
from tests.bench.turns import Bench

GUESTS = 1000
MANY = 10_000
CLIENTS = 16

#: The Python that Debian's binding is for; that of the project's environment cannot load it.
PYTHON: Final = "/usr/bin/python3"
_SCRIPT: Final = Path(__file__).with_name("guest_load.py")
MISSING: Final = f"{PYTHON} has no module libvirt; Debian's python3-libvirt has it"

_RATE: Final = "calls/s"
_LISTS: Final = "lists/s"
_CROWD: Final = "crowd"

#: The steps of a round, in order: name, title, unit, and the part of libvirtd's rate that is promised.
STEPS: Final[tuple[tuple[str, str, str, float], ...]] = (
    ("define", "defineXML", _RATE, 0.4),
    ("start", "create", _RATE, 0.5),
    ("list", "listAllDomains", _LISTS, 1),
    ("ids", "listDomainsID", _LISTS, 1),
    ("info", "info", _RATE, 1),
    ("lookup", "lookupByName", _RATE, 1),
    ("xml", "XMLDesc", _RATE, 0.8),
    ("states", "getAllDomainStats(STATE)", _LISTS, 1),
    ("statistics", "getAllDomainStats()", _LISTS, 0.5),
    (_CROWD, f"info from {CLIENTS} clients at once", _RATE, 1.5),
    ("pause", "suspend and resume", _RATE, 0.6),
    ("destroy", "destroy", _RATE, 0.5),
)


@cache
def has_binding() -> bool:
    """Whether libvirt's Python binding is installed."""
    with contextlib.suppress(FileNotFoundError):
        tried = subprocess.run([PYTHON, "-c", "import libvirt"], capture_output=True, check=False)
        return tried.returncode == 0
    return False


def virtd(bench: Bench) -> Findings:
    """The everyday calls on 1000 guests, and lists of 10,000."""
    findings = Findings(f"libvirt's Python binding on {GUESTS} guests of the test driver")
    if not has_binding():
        bench.left_out["libvirt's Python binding"] = MISSING
        return findings
    with bench.running(LIBVIRTD, OURS) as servers, contextlib.ExitStack() as stack:
        groups = {
            name: stack.enter_context(_group(server, GUESTS)) for name, server in servers.items()
        }
        rounds: dict[str, list[float]] = {}
        for _ in range(bench.rounds):
            for step, *_rest in STEPS:
                measures = {
                    f"{step} {name}": partial(_measure, group, step, bench.seconds)
                    for name, group in groups.items()
                }
                for name, values in alternate(1, measures).items():
                    rounds.setdefault(name, []).extend(values)
            for group in groups.values():
                group[0].step("undefine", 0)
        for step, title, unit, bound in STEPS:
            for name in groups:
                findings.add(f"{title}: {name}", unit, rounds[f"{step} {name}"])
            ours, theirs = f"{title}: {OURS}", f"{title}: {LIBVIRTD}"
            findings.ratio(f"{title}: virtd over libvirtd", ours, theirs, bound)
    _many(bench, findings)
    return findings


def _measure(group: Sequence[_Load], step: str, seconds: float) -> float:
    """The rate of a step: of the first client, or of all together."""
    if step != _CROWD:
        return group[0].step(step, seconds)
    for load in group:
        load.step("find", 0)
    for load in group:
        load.say("info", seconds)
    return sum(load.answer() for load in group)


def _many(bench: Bench, findings: Findings) -> None:
    """Lists of few guests and of many, on two daemons so that they alternate."""
    few, many = f"{GUESTS} guests", f"{MANY} guests"
    with contextlib.ExitStack() as stack:
        loads = {}
        for title, guests in ((few, GUESTS), (many, MANY)):
            for server in stack.enter_context(bench.running(OURS)).values():
                loads[title] = stack.enter_context(_client(server, guests))
                loads[title].step("define", 0)
        measures = {
            title: partial(load.step, "list", bench.seconds) for title, load in loads.items()
        }
        counts = {few: GUESTS, many: MANY}
        for title, values in alternate(bench.rounds, measures).items():
            rates = [value * counts[title] for value in values]
            findings.add(f"{title} of {OURS} listed", "guests/s", rates)
    findings.ratio(
        f"guests listed a second: {MANY} over {GUESTS}",
        f"{many} of {OURS} listed",
        f"{few} of {OURS} listed",
        0.5,
    )


class _Load:
    """A client that takes steps."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def step(self, name: str, seconds: float) -> float:
        """Take one step, and return its rate."""
        self.say(name, seconds)
        return self.answer()

    def say(self, name: str, seconds: float) -> None:
        """Have a step taken."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{name} {seconds}\n")
        self._process.stdin.flush()

    def answer(self) -> float:
        """Return the rate of the step that was said. Raises RuntimeError when the client ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{_SCRIPT.name} ended with {self._process.wait()}")
        return float(line)


@contextlib.contextmanager
def _group(server: Contender, guests: int) -> Iterator[list[_Load]]:
    """The clients of a server."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_client(server, guests)) for _ in range(CLIENTS)]


@contextlib.contextmanager
def _client(server: Contender, guests: int) -> Iterator[_Load]:
    command = [PYTHON, str(_SCRIPT), f"test+unix:///default?socket={server.main}", str(guests)]
    with subprocess.Popen(
        command,
        env={**os.environ, **harness.libraries()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield _Load(process)
