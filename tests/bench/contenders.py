"""Who is measured: our daemons, libvirt's, and a bare uvloop loop, all over UNIX sockets."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import harness

OURS = "virtd"
BARE = "bare loop"
LIBVIRTD = "libvirtd"
VIRTLOGD = "virtlogd"
VIRTLOCKD = "virtlockd"
LOCKD = "lockd"
LOGD = "logd"

DESCRIPTORS = 20_000
"""How many each process wants: 10,000 clients and room to spare."""

SETTINGS: harness.Settings = {
    "max_clients": 20_000,
    "admin_max_clients": 20_000,
    "admin_max_client_requests": 200,
}
"""The same for theirs and ours: no limit may be what is measured."""


@dataclass(frozen=True)
class Contender:
    """A server that runs. socket: the path that answers admin calls; main: the one that answers
    the daemon's own, if it has some; pid: the process to look at."""

    name: str
    socket: str
    pid: int
    main: str = ""


@contextlib.contextmanager
def contender(name: str) -> Iterator[Contender]:
    """Run one of the above for the length of a `with`.

    Raises pytest's skip exception for a daemon of libvirt that is not installed.
    """
    if name == BARE:
        with _bare_loop() as bare:
            yield bare
    else:
        with harness.running(name, SETTINGS) as daemon:
            yield Contender(name, daemon.admin_socket, daemon.pid, daemon.socket)


@contextlib.contextmanager
def _bare_loop() -> Iterator[Contender]:
    with tempfile.TemporaryDirectory(prefix="av-") as folder:
        path = f"{folder}/sock"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bare_loop", path], cwd=harness.ROOT
        )
        try:
            wait_for_listener(path, process)
            yield Contender(BARE, path, process.pid)
        finally:
            process.terminate()
            process.wait()


def wait_for_listener(path: str, process: subprocess.Popen[bytes]) -> None:
    """Return once somebody listens at `path`; raises RuntimeError if `process` ends before."""
    while True:
        with socket.socket(socket.AF_UNIX) as link, contextlib.suppress(OSError):
            link.connect(path)
            return
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        time.sleep(0.001)


def allow_descriptors() -> int:
    """Raise this process's limit, which all that it starts inherit; returns what it came to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, DESCRIPTORS)
    if wanted > hard:
        if os.geteuid() != 0:
            wanted = hard
        hard = max(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def memory(pid: int) -> int:
    """Bytes of memory that the process has to itself, or its share of what it shares (Pss)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/{pid}/smaps_rollup has no Pss")


def settled_memory(pid: int, measure: Callable[[int], int] = memory) -> int:
    """The same when it no longer changes: ours load the rest of their modules when they are ready.

    measure: gives another size of a process than `memory`.
    """
    found = -1
    while found != (now := measure(pid)):
        found = now
        time.sleep(0.5)
    return found


def open_descriptors(pid: int) -> int:
    """How many descriptors the process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def processor_time(pid: int) -> float:
    """Seconds of processor time that the process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
