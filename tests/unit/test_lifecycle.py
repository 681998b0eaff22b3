"""A daemon starts, says so, reloads, refuses a twin, and leaves nothing behind.

Each test runs real processes and waits for what they tell $NOTIFY_SOCKET, or for their end.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiovirt.admin.protocol import CONNECT_GET_LIB_VERSION
from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.runtime.logging import ENVIRONMENT

ROOT = Path(__file__).parents[2]
DAEMONS = [kind.name for kind in kinds()]
PATIENCE = 20.0
"""Seconds after which a test fails instead of waiting on."""


class Started:
    """A daemon that a test started."""

    def __init__(self, process: subprocess.Popen[str], news: socket.socket, rundir: Path) -> None:
        self.process = process
        self.news = news
        self.rundir = rundir

    def wait_for(self, message: str) -> str:
        """Wait until the daemon tells systemd a message with this line; returns it whole."""
        while True:
            told = self.news.recv(4096).decode()
            if message in told.split("\n"):
                return told

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("RELOADING=1")
        self.wait_for("READY=1")

    def end(self, how: signal.Signals = signal.SIGTERM) -> str:
        """End it and return what it wrote to standard error."""
        self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return errors

    def files(self) -> set[str]:
        """What it has in its run directory, but for virtd's store, which stays."""
        return {name for name in os.listdir(self.rundir) if not name.startswith("virtd.sqlite")}


