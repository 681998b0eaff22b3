"""Ten scenarios that try to have one disk given to two writers, or all locks lost.

Each has a lockd in a process of its own, and holders in processes of theirs. docs/lockd.md lists what
each one found.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.daemons.lockd import protocol as locks
from aiovirt.daemons.lockd.client import Fate, LockAdmin
from aiovirt.daemons.lockd.protocol import AcquireFlags, Owner
from aiovirt.rpc.client import Connection, connect_unix
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests import harness
from tests.restart.kernel import locked
from tests.unit.lock_house import HOLDER

MADE = int(AcquireFlags.AUTOCREATE)
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Lockd:
    """A lockd that can be killed and started again in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "lockd.journal"
        self.start()

    def start(self) -> None:
        settings: harness.Settings = {"log_level": 2, "log_outputs": "2:stderr"}
        self.daemon = harness.start("lockd", self.folder, settings)

    @contextlib.contextmanager
    def poor(self, descriptors: int) -> Iterator[Path]:
        """Run one with so few descriptors that nobody can connect. Gives its log."""
        log = self.folder / "poor.log"
        command = ["prlimit", f"--nofile={descriptors}:{descriptors}", sys.executable]
        command += ["-m", "aiovirt.daemons.lockd", "--rundir", str(self.folder), "-v"]
        with log.open("wb") as file, subprocess.Popen(command, stderr=file) as process:
            try:
                yield log
            finally:
                process.kill()

    def kill(self) -> None:
        self.daemon.kill(signal.SIGKILL)

    @property
    def said(self) -> str:
        return self.daemon.log.read_text()

    @property
    def uri(self) -> str:
        return f"lockd:///system?socket={self.daemon.admin_socket}"


@pytest.fixture
def lockd(tmp_path: Path) -> Iterator[Lockd]:
    folder = tmp_path / "d"
    folder.mkdir()
    lockd = Lockd(folder)
    yield lockd
    if lockd.daemon.alive:
        lockd.kill()


@pytest.fixture
def disks(tmp_path: Path) -> Path:
    folder = tmp_path / "disks"
    folder.mkdir()
    for name in "abc":
        (folder / name).touch()
    return folder


