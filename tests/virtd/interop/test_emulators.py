"""Guests of virtd lock their disks and write their logs at lockd and logd, and at libvirt's own.

Every claim about managers is made of both pairs. What is expected was seen with libvirtd 9.0.0, QEMU,
virtlockd and virtlogd, which `tests/interop/guest_host.py` runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.daemons.lockd.client import LockAdmin
from aiovirt.daemons.logd.client import LogAdmin
from aiovirt.daemons.virtd.client import Domain, Host, RpcError, connect
from aiovirt.daemons.virtd.constants.domain import (
    DomainPausedReason,
    DomainRunningReason,
    DomainShutoffReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.domain_flags import DomainCreateFlags
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from tests import harness

PAIRS = {"libvirt": ("virtlockd", "virtlogd"), "ours": ("lockd", "logd")}
DISK = "/d/shared.img"
GUEST = """
<domain type='kvm'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda'/>{mode}
    </disk>
  </devices>
</domain>
"""


@dataclass
class Place:
    """A virtd with its settings, the lock manager and the log manager of its guests, and their logs."""

    virtd: harness.RunningDaemon
    manager: harness.RunningDaemon
    logger: harness.RunningDaemon
    logs: Path
    settings: harness.Settings

    @property
    def uri(self) -> str:
        """Of the qemu driver."""
        return f"qemu:///system?socket={self.virtd.socket}"

    def locks(self, disk: str = DISK) -> list[str]:
        """The kernel's locks of a disk: WRITE for an exclusive one, READ for a shared one."""
        return self._locks_of(hashlib.sha256(disk.encode()).hexdigest())

    def leases(self, key: str = "one") -> list[str]:
        """The kernel's locks of a lease."""
        return self._locks_of(key)

    def _locks_of(self, name: str) -> list[str]:
        file = self.virtd.folder / "lockspace" / name
        try:
            inode = f":{file.stat().st_ino}"
        except FileNotFoundError:
            return []
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        return [line[3] for line in lines if line[1] != "->" and line[5].endswith(inode)]

    def log(self, name: str) -> str:
        """The content of a guest's log."""
        return (self.logs / f"{name}.log").read_text()

    def emulators(self) -> list[int]:
        """The processes that stand for guests."""
        return stand_ins(str(self.virtd.folder))


