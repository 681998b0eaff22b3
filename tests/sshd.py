"""A real sshd on loopback for tests: its own keys, settings and port, in a folder of its own.

ssh reads the settings of the user's home as the password file names it, so `HOME` does not lead it to
another one: the folder has a program `ssh` that runs the installed one with `-F` and is put in front of
PATH.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import harness


@dataclass
class Host:
    """A name that ssh knows, and the sshd at which it ends."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def pause(self) -> None:
        """Have it hang: it takes connections and says nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)


class Hosts:
    """The hosts of a test. folder: where everything is; environment: what a caller of ssh needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runtime = folder / "far"
        self.runtime.mkdir(mode=0o700)
        self._sshd = harness.require("sshd")
        self._ssh = harness.require("ssh")
        self._processes: list[subprocess.Popen[bytes]] = []
        for key in ("host", "user"):
            _keygen(folder / key)
        (folder / "authorized").write_text((folder / "user.pub").read_text())
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        wrapper = bin_folder / "ssh"
        config = shlex.quote(f"{folder}/config")
        wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(self._ssh)} -F {config} "$@"\n')
        wrapper.chmod(0o755)
        self.environment = {
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "TMPDIR": str(folder),
        }

    def start(self, name: str, *settings: str, known: bool = True) -> Host:
        """Start an sshd and make its name known.

        Args:
            name: the name for ssh.
            settings: further lines for sshd.
            known: the host's key is in the file of known hosts.
        """
        port = harness.free_port()
        lines = [
            "ListenAddress 127.0.0.1",
            f"Port {port}",
            f"HostKey {self.folder}/host",
            "PidFile none",
            f"AuthorizedKeysFile {self.folder}/authorized",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            f"SetEnv XDG_RUNTIME_DIR={self.runtime}",
            *settings,
        ]
        config = self.folder / f"sshd-{name}"
        config.write_text("\n".join(lines) + "\n")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # an sshd of root insists on this folder
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [self._sshd, "-D", "-e", "-f", config],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._processes.append(process)
        _wait_for_line(log, f"port {port}.", process)
        with (self.folder / "config").open("a") as client:
            client.write(self._client_settings(name, port))
        if known:
            key = (self.folder / "host.pub").read_text()
            with (self.folder / "known").open("a") as hosts:
                hosts.write(f"[127.0.0.1]:{port} {key}")
        return Host(name, port, process, log)

    def close(self) -> None:
        """End all of them, and what they have started."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _client_settings(self, name: str, port: int) -> str:
        return (
            f"Host {name}\n"
            "  HostName 127.0.0.1\n"
            f"  Port {port}\n"
            f"  User {pwd.getpwuid(os.geteuid()).pw_name}\n"
            f"  IdentityFile {self.folder}/user\n"
            "  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.folder}/known\n"
            "  GlobalKnownHostsFile /dev/null\n"
        )


@contextlib.contextmanager
def hosts() -> Iterator[Hosts]:
    """Start and end hosts; without Debian's openssh-server the test is skipped, or failed in CI."""
    with tempfile.TemporaryDirectory(prefix="av-") as folder:
        started = Hosts(Path(folder))
        try:
            yield started
        finally:
            started.close()


def _keygen(path: Path) -> None:
    command = [harness.require("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, timeout=harness.PATIENCE)


def _wait_for_line(log: Path, text: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + harness.PATIENCE
    while text not in log.read_text(errors="replace"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
            raise AssertionError(f"sshd ended: {log.read_text(errors='replace')}")
        assert time.monotonic() < deadline, log.read_text(errors="replace")
