"""Either the new program has everything, or the old one goes on as if nothing had been."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiovirt.admin import protocol as admin
from aiovirt.rpc.client import connect_unix
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.message import Type, frame
from tests import harness
from tests.restart.conftest import SETTINGS, Restarted
from tests.restart.gated import HANG, PASS, POUR
from tests.restart.gates import Start

VERSION = admin.CONNECT_GET_LIB_VERSION
PATIENCE = harness.PATIENCE


# Calls that hang ---------------------------------------------------------------------------------


async def test_everything_is_served_while_a_call_that_hangs_is_waited_for(gated: Start) -> None:
    daemon = gated("virtd", grace=1)
    async with (
        connect_unix(daemon.daemon.socket) as stuck,
        connect_unix(daemon.daemon.admin_socket) as other,
    ):
        hanging = asyncio.create_task(stuck.call(HANG, None))
        await other.call(VERSION, None)
        daemon.signal()
        await daemon.wait_for(lambda: "restart" in daemon.said)
        served = 0
        while not hanging.done():  # it is given up when the daemon begins to stand still
            await other.call(VERSION, None, timeout=PATIENCE)
            served += 1
        assert served > 10
        with pytest.raises(RpcError, match="restarts: the call was cancelled") as answer:
            await hanging
        assert answer.value.code == ErrorCode.OPERATION_ABORTED
        await daemon.wait_for(lambda: "took over" in daemon.said)
        await other.call(VERSION, None, timeout=PATIENCE)


@pytest.mark.parametrize("failure", ["unsaved", "inexecutable"])
async def test_calls_and_streams_go_on_when_the_restart_is_refused_after_all(
    gated: Start, failure: str
) -> None:
    daemon = gated("virtd", grace=0.1)
    async with (
        connect_unix(daemon.daemon.socket) as stuck,
        connect_unix(daemon.daemon.admin_socket) as other,
    ):
        stream = await stuck.open_stream(POUR, None)
        receiving = asyncio.create_task(stream.receive())
        hanging = asyncio.create_task(stuck.call(HANG, None))
        await other.call(VERSION, None)
        saving = await daemon.reach_saving()
        (daemon.folder / failure).touch()
        os.close(saving)
        await daemon.wait_for(lambda: "restart refused" in daemon.said)
        await other.call(VERSION, None, timeout=PATIENCE)
        await stuck.call(PASS, None, timeout=PATIENCE)
        assert not hanging.done()
        assert not receiving.done()
        (daemon.folder / failure).unlink()
        await daemon.restart()
        with pytest.raises(RpcError, match="virtd restarts: the call was cancelled"):
            await hanging
        with pytest.raises(RpcError, match="virtd restarts"):
            await receiving


# Much to hand over -------------------------------------------------------------------------------


async def test_large_half_frames_go_on_where_they_were(any_daemon: Restarted) -> None:
    loop = asyncio.get_running_loop()
    payload = os.urandom(4 << 20)
    call = frame(VERSION.key, Type.CALL, 77, 0, payload)
    links = []
    for number in range(8):
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        links.append(link)
        link.connect(any_daemon.daemon.admin_socket)
        await loop.sock_sendall(link, call[: 3_000_000 + number])
    async with connect_unix(any_daemon.daemon.admin_socket) as other:
        await other.call(VERSION, None)
    for _ in range(2):
        await any_daemon.restart()
    for number, link in enumerate(links):
        with link:
            await loop.sock_sendall(link, call[3_000_000 + number :])
            async with asyncio.timeout(PATIENCE):
                reply = await loop.sock_recv(link, 100)
        assert int.from_bytes(reply[20:24], "big") == 77


async def test_a_rehearsal_that_says_much_costs_no_memory(gated: Start) -> None:
    daemon = gated("lockd", "chatty", "fails")
    before = _peak(daemon.pid)
    assert "the gate fails, as it was told to" in await daemon.is_refused()
    assert _peak(daemon.pid) - before < 16 << 10  # of 54,000 KiB


def _peak(pid: int) -> int:
    """The most memory that a process ever had, in KiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


# Code that is broken or gone ---------------------------------------------------------------------