class Starter:
    """Starts daemons in folders of one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rundir = folder / "run"
        self.config = folder / "x.conf"
        self.config.write_text("")
        self.started: list[Started] = []
        self.program: list[str] = []
        self.environment = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT.values()}

    def command(self, name: str, *options: str) -> list[str]:
        """The command line of a daemon in this test's run directory."""
        rundir, config = str(self.rundir), str(self.config)
        return [
            sys.executable,
            *(self.program or ["-m", f"aiovirt.daemons.{name}"]),
            *("--rundir", rundir, "--config", config),
            *options,
        ]

    def run(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a daemon that is expected to end by itself."""
        return subprocess.run(
            self.command(name, *options),
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=self.environment,
            cwd=ROOT,
        )

    def __call__(self, name: str = "virtd", *options: str) -> Started:
        """Start a daemon and wait until it is ready."""
        address = self.folder / f"news{len(self.started)}"
        news = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        news.bind(str(address))
        news.settimeout(PATIENCE)
        process = subprocess.Popen(
            self.command(name, *options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment | {"NOTIFY_SOCKET": str(address)},
            cwd=ROOT,
        )
        one = Started(process, news, self.rundir)
        self.started.append(one)
        one.wait_for("READY=1")
        return one


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    starter = Starter(tmp_path)
    yield starter
    for one in starter.started:
        one.process.kill()
        one.process.communicate()
        one.news.close()


def ask_version(path: Path) -> int:
    """Ask the admin server at `path` for its version; the number that it answers."""
    call = struct.pack(">I8siiIi", 28, *_key(), 0, 1, 0)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(path))
        client.sendall(call)
        reply = client.recv(4096)
    assert int.from_bytes(reply[24:28], "big") == 0, "an error reply"
    return int.from_bytes(reply[28:36], "big")


def _key() -> tuple[bytes, int]:
    program = CONNECT_GET_LIB_VERSION.program
    return struct.pack(">II", program.number, program.version), CONNECT_GET_LIB_VERSION.number


# Starting and ending -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", DAEMONS)
def test_a_daemon_serves_its_admin_socket_and_leaves_nothing_behind(
    start: Starter, name: str
) -> None:
    one = start(name)
    own = {"lockd": {"lockd.journal"}, "virtd": {"virtd-sock-ro"}}.get(name, set())
    assert one.files() == {f"{name}-sock", f"{name}-admin-sock", f"{name}.pid"} | own
    assert ask_version(one.rundir / f"{name}-admin-sock") > 0
    assert one.end() == ""
    assert one.process.returncode == 0
    assert one.files() == set()


def test_the_run_directory_and_the_sockets_are_for_their_owner(start: Starter) -> None:
    one = start()
    expected = 0o755 if os.geteuid() == 0 else 0o700
    assert one.rundir.stat().st_mode & 0o777 == expected
    for path in ("virtd-sock", "virtd-sock-ro", "virtd-admin-sock"):
        assert (one.rundir / path).stat().st_mode & 0o777 == 0o700


def test_the_settings_say_who_may_open_the_sockets(start: Starter) -> None:
    start.config.write_text('unix_sock_rw_perms = "0777"\nunix_sock_group = "0"\n')
    if os.geteuid() != 0:
        start.config.write_text('unix_sock_rw_perms = "0777"\n')
    one = start()
    assert (one.rundir / "virtd-sock").stat().st_mode & 0o777 == 0o777


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_an_interrupt_ends_it_as_well(start: Starter, how: signal.Signals) -> None:
    one = start()
    assert one.end(how) == ""
    assert one.process.returncode == 0


def test_it_tells_systemd_when_it_ends(start: Starter) -> None:
    one = start()
    one.process.send_signal(signal.SIGTERM)
    one.wait_for("STOPPING=1")
    one.wait_for("EXTEND_TIMEOUT_USEC=40000000")


def test_it_ends_by_itself_when_nobody_comes(start: Starter) -> None:
    one = start("virtd", "--timeout", "1")
    assert one.process.wait(timeout=PATIENCE) == 0
    assert one.files() == set()


def test_the_sockets_can_be_elsewhere(start: Starter, tmp_path: Path) -> None:
    one = start("virtd", "--socket", f"{tmp_path}/a", "--admin-socket", f"{tmp_path}/b")
    assert one.files() == {"virtd.pid"}
    assert ask_version(tmp_path / "b") > 0


def test_verbose_says_what_happens_at_info(start: Starter) -> None:
    one = start("virtd", "--verbose")
    assert "daemons.runtime.lifecycle: ready" in one.end()


def test_it_takes_all_the_descriptors_that_it_may_have(start: Starter) -> None:
    one = start()
    limits = Path(f"/proc/{one.process.pid}/limits").read_text()
    soft, hard = next(x for x in limits.splitlines() if x.startswith("Max open files")).split()[3:5]
    assert soft == hard


# Refusing to start -------------------------------------------------------------------------------


@pytest.mark.parametrize("background", [[], ["-d"]])
def test_a_second_one_is_refused_and_told_who_is_first(
    start: Starter, background: list[str]
) -> None:
    one = start()
    twin = start.run("virtd", *background)
    assert twin.returncode == 1
    assert f"process {one.process.pid} holds it" in twin.stderr
    assert ask_version(one.rundir / "virtd-admin-sock") > 0


@pytest.mark.parametrize("background", [[], ["-d"]])
def test_a_bad_settings_file_ends_the_start_with_status_1(
    start: Starter, background: list[str]
) -> None:
    start.config.write_text("\nmax_clients = 0\n")
    run = start.run("virtd", *background)
    assert run.returncode == 1
    assert run.stderr.startswith(f"virtd: {start.config}:2: max_clients = 0 is not possible")
    assert not start.rundir.exists()


def test_a_settings_file_that_was_named_has_to_exist(start: Starter) -> None:
    start.config.unlink()
    run = start.run("virtd")
    assert (run.returncode, "there is no such file" in run.stderr) == (1, True)


def test_a_bad_environment_is_named(start: Starter) -> None:
    start.environment["LIBVIRT_LOG_FILTERS"] = "9:x"
    run = start.run("virtd")
    assert (run.returncode, "LIBVIRT_LOG_FILTERS" in run.stderr) == (1, True)


def test_an_unknown_group_is_an_error_of_the_network(start: Starter) -> None:
    start.config.write_text('unix_sock_group = "no-such-group"\n')
    run = start.run("virtd")
    assert (run.returncode, "no-such-group" in run.stderr) == (6, True)
    assert not {name for name in os.listdir(start.rundir) if not name.startswith("virtd.sqlite")}


def test_a_run_directory_that_cannot_be_made_has_its_own_status(start: Starter) -> None:
    start.rundir.write_text("a file")
    run = start.run("virtd")
    assert (run.returncode, "cannot be created" in run.stderr) == (2, True)


def test_a_file_in_the_place_of_a_socket_is_left_alone(start: Starter) -> None:
    start.rundir.mkdir()
    (start.rundir / "virtd-sock").write_text("precious")
    run = start.run("virtd")
    assert (run.returncode, "it is not a socket" in run.stderr) == (6, True)
    assert (start.rundir / "virtd-sock").read_text() == "precious"


def test_a_socket_at_which_somebody_answers_is_not_taken_away(
    start: Starter, tmp_path: Path
) -> None:
    one = start()
    run = start.run(
        "virtd", "--rundir", f"{tmp_path}/other", "--socket", f"{one.rundir}/virtd-sock"
    )
    assert (run.returncode, "in use" in run.stderr) == (6, True)
    assert ask_version(one.rundir / "virtd-admin-sock") > 0


def test_what_a_killed_daemon_left_does_not_keep_the_next_from_starting(start: Starter) -> None:
    one = start()
    one.process.kill()
    one.process.wait()
    assert one.files() == {"virtd-sock", "virtd-sock-ro", "virtd-admin-sock", "virtd.pid"}
    two = start()
    assert ask_version(two.rundir / "virtd-admin-sock") > 0


# Mistakes of ours --------------------------------------------------------------------------------

WITH_HOOK = """
import asyncio, sys
from aiovirt.daemons.runtime import DaemonKind, run

def wrong(*_):
    raise LookupError("a mistake of ours")

def later(*_):
    asyncio.get_running_loop().call_soon(wrong)
    return []

sys.exit(run(DaemonKind("virtd", "", build={hook}), sys.argv[1:]))
"""


def test_a_mistake_in_a_callback_is_logged_and_the_daemon_goes_on(start: Starter) -> None:
    start.program = ["-c", WITH_HOOK.format(hook="later")]
    one = start()
    assert ask_version(one.rundir / "virtd-admin-sock") > 0
    said = one.end()
    assert "daemons.runtime.lifecycle: mistake" in said
    assert "LookupError: a mistake of ours" in said


def test_a_mistake_at_the_start_of_a_daemon_in_the_background_is_told(start: Starter) -> None:
    start.program = ["-c", WITH_HOOK.format(hook="wrong")]
    run = start.run("virtd", "-d")
    assert run.returncode == 1
    assert run.stderr == "virtd: unexpected LookupError: a mistake of ours\n"


# In the background -------------------------------------------------------------------------------


def test_in_the_background_the_command_returns_when_the_daemon_can_be_used(start: Starter) -> None:
    log = start.folder / "x.log"
    start.config.write_text(f'log_outputs = "1:file:{log}"\n')
    run = start.run("logd", "-dv")
    assert (run.returncode, run.stderr, run.stdout) == (0, "", "")
    assert ask_version(start.rundir / "logd-admin-sock") > 0
    pid = int((start.rundir / "logd.pid").read_text())
    watch = os.pidfd_open(pid)
    try:
        assert os.getsid(pid) not in (pid, os.getsid(0))
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1, 2)} == {"/dev/null"}
        assert f" {pid}: " in log.read_text()
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_for_end(watch)
    assert os.listdir(start.rundir) == []


def wait_for_end(watch: int) -> None:
    """Wait until the process behind a pidfd, which is not our child, has ended."""
    poll = select.poll()
    poll.register(watch, select.POLLIN)
    assert poll.poll(PATIENCE * 1000), "it does not end"
    os.close(watch)


# Reloading ---------------------------------------------------------------------------------------


def test_sighup_reads_the_settings_again_and_tells_systemd_when(start: Starter) -> None:
    one = start("virtd", "-v")
    start.config.write_text("max_clients = 100\n")
    one.process.send_signal(signal.SIGHUP)
    told = one.wait_for("RELOADING=1")
    assert any(line.startswith("MONOTONIC_USEC=") for line in told.split("\n"))
    one.wait_for("READY=1")
    assert "setting changed setting=max_clients old=" in one.end()


def test_a_bad_file_at_sighup_is_logged_and_the_daemon_goes_on(start: Starter) -> None:
    one = start()
    start.config.write_text("max_clients = 0\n")
    one.reload()
    assert ask_version(one.rundir / "virtd-admin-sock") > 0
    assert "x.conf:1: max_clients = 0 is not possible" in one.end()


def test_sighup_turns_to_a_rotated_log(start: Starter) -> None:
    log = start.folder / "x.log"
    start.config.write_text(f'log_outputs = "1:file:{log}"\n')
    one = start("virtd", "-v")
    log.rename(start.folder / "x.log.1")
    one.reload()
    one.end()
    assert "ended" in log.read_text()


STUCK_RELOAD = """
import sys, threading
from aiovirt.daemons.runtime import reload
from aiovirt.daemons.virtd import main
reload.load = lambda *arguments, **options: threading.Event().wait()
sys.exit(main())
"""


def test_the_end_does_not_wait_for_a_reload_that_is_stuck(start: Starter) -> None:
    start.program = ["-c", STUCK_RELOAD]
    one = start()
    one.process.send_signal(signal.SIGHUP)
    one.wait_for("RELOADING=1")
    assert ask_version(one.rundir / "virtd-admin-sock") > 0
    assert one.end() == ""
    assert one.process.returncode == 0


# TCP ---------------------------------------------------------------------------------------------


def test_virtd_listens_on_tcp_when_it_is_told_to(start: Starter) -> None:
    start.config.write_text('listen_tcp = 1\nlisten_addr = "127.0.0.1"\ntcp_port = "0"\n')
    one = start("virtd", "-v")
    assert re.search(r"accepting server=virtd service=127\.0\.0\.1:[1-9]\d*\n", one.end())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('listen_addr = "no-such-host.invalid"', "no-such-host.invalid"),
        ('listen_addr = "127.0.0.1"\ntcp_port = "no-such-service"', "no-such-service"),
    ],
)
def test_a_tcp_address_that_cannot_be_used_is_named(start: Starter, text: str, named: str) -> None:
    start.config.write_text(f"listen_tcp = 1\n{text}\n")
    run = start.run("virtd")
    assert (run.returncode, named in run.stderr) == (6, True)
