"""libvirt's own libvirtd runs emulated guests on our lockd and logd, as on virtlockd and virtlogd.

Every claim is made of both pairs, with the same steps.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from aiovirt.daemons.lockd.protocol import (
    ACQUIRE_RESOURCE,
    REGISTER,
    Owner,
    RegisterArgs,
    ResourceArgs,
)
from aiovirt.rpc.client import connect_unix
from tests import harness
from tests.interop.guest_host import (
    LINE,
    MAX_BACKUPS,
    MAX_SIZE,
    PAIRS,
    Host,
    gone,
    running_host,
    wait_for,
)


@pytest.fixture(params=PAIRS)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with running_host(request.param) as host:
        yield host


def _eventually_unlocked(host: Host) -> bool:
    wait_for(lambda: not host.is_locked(), host)
    return True


def test_a_guest_s_disk_is_locked_while_it_runs(host: Host) -> None:
    assert not host.is_locked()
    started = host.start("first")
    assert started.returncode == 0, started.stderr
    assert host.is_locked()
    second = host.start("second")
    assert second.returncode == 1
    assert f"'{host.disk}' is locked" in second.stderr
    assert host.virsh("list", "--name").stdout.split() == ["first"]
    assert host.virsh("destroy", "first").returncode == 0
    assert _eventually_unlocked(host)
    assert host.start("second").returncode == 0
    assert host.is_locked()


def _log_of(path: Path) -> list[bytes]:
    """What a log's files hold, from new to old."""
    names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(9))]
    return [name.read_bytes() for name in names if name.exists()]


def test_a_guest_s_console_is_logged_and_rotated(host: Host) -> None:
    assert host.start("first").returncode == 0
    oldest = host.console.with_name(f"{host.console.name}.{MAX_BACKUPS - 1}")
    wait_for(oldest.exists, host)
    assert host.virsh("destroy", "first").returncode == 0
    files = _log_of(host.console)
    assert len(files) == 1 + MAX_BACKUPS
    for full in files[1:]:
        assert MAX_SIZE - 80 <= len(full) <= MAX_SIZE
    said = b"".join(reversed(files))
    assert said in LINE * (len(said) // len(LINE) + 2), "something is missing, or there twice"
    assert host.console.stat().st_mode & 0o777 == 0o600


def test_what_qemu_itself_says_is_in_the_guest_s_log(host: Host) -> None:
    assert host.start("first").returncode == 0
    assert host.virsh("destroy", "first").returncode == 0
    log = host.libvirtd.folder / "var-log-libvirt" / "qemu" / "first.log"
    wait_for(lambda: b"terminating on signal 15" in log.read_bytes(), host)
    said = log.read_bytes()
    assert (
        f": starting up libvirt version: {harness.libvirt_version_text()}".encode() in said
    )  # what libvirtd adds to it
    assert b": shutting down, reason=destroyed" in said


def test_a_guest_that_dies_loses_its_lock(host: Host) -> None:
    assert host.start("first").returncode == 0
    os.kill(host.guest_pid("first"), signal.SIGKILL)
    assert _eventually_unlocked(host)
    assert host.start("second").returncode == 0


def test_the_lock_manager_s_end_is_the_end_of_its_guests(host: Host) -> None:
    assert host.start("first").returncode == 0
    guest = host.guest_pid("first")
    host.manager.kill()
    assert gone(guest)


@pytest.fixture
async def holder(host: Host) -> AsyncIterator[None]:
    """Somebody else who holds the disk, for a process of its own."""
    other = await asyncio.create_subprocess_exec("sleep", "600")
    try:
        async with connect_unix(host.manager.socket) as connection:
            owner = Owner(b"\x01" * 16, "another", 1, other.pid)
            await connection.call(REGISTER, RegisterArgs(owner, 0))
            await connection.call(ACQUIRE_RESOURCE, ResourceArgs("", str(host.disk), 0))
            yield
    finally:
        other.kill()
        await other.wait()


async def test_a_guest_on_a_disk_that_another_owner_holds_does_not_start(
    host: Host, holder: None
) -> None:
    refused = host.start("first")
    assert refused.returncode == 1
    assert f"'{host.disk}' is locked" in refused.stderr
    assert host.virsh("list", "--name").stdout.split() == []
