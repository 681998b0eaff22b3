"""The time in which a daemon does not answer at a restart: with many clients, with much to hand over.

python -m tests.restart.measure [NAME]
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests import harness

_PING = struct.pack(">IIIiiIi", 28, 0x6B656570, 1, 1, 2, 0, 0)
_HALF = struct.pack(">IIIiiIi", 32 << 20, 0x06900690, 1, 3, 0, 7, 0) + bytes((31 << 20) - 28)
CASES = ((0, 0), (1000, 0), (5000, 0), (60, len(_HALF)), (500, 20_000))


def main() -> None:
    """Measure and print a table."""
    name = sys.argv[1] if sys.argv[1:] else "lockd"
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print("| clients | bytes read of each one's frame | longest silence | most memory |")
    print("|---|---|---|---|")
    settings = {
        "max_clients": 6000, "admin_max_clients": 6000, "log_level": 2, "log_outputs": "2:stderr"
    }  # fmt: skip
    for clients, half in CASES:
        with harness.running(name, settings) as daemon, _connected(daemon, clients, half):
            silence = min(_silence(daemon) for _ in range(3))
            peak = Path(f"/proc/{daemon.pid}/status").read_text().split("VmHWM:")[1].split()[0]
            print(
                f"| {clients} | {half:,} | {silence:.2f} s | {int(peak) >> 10:,} MiB |", flush=True
            )


@contextlib.contextmanager
def _connected(daemon: harness.RunningDaemon, clients: int, half: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(clients):
            link = stack.enter_context(socket.socket(socket.AF_UNIX))
            link.settimeout(harness.PATIENCE)
            link.connect(daemon.admin_socket)
            link.sendall(_HALF[:half] or _PING)
        yield


def _silence(daemon: harness.RunningDaemon) -> float:
    """Restart the daemon; the longest time between a PING and its PONG meanwhile, in seconds."""
    before = daemon.log.read_text().count("took over")
    longest = 0.0
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(2 * harness.PATIENCE)
        link.connect(daemon.admin_socket)
        link.sendall(_PING)
        link.recv(28)
        os.kill(daemon.pid, signal.SIGUSR1)
        while daemon.log.read_text().count("took over") == before:
            begin = time.perf_counter()
            link.sendall(_PING)
            link.recv(28)
            longest = max(longest, time.perf_counter() - begin)
            time.sleep(0.001)
    return longest


if __name__ == "__main__":
    main()