@contextlib.contextmanager
def _started(
    name: str, folder: Path, *arguments: str, cwd: Path, code: Path = harness.ROOT / "src"
) -> Iterator[Restarted]:
    conf, log = folder / f"{name}.conf", folder / "log"
    harness.write_settings(conf, SETTINGS)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"aiovirt.daemons.{name}", *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(code)},
            stdout=output,
            stderr=output,
        )
    sockets = (f"{folder}/{name}-sock", f"{folder}/{name}-admin-sock")
    daemon = harness.RunningDaemon(name, folder, conf, log, *sockets, process)
    try:
        daemon.wait_ready()
        yield Restarted(daemon)
    finally:
        daemon.kill()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the package, to be broken."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(harness.ROOT / "src" / "aiovirt", tmp_path / "code" / "aiovirt", ignore=ignored)
    return tmp_path / "code"


#: Modules that a lockd without TLS has never loaded, and one that it loads first.
BROKEN = (
    "rpc/security/rules.py",
    "rpc/security/sasl.py",
    "rpc/transport/tls.py",
    "rpc/server/encryption.py",
    "rpc/server/restart_buffers.py",
    "daemons/lockd/state.py",
    "daemons/runtime/handover/signals.py",
    "daemons/runtime/settings/template.py",
    "daemons/lockd/__init__.py",
)
#: The same of virtd: one that only a migration from peer to peer needs.
BROKEN_OF_VIRTD = ("daemons/virtd/client/events.py",)


@pytest.mark.parametrize(("name", "broken"), [("lockd", BROKEN), ("virtd", BROKEN_OF_VIRTD)])
async def test_a_broken_module_anywhere_is_found_by_the_rehearsal(
    code: Path, tmp_path: Path, name: str, broken: tuple[str, ...]
) -> None:
    with _started(
        name, tmp_path, "--rundir", str(tmp_path), "-f", str(tmp_path / f"{name}.conf"),
        cwd=tmp_path, code=code,
    ) as daemon:  # fmt: skip
        for file in broken:
            refused = daemon.said.count("restart refused")
            module = code / "aiovirt" / file
            good = module.read_text()
            module.write_text(good + "\n)(\n")
            daemon.signal()
            await daemon.wait_for(
                lambda refused=refused: (
                    daemon.said.count("restart refused") + daemon.said.count("took over") > refused
                )
            )
            assert daemon.said.count("restart refused") > refused
            module.write_text(good)
        await daemon.restart()


async def test_the_old_program_goes_on_when_all_of_its_code_is_gone(
    code: Path, tmp_path: Path
) -> None:
    with _started(
        "lockd", tmp_path, "--rundir", str(tmp_path), "-f", str(tmp_path / "lockd.conf"),
        cwd=tmp_path, code=code,
    ) as lockd:  # fmt: skip
        parts = ("rpc", "admin", "daemons")
        for part in parts:
            shutil.move(code / "aiovirt" / part, tmp_path / part)
        lockd.signal()
        await lockd.wait_for(lambda: "restart refused" in lockd.said)
        os.kill(lockd.pid, signal.SIGHUP)
        async with connect_unix(lockd.daemon.admin_socket) as connection:
            await connection.call(VERSION, None, timeout=PATIENCE)
        for part in parts:
            shutil.move(tmp_path / part, code / "aiovirt" / part)
        await lockd.restart()


# The folder of the start -------------------------------------------------------------------------


@pytest.mark.parametrize("anew", [False, True])
async def test_a_restart_needs_no_folder_that_was_removed_after_the_start(
    tmp_path: Path, anew: bool
) -> None:
    where = tmp_path / "where"
    where.mkdir()
    with _started(
        "virtd", tmp_path, "--rundir", str(tmp_path), "-f", str(tmp_path / "virtd.conf"), cwd=where
    ) as virtd:
        where.rmdir()
        if anew:
            where.mkdir()
        await virtd.restart()
        await virtd.restart()
        assert await asyncio.to_thread(virtd.daemon.kill) == 0


async def test_a_relative_path_needs_the_folder_and_its_absence_is_told(tmp_path: Path) -> None:
    where = tmp_path / "where"
    where.mkdir()
    with _started(
        "virtd", tmp_path, "--rundir", str(tmp_path), "-f", "../virtd.conf", cwd=where
    ) as virtd:
        where.rmdir()
        virtd.signal()
        await virtd.wait_for(lambda: "restart refused" in virtd.said)
        assert f"the folder {where}, in which relative paths" in virtd.said
        where.mkdir()
        await virtd.restart()
        where.rmdir()
        assert await asyncio.to_thread(virtd.daemon.kill) == 0