@pytest.fixture
def guest() -> Iterator[subprocess.Popen[bytes]]:
    """A process that somebody else takes locks for."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def _holder(lockd: Lockd, disk: Path, *extra: str) -> subprocess.Popen[bytes]:
    """A process with a connection of its own that holds a lock."""
    command = [sys.executable, "-c", HOLDER, lockd.daemon.socket, str(disk), str(harness.ROOT)]
    process = subprocess.Popen([*command, *extra], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"holding\n"
    return process


async def _acting_for(lockd: Lockd, pid: int, name: str = "guest") -> Connection:
    connection = await connect_unix(lockd.daemon.socket)
    await connection.call(locks.REGISTER, locks.RegisterArgs(Owner(bytes(16), name, 1, pid), 0))
    return connection


async def _acquire(
    connection: Connection, name: Path | str, flags: int = 0, space: str = ""
) -> None:
    await connection.call(
        locks.ACQUIRE_RESOURCE, locks.ResourceArgs(space, str(name), flags), timeout=30
    )


async def _is_busy(connection: Connection, disk: Path | str, text: str = "locked by guest") -> None:
    with pytest.raises(RpcError, match=text) as refusal:
        await _acquire(connection, disk)
    assert refusal.value.code == ErrorCode.RESOURCE_BUSY


async def _until(thing: Callable[[], bool]) -> None:
    async with asyncio.timeout(harness.PATIENCE):
        while not await asyncio.to_thread(thing):
            pass


def _said(lockd: Lockd, text: str, times: int) -> bool:
    return lockd.said.count(text) == times


@pytest.fixture
async def rival(lockd: Lockd) -> AsyncIterator[Callable[[], Awaitable[Connection]]]:
    """Makes connections of somebody who wants the same disks."""
    process = await asyncio.create_subprocess_exec("sleep", "600")

    async def connect() -> Connection:
        return await _acting_for(lockd, process.pid, "rival")

    yield connect
    process.kill()
    await process.wait()


Rival = Callable[[], Awaitable[Connection]]


@contextlib.contextmanager
def _with_number(pid: int) -> Iterator[subprocess.Popen[bytes]]:
    """A new process that has the number of one that has ended. Skips where that cannot be had."""
    for _ in range(500):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        with subprocess.Popen(["sleep", "600"]) as process:
            try:
                if process.pid == pid:
                    yield process
                    return
            finally:
                process.kill()
    pytest.skip("others take the numbers of processes too fast here")


def _orphan(lockd: Lockd, *calls: str) -> tuple[int, subprocess.Popen[bytes]]:
    """A connection to lockd that outlives its maker: the maker's number, and a child that keeps it.

    calls: what the child sends when it is told to; it closes the connection when it is told again.
    """
    script = HOLDER.partition("link = socket")[0] + (
        "link = socket.socket(socket.AF_UNIX)\n"
        "link.connect(sys.argv[1])\n"
        "maker = os.getpid()\n"
        "def call(procedure, args):\n"
        "    message = Message(LOCK_SPACE.number, 1, procedure.number, 0, 1, 0, xdr.encode(args))\n"
        "    link.sendall(message.pack())\n"
        "    reply = link.recv(4096)\n"
        "    print('refused' if len(reply) > 28 else 'done', flush=True)\n"
        "owner = Owner(bytes(16), 'guest', 1, maker)\n"
        "if sys.argv[4:] == ['early']: call(REGISTER, RegisterArgs(owner, 0))\n"
        "if sys.argv[4:] == ['early']: call(ACQUIRE_RESOURCE, ResourceArgs('', sys.argv[2], 0))\n"
        "if os.fork(): print(maker, flush=True); os._exit(0)\n"
        "sys.stdin.readline()\n"
        "if sys.argv[4:] == ['late']: call(REGISTER, RegisterArgs(owner, 0))\n"
        "if sys.argv[4:] == ['late']: call(ACQUIRE_RESOURCE, ResourceArgs('', sys.argv[2], 0))\n"
        "sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", script, lockd.daemon.socket]
    process = subprocess.Popen(
        [*command, *calls[:1], str(harness.ROOT), *calls[1:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    line = b"done\n"
    while line == b"done\n":
        line = process.stdout.readline()
    process.wait()
    return int(line), process


def _tell(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()


# The scenarios -----------------------------------------------------------------------------------


async def test_1_a_next_lockd_that_has_too_few_descriptors_to_take_all_locks_again(
    lockd: Lockd, disks: Path, guest: subprocess.Popen[bytes]
) -> None:
    """Found: those that could not be taken were dropped, and no socket could be opened."""
    first, second = disks / "first", disks / "second"
    other = await asyncio.create_subprocess_exec("sleep", "600")
    for folder, pid in ((first, other.pid), (second, guest.pid)):
        folder.mkdir()
        connection = await _acting_for(lockd, pid)
        for number in range(30):
            (folder / str(number)).touch()
            await _acquire(connection, folder / str(number))
    lockd.kill()
    with lockd.poor(64) as log:
        await _until(lambda: "ready" in log.read_text())
        assert len(locked(first)) == 30
        assert 0 < len(locked(second)) < 30
        assert log.read_text().count("kept from others and tried again") == 30 - len(locked(second))
        other.kill()
        await other.wait()
        await _until(lambda: len(locked(second)) == 30)
    lockd.start()
    assert len(locked(second)) == 30


@ROOT_ONLY
async def test_2_the_connection_of_an_ended_holder_closes_when_its_number_has_a_new_owner(
    lockd: Lockd, disks: Path, rival: Rival
) -> None:
    """Found: the new holder lost its lock, which a third one got."""
    maker, child = _orphan(lockd, str(disks / "a"), "early")
    with _with_number(maker) as reused:
        connection = await _acting_for(lockd, reused.pid)
        await _acquire(connection, disks / "b")
        _tell(child)
        _tell(child)
        await _until(lambda: "a" not in locked(disks))
        assert locked(disks) == {"b"}
        assert reused.poll() is None
        other = await rival()
        await _is_busy(other, disks / "b")
        await _acquire(other, disks / "a")
        await other.close()


@ROOT_ONLY
async def test_3_the_connection_of_an_ended_process_registers_the_number_as_it_is_used_again(
    lockd: Lockd, disks: Path
) -> None:
    """Found: when that connection closed, a process that had never spoken to lockd was killed."""
    maker, child = _orphan(lockd, str(disks / "a"), "late")
    with _with_number(maker) as bystander:
        _tell(child)
        await _until(lambda: locked(disks) == {"a"})
        _tell(child)
        await _until(lambda: not locked(disks))
        assert bystander.poll() is None


async def test_4_the_journal_is_cut_emptied_and_removed_while_lockd_runs(
    lockd: Lockd, disks: Path, guest: subprocess.Popen[bytes]
) -> None:
    """Found: a journal that was harmed was never missed."""
    connection = await _acting_for(lockd, guest.pid)
    await _acquire(connection, disks / "a")

    for times, length in enumerate((512, 0, None), 1):
        if length is None:
            lockd.journal.unlink()
        else:
            os.truncate(lockd.journal, length)
        await _acquire(connection, disks / "b")
        await connection.call(
            locks.RELEASE_RESOURCE, locks.ResourceArgs("", str(disks / "b"), 0), timeout=30
        )
        await _until(functools.partial(_said, lockd, "journal made anew", times))
    lockd.kill()
    lockd.start()
    assert locked(disks) == {"a"}


async def test_5_the_journal_is_emptied_and_lockd_killed_before_it_notices(
    lockd: Lockd, disks: Path, guest: subprocess.Popen[bytes]
) -> None:
    """Found: the same error as for an empty journal of an earlier boot. The attribute knows better."""
    connection = await _acting_for(lockd, guest.pid)
    await _acquire(connection, disks / "a")
    os.kill(lockd.daemon.pid, signal.SIGSTOP)
    os.truncate(lockd.journal, 0)
    lockd.kill()
    with pytest.raises(harness.DaemonFailed, match=r"ended with 3 .*\n.*is damaged") as failure:
        lockd.start()
    assert "Traceback" not in str(failure.value)


async def test_6_the_journal_may_not_grow_any_more(
    lockd: Lockd, disks: Path, guest: subprocess.Popen[bytes]
) -> None:
    """Found: nothing in a map, which is not subject to this limit. What is written now is refused."""
    resource.prlimit(lockd.daemon.pid, resource.RLIMIT_FSIZE, (16 * 1024, resource.RLIM_INFINITY))
    connection = await _acting_for(lockd, guest.pid)
    for number in range(62):
        (disks / str(number)).touch()
        await _acquire(connection, disks / str(number))
    for name in "abc":
        with pytest.raises(RpcError, match="cannot be written down") as refusal:
            await _acquire(connection, disks / name)
        assert refusal.value.code == ErrorCode.SYSTEM_ERROR
    lockd.kill()
    lockd.start()
    assert len(locked(disks)) == 62


async def test_7_a_lease_is_removed_and_made_anew_by_others(
    lockd: Lockd, tmp_path: Path, guest: subprocess.Popen[bytes], rival: Rival
) -> None:
    """Found: DELETE_RESOURCE took ./lease for another one, so a second owner got the lease; and the
    release of a lease removed a file of the same name that others had made and locked."""
    leases = tmp_path / "leases"
    mine, other = await _acting_for(lockd, guest.pid), await rival()
    await mine.call(locks.NEW, locks.SpaceArgs(str(leases), 0))
    await _acquire(mine, "lease", MADE, str(leases))
    for name in (".//lease", "../leases/lease"):
        with pytest.raises(RpcError, match="locked by guest"):
            await other.call(
                locks.DELETE_RESOURCE, locks.ResourceArgs(str(leases), name, 0), timeout=30
            )
        with pytest.raises(RpcError, match="locked by guest"):
            await _acquire(other, name, MADE, str(leases))
    (leases / "lease").rename(leases / "stolen")
    with (leases / "lease").open("w") as taken:
        fcntl.lockf(taken, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        await mine.call(locks.RELEASE_RESOURCE, locks.ResourceArgs(str(leases), "lease", 0))
        assert (leases / "lease").exists()
    await other.close()
    await mine.close()


async def test_8_an_orderly_end_while_a_guest_runs_whose_locks_others_took_for_it(
    lockd: Lockd, disks: Path, guest: subprocess.Popen[bytes], rival: Rival
) -> None:
    """Found: the guest ran on without its locks."""
    await _acquire(await _acting_for(lockd, guest.pid), disks / "a")
    for _ in range(2):
        assert lockd.daemon.kill() == 0
        assert guest.poll() is None
        lockd.start()
        assert locked(disks) == {"a"}
    other = await rival()
    await _is_busy(other, disks / "a")
    guest.kill()
    await _until(lambda: not locked(disks))
    assert lockd.daemon.kill() == 0
    assert not lockd.journal.exists()


async def test_9_preserving_and_killing_in_turns_with_the_run_directory_going_in_between(
    lockd: Lockd, disks: Path
) -> None:
    """Found: an end that preserves ended the guests; SIGUSR1 without its folder lost all locks."""
    process = _holder(lockd, disks / "a")
    for _ in range(2):
        async with admin_client.connect(lockd.uri) as connection:
            await connection.daemon_shutdown(preserve=True)
        assert lockd.daemon.wait() == 0
        assert process.poll() is None
        lockd.start()
        assert locked(disks) == {"a"}
        lockd.kill()
        lockd.start()
        assert locked(disks) == {"a"}
    shutil.rmtree(lockd.folder)
    os.kill(lockd.daemon.pid, signal.SIGUSR1)
    lockd.folder.mkdir()
    await _until(lockd.journal.exists)
    assert locked(disks) == {"a"}
    lockd.kill()
    lockd.start()
    assert locked(disks) == {"a"}
    assert process.poll() is None
    process.kill()
    process.wait()


async def test_10_a_stopped_holder_whose_connection_goes_while_its_lock_is_broken(
    lockd: Lockd, disks: Path, rival: Rival
) -> None:
    """Found: nothing; both ends of the holder are one, and the lock is free when it is gone."""
    process = _holder(lockd, disks / "a", "stubborn")
    other = await rival()
    async with admin_client.connect(lockd.uri) as connection:
        breaking = asyncio.create_task(
            LockAdmin(connection).break_lock(str(disks / "a"), "guest", force=True)
        )
        _tell(process)
        os.kill(process.pid, signal.SIGSTOP)
        while process.poll() is None:
            try:
                await _acquire(other, disks / "a")
            except RpcError:
                continue
            assert process.poll() is not None
            break
        assert (await breaking).fate == Fate.ENDED
    await asyncio.to_thread(process.wait)
    await other.close()
