"""What is measured of the lock space program, lockd's next to virtlockd's."""

from __future__ import annotations

import contextlib
import tempfile

from tests.bench import load
from tests.bench.contenders import LOCKD, VIRTLOCKD, Contender
from tests.bench.findings import Findings
from tests.bench.turns import Bench

RATE = "pairs/s"
CLIENTS = 16
DEPTHS = (1, 5)
"""Calls that a client has under way: as libvirt's own client, and so that none is waited for."""
HOLDERS = 900


def locks(bench: Bench) -> Findings:
    """Clients that lock and release a file of their own."""
    findings = Findings(f"{CLIENTS} clients, each locking and releasing a file of its own")
    with bench.running(VIRTLOCKD, LOCKD) as servers:
        _measure(bench, findings, servers)
    promise(findings, "locking and releasing", 1.2)
    return findings


def locks_in_a_crowd(bench: Bench) -> Findings:
    """The same while many other clients hold a lock each and say nothing."""
    findings = Findings(f"the same while {HOLDERS} other clients hold a lock each")
    with bench.running(VIRTLOCKD, LOCKD) as servers, contextlib.ExitStack() as stack:
        for server in servers.values():
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="av-"))
            stack.enter_context(load.locked(server.main, folder, HOLDERS))
        _measure(bench, findings, servers)
    promise(findings, f"the same, {HOLDERS} locks held", 4)
    return findings


def promise(findings: Findings, claim: str, bound: float) -> None:
    """It says nothing about how many calls a client has under way, so it is held to for each."""
    for in_flight in DEPTHS:
        label = _label(in_flight)
        findings.ratio(
            f"{claim}, {in_flight} in flight: lockd over virtlockd",
            f"{label}{LOCKD}",
            f"{label}{VIRTLOCKD}",
            bound,
        )


def _measure(bench: Bench, findings: Findings, servers: dict[str, Contender]) -> None:
    with tempfile.TemporaryDirectory(prefix="av-") as folder:
        for in_flight in DEPTHS:

            def rate(server: Contender, in_flight: int = in_flight) -> float:
                return load.lock_pairs(server.main, folder, CLIENTS, in_flight, bench.seconds)

            bench.watched(findings, RATE, servers, rate, _label(in_flight))


def _label(in_flight: int) -> str:
    return f"{in_flight} in flight: "
