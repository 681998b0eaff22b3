"""What is measured, one function a phase, each with the promises that it holds us to.

Here are those of the admin program, of whole processes, and of the client; `PHASES` has all.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests import harness
from tests.bench import (
    attack_phase,
    load,
    lock_phases,
    log_phases,
    table_phase,
    tls_phase,
    virtd_phase,
    watch_phase,
)
from tests.bench.contenders import BARE, LIBVIRTD, OURS, VIRTLOGD, memory, settled_memory
from tests.bench.findings import Findings, alternate
from tests.bench.turns import Bench

RATE = "calls/s"
IDLE = 4_000
HELD = 10_000


def many_calls(bench: Bench) -> Findings:
    """16 connections with 5 calls under way in each."""
    findings = Findings("16 connections, 5 calls in flight in each")
    with bench.running(LIBVIRTD, VIRTLOGD, BARE, OURS) as servers:
        for name, values in bench.rates(servers, 16, 5).items():
            findings.add(name, RATE, values)
    findings.ratio("16 x 5: virtd over libvirtd", OURS, LIBVIRTD, 10)
    findings.ratio("16 x 5: virtd over virtlogd", OURS, VIRTLOGD, 3)
    findings.ratio("16 x 5: virtd over a bare uvloop loop", OURS, BARE, 0.6)
    return findings


def one_call(bench: Bench) -> Findings:
    """One connection, one call at a time."""
    findings = Findings("1 connection, 1 call in flight")
    with bench.running(LIBVIRTD, VIRTLOGD, BARE, OURS) as servers:
        for name, values in bench.rates(servers, 1, 1).items():
            findings.add(name, RATE, values)
    findings.ratio("1 x 1: virtd over libvirtd", OURS, LIBVIRTD, 1)
    return findings


def idle_clients(bench: Bench) -> Findings:
    """The same calls with thousands of clients attached that say nothing."""
    findings = Findings(f"with {IDLE} idle clients attached")
    with bench.running(LIBVIRTD, OURS) as crowded, bench.running(OURS) as empty:
        servers = {f"{name}, {IDLE} idle": server for name, server in crowded.items()}
        servers |= {f"{name}, none idle": server for name, server in empty.items()}
        with contextlib.ExitStack() as stack:
            for server in crowded.values():
                stack.enter_context(load.opened(server.socket, IDLE))
            for shape in ((1, 1), (16, 5)):
                label = f"{shape[0]} x {shape[1]}"
                for name, values in bench.rates(servers, *shape).items():
                    findings.add(f"{label}: {name}", RATE, values)
                ours = f"{label}: {OURS}, {IDLE} idle"
                findings.ratio(
                    f"{label}: virtd with {IDLE} idle over virtd with none",
                    ours,
                    f"{label}: {OURS}, none idle",
                    0.9,
                )
                findings.ratio(
                    f"{label}: virtd over libvirtd, both with {IDLE} idle",
                    ours,
                    f"{label}: {LIBVIRTD}, {IDLE} idle",
                    40,
                )
    return findings


def opening(bench: Bench) -> Findings:
    """Opening thousands of clients, until the last one is answered."""
    findings = Findings(f"opening {IDLE} clients")

    def seconds(socket: str) -> float:
        with load.opened(socket, IDLE) as taken:
            return taken

    with bench.running(LIBVIRTD, BARE, OURS) as servers:
        # A round of libvirtd's takes seconds, and no promise depends on it: it gets one.
        for name, server in servers.items():
            rounds = 1 if name == LIBVIRTD else bench.rounds
            taken = alternate(rounds, {name: partial(seconds, server.socket)})
            findings.add(name, "s", taken[name])
    findings.at_most(f"{IDLE} clients opened and answered", OURS, 1.0)
    return findings


def holding(bench: Bench) -> Findings:
    """Thousands of clients held, what they cost in memory, and whether calls still get through."""
    findings = Findings(f"holding {HELD} clients")
    for name, clients in ((LIBVIRTD, IDLE), (OURS, HELD)):
        with bench.running(name) as servers:
            for server in servers.values():
                before = settled_memory(server.pid)
                with load.opened(server.socket, clients):
                    load.calls(server.socket, 1, 1, 0.1)
                    each = (memory(server.pid) - before) / clients
                findings.add(f"{name}: clients held, all answered", "clients", [clients])
                findings.add(f"{name}: memory for each of them", "B", [each])
    findings.at_least("clients held at once", f"{OURS}: clients held, all answered", HELD)
    findings.at_most("memory for each idle client", f"{OURS}: memory for each of them", 2500)
    findings.notes.append(
        "Memory is the growth of the daemon's Pss, divided by the clients; the kernel's part of a"
        " socket is not in it. A further client's calls were answered all the while."
    )
    return findings


def starting(bench: Bench) -> Findings:
    """From exec to the first answer."""
    findings = Findings("start of a daemon, until its admin socket answers")

    def milliseconds(name: str) -> float:
        with tempfile.TemporaryDirectory(prefix="av-") as folder:
            begin = time.perf_counter()
            daemon = harness.start(name, Path(folder), ready=False)
            try:
                _wait_for_answer(daemon)
                return (time.perf_counter() - begin) * 1000
            finally:
                daemon.kill()

    names = [name for name in harness.OURS if bench.only is None or name in bench.only]
    measures = {name: partial(milliseconds, name) for name in names}
    for name, values in alternate(2 * bench.rounds, measures).items():
        findings.add(name, "ms", values)
        findings.at_most(f"{name} ready after exec", name, 300)
    return findings


def _wait_for_answer(daemon: harness.RunningDaemon) -> None:
    """Ask until there is an answer, at an interval that is small against what is measured."""
    while True:
        try:
            return load.first_answer(daemon.admin_socket)
        except (FileNotFoundError, ConnectionRefusedError):
            if not daemon.alive:
                raise
            time.sleep(0.002)


def listing(bench: Bench) -> Findings:
    """`virtadm server-list`, the whole process, with libvirt's own tool for comparison."""
    findings = Findings("server-list on the command line, the whole process")
    script = Path(sys.executable).with_name("virtadm")
    ours = [str(script)] if script.exists() else [sys.executable, "-m", "aiovirt.admin.cli"]

    def milliseconds(command: list[str]) -> float:
        begin = time.perf_counter()
        subprocess.run(command, cwd=harness.ROOT, stdout=subprocess.DEVNULL, check=True)
        return (time.perf_counter() - begin) * 1000

    with bench.running(OURS) as servers:
        for server in servers.values():
            rest = ["-c", harness.admin_uri(server.socket), "server-list"]
            commands = {"virtadm": [*ours, *rest]}
            with contextlib.suppress(pytest.skip.Exception):
                commands["virt-admin"] = [harness.require("virt-admin"), *rest]
            measures = {name: partial(milliseconds, words) for name, words in commands.items()}
            for name, values in alternate(3 * bench.rounds, measures).items():
                findings.add(name, "ms", values)
    findings.at_most("virtadm server-list", "virtadm", 200)
    return findings


