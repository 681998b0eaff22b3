"""The rehearsal restores everything, refuses what fails in it, and takes nothing away."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
from pathlib import Path

import pytest

from aiovirt.admin import protocol as admin
from aiovirt.daemons.lockd import protocol as locks
from aiovirt.rpc.client import connect_unix
from aiovirt.rpc.wire.message import Type, frame
from tests import harness
from tests.restart.gates import Start
from tests.restart.kernel import locked
from tests.restart.wire import open_log

VERSION = admin.CONNECT_GET_LIB_VERSION


async def _half_a_call(link: socket.socket, path: str) -> bytes:
    """Send a call and a half, and return the other half once the first was answered."""
    loop = asyncio.get_running_loop()
    call = frame(VERSION.key, Type.CALL, 77, 0, b"")
    link.connect(path)
    await loop.sock_sendall(link, call + call[:13])
    await _reply(link)
    return call[13:]


async def _reply(link: socket.socket) -> int:
    """The serial number of the next reply, which is of VERSION."""
    reply = b""
    while len(reply) < 36:
        async with asyncio.timeout(harness.PATIENCE):
            data = await asyncio.get_running_loop().sock_recv(link, 36 - len(reply))
        assert data, "cut off"
        reply += data
    size, _, _, _, kind, serial, status = struct.unpack_from(">IIIIiIi", reply)
    assert (size, kind, status) == (36, Type.REPLY, 0)
    return int(serial)


def _link() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)


# What fails --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", harness.OURS)
async def test_a_component_that_fails_to_restore_refuses_the_restart_in_one_line(
    gated: Start, name: str
) -> None:
    daemon = gated(name)
    (daemon.folder / "fails").touch()
    with _link() as link:
        rest = await _half_a_call(link, daemon.daemon.admin_socket)
        before = sorted(path.name for path in daemon.folder.iterdir())
        pid_file = (daemon.folder / f"{name}.pid").stat()
        for _ in range(2):
            assert "LookupError: the gate fails, as it was told to" in await daemon.is_refused()
        assert sorted(path.name for path in daemon.folder.iterdir()) == before
        assert (daemon.folder / f"{name}.pid").stat() == pid_file
        await asyncio.get_running_loop().sock_sendall(link, rest)
        assert await _reply(link) == 77
        (daemon.folder / "fails").unlink()
        await daemon.restart()
        await asyncio.get_running_loop().sock_sendall(
            link, frame(VERSION.key, Type.CALL, 78, 0, b"")
        )
        assert await _reply(link) == 78


async def test_a_component_that_the_new_program_has_not_refuses_the_restart(
    gated: Start,
) -> None:
    daemon = gated("virtd")
    (daemon.folder / "without").touch()
    assert "has the state of gate, which this program does not have" in await daemon.is_refused()
    (daemon.folder / "without").unlink()
    await daemon.restart()
    assert "gate resumed" in daemon.said


async def test_a_component_that_the_document_has_not_starts_empty(
    gated: Start,
) -> None:
    daemon = gated("lockd", "without")
    assert "gate" not in daemon.said
    (daemon.folder / "without").unlink()
    await daemon.restart()
    assert ("gate started" in daemon.said, "gate resumed" in daemon.said) == (True, False)
    await daemon.restart()
    assert "gate resumed" in daemon.said


# What stays --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", harness.OURS)
async def test_frames_that_come_during_a_rehearsal_are_served_by_the_old_program(
    gated: Start, name: str
) -> None:
    daemon = gated(name)
    loop = asyncio.get_running_loop()
    with _link() as link:
        rest = await _half_a_call(link, daemon.daemon.admin_socket)
        async with daemon.rehearsing():
            await loop.sock_sendall(link, rest)
            assert await _reply(link) == 77
            async with connect_unix(daemon.daemon.admin_socket) as other:
                await other.call(VERSION, None, timeout=harness.PATIENCE)
            with _link() as second:
                second.setblocking(False)
                second.connect(daemon.daemon.admin_socket)
            half = frame(VERSION.key, Type.CALL, 78, 0, b"")
            await loop.sock_sendall(link, half[:20])
        await loop.sock_sendall(link, half[20:])
        assert await _reply(link) == 78


@pytest.mark.parametrize("name", harness.OURS)
async def test_a_connection_that_is_ended_during_a_rehearsal_is_seen_closed_at_once(
    gated: Start, name: str
) -> None:
    daemon = gated(name)
    loop = asyncio.get_running_loop()
    with _link() as rude, _link() as polite:
        for link in (rude, polite):
            await _half_a_call(link, daemon.daemon.admin_socket)
        async with daemon.rehearsing():
            await loop.sock_sendall(rude, bytes(1000))  # it makes the other half nonsense
            async with asyncio.timeout(harness.PATIENCE / 3):  # a rehearsal may take longer
                while await loop.sock_recv(rude, 1000):
                    pass
        assert polite.send(b"") == 0


async def test_what_a_guest_writes_during_a_rehearsal_is_in_its_log_once(
    gated: Start, tmp_path: Path
) -> None:
    daemon = gated("logd")
    path = tmp_path / "guest.log"
    pipe = await open_log(daemon.daemon.socket, str(path))
    os.write(pipe, b"before\n")
    await daemon.wait_for(lambda: path.exists() and path.read_bytes() == b"before\n")
    async with daemon.rehearsing():
        os.write(pipe, b"during\n")
        await daemon.wait_for(lambda: path.read_bytes() == b"before\nduring\n")
        os.write(pipe, b"x" * 100_000 + b"\n")  # some of it may still be in the pipe at the end
    os.write(pipe, b"after\n")
    os.close(pipe)
    await daemon.wait_for(lambda: path.read_bytes().endswith(b"after\n"))
    assert path.read_bytes() == b"before\nduring\n" + b"x" * 100_000 + b"\nafter\n"


async def test_a_lock_that_is_given_back_during_a_rehearsal_is_free_at_once(
    gated: Start, tmp_path: Path
) -> None:
    daemon = gated("lockd")
    disks = tmp_path / "disks"
    disks.mkdir()
    for name in ("kept", "released"):
        (disks / name).touch()
    owner = locks.Owner(b"\1" * 16, "guest", 1, 0x7000_0001)
    async with connect_unix(daemon.daemon.socket) as holder:
        await holder.call(locks.REGISTER, locks.RegisterArgs(owner, 0))
        for name in ("kept", "released"):
            await holder.call(locks.ACQUIRE_RESOURCE, locks.ResourceArgs("", str(disks / name), 0))
        journal = (daemon.folder / "lockd.journal").stat()
        async with daemon.rehearsing():
            assert (daemon.folder / "lockd.journal").stat().st_ino == journal.st_ino
            args = locks.ResourceArgs("", str(disks / "released"), 0)
            await holder.call(locks.RELEASE_RESOURCE, args)
            assert await asyncio.to_thread(locked, disks) == {"kept"}
            await holder.call(locks.ACQUIRE_RESOURCE, args)
            await holder.call(locks.RELEASE_RESOURCE, args)
        assert await asyncio.to_thread(locked, disks) == {"kept"}
        kept = locks.ResourceArgs("", str(disks / "kept"), 0)
        await holder.call(locks.RELEASE_RESOURCE, kept)
        assert await asyncio.to_thread(locked, disks) == set()


async def test_a_journal_that_cannot_be_written_costs_only_the_journal(
    gated: Start, tmp_path: Path
) -> None:
    daemon = gated("lockd")
    disk = tmp_path / "disk"
    disk.touch()
    owner = locks.Owner(b"\1" * 16, "guest", 1, 0x7000_0001)
    async with connect_unix(daemon.daemon.socket) as holder:
        await holder.call(locks.REGISTER, locks.RegisterArgs(owner, 0))
        args = locks.ResourceArgs("", str(disk), 0)
        await holder.call(locks.ACQUIRE_RESOURCE, args)
        (daemon.folder / "lockd.journal.new").mkdir()  # so that it cannot be made
        (daemon.folder / "lockd.journal").unlink()
        await daemon.restart()
        await daemon.wait_for(lambda: "no journal can be kept" in daemon.said)
        await holder.call(locks.RELEASE_RESOURCE, args)
        await holder.call(locks.ACQUIRE_RESOURCE, args)
        (daemon.folder / "lockd.journal.new").rmdir()
        await daemon.wait_for((daemon.folder / "lockd.journal").exists)
        await daemon.restart()
        assert (daemon.folder / "lockd.journal").exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_rehearsal_ends_with_its_daemon(
    gated: Start, tmp_path: Path, how: signal.Signals
) -> None:
    daemon = gated("lockd")
    disks = tmp_path / "disks"
    disks.mkdir()
    (disks / "a").touch()
    owner = locks.Owner(b"\1" * 16, "guest", 1, 0x7000_0001)
    async with connect_unix(daemon.daemon.socket) as holder:
        await holder.call(locks.REGISTER, locks.RegisterArgs(owner, 0))
        await holder.call(locks.ACQUIRE_RESOURCE, locks.ResourceArgs("", str(disks / "a"), 0))
        gate = await daemon.reach_gate()
        assert await asyncio.to_thread(locked, disks) == {"a"}
        await asyncio.to_thread(daemon.daemon.kill, how)
        async with asyncio.timeout(harness.PATIENCE / 3):  # a rehearsal may take longer by itself
            while await asyncio.to_thread(locked, disks):
                pass
        os.close(gate)
