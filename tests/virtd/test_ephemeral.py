"""`virtd --ephemeral`: a daemon for one test, that leaves nothing."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from aiovirt.daemons.runtime.process.failure import Failure
from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client import Host, connect
from tests.virtd.conftest import DOMAIN

PATIENCE = 30.0
VIRTD = (sys.executable, "-m", "aiovirt.daemons.virtd")

#: Starts a daemon, passes its line on, and waits to be killed; the daemon's standard input stays open.
PARENT = """
import signal, subprocess, sys
reading = int(sys.argv[1])
child = subprocess.Popen(sys.argv[2:], stdin=reading, stdout=subprocess.PIPE)
sys.stdout.write(child.stdout.readline().decode())
sys.stdout.flush()
signal.pause()
"""


class Ephemeral:
    """A daemon. told: its line of JSON."""

    def __init__(self, *arguments: str, **options: Any) -> None:
        options.setdefault("stdin", subprocess.PIPE)
        self.process = subprocess.Popen(
            [*VIRTD, "--ephemeral", *arguments], stdout=subprocess.PIPE, **options
        )
        assert self.process.stdout is not None
        self.told: dict[str, Any] = json.loads(self.process.stdout.readline())

    def host(self, driver: str = "test") -> Any:
        """A connection to it."""
        return connect(self.told[driver])

    def end(self) -> int:
        """Close its standard input, wait for its end, and return its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """End it if it runs; its files go with it."""
        self.process.terminate()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.process.wait(PATIENCE)


@contextmanager
def ephemeral(*arguments: str, **options: Any) -> Iterator[Ephemeral]:
    """Run one for the length of a `with`."""
    daemon = Ephemeral(*arguments, **options)
    try:
        yield daemon
    finally:
        daemon.close()


def _exists(daemon: Ephemeral) -> bool:
    return os.path.exists(daemon.told["rundir"])


async def _names(host: Host) -> list[str]:
    found = await host.call(protocol.CONNECT_LIST_ALL_DOMAINS, protocol.ListAllArgs(1, 0))
    return sorted(one.name for one in found.domains)


async def test_it_tells_its_uris_serves_and_leaves_nothing() -> None:
    with ephemeral() as daemon:
        told = daemon.told
        assert told["pid"] == daemon.process.pid
        assert os.stat(told["rundir"]).st_mode & 0o777 == 0o700
        assert told["test"] == f"test+unix:///default?socket={told['rundir']}/virtd-sock"
        assert told["qemu"] == f"qemu+unix:///system?socket={told['rundir']}/virtd-sock"
        assert told["admin"] == f"virtd:///system?socket={told['rundir']}/virtd-admin-sock"
        async with daemon.host() as host:
            assert await _names(host) == ["test"]
        assert daemon.end() == 0
        assert not _exists(daemon)


async def test_two_of_them_share_nothing() -> None:
    with ephemeral() as one, ephemeral() as other:
        assert one.told["rundir"] != other.told["rundir"]
        async with one.host("qemu") as first, other.host("qemu") as second:
            await first.define(DOMAIN.format(title="kvm", name="guest"))
            assert (await _names(first), await _names(second)) == (["guest"], [])


def test_it_ends_with_the_process_that_started_it() -> None:
    reading, writing = os.pipe()  # its standard input stays open
    command = [sys.executable, "-c", PARENT, str(reading), *VIRTD, "--ephemeral"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=(reading,)) as parent:
        assert parent.stdout is not None
        told = json.loads(parent.stdout.readline())
        descriptor = os.pidfd_open(told["pid"])
        parent.kill()
    poll = select.poll()
    poll.register(descriptor)
    assert poll.poll(PATIENCE * 1000)
    assert not os.path.exists(told["rundir"])
    for one in (reading, writing, descriptor):
        os.close(one)


async def test_it_goes_on_when_the_thread_that_started_it_ends() -> None:
    started: list[Ephemeral] = []
    thread = threading.Thread(target=lambda: started.append(Ephemeral()))
    thread.start()
    thread.join()
    try:
        async with started[0].host() as host:
            assert await _names(host) == ["test"]
        assert started[0].end() == 0
    finally:
        started[0].close()


async def test_a_standard_input_that_is_no_pipe_is_not_watched() -> None:
    with ephemeral(stdin=subprocess.DEVNULL) as daemon:
        async with daemon.host() as host:
            assert await _names(host) == ["test"]
        daemon.process.terminate()
        assert daemon.process.wait(PATIENCE) == 0
        assert not _exists(daemon)