def client_side(bench: Bench) -> Findings:
    """Our client with many calls under way, and a loop over libvirt's library, both on virtd."""
    findings = Findings("one admin connection, from the client's side, to virtd")
    many, loop = "rpc.client, 100 in flight", "loop over libvirt-admin.so"
    with bench.running(OURS) as servers:
        for server in servers.values():
            measures = {many: partial(load.client_calls, server.socket, 100, bench.seconds)}
            try:
                load.library_calls(server.socket, 0.1)
                measures[loop] = partial(load.library_calls, server.socket, bench.seconds)
            except load.Unbuildable as error:
                bench.left_out[loop] = str(error)
            for name, values in alternate(bench.rounds, measures).items():
                findings.add(name, RATE, values)
    findings.ratio("rpc.client over libvirt-admin.so", many, loop, 3)
    return findings


PHASES: dict[str, Callable[[Bench], Findings]] = {
    "16x5": many_calls,
    "1x1": one_call,
    "idle": idle_clients,
    "open": opening,
    "hold": holding,
    "start": starting,
    "virtadm": listing,
    "client": client_side,
    "locks": lock_phases.locks,
    "locks900": lock_phases.locks_in_a_crowd,
    "log1": log_phases.one_writer,
    "log50": log_phases.many_writers,
    "log500": log_phases.one_floods,
    "tls": tls_phase.tls,
    "attacks": attack_phase.attacks,
    "table": table_phase.table,
    "watch": watch_phase.watch,
    "virtd": virtd_phase.virtd,
}
