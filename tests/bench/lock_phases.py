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
DEEP = 5
"""Calls that a client has under way, where the daemon should never wait for one."""
HOLDERS = 900


def locks(bench: Bench) -> Findings:
    """Clients that lock and release a file of their own."""
    findings = Findings(f"{CLIENTS} clients, each locking and releasing a file of its own")
    with bench.running(VIRTLOCKD, LOCKD) as servers:
        _measure(bench, findings, servers)
    findings.ratio(
        "locking and releasing: lockd over virtlockd", _deep(LOCKD), _deep(VIRTLOCKD), 1.2
    )
    return findings


def locks_in_a_crowd(bench: Bench) -> Findings:
    """The same while many other clients hold a lock each and say nothing."""
    findings = Findings(f"the same while {HOLDERS} other clients hold a lock each")
    with bench.running(VIRTLOCKD, LOCKD) as servers, contextlib.ExitStack() as stack:
        for server in servers.values():
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="av-"))
            stack.enter_context(load.locked(server.main, folder, HOLDERS))
        _measure(bench, findings, servers)
    claim = f"the same, {HOLDERS} locks held: lockd over virtlockd"
    findings.ratio(claim, _deep(LOCKD), _deep(VIRTLOCKD), 4)
    return findings


def _measure(bench: Bench, findings: Findings, servers: dict[str, Contender]) -> None:
    with tempfile.TemporaryDirectory(prefix="av-") as folder:
        for in_flight in (1, DEEP):

            def rate(server: Contender, in_flight: int = in_flight) -> float:
                return load.lock_pairs(server.main, folder, CLIENTS, in_flight, bench.seconds)

            bench.watched(findings, RATE, servers, rate, f"{in_flight} in flight: ")


def _deep(name: str) -> str:
    """The series in which the daemon always has the next call before it, and so is what is slow."""
    return f"{DEEP} in flight: {name}"