async def test_what_comes_by_its_standard_input_is_dropped() -> None:
    with ephemeral() as daemon:
        assert daemon.process.stdin is not None
        daemon.process.stdin.write(b"quit\n" * 100_000)  # more than a pipe holds
        daemon.process.stdin.flush()
        async with daemon.host() as host:
            assert await _names(host) == ["test"]
        assert daemon.end() == 0


def test_the_ready_descriptor_gets_the_same_line() -> None:
    reading, writing = os.pipe()
    with ephemeral("--ready-fd", str(writing), pass_fds=(writing,)) as daemon:
        os.close(writing)
        with open(reading, encoding="utf-8") as file:
            assert json.loads(file.read()) == daemon.told  # read to its end: it was closed


def test_a_ready_descriptor_that_takes_nothing_holds_nobody_up() -> None:
    reading, writing = os.pipe()
    size = 0
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            size += os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    with ephemeral("--ready-fd", str(writing), pass_fds=(writing,)) as daemon:
        os.close(writing)
        assert daemon.host() is not None
        with open(reading, "rb") as pipe:
            assert json.loads(pipe.read()[size:]) == daemon.told
        assert daemon.end() == 0


def test_the_ready_descriptor_is_for_lasting_daemons_too(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    command = [*VIRTD, "--rundir", str(tmp_path / "r"), "--ready-fd", str(writing)]
    with subprocess.Popen(command, pass_fds=(writing,)) as process:
        os.close(writing)
        with open(reading, encoding="utf-8") as file:
            told = json.loads(file.read())
        assert told["rundir"] == str(tmp_path / "r")
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert (tmp_path / "r" / "virtd.sqlite").exists()


async def test_a_restart_keeps_what_is_in_memory() -> None:
    with ephemeral("-v", stderr=subprocess.PIPE) as daemon:
        async with daemon.host("qemu") as host:
            await host.define(DOMAIN.format(title="kvm", name="guest"))
            daemon.process.send_signal(signal.SIGUSR1)
            assert daemon.process.stderr is not None
            for line in daemon.process.stderr:
                assert b"refused" not in line
                if b"took over" in line:
                    break
            assert await _names(host) == ["guest"]
            assert _exists(daemon)
        async with daemon.host() as host:
            assert await _names(host) == ["test"]
        assert daemon.process.stdin is not None
        daemon.process.stdin.close()
        daemon.process.stderr.read()
        assert daemon.process.wait(PATIENCE) == 0
        assert not _exists(daemon)


async def test_it_begins_with_a_world(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text("[[domain]]\nname = 'web'\nstate = 'shutoff'\n")
    with ephemeral("--world", "w.toml", cwd=tmp_path) as daemon:
        async with daemon.host() as host:
            assert await _names(host) == ["web"]


async def test_tcp_is_told_if_it_is_open(tmp_path: Path) -> None:
    (tmp_path / "v.conf").write_text('listen_tcp = 1\nlisten_addr = "127.0.0.1"\ntcp_port = "0"\n')
    with ephemeral("-f", "v.conf", cwd=tmp_path) as daemon:
        assert daemon.told["test_tcp"].startswith("test+tcp://127.0.0.1:")
        async with daemon.host("test_tcp") as host:
            assert await _names(host) == ["test"]


def test_a_world_with_an_object_that_is_refused_is_named(tmp_path: Path) -> None:
    world = tmp_path / "world.xml"
    world.write_text("<node><domain type='test'/></node>")
    command = [*VIRTD, "--ephemeral", "--world", str(world)]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == Failure.INIT
    assert f"virtd: {world}: " in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--ephemeral", "-d"], Failure.USAGE, "--ephemeral and --daemon exclude each other"),
        (["--ephemeral", "--rundir", "x"], Failure.USAGE, "--ephemeral and --rundir exclude"),
        (["--settings", "a = 1"], Failure.USAGE, "--settings is for --ephemeral without --config"),
        (["--ephemeral", "--settings", "a = 1", "-f", "x"], Failure.USAGE, "without --config"),
        (["--ephemeral", "--settings", "max_clients = 0"], Failure.USAGE, "max_clients = 0 is not"),
        (["--ephemeral", "--ready-fd", "77"], Failure.USAGE, "--ready-fd 77: Bad file descriptor"),
        (["--ephemeral", "--ready-fd", "x"], Failure.USAGE, "a descriptor is a number from 3"),
        (["--ephemeral", "--world", "none"], Failure.INIT, "none: No such file or directory"),
    ],
)
def test_what_it_cannot_do_is_told(
    tmp_path: Path, arguments: list[str], status: int, said: str
) -> None:
    place = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [*VIRTD, *arguments], env=place, capture_output=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == status
    assert said in done.stderr.decode()
    assert done.stdout == b""
    assert not list(tmp_path.iterdir())
