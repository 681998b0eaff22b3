"""The three daemons under ./run: what `make run` and `make stop` do.

    python -m tests.playground start     start those that do not run, wait until they answer
    python -m tests.playground stop      end those that run, wait until they are gone

A daemon runs if it holds the lock of its pid file, so that a pid file left by a killed one, whose
number may be another process's by now, is never taken for it.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
RUN = ROOT / "run"
DAEMONS = ("virtd", "lockd", "logd")

SUN_PATH = 107
"""Bytes that the path of a UNIX socket may have: sun_path in <sys/un.h>, less its final zero."""

PATIENCE = 30.0
"""Seconds that a daemon gets to answer or to end."""


class Problem(Exception):
    """Why it cannot be done, in words for whoever called make."""


def start() -> None:
    """Start what does not run, and show all three. Raises Problem."""
    longest = max((admin_socket(name) for name in DAEMONS), key=len)
    size = len(os.fsencode(longest))
    if size > SUN_PATH:
        raise Problem(
            f"the path {longest} has {size} bytes, but the path of a UNIX socket may have"
            f" {SUN_PATH}: move this folder to where its path is {size - SUN_PATH} bytes shorter"
        )
    RUN.mkdir(mode=0o755, exist_ok=True)
    already = {name for name in DAEMONS if running(name) is not None}
    for name in DAEMONS:
        if name not in already:
            _start_one(name)
    rows = [("daemon", "pid", "socket", "admin socket", "servers")]
    for name in DAEMONS:
        sockets = (f"run/{name}-sock", f"run/{name}-admin-sock")
        rows.append((name, str(running(name)), *sockets, _servers(name)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    if already:
        print(f"\nRan already: {', '.join(name for name in DAEMONS if name in already)}.")
    _show_what_to_try()


def stop() -> None:
    """End what runs; returns when it is gone. Raises Problem if one had to be killed."""
    stubborn = []
    for name in DAEMONS:
        pid = running(name)
        if pid is None:
            print(f"{name} does not run.")
            continue
        if not end(pid):
            stubborn.append(f"{name} (process {pid})")
        print(f"{name} (process {pid}) has ended.")
    if stubborn:
        raise Problem(f"did not end on SIGTERM in {PATIENCE:.0f} s and was killed: {stubborn}")


def running(name: str) -> int | None:
    """The process id of the daemon of that name under ./run; None if there is none."""
    try:
        pid_file = (RUN / f"{name}.pid").open("r+")
    except FileNotFoundError:
        return None
    with pid_file:
        try:
            fcntl.lockf(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        except (BlockingIOError, PermissionError):
            return int(pid_file.read())
    return None


def admin_socket(name: str) -> str:
    """The absolute path of its admin socket."""
    return str(RUN / f"{name}-admin-sock")


def uri(scheme: str, name: str) -> str:
    """The admin URI of the daemon of that name; scheme: virtd for virtadm, libvirtd for theirs."""
    return f"{scheme}:///system?socket={quote(admin_socket(name))}"


def _start_one(name: str) -> None:
    settings = RUN / f"{name}.conf"
    if not settings.exists():
        settings.write_text(_first_settings(name))
    command = [sys.executable, "-m", f"aiovirt.daemons.{name}", "-d", "--rundir", str(RUN)]
    done = subprocess.run([*command, "-f", str(settings)], cwd=ROOT, check=False)
    if done.returncode != 0:
        raise Problem(f"{name} did not start")


def _first_settings(name: str) -> str:
    lines = [
        f"# Settings of the {name} that `make run` starts: yours to edit. All of them are in",
        f"# conf/{name}.conf. `kill -HUP` has a running daemon read this file again.",
        "log_level = 2",
    ]
    log = RUN / f"{name}.log"
    if not any(character.isspace() for character in str(log)):  # outputs are separated by blanks
        lines.append(f"log_outputs = {json.dumps(f'2:file:{log}')}")
    return "\n".join(lines) + "\n"


def _servers(name: str) -> str:
    """The daemon's servers, as virtadm sees them. Raises Problem if it does not answer."""
    command = [sys.executable, "-m", "aiovirt.admin.cli", "-c", uri(name, name), "server-list"]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True
        )
    except subprocess.TimeoutExpired as error:
        raise Problem(f"{name} runs, but has not answered for {PATIENCE:.0f} s") from error
    except subprocess.CalledProcessError as error:
        raise Problem(f"{name} runs, but virtadm says: {error.stderr}") from error
    rows = [line.split() for line in done.stdout.splitlines()]
    return ", ".join(row[1] for row in rows if len(row) == 2 and row[0].isdigit())


def end(pid: int) -> bool:
    """Ask the process to end, and wait; False if it had to be killed."""
    handle = os.pidfd_open(pid)
    try:
        gone = select.poll()
        gone.register(handle, select.POLLIN)
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if gone.poll(PATIENCE * 1000):
            return True
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        gone.poll()
        return False
    finally:
        os.close(handle)


def _show_what_to_try() -> None:
    shown = [
        (". .venv/bin/activate", ""),
        (f"virtadm -c '{uri('virtd', 'virtd')}'", "# a shell: try help, server-list"),
        (f"virtadm -c '{uri('lockd', 'lockd')}' client-list admin", "# you"),
        (f"virtadm -c '{uri('logd', 'logd')}' server-threadpool-info logd", ""),
    ]
    if shutil.which("virt-admin"):
        theirs = uri("libvirtd", "virtd")
        shown.append((f"virt-admin -c '{theirs}' server-list", "# libvirt's own tool"))
    shown += [("tail -F run/*.log", ""), ("make stop", "")]
    print("\nTry next:")
    for command, remark in shown:
        print(f"  {command}  {remark}".rstrip())


if __name__ == "__main__":
    try:
        {"start": start, "stop": stop}[sys.argv[1]]()
    except Problem as problem:
        sys.exit(f"{sys.argv[1]}: {problem}")
