"""What watching a daemon costs: its statistics once a second, its log followed, taps on its clients.

The daemon and its watcher are processes of their own, as they are for an administrator. A tap has to be
in the daemon: a server with taps is compared with the same server without.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial

from tests import harness
from tests.bench import load
from tests.bench.contenders import OURS, Contender, wait_for_listener
from tests.bench.findings import Findings, alternate
from tests.bench.turns import Bench

SHAPE = (16, 5)
#: Watchers look once a second: nothing shorter measures them.
SECONDS = 2.0
NOBODY = "nobody watches"
STATISTICS = "statistics once a second"
FOLLOWER = "a follower of the log at debug level"
EVERY_CALL = "a follower of the line of every call"
PLAIN, TAPPED = "a server without taps", "a tap on every client"


def watch(bench: Bench) -> Findings:
    """Calls while somebody watches, as a part of those while nobody does."""
    findings = Findings(f"16 x 5 to {OURS} that is watched")
    seconds = max(bench.seconds, SECONDS) if bench.seconds > 0.1 else bench.seconds
    with (
        bench.running(OURS) as servers,
        tempfile.TemporaryDirectory(prefix="av-") as folder,
        _tapped_server(f"{folder}/plain") as plain,
        _tapped_server(f"{folder}/tapped", "--tap") as tapped,
    ):
        measures = {
            name: partial(_watched, servers[OURS], arguments, seconds)
            for name, arguments in {
                NOBODY: (),
                STATISTICS: ("statistics",),
                FOLLOWER: ("follow", "4:rpc.server.call"),
                EVERY_CALL: ("follow", ""),
            }.items()
            if OURS in servers
        }
        measures[PLAIN] = partial(load.calls, plain, *SHAPE, seconds)
        measures[TAPPED] = partial(load.calls, tapped, *SHAPE, seconds)
        for name, values in alternate(bench.rounds, measures).items():
            findings.add(name, "calls/s", values)
    findings.ratio("with statistics once a second over unwatched", STATISTICS, NOBODY, 0.9)
    findings.ratio("with a follower at debug level over unwatched", FOLLOWER, NOBODY, 0.85)
    findings.ratio("with a line for every call, followed, over unwatched", EVERY_CALL, NOBODY, 0.02)
    findings.ratio("with a tap on every client over none", TAPPED, PLAIN, 0.1)
    return findings


def _watched(server: Contender, arguments: tuple[str, ...], seconds: float) -> float:
    with _watcher(server, arguments):
        return load.calls(server.socket, *SHAPE, seconds)


@contextlib.contextmanager
def _watcher(server: Contender, arguments: tuple[str, ...]) -> Iterator[None]:
    if not arguments:
        yield
        return
    command = [sys.executable, "-m", "tests.bench.watcher", server.socket, *arguments]
    with subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or process.stdout.readline() != b"watching\n":
                raise RuntimeError(f"{command} ended with {process.wait()}")
            yield
            if process.poll() is not None:
                raise RuntimeError(f"{command} ended with {process.returncode}")
        finally:
            process.terminate()


@contextlib.contextmanager
def _tapped_server(path: str, *arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.bench.tapped_server", path, *arguments]
    process = subprocess.Popen(command, cwd=harness.ROOT)
    try:
        wait_for_listener(path, process)
        yield path
    finally:
        process.terminate()
        process.wait()
