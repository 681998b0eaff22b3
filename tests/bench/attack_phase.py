"""What others notice of an attack on virtd or logd: what their calls take, and what memory is left."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Final

from aiovirt.admin import pki
from tests import harness
from tests.attacks.bystander import Bystander
from tests.attacks.process import under
from tests.attacks.target import Target
from tests.bench.contenders import LOGD, OURS, SETTINGS, memory, open_descriptors, settled_memory
from tests.bench.findings import Findings, Verdict
from tests.bench.log_load import Logs
from tests.bench.turns import Bench
from tests.harness import PATIENCE, RunningDaemon

SLOWER: Final = 3.0
"""How many times what it takes in quiet a call may take under attack, in the median."""
LEFT: Final = 5.0
"""MiB that an attack may leave in a daemon: parts of its heap that Python does not give back."""
_PAUSE: Final = 0.001
"""Seconds between two calls of the client that is measured: it has something else to do, too."""
_MEGABYTE: Final = 1 << 20


@dataclass(frozen=True)
class Case:
    """An attack. size: see `tests.attacks`; site: what is attacked, one that `_site` knows."""

    label: str
    attack: str
    size: int
    site: str = "open"


CASES: Final = [
    Case("2000 slow-loris connections", "slow_loris", 2000),
    Case("1000 of them before authentication", "slow_loris", 1000, "guarded"),
    Case("4000 silent connections", "silent", 4000),
    Case("connecting, 1000 a second", "coming_and_going", 1000),
    Case("connecting, as fast as can be", "coming_and_going", 0),
    Case("frames of 4 GB announced", "impossible_lengths", 0xFFFFFFFF),
    Case("8 frames of 32 MiB held", "largest_held", 8),
    Case("frames of 32 MiB, 100 MB/s", "largest", 8),
    Case("arrays of 4 G elements, 1000/s", "lying_counts", 1000),
    Case("small calls, 1 client", "small_calls", 1),
    Case("small calls, 16 clients", "small_calls", 16),
    Case("descriptors nobody wants, 500k/s", "descriptors", 2000),
    Case("16 clients read no replies", "unread_replies", 16),
    Case("256 streams nobody reads", "unread_streams", 4, "log"),
    Case("20 TLS handshakes left hanging", "tls_hanging", 20, "tls"),
    Case("garbage instead of TLS", "tls_garbage", 20, "tls"),
    Case("100 TLS handshakes a second", "tls_flood", 100, "tls"),
    Case("TLS handshakes, as fast as can be", "tls_flood", 0, "tls"),
    Case("100 silent TLS clients", "tls_silence", 100, "tls"),
]


@dataclass(frozen=True)
class _Site:
    """A daemon, where it is attacked, and where others ask."""

    daemon: RunningDaemon
    attacked: Target
    asked: Target


def attacks(bench: Bench) -> Findings:
    """Single calls of a client that keeps the rules, in quiet and under each attack."""
    findings = Findings("a client's single calls while the daemon is attacked")
    memories = []
    for case in CASES:
        name = LOGD if case.site == "log" else OURS
        if bench.only is None or name in bench.only:
            memories.append(_measure(bench, findings, case))
    if memories:
        findings.notes.append(
            f"Memory (Pss) in MiB before, at the most, and after: {'; '.join(memories)}."
        )
    return findings


def _measure(bench: Bench, findings: Findings, case: Case) -> str:
    """Quiet and attacked turn by turn; what memory was, for people."""
    quiet, attacked, sizes = [], [], []
    with _site(case.site) as site, _apart(site.daemon), Bystander(site.asked) as bystander:
        seconds = bench.seconds / 3
        bystander.ask()  # it has arrived
        before = settled_memory(site.daemon.pid)
        descriptors = open_descriptors(site.daemon.pid)
        for _ in range(bench.rounds):
            quiet.append(_latency(bystander, seconds))
            with under(case.attack, site.attacked, case.size):
                attacked.append(_latency(bystander, seconds))
                sizes.append(memory(site.daemon.pid))
            _settle(site.daemon, bystander, descriptors)
        after = memory(site.daemon.pid)
    findings.add(f"{case.label}: quiet", "µs", quiet)
    findings.add(f"{case.label}: attacked", "µs", attacked)
    slower = median(one / other for one, other in zip(attacked, quiet, strict=True))
    left = (after - before) / _MEGABYTE
    findings.verdicts += [
        Verdict(f"{case.label}: attacked over quiet", slower, SLOWER, "x", at_least=False),
        Verdict(f"{case.label}: memory left", left, LEFT, "MiB", at_least=False),
    ]
    figures = (size / _MEGABYTE for size in (before, max(sizes), after))
    return f"{case.label}: {', '.join(f'{figure:.0f}' for figure in figures)}"


def _latency(bystander: Bystander, seconds: float) -> float:
    """The median of what single calls take, in microseconds."""
    found = []
    end = time.monotonic() + seconds
    while not found or time.monotonic() < end:
        found.append(bystander.ask() * 1e6)
        time.sleep(_PAUSE)
    return median(found)


@contextlib.contextmanager
def _apart(daemon: RunningDaemon) -> Iterator[None]:
    """The daemon has one core, and everybody else the others, as if they came over a network.

    Left to the kernel, a call takes three times as long in one run as in the next: it depends on whether
    both ends happen to share a core.
    """
    cores = os.sched_getaffinity(0)
    own = {min(cores)}
    if cores == own:
        yield
        return
    os.sched_setaffinity(daemon.pid, own)
    os.sched_setaffinity(0, cores - own)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _settle(daemon: RunningDaemon, bystander: Bystander, descriptors: int) -> None:
    """Wait until the attackers' connections are gone. Raises RuntimeError if some stay."""
    end = time.monotonic() + PATIENCE
    while open_descriptors(daemon.pid) > descriptors:
        bystander.ask()
        if time.monotonic() > end:
            raise RuntimeError(f"{daemon.name} keeps connections of attackers that have gone")


@contextlib.contextmanager
def _site(name: str) -> Iterator[_Site]:
    """A daemon of its own for each attack."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        if name == "log":
            daemon = enter(harness.running(LOGD, SETTINGS))
            logs = enter(Logs(daemon.socket, 1, full=True))
            asked = Target(daemon.admin_socket, admin=True)
            yield _Site(daemon, Target(daemon.admin_socket, True, log=logs.paths[0]), asked)
        elif name == "tls":
            folder = enter(tempfile.TemporaryDirectory(prefix="av-"))
            pki.create(folder, hosts=["localhost"])
            port = harness.free_port()
            daemon = enter(
                harness.running(OURS, {**SETTINGS, **harness.tls_settings(folder, port)})
            )
            yield _Site(daemon, Target(port, pki=folder), Target(daemon.socket))
        elif name == "guarded":
            settings = {**SETTINGS, "auth_unix_rw": "sasl", "auth_unix_ro": "none"}
            daemon = enter(harness.running(OURS, settings))
            inside = f"{daemon.folder}/{OURS}-sock-ro"
            yield _Site(daemon, Target(daemon.socket), Target(inside))
        else:
            daemon = enter(harness.running(OURS, SETTINGS))
            yield _Site(daemon, Target(daemon.socket), Target(daemon.socket))
