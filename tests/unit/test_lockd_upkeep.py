"""The journal is where the next lockd will look, or it is said that it is not."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aiovirt.daemons.lockd import recovery
from aiovirt.daemons.lockd.holder import open_process
from aiovirt.daemons.lockd.journal import Journal, find, read
from aiovirt.daemons.lockd.journal_format import pack_owner
from aiovirt.daemons.lockd.protocol import RELEASE_RESOURCE, Owner, ResourceArgs
from aiovirt.daemons.lockd.recovery import go_on, recover
from aiovirt.daemons.lockd.state import LocksState, restore, save
from aiovirt.daemons.lockd.upkeep import Upkeep
from aiovirt.rpc.client import Connection
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.unit.house import eventually
from tests.unit.lock_house import LockHouse, open_lock_house


class Kept(LockHouse):
    """A lockd with a journal in `run`."""

    run: Path
    owner: Owner

    @property
    def journal(self) -> str:
        return str(self.run / "lockd.journal")

    @property
    def upkeep(self) -> Upkeep:
        assert self.service.upkeep is not None
        return self.service.upkeep

    async def guest(self) -> Connection:
        return await self.connect(self.owner)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@asynccontextmanager
async def _kept(tmp_path: Path, process: subprocess.Popen[bytes], name: str) -> AsyncIterator[Kept]:
    folder = tmp_path / name
    folder.mkdir()
    async with open_lock_house(folder, Kept) as house:
        assert isinstance(house, Kept)
        house.run = tmp_path / "run"
        house.run.mkdir(exist_ok=True)
        house.owner = Owner(bytes(16), "guest", 1, process.pid)
        yield house


@pytest.fixture
async def house(tmp_path: Path, process: subprocess.Popen[bytes]) -> AsyncIterator[Kept]:
    async with _kept(tmp_path, process, "first") as house:
        recover(house.service, house.journal)
        yield house


def _fails(code: int) -> Any:
    def failing(*args: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return failing


def _names(journal: str) -> list[str]:
    return sorted(os.path.basename(record.name) for record in read(journal))


def _remove(house: Kept) -> None:
    os.unlink(house.journal)


def _cut(house: Kept) -> None:
    os.truncate(house.journal, 512)


def _empty(house: Kept) -> None:
    os.truncate(house.journal, 0)


def _zero(house: Kept) -> None:
    with open(house.journal, "r+b") as file:
        file.seek(256)
        file.write(bytes(256))


def _replace(house: Kept) -> None:
    Path(house.journal).write_text("something else")


def _new_folder(house: Kept) -> None:
    shutil.rmtree(house.run)
    house.run.mkdir()


@pytest.mark.parametrize("watched", [False, True], ids=["held", "not held"])
async def test_a_lock_is_struck_out_before_its_owner_hears_that_it_was_given_back(
    house: Kept, watched: bool
) -> None:
    async with await house.guest() as guest:
        await house.acquire(guest, house.disk("a"))
        await house.acquire(guest, house.disk("b"))
        if watched:  # such a reply goes through the tap, and is not held
            next(iter(house.server.registry)).tap(lambda *message: None)
        heard: list[list[str]] = []
        guest.tap(lambda *message: heard.append(_names(house.journal)))
        await guest.call(RELEASE_RESOURCE, ResourceArgs("", house.disk("b"), 0))
        assert heard == [["a", "b"], ["a"]], "with the call, and with its reply"


@pytest.mark.parametrize("harm", [_remove, _cut, _empty, _zero, _replace, _new_folder])
async def test_a_journal_that_somebody_harmed_is_made_anew(house: Kept, harm: Any) -> None:
    async with await house.guest() as guest:
        await house.acquire(guest, house.disk("a"))
        await house.acquire(guest, house.disk("b"))
        harm(house)
        house.upkeep.check()
        assert _names(house.journal) == ["a", "b"]
        await house.acquire(guest, house.disk("c"))
        assert _names(house.journal) == ["a", "b", "c"]


async def test_locks_are_given_while_a_harmed_journal_waits_for_its_folder(house: Kept) -> None:
    async with await house.guest() as guest:
        await house.acquire(guest, house.disk("a"))
        shutil.rmtree(house.run)
        house.upkeep.check()
        await house.acquire(guest, house.disk("b"))
        house.run.mkdir()
        house.upkeep.check()
        assert _names(house.journal) == ["a", "b"]


async def test_without_a_journal_no_lock_is_given_until_there_is_one(
    tmp_path: Path, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _kept(tmp_path, process, "first") as house:
        with monkeypatch.context() as patch:
            patch.setattr(os, "posix_fallocate", _fails(errno.ENOSPC))
            recover(house.service, house.journal)
        async with await house.guest() as guest:
            with pytest.raises(RpcError, match="there is no journal: No space") as refusal:
                await house.acquire(guest, house.disk())
            assert refusal.value.code == ErrorCode.SYSTEM_ERROR
            house.upkeep.check()
            await house.acquire(guest, house.disk())
        assert _names(house.journal) == ["disk"]


async def test_what_could_not_be_struck_out_is_written_anew(
    house: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await house.guest() as guest:
        await house.acquire(guest, house.disk("a"))
        await house.acquire(guest, house.disk("b"))
        (holding,) = house.service.default.resources[house.disk("a")].holdings
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", _fails(errno.EIO))
            house.service.table.give_back(holding)
            assert house.upkeep.journal is not None
        house.upkeep.check()
        assert _names(house.journal) == ["b"]


async def test_whatever_is_found_there_is_a_next_look(
    house: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> None:
        raise MemoryError

    monkeypatch.setattr(house.service.table.holders.reserve, "fill", failing)
    before = house.upkeep._timer
    with pytest.raises(MemoryError):
        house.upkeep.check()
    assert house.upkeep._timer is not before


async def test_a_failing_disk_costs_one_line_for_each_reason(
    house: Kept, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    os.unlink(house.journal)
    monkeypatch.setattr(os, "posix_fallocate", _fails(errno.ENOSPC))
    for _ in range(5):
        house.upkeep.check()
    assert capfd.readouterr().err.count("no journal can be kept") == 1


# Taking locks again ------------------------------------------------------------------------------


async def _killed(house: Kept, *disks: str) -> None:
    """Have what is held in the journal only, from now on."""
    async with await house.guest() as guest:
        for disk in disks:
            await house.acquire(guest, disk)
        shutil.copy(house.journal, house.folder / "copy")
        house.service.table.give_all_back(house.service.holders.find(house.owner.pid))
        shutil.copy(house.folder / "copy", house.journal)
    journal = house.upkeep.journal
    assert journal is not None
    journal.leave()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EIO, errno.EACCES, errno.ENOENT])
async def test_a_lock_that_cannot_be_taken_again_is_kept_from_others_and_tried_again(
    house: Kept,
    tmp_path: Path,
    process: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    code: int,
) -> None:
    disk = house.disk()
    await _killed(house, disk)
    really = os.open
    async with _kept(tmp_path, process, "second") as second:
        with monkeypatch.context() as patch:

            def failing(path: str, *args: int, **options: Any) -> int:
                return _fails(code)() if path == disk else really(path, *args, **options)

            patch.setattr(os, "open", failing)
            recover(second.service, house.journal)
        async with await second.connect(Owner(bytes(16), "rival", 2, 2**31)) as rival:
            with pytest.raises(RpcError, match="locked by guest"):
                await second.acquire(rival, disk)
            assert second.service.default.resources[disk].descriptor == -1
            second.upkeep.check()
            assert second.service.default.resources[disk].descriptor >= 0
            process.kill()
            await eventually(lambda: not second.service.default.resources)
            await second.acquire(rival, disk)


async def test_a_holder_that_cannot_be_looked_at_keeps_its_lock(
    house: Kept,
    tmp_path: Path,
    process: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = house.disk()
    await _killed(house, disk)
    async with _kept(tmp_path, process, "second") as second:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pidfd_open", _fails(errno.EMFILE))
            recover(second.service, house.journal)
        assert disk in second.service.default.resources
        second.upkeep.check()
        process.kill()
        await eventually(lambda: not second.service.default.resources)


@pytest.mark.parametrize(("flags", "holders"), [(0, ["later"]), (1, ["early", "later"])])
async def test_of_two_records_of_a_lock_that_is_not_shared_the_later_one_is_true(
    house: Kept,
    tmp_path: Path,
    process: subprocess.Popen[bytes],
    flags: int,
    holders: list[str],
) -> None:
    disk = house.disk()
    await _killed(house, house.disk("other"))
    start = next(iter(house.service.holders)).start
    found = find(house.journal)
    assert found is not None
    journal, _ = found
    for name, since in (("later", 20.0), ("early", 10.0)):
        owner = pack_owner(Owner(bytes(16), name, 1, process.pid), start)
        journal.add("", disk, flags, owner, since)
    journal.leave()
    async with _kept(tmp_path, process, "second") as second:
        recover(second.service, house.journal)
        held = [
            one.owner.name for one in second.service.table.holdings() if one.resource.name == disk
        ]
        assert sorted(held) == holders


async def test_a_start_waits_for_what_is_left_of_a_lockd_that_was_killed_in_a_restart(
    tmp_path: Path, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _kept(tmp_path, process, "first") as house:
        left = Journal.create(house.journal)
        left.publish()
        with monkeypatch.context() as patch:
            patch.setattr(recovery, "CLAIM_WITHIN", -1.0)
            with pytest.raises(ValueError, match="in use by another lockd"):
                recover(house.service, house.journal)
        owner = pack_owner(house.owner, open_process(process.pid, None)[1])
        left.add("", house.disk("a"), 0, owner, 1.0)
        with monkeypatch.context() as patch:
            patch.setattr(time, "sleep", lambda _: left.leave())
            recover(house.service, house.journal)
        assert [one.resource.name for one in house.service.table.holdings()] == [house.disk("a")]


# Restarts ----------------------------------------------------------------------------------------


async def _handed_over(house: Kept) -> LocksState:
    """The state as the next program in this process gets it."""
    return save(house.service, os.dup)


async def test_restoring_touches_nothing_until_it_is_told_to_go_on(
    house: Kept, tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    disk = house.disk()
    async with await house.guest() as guest:
        await house.acquire(guest, disk)
        before = os.listdir(house.run), os.listdir("/proc/self/fd")
        # As in a rehearsal, where these descriptors are not there.
        state = save(house.service, lambda descriptor: descriptor + 100_000)
        async with _kept(tmp_path, process, "second") as second:
            with_second = os.listdir("/proc/self/fd")
            restore(second.service, state)
            assert os.listdir("/proc/self/fd") == with_second
            assert os.listdir(house.run) == before[0]
            for holder in second.service.holders:
                holder._descriptor = -1
            second.service.table.held = 0
            second.service.table.spaces.clear()


async def test_the_next_program_goes_on_with_the_journal_that_it_was_handed(
    house: Kept, tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    async with await house.guest() as guest:
        await house.acquire(guest, house.disk("a"))
        state = await _handed_over(house)
        inode = os.stat(house.journal).st_ino
        async with _kept(tmp_path, process, "second") as second:
            restore(second.service, state)
            go_on(second.service, house.journal)
            assert os.stat(house.journal).st_ino == inode
            async with await second.guest() as again:
                await second.acquire(again, second.disk("b"))
                assert _names(house.journal) == ["a", "b"]


async def test_the_next_program_holds_everything_also_without_the_run_directory(
    house: Kept, tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    async with await house.guest() as guest:
        await house.acquire(guest, house.disk("a"))
        shutil.rmtree(house.run)
        state = await _handed_over(house)
        async with _kept(tmp_path, process, "second") as second:
            shutil.rmtree(house.run)
            restore(second.service, state)
            go_on(second.service, house.journal)
            assert list(second.service.default.resources) == [house.disk("a")]
            async with await second.guest() as again:
                await second.acquire(again, second.disk("b"))
            house.run.mkdir()
            second.upkeep.check()
            assert _names(house.journal) == ["a", "b"]


async def test_a_journal_that_does_not_say_what_is_held_is_made_anew(
    house: Kept, tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    async with await house.guest() as guest:
        await house.acquire(guest, house.disk("a"))
        state = await _handed_over(house)
        os.truncate(house.journal, 256)
        assert house.upkeep.journal is not None
        house.upkeep.journal.leave()  # as the program before it has, which it was executed by
        async with _kept(tmp_path, process, "second") as second:
            restore(second.service, state)
            go_on(second.service, house.journal)
            assert _names(house.journal) == ["a"]


# The end -----------------------------------------------------------------------------------------


async def test_an_end_leaves_the_journal_as_long_as_a_holder_runs(
    house: Kept, process: subprocess.Popen[bytes]
) -> None:
    guest = await house.guest()
    await house.acquire(guest, house.disk())
    await house.service.finish()
    assert _names(house.journal) == ["disk"]
    await guest.close()


@pytest.mark.parametrize("harm", [_remove, _cut, _empty, _zero, _replace, _new_folder])
async def test_an_end_leaves_a_whole_journal_though_it_was_harmed_just_before(
    house: Kept, harm: Any
) -> None:
    guest = await house.guest()
    await house.acquire(guest, house.disk())
    harm(house)
    await house.service.finish()
    assert _names(house.journal) == ["disk"]
    await guest.close()


async def test_the_journal_of_another_lockd_in_the_same_folder_is_left_alone(house: Kept) -> None:
    async with await house.guest() as guest:
        await house.acquire(guest, house.disk())
        _new_folder(house)
        other = Journal.create(house.journal)
        other.publish()
        house.upkeep.check()
        assert other.is_in_place()
        await house.acquire(guest, house.disk("b"))
        other.leave()
        house.upkeep.check()
        assert _names(house.journal) == ["b", "disk"]


async def test_an_end_removes_the_journal_when_no_holder_runs(
    house: Kept, process: subprocess.Popen[bytes]
) -> None:
    guest = await house.guest()
    await house.acquire(guest, house.disk())
    process.kill()
    process.wait()
    await house.service.finish()
    assert os.listdir(house.run) == []
    await guest.close()


async def test_an_end_that_preserves_is_refused_when_nothing_can_be_preserved(
    house: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await house.guest() as guest:
        await house.acquire(guest, house.disk())
        shutil.rmtree(house.run)
        with pytest.raises(RpcError, match="cannot be preserved") as refusal:
            house.daemon.shutdown(preserve=True)
        assert refusal.value.code == ErrorCode.OPERATION_FAILED
        assert not house.daemon.is_ending


async def test_an_end_that_preserves_leaves_holders_and_journal(house: Kept) -> None:
    disk = house.disk()
    process = await house.holder(disk)
    house.daemon.shutdown(preserve=True)
    await eventually(lambda: house.upkeep.journal is None or house.upkeep.journal.descriptor == -1)
    assert process.returncode is None
    assert [record.owner.pid for record in read(house.journal)] == [process.pid]
    process.kill()
    await process.wait()


async def test_a_held_lock_keeps_the_daemon_up(house: Kept) -> None:
    house.daemon.set_timeout(1)
    guest = await house.guest()
    await house.acquire(guest, house.disk("a"))
    await house.acquire(guest, house.disk("b"))
    await guest.close()
    await eventually(lambda: not len(house.server.registry))
    assert house.daemon._timer is None
    for resource in list(house.service.default.resources.values()):
        house.service.table.give_back(resource.holdings[0])
    await eventually(lambda: house.daemon._timer is not None)


def test_a_journal_is_not_published_when_it_cannot_be_filled(tmp_path: Path) -> None:
    journal = Journal.create(str(tmp_path / "journal"))
    journal.withdraw()
    assert os.listdir(tmp_path) == []