def stand_ins(folder: str) -> list[int]:
    """The processes that stand for guests of the virtd with this run directory."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = file.read_bytes().split(b"\0")  # nothing of a process that has ended
            if folder.encode() in words and any(one.endswith(b"/stand_in.py") for one in words):
                found.append(int(file.parent.name))
    return sorted(found)


@contextlib.contextmanager
def running_place(pair: str, folder: Path) -> Iterator[Place]:
    """Run one with the daemons of PAIRS[pair]."""
    locks, logs = PAIRS[pair]
    with contextlib.ExitStack() as stack:
        manager = stack.enter_context(harness.running(locks))
        logger = stack.enter_context(harness.running(logs))
        settings: harness.Settings = {
            "lock_manager": "lockd",
            "stdio_handler": "logd",
            "lockd_socket": str(manager.socket),
            "logd_socket": str(logger.socket),
            "guest_log_dir": str(folder),
            "log_level": 2,
            "log_outputs": "2:stderr",
        }
        virtd = stack.enter_context(harness.running("virtd", settings))
        place = Place(virtd, manager, logger, folder, settings)
        try:
            yield place
        finally:
            place.virtd.kill()
            for one in place.emulators():
                os.kill(one, signal.SIGKILL)


@pytest.fixture(scope="module", params=PAIRS)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """One for all tests that leave it as it was."""
    with running_place(request.param, tmp_path_factory.mktemp("guests") / "qemu") as place:
        yield place


@pytest.fixture(params=PAIRS)
def own_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """One that a test may break."""
    with running_place(request.param, tmp_path / "qemu") as place:
        yield place


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Place]:
    """One with our managers."""
    with running_place("ours", tmp_path / "qemu") as place:
        yield place


@pytest.fixture
async def our_host(ours: Place) -> AsyncIterator[Host]:
    """A client of the place with our managers."""
    async with connect(ours.uri) as host:
        yield host


@pytest.fixture
async def host(place: Place) -> AsyncIterator[Host]:
    """A client; no guest runs afterwards."""
    async with connect(place.uri) as host:
        yield host
        for one in await host.list_domains():
            if await one.is_active():
                await one.destroy()
        for one in await host.list_domains():
            await one.undefine(3)  # with its managed save image and its snapshots


@pytest.fixture
async def own_host(own_place: Place) -> AsyncIterator[Host]:
    """A client of a place that a test may break."""
    async with connect(own_place.uri) as host:
        yield host


def guest(name: str, *, disk: str = DISK, mode: str = "") -> str:
    return GUEST.format(name=name, disk=disk, mode=mode)


async def names(host: Host) -> list[str]:
    """The names of the guests that run."""
    return sorted([one.name for one in await host.list_domains() if await one.is_active()])


async def state(domain: Domain) -> tuple[int, int]:
    found = await domain.state()
    return found.state, found.reason


async def wait_for(thing: Callable[[], object], host: Host) -> None:
    """Ask virtd something until `thing()` is true; fail when that does not come."""
    end = time.monotonic() + harness.PATIENCE
    while not thing():
        assert time.monotonic() < end, "it never came"
        await host.list_domains()


async def refused(call: object) -> RpcError:
    with pytest.raises(RpcError) as caught:
        await call  # type: ignore[misc]  # whatever a client's call returns
    return caught.value


# Locks ---------------------------------------------------------------------------------------------


async def test_a_guest_s_disk_is_locked_while_it_runs(place: Place, host: Host) -> None:
    first = await host.create(guest("first"))
    assert place.locks() == ["WRITE"]
    error = await refused(host.create(guest("second")))
    assert error.code == ErrorCode.RESOURCE_BUSY
    assert "is locked" in error.message
    assert await names(host) == ["first"]
    await first.destroy()
    assert place.locks() == []
    assert place.emulators() == []
    await host.create(guest("second"))
    assert place.locks() == ["WRITE"]


async def test_a_paused_guest_holds_no_lock_and_runs_on_only_with_it(
    place: Place, host: Host
) -> None:
    first = await host.create(guest("first"))
    await first.suspend()
    assert place.locks() == []
    second = await host.create(guest("second"))
    error = await refused(first.resume())
    assert error.code == ErrorCode.RESOURCE_BUSY
    assert await state(first) == (DomainState.PAUSED, DomainPausedReason.USER)
    await second.destroy()
    await first.resume()
    assert (await first.state()).state == DomainState.RUNNING
    assert place.locks() == ["WRITE"]


async def test_a_guest_that_starts_paused_acquires_its_lock_later(place: Place, host: Host) -> None:
    first = await host.create(guest("first"), DomainCreateFlags.START_PAUSED)
    assert place.locks() == []
    assert len(place.emulators()) == 1
    await first.resume()
    assert place.locks() == ["WRITE"]


async def test_shareable_disks_are_shared_and_readonly_ones_not_locked(
    place: Place, host: Host
) -> None:
    for name in ("first", "second"):
        await host.create(guest(name, mode="<shareable/>").replace("qcow2", "raw"))
    assert set(place.locks()) == {"READ"}
    assert (await refused(host.create(guest("third")))).code == ErrorCode.RESOURCE_BUSY
    await host.create(guest("fourth", disk="/d/other.img", mode="<readonly/>"))
    assert place.locks("/d/other.img") == []


async def test_every_way_to_start_a_guest_takes_its_lock(place: Place, host: Host) -> None:
    one = await host.define(guest("one"))
    await one.create()
    assert place.locks() == ["WRITE"]
    snapshot = await one.snapshot_create("<domainsnapshot><name>s</name></domainsnapshot>")
    await snapshot.revert()
    assert place.locks() == ["WRITE"]
    assert len(place.emulators()) == 1
    await one.managed_save()
    assert place.locks() == []
    await one.create()
    assert place.locks() == ["WRITE"]
    await one.save("/d/image")
    assert place.locks() == []
    await host.restore("/d/image")
    assert place.locks() == ["WRITE"]
    other = await host.create(guest("other", disk="/d/other.img"))
    assert (await refused(host.create(guest("busy")))).code == ErrorCode.RESOURCE_BUSY
    await other.destroy()
    await one.shutdown()
    await wait_for(lambda: not place.locks(), host)


async def test_a_guest_whose_process_dies_has_crashed_and_its_lock_is_free(
    place: Place, host: Host
) -> None:
    first = await host.define(guest("first"))
    await first.create()
    (emulator,) = place.emulators()
    os.kill(emulator, signal.SIGKILL)
    await wait_for(lambda: not place.locks(), host)
    async with connect(place.uri) as other:
        await wait_for(lambda: "shutting down, reason=crashed" in place.log("first"), other)
    assert await state(first) == (DomainState.SHUTOFF, DomainShutoffReason.CRASHED)
    await first.create()
    assert place.locks() == ["WRITE"]


async def test_a_transient_guest_is_the_same_however_often_its_call_is_begun(
    place: Place, host: Host
) -> None:
    nic = "<interface type='network'><source network='default'/></interface></devices>"
    first = await host.create(guest("first").replace("</devices>", nic))
    assert await names(host) == ["first"]
    assert (await host.domain("first")).uuid == first.uuid


async def test_a_disk_that_is_attached_is_locked_until_it_is_detached(
    place: Place, host: Host
) -> None:
    first = await host.create(guest("first"))
    disk = "<disk type='file'><source file='/d/other.img'/><target dev='vdb' bus='virtio'/></disk>"
    await first.attach_device(disk)
    assert (place.locks(), place.locks("/d/other.img")) == (["WRITE"], ["WRITE"])
    assert (await refused(host.create(guest("second", disk="/d/other.img")))).code == (
        ErrorCode.RESOURCE_BUSY
    )
    await first.detach_device(disk)
    assert (place.locks(), place.locks("/d/other.img")) == (["WRITE"], [])
    second = await host.create(guest("second", disk="/d/other.img"))
    assert (await refused(first.attach_device(disk))).code == ErrorCode.RESOURCE_BUSY
    assert "vdb" not in await first.xml()
    await second.destroy()


# Leases --------------------------------------------------------------------------------------------


def lease(place: Place, key: str = "one", space: str = "lockspace", offset: str = "") -> str:
    """A lease whose file is in the lockspace of the place, made if the lockspace exists."""
    folder = place.virtd.folder
    if (folder / space).is_dir():
        (folder / space / key).touch()
    target = f"<target path='{folder}'{offset}/>"
    return f"<lease><lockspace>{space}</lockspace><key>{key}</key>{target}</lease>"


def leased(name: str, text: str) -> str:
    return guest(name, disk=f"/d/{name}.img").replace("<disk ", f"{text}<disk ")


async def test_a_lease_is_held_while_its_guest_runs(place: Place, host: Host) -> None:
    await (await host.create(guest("first"))).destroy()  # which makes the lockspace
    one = lease(place)
    first = await host.create(leased("first", one))
    assert place.leases() == ["WRITE"]
    error = await refused(host.create(leased("second", one)))
    assert (error.code, error.domain) == (ErrorCode.RESOURCE_BUSY, ErrorDomain.LOCKSPACE)
    assert "resource 'one' is locked" in error.message
    await first.suspend()
    assert place.leases() == []
    await first.resume()
    assert place.leases() == ["WRITE"]
    await first.destroy()
    assert place.leases() == []


async def test_a_lease_is_attached_and_detached(place: Place, host: Host) -> None:
    first = await host.create(guest("first"))
    one = lease(place)
    await first.attach_device(one)
    assert place.leases() == ["WRITE"]
    assert "already exists" in (await refused(first.attach_device(one))).message
    second = await host.create(guest("second", disk="/d/second.img"))
    assert (await refused(second.attach_device(one))).code == ErrorCode.RESOURCE_BUSY
    assert "<lease>" not in await second.xml()
    await first.detach_device(one)
    assert place.leases() == []
    await second.attach_device(one)
    assert place.leases() == ["WRITE"]


async def test_a_lease_that_the_lock_manager_does_not_have_refuses_the_start(
    place: Place, host: Host
) -> None:
    await (await host.create(guest("first"))).destroy()
    error = await refused(host.create(leased("first", lease(place, space="other"))))
    assert f"{place.virtd.folder}/other" in error.message  # in the words of the lock manager
    error = await refused(host.create(leased("first", lease(place, offset=" offset='512'"))))
    assert (error.code, error.domain) == (ErrorCode.INTERNAL_ERROR, ErrorDomain.QEMU)
    assert error.message == (
        "internal error: Process exited prior to exec: libvirt: Lock Driver error : "
        "internal error: Offset must be zero for this lock manager"
    )
    assert (place.emulators(), place.leases()) == ([], [])


# Logs ----------------------------------------------------------------------------------------------


async def test_a_guest_s_life_is_in_its_log(place: Place, host: Host) -> None:
    first = await host.create(guest("talker"))
    await wait_for(lambda: "Run /init as init process" in place.log("talker"), host)
    await first.destroy()
    said = place.log("talker").splitlines()
    assert f": starting up libvirt version: {harness.libvirt_version_text()}" in said[0]
    assert said[-1].endswith(": shutting down, reason=destroyed")


def with_ports(name: str, folder: Path, *, append: str = "") -> str:
    """A guest with a serial port, its console and a channel; the first and the last have logs."""
    log = f"<log file='{folder}/{{}}.log'{append}/>"
    ports = (
        f"<serial type='pty'>{log.format('serial')}<target port='0'/></serial>"
        "<console type='pty'><target type='serial' port='0'/></console>"
        f"<channel type='unix'>{log.format('channel')}"
        "<target type='virtio' name='org.example.0'/></channel>"
    )
    return guest(name).replace("</devices>", f"{ports}</devices>")


async def test_a_device_has_a_log_of_its_own(place: Place, host: Host, tmp_path: Path) -> None:
    serial, channel = tmp_path / "serial.log", tmp_path / "channel.log"
    serial.write_text("earlier\n")
    first = await host.create(with_ports("first", tmp_path))
    await wait_for(lambda: "first login: " in serial.read_text(), host)
    assert "earlier" not in serial.read_text()
    console = await first.console()
    await console.send(b"somebody\r")
    await wait_for(lambda: "somebody" in serial.read_text(), host)
    assert channel.read_text() == ""
    other = await refused(host.create(with_ports("other", tmp_path).replace(DISK, "/d/o.img")))
    assert str(serial) in other.message  # which another guest writes
    await first.destroy()
    first = await host.create(with_ports("first", tmp_path, append=" append='on'"))
    await wait_for(lambda: serial.read_text().count("first login: ") == 2, host)


async def test_a_log_of_a_device_is_opened_when_it_is_attached(
    place: Place, host: Host, tmp_path: Path
) -> None:
    file = tmp_path / "late.log"
    port = "<controller type='virtio-serial'/></devices>"
    first = await host.create(guest("first").replace("</devices>", port))
    device = (
        f"<channel type='unix'><log file='{file}'/>"
        "<target type='virtio' name='org.example.1'/></channel>"
    )
    await first.attach_device(device)
    channel = await first.channel("org.example.1")
    await channel.send(b"hello")
    await wait_for(lambda: file.read_text() == "hello", host)
    await first.detach_device(device)
    again = device.replace("<log", "<log append='on'")
    end = time.monotonic() + harness.PATIENCE
    while "org.example.1" not in await first.xml():
        assert time.monotonic() < end, "the log manager has not seen the end of the log"
        with contextlib.suppress(RpcError):
            await first.attach_device(again)
    assert file.read_text() == "hello"


async def test_logs_of_devices_go_on_while_there_is_no_virtd(ours: Place, tmp_path: Path) -> None:
    serial = tmp_path / "serial.log"
    async with connect(ours.uri) as host:
        await host.create(with_ports("first", tmp_path))
    ours.virtd.kill(signal.SIGKILL)
    restart(ours)
    async with connect(ours.uri) as host, admin_client.connect(ours.logger.uri) as logger:
        assert str(serial) in [one.path for one in await LogAdmin(logger).list()]
        console = await (await host.domain("first")).console()
        await console.send(b"somebody\r")
        await wait_for(lambda: "somebody" in serial.read_text(), host)
        assert serial.read_text().count("Linux version") == 1


# Managers that go ----------------------------------------------------------------------------------


async def test_a_killed_lock_manager_is_met_as_by_libvirtd(
    own_place: Place, own_host: Host
) -> None:
    place, host = own_place, own_host
    first = await host.define(guest("first"))
    await first.create()
    place.manager.kill(signal.SIGKILL)
    assert await names(host) == ["first"]
    await first.suspend()
    assert (await first.state()).state == DomainState.PAUSED
    error = await refused(first.resume())
    unreached = f"Failed to connect socket to '{place.manager.socket}': Connection refused"
    assert (error.code, error.domain) == (ErrorCode.SYSTEM_ERROR, ErrorDomain.RPC)
    assert error.message == unreached
    assert (await first.state()).state == DomainState.PAUSED
    error = await refused(host.create(guest("second", disk="/d/other.img")))
    assert (error.code, error.domain) == (ErrorCode.INTERNAL_ERROR, ErrorDomain.QEMU)
    assert error.message == (
        f"internal error: Process exited prior to exec: libvirt: XML-RPC error : {unreached}"
    )
    await first.destroy()
    assert await names(host) == []
    assert place.emulators() == []


async def test_a_guest_that_was_paused_without_a_lock_manager_resumes_when_it_is_back(
    ours: Place, our_host: Host
) -> None:
    first = await our_host.define(guest("first"))
    await first.create()
    ours.manager.kill(signal.SIGKILL)
    await first.suspend()
    again = await asyncio.to_thread(harness.start, "lockd", ours.manager.folder)
    try:
        await first.resume()
        assert await state(first) == (DomainState.RUNNING, DomainRunningReason.UNPAUSED)
        assert ours.locks() == ["WRITE"]
        await first.suspend()
        assert ours.locks() == []
    finally:
        await first.destroy()
        again.kill()


async def test_the_end_of_a_lock_manager_is_the_end_of_its_guests(
    own_place: Place, own_host: Host
) -> None:
    first = await own_host.define(guest("first"))
    await first.create()
    own_place.manager.kill()
    await wait_for(lambda: not own_place.emulators(), own_host)
    assert await state(first) == (DomainState.SHUTOFF, DomainShutoffReason.CRASHED)


async def test_a_killed_log_manager_costs_logs_and_starts_only(
    own_place: Place, own_host: Host
) -> None:
    place, host = own_place, own_host
    first = await host.create(guest("first"))
    place.logger.kill(signal.SIGKILL)
    assert await names(host) == ["first"]
    error = await refused(host.create(guest("second", disk="/d/other.img")))
    assert (error.code, error.domain) == (ErrorCode.SYSTEM_ERROR, ErrorDomain.RPC)
    assert error.message == (
        f"Failed to connect socket to '{place.logger.socket}': Connection refused"
    )
    assert place.locks("/d/other.img") == []
    await first.destroy()
    assert await names(host) == []


async def test_guests_are_started_again_when_the_managers_are_back(
    own_place: Place, own_host: Host
) -> None:
    place, host = own_place, own_host
    first = await host.define(guest("first"))
    await first.create()
    place.manager.kill(signal.SIGKILL)
    place.logger.kill(signal.SIGKILL)
    await first.destroy()
    with contextlib.ExitStack() as stack:
        for one in (place.manager, place.logger):
            again = stack.enter_context(harness.running(one.name))
            os.remove(one.socket)
            os.symlink(again.socket, one.socket)
        await first.create()
        assert place.locks() == ["WRITE"]
        await first.destroy()
    assert place.log("first").splitlines()[-1].endswith(": shutting down, reason=destroyed")


# virtd that goes -----------------------------------------------------------------------------------


async def test_a_restart_of_virtd_keeps_locks_logs_and_processes(
    ours: Place, our_host: Host
) -> None:
    place, host = ours, our_host
    first = await host.create(guest("first"))
    emulators = place.emulators()
    os.kill(place.virtd.pid, signal.SIGUSR1)
    await wait_for(lambda: "took over" in place.virtd.log.read_text(), host)
    assert (place.emulators(), place.locks()) == (emulators, ["WRITE"])
    assert "reason" not in place.log("first")
    await first.suspend()
    assert place.locks() == []
    await first.resume()
    assert place.locks() == ["WRITE"]
    await first.destroy()
    assert (place.emulators(), place.locks()) == ([], [])
    assert place.log("first").splitlines()[-1].endswith(": shutting down, reason=destroyed")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_guests_keep_their_locks_and_logs_while_there_is_no_virtd(
    own_place: Place, number: signal.Signals
) -> None:
    place = own_place
    async with connect(place.uri) as host:
        await host.create(guest("first"))
        paused = await host.create(guest("second", disk="/d/other.img"))
        await paused.suspend()
    emulators = place.emulators()
    place.virtd.kill(number)
    assert (place.emulators(), place.locks()) == (emulators, ["WRITE"])
    assert len(emulators) == 2
    restart(place)
    async with connect(place.uri) as host:
        assert await names(host) == ["first", "second"]
        first, paused = [await host.domain(name) for name in ("first", "second")]
        assert (await first.state()).state == DomainState.RUNNING
        assert (place.emulators(), place.locks()) == (emulators, ["WRITE"])
        assert (await refused(host.create(guest("third")))).code == ErrorCode.RESOURCE_BUSY
        await paused.resume()
        assert place.locks("/d/other.img") == ["WRITE"]
        await first.suspend()
        assert place.locks() == []
        await first.resume()
        await first.destroy()
        assert (place.locks(), len(place.emulators())) == ([], 1)
    said = place.log("first")
    assert said.count("starting up libvirt version") == 1
    assert said.splitlines()[-1].endswith(": shutting down, reason=destroyed")


async def test_a_guest_that_ends_while_there_is_no_virtd_has_crashed(own_place: Place) -> None:
    place = own_place
    async with connect(place.uri) as host:
        first = await host.define(guest("first"))
        await first.create()
        await host.create(guest("transient", disk="/d/other.img"))
    place.virtd.kill(signal.SIGKILL)
    for one in place.emulators():
        os.kill(one, signal.SIGKILL)
    restart(place)
    async with connect(place.uri) as host:
        first = await host.domain("first")
        assert await state(first) == (DomainState.SHUTOFF, DomainShutoffReason.CRASHED)
        assert [one.name for one in await host.list_domains()] == ["first"]
        await wait_for(lambda: not place.locks() and not place.emulators(), host)
        await wait_for(lambda: "shutting down, reason=crashed" in place.log("first"), host)
        await first.create()
        assert place.locks() == ["WRITE"]


async def test_a_process_that_was_found_again_is_watched(ours: Place) -> None:
    async with connect(ours.uri) as host:
        first = await host.define(guest("first"))
        await first.create()
    ours.virtd.kill(signal.SIGKILL)
    restart(ours)
    async with connect(ours.uri) as host:
        (emulator,) = ours.emulators()
        os.kill(emulator, signal.SIGKILL)
        await wait_for(lambda: not ours.locks(), host)
        await wait_for(lambda: "shutting down, reason=crashed" in ours.log("first"), host)
        first = await host.domain("first")
        assert await state(first) == (DomainState.SHUTOFF, DomainShutoffReason.CRASHED)


async def test_guests_of_a_virtd_without_a_file_end_with_it(ours: Place) -> None:
    async with connect(ours.uri) as host:
        await host.create(guest("first"))
        for file in ours.virtd.folder.glob("virtd.sqlite*"):
            file.unlink()
    ours.virtd.kill()
    assert (ours.emulators(), ours.locks()) == ([], [])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_an_ephemeral_virtd_leaves_no_process(
    ours: Place, number: signal.Signals, tmp_path: Path
) -> None:
    settings = "".join(f"{key} = {json.dumps(value)}\n" for key, value in ours.settings.items())
    with ephemeral(settings, tmp_path) as (virtd, told):
        async with connect(told["qemu"]) as host:
            await host.create(guest("first"))
        folder = told["rundir"]
        (emulator,) = stand_ins(folder)
        virtd.send_signal(number)
        virtd.wait(harness.PATIENCE)
        async with connect(ours.uri) as host:
            await wait_for(lambda: emulator not in stand_ins(folder), host)


@contextlib.contextmanager
def ephemeral(settings: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Any]]:
    """Run a virtd for one test. Gives the process, and what it tells about itself."""
    command = [sys.executable, "-m", "aiovirt.daemons.virtd", "--ephemeral", "--settings", settings]
    environment = {**os.environ, "PYTHONPATH": str(harness.ROOT), "TMPDIR": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as virtd:
        try:
            assert virtd.stdout is not None
            yield virtd, json.loads(virtd.stdout.readline())
        finally:
            virtd.kill()


def restart(place: Place) -> None:
    """Start virtd once more in its folder, after its end."""
    place.virtd = harness.start("virtd", place.virtd.folder, place.settings)


async def test_settings_count_for_guests_that_are_started_afterwards(
    ours: Place, our_host: Host
) -> None:
    place, host = ours, our_host
    first = await host.create(guest("first"))

    async def set_to(manager: str) -> None:
        settings = {**place.settings, "lock_manager": manager}
        harness.write_settings(place.virtd.conf, settings)
        before = place.virtd.log.read_text().count("settings")
        os.kill(place.virtd.pid, signal.SIGHUP)
        await wait_for(lambda: place.virtd.log.read_text().count("settings") > before, host)

    await set_to("")
    second = await host.create(
        guest("second")
    )  # whose disk is the same; it has a process for its log
    assert (place.locks(), len(place.emulators())) == (["WRITE"], 2)
    await first.destroy()
    assert place.locks() == []
    await second.destroy()
    await set_to("lockd")
    await host.create(guest("third"))
    assert place.locks() == ["WRITE"]


# What only ours can --------------------------------------------------------------------------------


async def test_a_guest_shows_in_the_lists_of_lockd_and_logd_and_its_lock_can_be_broken(
    ours: Place,
) -> None:
    async with (
        connect(ours.uri) as host,
        admin_client.connect(ours.manager.uri) as manager,
        admin_client.connect(ours.logger.uri) as logger,
    ):
        first = await host.define(guest("first"))
        await first.create()
        (emulator,) = ours.emulators()
        (lock,) = await LockAdmin(manager).locks()
        owner = lock.owner
        assert (owner.name, owner.pid, owner.uuid.hex()) == (
            "first",
            emulator,
            first.uuid.replace("-", ""),
        )
        (log,) = await LogAdmin(logger).list()
        assert (log.path, log.domain.name) == (str(ours.logs / "first.log"), "first")
        await LockAdmin(manager).break_lock(
            lock.name, "first", directory=lock.directory, force=True
        )
        await wait_for(lambda: "reason=crashed" in ours.log("first"), host)
        assert await state(first) == (DomainState.SHUTOFF, DomainShutoffReason.CRASHED)
        assert await LockAdmin(manager).locks() == []
        assert await LogAdmin(logger).list() == []


async def test_what_a_console_shows_is_in_the_log(ours: Place) -> None:
    console = "<serial type='pty'/><console type='pty'/></devices>"
    async with connect(ours.uri) as host:
        first = await host.create(guest("first").replace("</devices>", console))
        stream = await first.console()
        await stream.send(b"root\r")
        await wait_for(lambda: "first login: root\nPassword: " in ours.log("first"), host)
        await stream.abort()
