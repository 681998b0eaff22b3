"""The daemons of this package, all under the folder `run`: what `make run` and `make stop` do.

    python -m aiovirt.daemons.playground start     start the daemons that do not run, and wait for each
    python -m aiovirt.daemons.playground stop      end the daemons that run, and wait for each

`run` is made in the current directory. A daemon runs if it holds the lock of its pid file. A pid file
left by a killed daemon is therefore never taken for it, even if its number is another process's by now.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from aiovirt.daemons.discovery import kinds

SUN_PATH: Final = 107
"""Bytes that the path of a UNIX socket may have: sun_path in <sys/un.h>, less its final zero."""

PATIENCE: Final = 30.0
"""Seconds that a daemon gets to answer or to end."""

_USAGE: Final = "usage: python -m aiovirt.daemons.playground start|stop\n"


class Problem(Exception):
    """A daemon cannot be started or ended. The text is for the user of make."""


class Playground:
    """The daemons under one folder.

    Attributes:
        folder: where sockets, settings, logs and pid files are.
        names: the daemons.
    """

    def __init__(self, folder: Path, names: Sequence[str] | None = None) -> None:
        self.folder = folder
        self.names = [kind.name for kind in kinds()] if names is None else list(names)

    def start(self) -> None:
        """Start each daemon that does not run, and show all of them.

        Raises:
            Problem: a daemon did not start or does not answer, or the folder's path is too long.
        """
        self._check_length()
        self.folder.mkdir(mode=0o755, exist_ok=True)
        already = [name for name in self.names if self.running(name) is not None]
        for name in self.names:
            if name not in already:
                self._start_one(name)
        self._show()
        if already:
            _say(f"\nAlready running: {', '.join(already)}.")
        self._show_what_to_try()

    def stop(self) -> None:
        """End each daemon that runs; returns when all are gone.

        Raises:
            Problem: a daemon did not end when asked to and was killed.
        """
        stubborn = []
        for name in self.names:
            pid = self.running(name)
            if pid is None:
                _say(f"{name} does not run.")
                continue
            if not end(pid):
                stubborn.append(f"{name} (process {pid})")
            _say(f"{name} (process {pid}) has ended.")
        if stubborn:
            raise Problem(
                f"did not end on SIGTERM in {PATIENCE:.0f} s and was killed: {', '.join(stubborn)}"
            )

    def running(self, name: str) -> int | None:
        """The process id of the daemon of that name; None if it does not run."""
        try:
            pid_file = (self.folder / f"{name}.pid").open("r+")
        except FileNotFoundError:
            return None
        with pid_file:
            try:
                fcntl.lockf(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
            except (BlockingIOError, PermissionError):
                return int(pid_file.read())
        return None

    def _check_length(self) -> None:
        longest = max((self._admin_socket(name) for name in self.names), key=len)
        size = len(os.fsencode(longest))
        if size > SUN_PATH:
            raise Problem(
                f"the path {longest} has {size} bytes, but the path of a UNIX socket may have"
                f" {SUN_PATH}: move this folder to where its path is {size - SUN_PATH} bytes shorter"
            )

    def _admin_socket(self, name: str) -> str:
        return str(self.folder / f"{name}-admin-sock")

    def _uri(self, name: str, scheme: str | None = None) -> str:
        """Its admin URI. scheme: another tool's for the same socket."""
        return f"{scheme or name}:///system?socket={quote(os.fsencode(self._admin_socket(name)))}"

    def _start_one(self, name: str) -> None:
        settings = self.folder / f"{name}.conf"
        if not settings.exists():
            settings.write_text(self._first_settings(name))
        place = ["--rundir", str(self.folder), "-f", str(settings)]
        command = [sys.executable, "-m", f"aiovirt.daemons.{name}", "-d", *place]
        done = subprocess.run(command, check=False)  # noqa: S603  our own program
        if done.returncode != 0:
            raise Problem(f"{name} did not start: it ended with status {done.returncode}")

    def _first_settings(self, name: str) -> str:
        lines = [
            f"# Settings of the {name} that `make run` starts: yours to edit. conf/{name}.conf has",
            "# all of them. `kill -HUP` makes a running daemon read this file again.",
            "log_level = 2",
        ]
        log = self.folder / f"{name}.log"
        if not any(character.isspace() for character in str(log)):  # blanks separate outputs
            lines.append(f"log_outputs = {json.dumps(f'2:file:{log}')}")
        return "\n".join(lines) + "\n"

    def _show(self) -> None:
        rows = [("daemon", "pid", "socket", "admin socket", "servers")]
        for name in self.names:
            own, admin = (f"{self.folder.name}/{name}{kind}-sock" for kind in ("", "-admin"))
            rows.append((name, str(self.running(name)), own, admin, self._servers(name)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            _say("  ".join(cells).rstrip())

    def _servers(self, name: str) -> str:
        """The daemon's servers, as virtadm sees them. Raises Problem if it does not answer."""
        command = [sys.executable, "-m", "aiovirt.admin.cli", "-c", self._uri(name), "server-list"]
        try:
            done = subprocess.run(  # noqa: S603  our own program
                command, capture_output=True, text=True, timeout=PATIENCE, check=True
            )
        except subprocess.TimeoutExpired as error:
            raise Problem(f"{name} runs, but has not answered for {PATIENCE:.0f} s") from error
        except subprocess.CalledProcessError as error:
            raise Problem(f"{name} runs, but virtadm says: {error.stderr}") from error
        rows = [line.split() for line in done.stdout.splitlines()]
        return ", ".join(row[1] for row in rows if len(row) == 2 and row[0].isdigit())

    def _show_what_to_try(self) -> None:
        first, *others = sorted(self.names, reverse=True)
        shown = [
            (". .venv/bin/activate", ""),
            (f"virtadm -c '{self._uri(first)}'", "# a shell: try help, server-list"),
        ]
        shown += [
            (f"virtadm -c '{self._uri(name)}' server-threadpool-info {name}", "") for name in others
        ]
        if shutil.which("virt-admin"):
            theirs = self._uri(first, "libvirtd")
            shown.append((f"virt-admin -c '{theirs}' server-list", "# libvirt's own tool"))
        shown += [(f"tail -F {self.folder.name}/*.log", ""), ("make stop", "")]
        _say("\nTry next:")
        for command, remark in shown:
            _say(f"  {command}  {remark}".rstrip())


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


def main(words: Sequence[str]) -> int:
    """Do what the command line says. Returns the exit status: 0, 1 for a problem, 2 for misuse."""
    playground = Playground(Path.cwd() / "run")
    acts = {"start": playground.start, "stop": playground.stop}
    if len(words) != 1 or words[0] not in acts:
        sys.stderr.write(_USAGE)
        return 2
    try:
        acts[words[0]]()
    except Problem as problem:
        sys.stderr.write(f"{words[0]}: {problem}\n")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
