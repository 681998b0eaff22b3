"""What only ours can: administering the locks and logs of guests that libvirt's libvirtd runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.daemons.logd.client import LogAdmin
from tests import harness
from tests.interop.guest_host import LINE, Host, gone, running_host, wait_for


@pytest.fixture
def host() -> Iterator[Host]:
    with running_host("ours") as host:
        assert host.start("first").returncode == 0
        yield host


def virtadm(daemon: harness.RunningDaemon, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command against a daemon, for JSON."""
    return subprocess.run(
        [sys.executable, "-m", "aiovirt.admin.cli", "-c", daemon.uri, "-o", "json", *words],
        cwd=harness.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def answer(daemon: harness.RunningDaemon, *words: str) -> Any:
    """What a command answers."""
    done = virtadm(daemon, *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_guest_s_lock_is_seen_and_broken(host: Host) -> None:
    guest, disk = host.guest_pid("first"), str(host.disk)
    (lock,) = answer(host.manager, "lock-list")
    assert (lock["resource"], lock["flags"]) == (disk, ["exclusive"])
    assert (lock["owner"]["name"], lock["owner"]["pid"]) == ("first", guest)
    assert host.start("second").returncode == 1
    refusal = answer(host.manager, "lock-refusals")[-1]
    assert refusal["owner"]["name"] == "second"
    assert f"locked by first (process {guest})" in refusal["because"]

    denied = virtadm(host.manager, "lock-break", disk, "first")
    assert denied.returncode == 1
    assert "by force only" in denied.stderr
    assert host.is_locked()
    broken = answer(host.manager, "lock-break", disk, "first", "--force")
    assert (broken["fate"], broken["owner"]["pid"]) == ("ended", guest)
    assert gone(guest)
    assert not host.is_locked()
    wait_for(lambda: not host.virsh("list", "--name").stdout.split(), host)
    assert host.start("second").returncode == 0
    assert answer(host.manager, "lock-list")[0]["owner"]["name"] == "second"


async def test_a_guest_s_log_is_seen_rotated_and_followed(host: Host) -> None:
    path = str(host.console)
    logs = {log["path"]: log for log in answer(host.logger, "log-list")}
    assert logs[path]["guest"]["name"] == "first"
    assert (logs[path]["lost"], logs[path]["trouble"]) == (0, None)
    rotations = logs[path]["rotations"]
    position = answer(host.logger, "log-rotate", path)
    assert position["path"] == path
    logs = {log["path"]: log for log in answer(host.logger, "log-list")}
    assert logs[path]["rotations"] > rotations
    said = b""
    async with (
        admin_client.connect(host.logger.uri) as connection,
        LogAdmin(connection).follow(path) as followed,
        asyncio.timeout(harness.PATIENCE),
    ):
        async for data in followed:
            said += data
            if len(said) > 100 * len(LINE):
                break
    assert said in LINE * (len(said) // len(LINE) + 2)


def test_a_guest_does_not_notice_that_both_are_restarted(host: Host) -> None:
    guest = host.guest_pid("first")
    for daemon in (host.manager, host.logger):
        os.kill(daemon.pid, signal.SIGUSR1)
    for daemon in (host.manager, host.logger):
        wait_for(lambda log=daemon.log: "took over" in log.read_text(), host)  # type: ignore[misc]
    assert host.virsh("list", "--name").stdout.split() == ["first"]
    assert host.guest_pid("first") == guest
    assert host.is_locked()
    assert host.start("second").returncode == 1
    before = host.console.stat().st_ino, host.console.stat().st_size
    wait_for(lambda: (host.console.stat().st_ino, host.console.stat().st_size) != before, host)
    assert host.virsh("destroy", "first").returncode == 0
    wait_for(lambda: not host.is_locked(), host)
