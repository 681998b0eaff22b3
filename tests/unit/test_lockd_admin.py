"""lockd's administration: the client module, the commands, and what the daemon makes of them."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.admin.cli.commands import command_table
from aiovirt.admin.cli.failure import CommandFailed
from aiovirt.admin.cli.parser import LineWords, parse
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.terminal import Terminal
from aiovirt.admin.client import MissingProgram
from aiovirt.daemons.lockd import admin_protocol, breaking
from aiovirt.daemons.lockd.client import AcquireFlags, Fate, LockAdmin, Owner
from aiovirt.daemons.lockd.protocol import NEW, RELEASE_RESOURCE, ResourceArgs, SpaceArgs
from aiovirt.rpc.client import Connection
from aiovirt.rpc.logs import LogControl
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from tests.unit.house import PATIENCE, eventually
from tests.unit.lock_house import LockHouse, open_lock_house
from tests.unit.log_house import open_log_house

SHARED = int(AcquireFlags.SHARED)
MADE = int(AcquireFlags.AUTOCREATE)
#: No process has this number.
NOBODY = 2**22 + 1

WEB = Owner(b"\1" * 16, "web", 1, NOBODY)
MAIL = Owner(b"\2" * 16, "mail", 2, NOBODY + 1)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LockHouse]:
    async with open_lock_house(tmp_path) as house:
        yield house


@pytest.fixture
async def locks(house: LockHouse) -> AsyncIterator[LockAdmin]:
    async with admin_client.connect(house.uri) as connection:
        yield LockAdmin(connection)


@pytest.fixture
async def web(house: LockHouse) -> AsyncIterator[Connection]:
    async with await house.connect(WEB) as connection:
        yield connection


@pytest.fixture
async def mail(house: LockHouse) -> AsyncIterator[Connection]:
    async with await house.connect(MAIL) as connection:
        yield connection


async def virtadm(house: LockHouse, line: str, *, json: bool = False) -> tuple[bool, str, str]:
    """Run a command: whether it went well, and what it said."""
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal("virtadm", out=out, err=err)
    terminal.json = json
    table = command_table()
    session = AdminSession(table, terminal, house.uri)
    try:
        async with asyncio.timeout(PATIENCE):
            await session.reconnect()
            succeeded = await session.run(parse(LineWords(line), table))
    finally:
        await session.close()
    return succeeded, out.getvalue(), err.getvalue()


async def _denied(house: LockHouse, connection: Connection, disk: str) -> str:
    """Ask for a lock that is not to be had: what is told."""
    with pytest.raises(RpcError) as refusal:
        await house.acquire(connection, disk)
    assert refusal.value.code == ErrorCode.RESOURCE_BUSY
    return refusal.value.message


# Listing -----------------------------------------------------------------------------------------


async def test_locks_are_listed_with_owners_flags_and_age(
    house: LockHouse, locks: LockAdmin, web: Connection, mail: Connection
) -> None:
    space = f"{house.folder}/leases"
    await web.call(NEW, SpaceArgs(space, 0))
    assert [(one.directory, one.resources) for one in await locks.spaces()] == [("", 0), (space, 0)]
    disk = house.disk()
    await house.acquire(web, disk)
    await house.acquire(web, "b", MADE, space)
    await house.acquire(web, "a", SHARED | MADE, space)
    await house.acquire(mail, "a", SHARED | MADE, space)
    assert [(one.directory, one.resources) for one in await locks.spaces()] == [("", 1), (space, 2)]
    found = await locks.locks()
    assert [(lock.directory, lock.name, lock.owner, lock.flags) for lock in found] == [
        ("", disk, WEB, 0),
        (space, "a", WEB, SHARED | MADE),
        (space, "a", MAIL, SHARED | MADE),
        (space, "b", WEB, MADE),
    ]
    clients = {client.id for client in house.server.registry}
    assert {lock.client for lock in found} == clients
    assert all(lock.age >= 0 and lock.since > 1_700_000_000 for lock in found)


async def test_more_than_one_answer_holds(
    house: LockHouse, locks: LockAdmin, web: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_protocol, "PAGE", 3)
    spaces = [f"{house.folder}/space{number}" for number in range(5)]
    wanted = []
    for space in spaces:
        await web.call(NEW, SpaceArgs(space, 0))
        for name, holds in (("a", 1), ("b", 7), ("c", 3)):
            for _ in range(holds):
                await house.acquire(web, name, SHARED | MADE, space)
                wanted.append((space, name))
    assert [one.directory for one in await locks.spaces()] == ["", *spaces]
    assert [(lock.directory, lock.name) for lock in await locks.locks()] == wanted


async def test_who_was_refused_and_why(
    house: LockHouse, locks: LockAdmin, web: Connection, mail: Connection
) -> None:
    disk = house.disk()
    await house.acquire(web, disk)
    told = await _denied(house, mail, disk)
    (refusal,) = await locks.refusals()
    assert (refusal.directory, refusal.name, refusal.flags, refusal.owner) == ("", disk, 0, MAIL)
    assert refusal.because == told == f"resource '{disk}' is locked by web (process {NOBODY})"
    for number in range(300):
        with pytest.raises(RpcError):
            await house.acquire(mail, disk, number & SHARED)
    refusals = await locks.refusals()
    assert len(refusals) == 256
    assert [one.flags for one in refusals[-2:]] == [0, SHARED]


async def test_a_process_that_holds_the_kernel_s_lock_is_named(
    house: LockHouse, locks: LockAdmin, web: Connection
) -> None:
    disk = house.disk()
    process = await asyncio.create_subprocess_exec(
        "python3",
        "-c",
        "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX, 1);"
        "f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX, 1); print(flush=True); input()",
        disk,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    assert f"outside this daemon, by process {process.pid}" in await _denied(house, web, disk)
    (refusal,) = await locks.refusals()
    assert str(process.pid) in refusal.because
    process.kill()
    await process.wait()


# Breaking ----------------------------------------------------------------------------------------


async def test_the_lock_of_a_holder_that_is_gone_is_broken_without_force(
    house: LockHouse, locks: LockAdmin, web: Connection, mail: Connection
) -> None:
    disk = house.disk()
    await house.acquire(web, disk)
    await _denied(house, mail, disk)
    assert await locks.break_lock(disk, "web") == (WEB, Fate.GONE)
    await house.acquire(mail, disk)
    with pytest.raises(RpcError, match="does not hold"):
        await web.call(RELEASE_RESOURCE, ResourceArgs("", disk, 0))


async def test_a_holder_that_runs_is_not_touched_without_force(
    house: LockHouse, locks: LockAdmin, mail: Connection
) -> None:
    disk = house.disk()
    process = await house.holder(disk)
    with pytest.raises(RpcError, match="broken by force only") as refusal:
        await locks.break_lock(disk, "guest")
    assert refusal.value.code == ErrorCode.OPERATION_DENIED
    await _denied(house, mail, disk)
    process.kill()
    await process.wait()


@pytest.mark.parametrize("stubborn", [[], ["stubborn"]])
async def test_force_ends_the_holder_and_the_next_one_gets_the_lock(
    house: LockHouse, locks: LockAdmin, mail: Connection, stubborn: list[str]
) -> None:
    disk = house.disk()
    process = await house.holder(disk, *stubborn)
    owner = Owner(bytes(16), "guest", 1, process.pid)
    assert await locks.break_lock(disk, "guest", force=True) == (owner, Fate.ENDED)
    await house.acquire(mail, disk)
    number = signal.SIGKILL if stubborn else signal.SIGTERM
    assert await asyncio.wait_for(process.wait(), PATIENCE) == -number


async def test_a_holder_that_does_not_end_in_time_keeps_its_lock_until_it_does(
    house: LockHouse, locks: LockAdmin, mail: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaking, "KILL_AFTER", 0.0)
    monkeypatch.setattr(breaking, "REPORT_AFTER", 0.0)
    disk = house.disk()
    process = await house.holder(disk, "stubborn")
    broken = await locks.break_lock(disk, "guest", force=True)
    assert broken.fate == Fate.ENDING
    await _denied(house, mail, disk)
    await asyncio.wait_for(process.wait(), PATIENCE)
    await eventually(lambda: not house.service.default.resources)
    await house.acquire(mail, disk)


async def test_a_holder_that_is_kept_is_cut_off_and_told_so(
    house: LockHouse, locks: LockAdmin, mail: Connection
) -> None:
    disk = house.disk()
    process = await house.holder(disk)
    broken = await locks.break_lock(disk, "guest", force=True, keep_holder=True)
    assert broken.fate == Fate.CUT
    assert len(house.server.registry) == 1  # its connection is closed
    await house.acquire(mail, disk)
    assert process.returncode is None
    process.kill()
    await process.wait()


async def test_a_holder_that_holds_more_is_kept_with_its_connection(
    house: LockHouse, locks: LockAdmin
) -> None:
    # The connection of a holder that goes while it holds something is the holder's end.
    owner = Owner(b"\3" * 16, "here", 3, os.getpid())
    async with await house.connect(owner) as here:
        first, second = house.disk("first"), house.disk("second")
        await house.acquire(here, first)
        await house.acquire(here, second)
        broken = await locks.break_lock(first, "here", force=True, keep_holder=True)
        assert broken == (owner, Fate.KEPT)
        assert [lock.name for lock in await locks.locks()] == [second]
        with pytest.raises(RpcError, match="refusing to terminate process"):
            await locks.break_lock(second, "here", force=True)
        await here.call(RELEASE_RESOURCE, ResourceArgs("", second, 0))


async def test_a_process_that_got_the_holder_s_number_is_left_alone(
    house: LockHouse, locks: LockAdmin
) -> None:
    process = await asyncio.create_subprocess_exec("sleep", "600")
    disk = house.disk()
    # As if the holder had been a process of the same number that started earlier.
    started = house.service.holders.find(process.pid).start
    earlier = house.service.holders.named(process.pid, started - 1)
    owner = Owner(bytes(16), "old", 9, process.pid)
    house.service.default.acquire(disk, 0, owner, 0, earlier)
    assert (await locks.break_lock(disk, "old", force=True)).fate == Fate.GONE
    assert process.returncode is None
    process.kill()
    await process.wait()


async def test_the_lock_of_a_holder_that_cannot_be_looked_at_is_not_broken_without_force(
    house: LockHouse, locks: LockAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = house.disk()
    owner = Owner(bytes(16), "guest", 1, os.getppid())
    unseen = house.service.holders.named(owner.pid, 1)

    def none_left(pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pidfd_open", none_left)
        house.service.default.acquire(disk, 0, owner, 0, unseen)
        with pytest.raises(RpcError, match="broken by force only"):
            await locks.break_lock(disk, "guest")
    assert (await locks.break_lock(disk, "guest")).fate == Fate.GONE  # another start time


async def test_the_wrong_one_is_not_broken(
    house: LockHouse, locks: LockAdmin, web: Connection, mail: Connection
) -> None:
    disk = house.disk()
    await house.acquire(web, disk, SHARED)
    await house.acquire(mail, disk, SHARED)
    async with await house.connect(_other_web()) as other:
        await house.acquire(other, disk, SHARED)
        for name, pid, text in (
            ("database", 0, "not by database"),
            ("web", 12, r"not by web \(process 12\)"),
            ("web", 0, "say whose process is meant"),
        ):
            with pytest.raises(RpcError, match=text) as refusal:
                await locks.break_lock(disk, name, pid=pid, force=True)
            assert refusal.value.code == ErrorCode.OPERATION_INVALID
            assert refusal.value.domain == ErrorDomain.LOCKSPACE
        assert len(await locks.locks()) == 3
        assert (await locks.break_lock(disk, "web", pid=WEB.pid)).owner == WEB
        assert (await locks.break_lock(disk, "02020202-0202-0202-0202-020202020202")).owner == MAIL
        assert [lock.owner for lock in await locks.locks()] == [_other_web()]
    with pytest.raises(RpcError, match="is not locked"):
        await locks.break_lock(f"{disk}.other", "web")
    with pytest.raises(RpcError, match="lockspace /nowhere does not exist"):
        await locks.break_lock(disk, "web", directory="/nowhere")
    with pytest.raises(RpcError, match="by force only") as refusal:
        await locks.break_lock(disk, "web", keep_holder=True)
    assert refusal.value.code == ErrorCode.INVALID_ARG


def _other_web() -> Owner:
    return Owner(WEB.uuid, WEB.name, 3, NOBODY + 2)


async def test_a_broken_lease_is_removed(
    house: LockHouse, locks: LockAdmin, web: Connection
) -> None:
    space = f"{house.folder}/leases"
    await web.call(NEW, SpaceArgs(space, 0))
    await house.acquire(web, "lease", MADE, space)
    assert os.listdir(space) == ["lease"]
    await locks.break_lock("lease", "web", directory=space)
    assert os.listdir(space) == []


async def test_the_log_names_who_broke_what(
    house: LockHouse, locks: LockAdmin, web: Connection
) -> None:
    disk = house.disk()
    await house.acquire(web, disk)
    log = house.folder / "log"
    control = LogControl("test", outputs=f"3:file:{log}")
    try:
        await locks.break_lock(disk, "web")
    finally:
        control.close()
    text = log.read_text()
    for part in (
        "lock is broken",
        f"resource={disk}",
        f"owner=web pid={NOBODY}",
        f"by_pid={os.getpid()}",
    ):
        assert part in text


async def test_unknown_flags_are_refused(house: LockHouse) -> None:
    async with admin_client.connect(house.uri) as connection:
        for procedure in admin_protocol.LOCK_ADMIN:
            args = {
                "LOCKSPACE_LIST": (None, 8),
                "LOCK_LIST": (None, 8),
                "REFUSAL_LIST": (8,),
                "LOCK_BREAK": ("", "x", "y", 0, 8),
            }[procedure.name]
            with pytest.raises(RpcError, match=r"^unsupported flags \(0x8\) in function "):
                await connection.call(procedure, procedure.args(*args))


# Commands ----------------------------------------------------------------------------------------


async def test_what_the_commands_say(house: LockHouse, web: Connection, mail: Connection) -> None:
    disk = house.disk()
    await house.acquire(web, disk)
    await _denied(house, mail, disk)
    _, out, _ = await virtadm(house, "lockspace-list")
    assert out.splitlines()[2].split() == ["1", "(default)"]
    _, out, _ = await virtadm(house, "lock-list")
    row = out.splitlines()[2].split()
    assert row[:3] == ["web", str(NOBODY), "exclusive"]
    assert row[-2:] == ["(default)", disk]
    _, out, _ = await virtadm(house, "lock-list --lockspace /elsewhere", json=True)
    assert json.loads(out) == []
    _, out, _ = await virtadm(house, "lock-list --lockspace ''", json=True)
    (lock,) = json.loads(out)
    assert (lock["resource"], lock["flags"]) == (disk, ["exclusive"])
    assert lock["owner"] == {
        "name": "web",
        "uuid": "01010101-0101-0101-0101-010101010101",
        "id": 1,
        "pid": NOBODY,
    }
    _, out, _ = await virtadm(house, "lock-refusals")
    assert f"is locked by web (process {NOBODY})" in out
    _, out, _ = await virtadm(house, "lock-refusals", json=True)
    assert json.loads(out)[0]["owner"]["name"] == "mail"


async def test_breaking_by_command(house: LockHouse, web: Connection) -> None:
    disk = house.disk()
    await house.acquire(web, disk)
    succeeded, _, err = await virtadm(house, f"lock-break {disk} mail")
    assert not succeeded
    assert err.splitlines() == [
        f"error: failed to break the lock of 'mail' on '{disk}'",
        f"error: resource '{disk}' is locked by web (process {NOBODY}), not by mail",
    ]
    with pytest.raises(CommandFailed, match="requires <owner>"):
        await virtadm(house, f"lock-break {disk}")
    succeeded, out, _ = await virtadm(house, f"lock-break {disk} web --pid {NOBODY}")
    assert succeeded
    assert out == (
        f"Lock of 'web' (process {NOBODY}) on '{disk}' broken: its process had ended already\n\n"
    )
    await house.acquire(web, disk)
    _, out, _ = await virtadm(house, f"lock-break {disk} --owner web", json=True)
    assert json.loads(out)["fate"] == "gone"


async def test_a_daemon_without_the_program_says_so(tmp_path: Path) -> None:
    async with (
        open_log_house(tmp_path) as house,
        admin_client.connect(house.uri) as connection,
    ):
        with pytest.raises(MissingProgram, match=r"no lock administration .* only lockd"):
            await LockAdmin(connection).locks()
