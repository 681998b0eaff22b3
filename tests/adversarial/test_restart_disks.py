"""A disk that hangs under the daemon's own log does not stop the daemon at a restart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiovirt.admin import protocol as admin
from aiovirt.rpc.client import connect_unix
from tests import harness
from tests.adversarial.disks import LoopDisk, loop_disk
from tests.restart.conftest import SETTINGS, Restarted

VERSION = admin.CONNECT_GET_LIB_VERSION


@pytest.fixture
def disk() -> Iterator[LoopDisk]:
    with loop_disk() as one:
        yield one


def _settings(level: int, file: Path) -> harness.Settings:
    return {**SETTINGS, "log_outputs": f"2:stderr {level}:file:{file}"}


def _has_open(pid: int, file: Path) -> bool:
    """Whether a process has a file open."""
    folder = f"/proc/{pid}/fd"
    return any(os.readlink(f"{folder}/{one}") == str(file) for one in os.listdir(folder))


async def test_a_log_line_that_hangs_refuses_the_restart_and_the_daemon_serves(
    disk: LoopDisk,
) -> None:
    """The kernel cannot end the thread that writes it, so that executing a program would never end."""
    with harness.running("lockd", _settings(2, disk.path / "log")) as running:
        lockd = Restarted(running)
        async with connect_unix(running.admin_socket) as connection:
            disk.freeze()
            lockd.signal()
            await lockd.wait_for(lambda: "restart refused" in lockd.said)
            assert "a disk holds up 1 of the daemon's threads" in lockd.said
            await connection.call(VERSION, None, timeout=harness.PATIENCE)
            disk.thaw()
            await lockd.restart()
            await connection.call(VERSION, None, timeout=harness.PATIENCE)
        assert not lockd.daemon.kill()


async def test_a_log_that_cannot_be_opened_yet_is_used_when_its_disk_answers(
    disk: LoopDisk,
) -> None:
    log = disk.path / "log"
    with harness.running("virtd", _settings(4, log)) as running:
        virtd = Restarted(running)
        async with connect_unix(running.admin_socket) as connection:
            await connection.call(VERSION, None, timeout=harness.PATIENCE)
            log.rename(disk.path / "log.1")  # a new file has to be made
            disk.freeze()
            await virtd.restart()
            await connection.call(VERSION, None, timeout=harness.PATIENCE)
            await virtd.wait_for(lambda: "log outputs not opened yet" in virtd.said)
            disk.thaw()
            await virtd.wait_for(lambda: _has_open(virtd.pid, log))
        assert not virtd.daemon.kill()
