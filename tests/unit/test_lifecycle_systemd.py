"""Sockets that systemd opened beforehand, and where it hears of a daemon's state."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiovirt.daemons.runtime.logging import ENVIRONMENT
from aiovirt.daemons.runtime.process.systemd import Notifier, passed_sockets

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0

LIKE_SYSTEMD = """
import os, sys
count, names, *command = sys.argv[1:]
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=count)
if names:
    os.environ["LISTEN_FDNAMES"] = names
descriptors = [int(fd) for fd in os.environ["TEST_FDS"].split()]
for index, fd in enumerate(descriptors):
    os.dup2(fd, 100 + index)
for index in range(len(descriptors)):
    os.dup2(100 + index, 3 + index)
    os.close(100 + index)
os.execv(command[0], command)
"""


class Activator:
    """Starts virtd as systemd does: with listening sockets, which it names or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sockets: list[socket.socket] = []
        self.processes: list[subprocess.Popen[str]] = []
        self.news = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.news.bind(str(folder / "news"))
        self.news.settimeout(PATIENCE)

    def unix(self, name: str) -> Path:
        """Open a listening socket of that name, to be passed; returns its path."""
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(self.folder / name))
        sock.listen()
        self.sockets.append(sock)
        return self.folder / name

    def start(self, names: str = "", *options: str) -> subprocess.Popen[str]:
        """Start virtd with all sockets opened so far and do not wait for it."""
        fds = [sock.fileno() for sock in self.sockets]
        environment = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT.values()}
        daemon = [
            sys.executable,
            "-m",
            "aiovirt.daemons.virtd",
            "-v",
            "--rundir",
            f"{self.folder}/run",
            *options,
        ]
        process = subprocess.Popen(
            [sys.executable, "-c", LIKE_SYSTEMD, str(len(fds)), names, *daemon],
            pass_fds=fds,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment
            | {
                "TEST_FDS": " ".join(map(str, fds)),
                "NOTIFY_SOCKET": str(self.folder / "news"),
                "XDG_CONFIG_HOME": str(self.folder),
            },
        )
        self.processes.append(process)
        return process

    def ready(self) -> None:
        assert self.news.recv(4096).startswith(b"READY=1\n")


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Activator]:
    activator = Activator(tmp_path)
    yield activator
    for process in activator.processes:
        process.kill()
        process.communicate()
    for sock in [*activator.sockets, activator.news]:
        sock.close()


def who_accepts(path: Path, process: subprocess.Popen[str]) -> str:
    """Connect to `path`, end the daemon, and return the name of the server that took the client."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.settimeout(PATIENCE)
        client.sendall(b"\0\0\0\0")  # no frame: the daemon answers by hanging up
        assert client.recv(1) == b""
    process.terminate()
    _, said = process.communicate(timeout=PATIENCE)
    line = next(line for line in said.splitlines() if "client connected" in line)
    return next(word for word in line.split() if word.startswith("server=")).removeprefix("server=")


@pytest.mark.parametrize(("asked", "server"), [("first", "admin"), ("second", "virtd")])
def test_sockets_go_to_the_servers_whose_units_they_are_named_after(
    systemd: Activator, asked: str, server: str
) -> None:
    systemd.unix("first")
    systemd.unix("second")
    process = systemd.start("virtd-admin.socket:virtd.socket")
    systemd.ready()
    assert not [name for name in os.listdir(systemd.folder / "run") if name.endswith("sock")]
    assert who_accepts(systemd.folder / asked, process) == server


def test_settings_that_passed_sockets_leave_without_effect_are_named_once(
    systemd: Activator,
) -> None:
    run = systemd.folder / "run"
    run.mkdir()
    (run / "virtd.conf").write_text(
        'unix_sock_group = "root"\nunix_sock_ro_perms = "0777"\nlisten_tls = 1\n'
        'tls_port = "1"\nmax_clients = 100\nauth_unix_ro = "none"\n'
    )
    path = systemd.unix("virtd-sock")
    process = systemd.start("virtd.socket")
    systemd.ready()
    process.terminate()
    _, said = process.communicate(timeout=PATIENCE)
    assert path.exists()
    (line,) = (line for line in said.splitlines() if "have no effect" in line)
    assert line.endswith('settings="listen_tls tls_port unix_sock_group unix_sock_ro_perms"')


def test_options_that_passed_sockets_leave_without_effect_are_named_once(
    systemd: Activator,
) -> None:
    path, other = systemd.unix("virtd-sock"), systemd.folder / "other"
    process = systemd.start("virtd.socket", f"--socket={path}", f"--admin-socket={other}")
    systemd.ready()
    process.terminate()
    _, said = process.communicate(timeout=PATIENCE)
    assert not other.exists()
    (line,) = (line for line in said.splitlines() if "have no effect" in line)
    assert line.endswith("options=--admin-socket")


@pytest.mark.parametrize("names", ["", "unknown:unknown"])
@pytest.mark.parametrize(("asked", "server"), [("x-admin-sock", "admin"), ("x-sock", "virtd")])
def test_sockets_without_names_go_by_their_paths(
    systemd: Activator, names: str, asked: str, server: str
) -> None:
    systemd.unix("x-sock")
    systemd.unix("x-admin-sock")
    process = systemd.start(names)
    systemd.ready()
    assert who_accepts(systemd.folder / asked, process) == server


def test_the_files_of_passed_sockets_are_left_to_systemd(systemd: Activator) -> None:
    path = systemd.unix("x-sock")
    process = systemd.start()
    systemd.ready()
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert path.exists()


def test_passed_sockets_do_not_reach_processes_that_the_daemon_starts(systemd: Activator) -> None:
    systemd.unix("x-sock")
    process = systemd.start()
    systemd.ready()
    info = Path(f"/proc/{process.pid}/fdinfo/3").read_text()
    flags = next(line.split()[1] for line in info.splitlines() if line.startswith("flags:"))
    assert int(flags, 8) & os.O_CLOEXEC


def test_a_tcp_socket_goes_to_virtds_own_server(systemd: Activator) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    systemd.sockets.append(sock)
    systemd.start("virtd-tcp.socket")
    systemd.ready()
    with socket.create_connection(sock.getsockname(), PATIENCE) as client:
        client.sendall(b"\0\0\0\0")
        assert client.recv(1) == b""


def test_a_socket_that_no_server_takes_is_named(systemd: Activator) -> None:
    systemd.unix("x-sock")
    process = systemd.start("other.socket")
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 6
    assert "descriptor 3 (other.socket, " in said
    assert (
        "virtd.socket, virtd-ro.socket, virtd-tcp.socket, virtd-tls.socket, virtd-admin.socket are known"
        in said
    )


def test_a_socket_that_does_not_listen_is_named(systemd: Activator) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(systemd.folder / "x-sock"))
    systemd.sockets.append(sock)
    process = systemd.start()
    _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "does not listen" in said) == (6, True)


def test_sockets_meant_for_another_process_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert passed_sockets() == []
    assert "LISTEN_PID" not in os.environ


def test_news_reach_an_abstract_address_and_the_variable_is_taken_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"aiovirt-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as news:
        news.bind(f"\0{name}")
        news.settimeout(PATIENCE)
        Notifier.from_environment().ready()
        assert news.recv(100) == b"READY=1\nSTATUS=Accepting clients"
    assert "NOTIFY_SOCKET" not in os.environ


def test_without_anybody_to_tell_nothing_is_told(tmp_path: Path) -> None:
    Notifier(None).ready()
    Notifier(str(tmp_path / "nobody")).ready()
