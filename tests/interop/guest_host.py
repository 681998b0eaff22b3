"""libvirt's own libvirtd with a lock manager and a log manager, and emulated guests on it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import harness

PAIRS = {"libvirt": ("virtlockd", "virtlogd"), "ours": ("lockd", "logd")}

#: Bytes after which a guest's log is rotated, and rotated files that are kept.
MAX_SIZE = 20_000
MAX_BACKUPS = 2

#: What the guest's boot sector sends to its serial port, for ever.
LINE = b"the guest speaks\n"
#: xor ax,ax; mov ds,ax; cld; mov dx,0x3f8; again: mov si,line; next: lodsb; test al,al; jz again;
#: out dx,al; jmp next; line: ...
_TALKER = bytes.fromhex("31c0 8ed8 fc baf803 be137c ac 84c0 74f8 ee ebf8") + LINE + b"\0"

_QEMU = "/usr/bin/qemu-system-x86_64"
_DRIVER = "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so"

_TALKATIVE: harness.Settings = {"log_level": 2, "log_outputs": "2:stderr"}
#: QEMU has locks of its own on disks, and takes them first. With those, a second guest would be refused
#: whatever the lock manager says; so it is run without.
_EMULATOR = f"""#!/bin/sh
left=$#
while [ $left -gt 0 ]; do
    word=$1 left=$((left - 1))
    shift
    case $word in
        '{{"driver":"file",'*) word='{{"locking":"off",'${{word#?}} ;;
    esac
    set -- "$@" "$word"
done
exec {_QEMU} "$@"
"""

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
    """A libvirtd, the lock manager and the log manager that it asks, and a disk.

    console: the log of the first guest's serial port; emulator: what runs guests.
    """

    libvirtd: harness.RunningDaemon
    manager: harness.RunningDaemon
    logger: harness.RunningDaemon
    disk: Path
    console: Path
    emulator: Path

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
        """Start a guest on the disk, with a console of its own."""
        console = self.console if name == "first" else self.console.with_name(f"{name}.log")
        description = self.libvirtd.folder / f"{name}.xml"
        description.write_text(
            _GUEST.format(name=name, emulator=self.emulator, disk=self.disk, console=console)
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


@contextlib.contextmanager
def running_host(pair: str) -> Iterator[Host]:
    """Run one with the daemons of PAIRS[pair]. Skips or fails where libvirt or QEMU are missing."""
    if os.geteuid() != 0:
        pytest.skip("libvirtd runs guests with a lock manager for root only")
    for needed in (_QEMU, _DRIVER):
        if not Path(needed).exists():
            harness.missing(f"{needed} is not installed")
    with contextlib.ExitStack() as stack:
        locks, logs = PAIRS[pair]
        manager = stack.enter_context(harness.running(locks, _TALKATIVE))
        folder = Path(stack.enter_context(_short_folder()))
        settings = folder / "etc-libvirt"
        settings.mkdir()
        harness.write_settings(settings / "qemu.conf", _QEMU_CONF)
        harness.write_settings(settings / "qemu-lockd.conf", {"auto_disk_leases": 1})
        place = folder / "run" / "libvirt"
        libvirtd = harness.start("libvirtd", folder, ready=False)
        stack.callback(libvirtd.kill)
        (place / "virtlockd-sock").symlink_to(manager.socket)
        rotation = {**_TALKATIVE, "max_size": MAX_SIZE, "max_backups": MAX_BACKUPS}
        logger = stack.enter_context(harness.running(logs, rotation, host=folder))
        if not logger.is_real:
            (place / "virtlogd-sock").symlink_to(logger.socket)
        libvirtd.wait_ready()
        disk = folder / "disk.img"
        disk.write_bytes(_TALKER.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
        emulator = folder / "qemu"
        emulator.write_text(_EMULATOR)
        emulator.chmod(0o755)
        host = Host(libvirtd, manager, logger, disk, folder / "console.log", emulator)
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


def gone(pid: int) -> bool:
    """Whether a process, not ours to wait for, ends before patience does."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            return bool(select.select([descriptor], [], [], harness.PATIENCE)[0])
        finally:
            os.close(descriptor)
    return True


def wait_for(thing: Callable[[], object], host: Host) -> None:
    """Ask libvirtd something until `thing()` is true; fail when that does not come."""
    end = time.monotonic() + harness.PATIENCE
    while not thing():
        assert time.monotonic() < end, "it never came"
        host.virsh("list")
