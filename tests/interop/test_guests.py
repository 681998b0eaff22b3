"""libvirt's own libvirtd runs emulated guests on our lockd and logd, as on virtlockd and virtlogd.

Every claim is made of both pairs, with the same steps.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemons.lockd.protocol import ACQUIRE_RESOURCE, REGISTER, Owner, RegisterArgs, ResourceArgs
from rpc.client import Connection
from tests import harness

PAIRS = {"libvirt": ("virtlockd", "virtlogd"), "ours": ("lockd", "logd")}

#: Bytes after which a guest's log is rotated, and rotated files that are kept.
_MAX_SIZE = 20_000
_MAX_BACKUPS = 2

#: What the guest's boot sector sends to its serial port, for ever.
_LINE = b"the guest speaks\n"
#: xor ax,ax; mov ds,ax; cld; mov dx,0x3f8; again: mov si,line; next: lodsb; test al,al; jz again;
#: out dx,al; jmp next; line: ...
_TALKER = bytes.fromhex("31c0 8ed8 fc baf803 be137c ac 84c0 74f8 ee ebf8") + _LINE + b"\0"

_QEMU = "/usr/bin/qemu-system-x86_64"
_DRIVER = "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so"

_QEMU_CONF: harness.Settings = {
    "user": "root",
    "group": "root",
    "security_driver": "none",
    "cgroup_controllers": [],
    "namespaces": [],
    "lock_manager": "lockd",
    "stdio_handler": "logd",
}

_GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <serial type='file'>
      <source path='{console}'/>
    </serial>
  </devices>
</domain>
"""


@dataclass
class Host:
    """A libvirtd, the lock manager and the log manager that it asks, and a disk."""

    libvirtd: harness.RunningDaemon
    manager: harness.RunningDaemon
    logger: harness.RunningDaemon
    disk: Path
    console: Path

    def virsh(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run libvirt's virsh against this libvirtd."""
        uri = f"qemu:///system?socket={self.libvirtd.socket}"
        return subprocess.run(
            [harness.require("virsh"), "--connect", uri, *arguments],
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self.libvirtd.folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, name: str) -> subprocess.CompletedProcess[str]:
        """Start a guest on the disk."""
        description = self.libvirtd.folder / f"{name}.xml"
        description.write_text(
            _GUEST.format(name=name, emulator=_QEMU, disk=self.disk, console=self.console)
        )
        return self.virsh("create", str(description))

    def guest_pid(self, name: str) -> int:
        """The process of a running guest."""
        run = self.libvirtd.folder / "run" / "libvirt" / "qemu"
        return int((run / f"{name}.pid").read_text())

    def is_locked(self) -> bool:
        """Whether the kernel knows of an exclusive lock on the disk's first byte."""
        inode = f":{self.disk.stat().st_ino} 0 0"
        locks = Path("/proc/locks").read_text().splitlines()
        return any(line.endswith(inode) and " WRITE " in line for line in locks)


@pytest.fixture(params=PAIRS)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    if os.geteuid() != 0:
        pytest.skip("libvirtd runs guests with a lock manager for root only")
    for needed in (_QEMU, _DRIVER):
        if not Path(needed).exists():
            harness.missing(f"{needed} is not installed")
    with contextlib.ExitStack() as stack:
        locks, logs = PAIRS[request.param]
        manager = stack.enter_context(harness.running(locks))
        folder = Path(stack.enter_context(_short_folder()))
        settings = folder / "etc-libvirt"
        settings.mkdir()
        harness.write_settings(settings / "qemu.conf", _QEMU_CONF)
        harness.write_settings(settings / "qemu-lockd.conf", {"auto_disk_leases": 1})
        place = folder / "run" / "libvirt"
        libvirtd = harness.start("libvirtd", folder, ready=False)
        stack.callback(libvirtd.kill)
        (place / "virtlockd-sock").symlink_to(manager.socket)
        rotation = {"max_size": _MAX_SIZE, "max_backups": _MAX_BACKUPS}
        logger = stack.enter_context(harness.running(logs, rotation, host=folder))
        if not logger.is_real:
            (place / "virtlogd-sock").symlink_to(logger.socket)
        libvirtd.wait_ready()
        disk = folder / "disk.img"
        disk.write_bytes(_TALKER.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
        host = Host(libvirtd, manager, logger, disk, folder / "console.log")
        stack.callback(_destroy_all, host)
        yield host


@contextlib.contextmanager
def _short_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="av-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _destroy_all(host: Host) -> None:
    for name in host.virsh("list", "--name").stdout.split():
        host.virsh("destroy", name)


def _gone(pid: int) -> bool:
    """Whether a process, not ours to wait for, ends before patience does."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            return bool(select.select([descriptor], [], [], harness.PATIENCE)[0])
        finally:
            os.close(descriptor)
    return True


def _wait_for(thing: Callable[[], object], host: Host) -> None:
    """Ask libvirtd something until `thing()` is true; fail when that does not come."""
    end = time.monotonic() + harness.PATIENCE
    while not thing():
        assert time.monotonic() < end, "it never came"
        host.virsh("list")


def _eventually_unlocked(host: Host) -> bool:
    _wait_for(lambda: not host.is_locked(), host)
    return True


def test_a_guest_s_disk_is_locked_while_it_runs(host: Host) -> None:
    assert not host.is_locked()
    started = host.start("first")
    assert started.returncode == 0, started.stderr
    assert host.is_locked()
    second = host.start("second")
    assert second.returncode == 1
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
    oldest = host.console.with_name(f"{host.console.name}.{_MAX_BACKUPS - 1}")
    _wait_for(oldest.exists, host)
    assert host.virsh("destroy", "first").returncode == 0
    files = _log_of(host.console)
    assert len(files) == 1 + _MAX_BACKUPS
    for full in files[1:]:
        assert _MAX_SIZE - 80 <= len(full) <= _MAX_SIZE
    said = b"".join(reversed(files))
    assert said in _LINE * (len(said) // len(_LINE) + 2), "something is missing, or there twice"
    assert host.console.stat().st_mode & 0o777 == 0o600


def test_what_qemu_itself_says_is_in_the_guest_s_log(host: Host) -> None:
    assert host.start("first").returncode == 0
    assert host.virsh("destroy", "first").returncode == 0
    log = host.libvirtd.folder / "var-log-libvirt" / "qemu" / "first.log"
    _wait_for(lambda: b"terminating on signal 15" in log.read_bytes(), host)
    said = log.read_bytes()
    assert b": starting up libvirt version: 9.0.0" in said  # what libvirtd adds to it
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
    assert _gone(guest)


@pytest.fixture
async def holder(host: Host) -> AsyncIterator[None]:
    """Somebody else who holds the disk, for a process of its own."""
    other = await asyncio.create_subprocess_exec("sleep", "600")
    try:
        async with await Connection.open_unix(host.manager.socket) as connection:
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
