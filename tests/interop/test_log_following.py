"""Logs followed from the command line, and filters set for a while, on daemons that really run."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiovirt.admin.client import connect
from tests import harness
from tests.conftest import StartDaemon

#: Filters, and a log in which a restart is seen.
SETTINGS: harness.Settings = {
    "log_filters": "4:access",
    "log_level": 2,
    "log_outputs": "2:stderr",
}
VIRTADM = [sys.executable, "-m", "aiovirt.admin.cli"]


class Running:
    """A virtadm that runs, and the lines that it prints."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._lines: list[str] = []
        self._rest = b""

    def wait_for(self, text: str) -> str:
        """Read lines until one has the text; that one, which is not found again."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + harness.PATIENCE
        while True:
            for line in self._lines:
                if text in line:
                    self._lines.remove(line)
                    return line
            left = deadline - time.monotonic()
            assert left > 0, f"no line with {text!r}, but {self._lines}"
            if select.select([self.process.stdout], [], [], left)[0]:
                data = os.read(self.process.stdout.fileno(), 65536)
                assert data, f"virtadm ended without a line with {text!r}: {self._end()}"
                *lines, self._rest = (self._rest + data).split(b"\n")
                self._lines += [line.decode() for line in lines]

    def _end(self) -> str:
        return self.process.communicate()[1].decode()

    def interrupt(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Interrupt it; its status, and its errors."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=harness.PATIENCE)
        return self.process.returncode, err.decode()


Begin = Callable[..., Running]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts virtadm with any words; it is ended with the test."""
    running: list[Running] = []
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(harness.ROOT),
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }

    def start(*words: str) -> Running:
        process = subprocess.Popen(
            [*VIRTADM, *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        running.append(Running(process))
        return running[-1]

    yield start
    for one in running:
        one.process.kill()
        one.process.communicate()


def uri(daemon: harness.RunningDaemon) -> str:
    return f"{daemon.name}:///session?socket={daemon.admin_socket}"


def ended(one: Running) -> tuple[int, str, str]:
    out, err = one.process.communicate(timeout=harness.PATIENCE)
    return one.process.returncode, out.decode(), err.decode()


def filters_of(daemon: harness.RunningDaemon) -> str:
    async def ask() -> str:
        async with connect(uri(daemon)) as connection:
            return await connection.get_logging_filters()

    return asyncio.run(ask())


def list_servers(daemon: harness.RunningDaemon) -> None:
    async def ask() -> None:
        async with connect(uri(daemon)) as connection:
            await connection.list_servers()

    asyncio.run(ask())


class TestFollow:
    def test_two_daemons_are_followed_together(
        self, begin: Begin, start_daemon: StartDaemon
    ) -> None:
        virtd, lockd = start_daemon("virtd"), start_daemon("lockd")
        both = begin(
            "-c", uri(virtd), "-c", uri(lockd), "daemon-log-follow", "--filters", "1:rpc.server"
        )
        both.wait_for("virtd: ")
        both.wait_for("lockd: ")
        for daemon in (lockd, virtd):
            list_servers(daemon)
            line = both.wait_for("CONNECT_LIST_SERVERS")
            assert line.startswith(f"{daemon.name}: ")
        assert both.interrupt()[0] == -signal.SIGINT
        for daemon in (virtd, lockd):
            assert "CONNECT_LIST_SERVERS" not in daemon.log.read_text()

    def test_one_that_ends_is_named_and_does_not_end_the_other(
        self, begin: Begin, start_daemon: StartDaemon
    ) -> None:
        virtd, lockd = start_daemon("virtd"), start_daemon("lockd")
        both = begin(
            "-c", uri(virtd), "-c", uri(lockd), "daemon-log-follow", "--filters", "1:rpc.server"
        )
        both.wait_for("virtd: ")
        both.wait_for("lockd: ")
        lockd.kill()
        list_servers(virtd)
        both.wait_for("CONNECT_LIST_SERVERS")
        assert "lockd: daemon lockd ends\n" in both.interrupt()[1]

    def test_one_that_hangs_from_the_beginning_is_named(
        self, begin: Begin, start_daemon: StartDaemon
    ) -> None:
        virtd, lockd = start_daemon("virtd"), start_daemon("lockd")
        os.kill(lockd.pid, signal.SIGSTOP)
        try:
            status, out, err = ended(
                begin(
                    *("--timeout", "0.5", "-c", uri(lockd), "-c", uri(virtd)),
                    *("daemon-log-follow", "--for", "1.5", "--level", "debug"),
                )
            )
        finally:
            os.kill(lockd.pid, signal.SIGCONT)
        assert status == 1
        assert "virtd: " in out
        assert "no answer to the connection within 0.5 s" in err
        assert "error: 1 of 2 daemons are not followed any more\n" in err

    def test_the_latest_records_are_shown_as_json(
        self, begin: Begin, start_daemon: StartDaemon
    ) -> None:
        daemon = start_daemon("virtd", {"log_filters": "2:rpc.server"})
        list_servers(daemon)
        words = ("daemon-log-follow", "--last", "100", "--for", "0")
        status, out, err = ended(begin("-o", "json", "-c", uri(daemon), *words))
        assert (status, err) == (0, "")
        records = [json.loads(line) for line in out.splitlines()]
        assert {"client connected", "client gone"} <= {one["message"] for one in records}
        assert all(one["daemon"] == "virtd" and one["level"] == "info" for one in records)

    def test_following_goes_on_over_a_restart_and_the_ring_survives_it(
        self, begin: Begin, start_daemon: StartDaemon
    ) -> None:
        daemon = start_daemon("lockd", {"log_filters": "2:rpc.server.server 2:runtime"})
        follower = begin("-c", uri(daemon), "daemon-log-follow", "--last", "1")
        before = follower.wait_for("client connected")
        os.kill(daemon.pid, signal.SIGUSR1)
        follower.wait_for("the daemon was restarted")
        follower.wait_for("took over")  # logged before anybody could follow: the ring had it
        words = ("daemon-log-follow", "--last", "1000", "--for", "0")
        out = ended(begin("-c", uri(daemon), *words))[1]
        assert before in out.splitlines()
        assert "took over" in out

    def test_a_daemon_of_libvirt_lacks_the_program_in_one_line(
        self, begin: Begin, start_daemon: StartDaemon
    ) -> None:
        daemon = start_daemon("virtlogd")
        status, _, err = ended(begin("-c", uri(daemon), "daemon-log-follow"))
        assert status == 1
        assert err.count("\n") == 1
        assert "has no admin extension (program 0x06900691)" in err


class TestFilters:
    @pytest.mark.parametrize(
        ("name", "number"),
        [("virtlogd", signal.SIGINT), ("virtlogd", signal.SIGTERM), ("virtd", signal.SIGHUP)],
    )
    def test_they_are_put_back_when_virtadm_is_interrupted(
        self, begin: Begin, start_daemon: StartDaemon, name: str, number: int
    ) -> None:
        daemon = start_daemon(name, {"log_filters": "4:access"})
        assert filters_of(daemon) == "4:access"
        setting = begin("-c", uri(daemon), "daemon-log-filters", "1:rpc", "--for", "1h")
        setting.wait_for("set for 3600 s")
        assert filters_of(daemon) == "1:rpc"
        status, err = setting.interrupt(number)
        assert status in (-number, 128 + number)
        assert "Traceback" not in err
        assert filters_of(daemon) == "4:access"

    def test_they_are_put_back_after_the_time_on_several_daemons(
        self, begin: Begin, start_daemon: StartDaemon
    ) -> None:
        ours, theirs = start_daemon("logd"), start_daemon("virtlogd")
        words = ("daemon-log-filters", "1:rpc", "--for", "0.2")
        status, out, err = ended(begin("-c", uri(ours), "-c", uri(theirs), *words))
        assert (status, err) == (0, "")
        assert out.count("Logging filters put back") == 2
        assert filters_of(ours) == filters_of(theirs) == ""

    def test_they_are_put_back_on_several_daemons_when_interrupted(
        self, begin: Begin, start_daemon: StartDaemon
    ) -> None:
        ours, theirs = start_daemon("logd"), start_daemon("virtlogd")
        words = ("daemon-log-filters", "1:rpc", "--for", "1h")
        setting = begin("-c", uri(ours), "-c", uri(theirs), *words)
        deadline = time.monotonic() + harness.PATIENCE
        while {filters_of(ours), filters_of(theirs)} != {"1:rpc"}:
            assert time.monotonic() < deadline
        setting.interrupt()
        assert filters_of(ours) == filters_of(theirs) == ""

    def test_a_killed_virtadm_leaves_nothing(self, begin: Begin, start_daemon: StartDaemon) -> None:
        daemon = start_daemon("lockd", SETTINGS)
        first, second = self.overlapping(begin, daemon)
        first.interrupt(signal.SIGKILL)
        assert filters_of(daemon) == "1:admin"
        second.interrupt(signal.SIGKILL)
        wait_for_filters(daemon, "4:access")

    def test_they_end_in_any_order_through_a_restart(
        self, begin: Begin, start_daemon: StartDaemon
    ) -> None:
        daemon = start_daemon("virtd", SETTINGS)
        first, second = self.overlapping(begin, daemon)
        restart(daemon)
        wait_for_filters(daemon, "1:rpc", "1:admin")  # those that came back last
        first.interrupt()
        wait_for_filters(daemon, "1:admin")
        restart(daemon)
        wait_for_filters(daemon, "1:admin")
        second.interrupt(signal.SIGKILL)
        wait_for_filters(daemon, "4:access")
        restart(daemon)
        assert filters_of(daemon) == "4:access"

    def test_an_administrator_s_own_stay(self, begin: Begin, start_daemon: StartDaemon) -> None:
        daemon = start_daemon("logd", SETTINGS)
        started = self.overlapping(begin, daemon)
        restart(daemon)
        wait_for_filters(daemon, "1:rpc", "1:admin")
        words = ("daemon-config-set", "log_filters=2:rpc")
        assert ended(begin("-c", uri(daemon), *words))[0] == 0
        for one in started:
            status, _, err = ended(one)
            assert status == 1
            assert "changed by somebody else meanwhile, and are left alone" in err
        restart(daemon)
        assert filters_of(daemon) == "2:rpc"

    @staticmethod
    def overlapping(begin: Begin, daemon: harness.RunningDaemon) -> list[Running]:
        """Two virtadm that have set filters, one after the other."""
        found = []
        for filters in ("1:rpc", "1:admin"):
            one = begin("-c", uri(daemon), "daemon-log-filters", filters, "--for", "1h")
            one.wait_for("set for 3600 s")
            assert filters_of(daemon) == filters
            found.append(one)
        return found


def wait_for_filters(daemon: harness.RunningDaemon, *wanted: str) -> None:
    deadline = time.monotonic() + harness.PATIENCE
    while (found := filters_of(daemon)) not in wanted:
        assert time.monotonic() < deadline, found


def restart(daemon: harness.RunningDaemon) -> None:
    """Have a daemon execute its program anew, and wait for that."""
    before = daemon.log.read_text().count("took over")
    os.kill(daemon.pid, signal.SIGUSR1)
    deadline = time.monotonic() + harness.PATIENCE
    while daemon.log.read_text().count("took over") == before:
        assert time.monotonic() < deadline
