"""The journal finds again what was written, whatever was struck out in between."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiovirt.daemons.lockd.holder import Holder
from aiovirt.daemons.lockd.journal import Journal, boot_id, find, read
from aiovirt.daemons.lockd.journal_format import FORMER_MAGIC, FREE, MAGIC, Record, pack_owner
from aiovirt.daemons.lockd.protocol import Owner
from aiovirt.daemons.lockd.space import LockSpace
from aiovirt.daemons.lockd.table import LockTable
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
#: A NUL byte does not come through the wire.
_CHARACTERS = st.characters(min_codepoint=1, codec="utf-8")
_TEXTS = st.text(_CHARACTERS, max_size=20) | st.integers(0, 1500).map(lambda size: "x" * size)
_RECORDS = st.builds(
    Record,
    directory=_TEXTS,
    name=_TEXTS,
    flags=st.integers(0, 3),
    owner=st.builds(
        Owner,
        uuid=st.binary(min_size=16, max_size=16),
        name=_TEXTS,
        id=st.integers(0, 2**32 - 1),
        pid=st.integers(0, 2**32 - 1),
    ),
    start=st.integers(0, 2**64 - 1),
    since=st.floats(0, 2e9),
)


def _add(journal: Journal, record: Record) -> int:
    owner = pack_owner(record.owner, record.start)
    return journal.add(record.directory, record.name, record.flags, owner, record.since)


def _sorted(records: list[Record]) -> list[str]:
    return sorted(map(repr, records))


@given(st.lists(st.tuples(_RECORDS, st.booleans(), st.booleans()), max_size=60))
def test_what_was_added_and_not_removed_is_read_once_it_is_settled(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Record, bool, bool]]
) -> None:
    path = str(tmp_path_factory.mktemp("journal") / "journal")
    journal = Journal.create(path)
    journal.publish()
    kept: dict[int, Record] = {}
    removed: list[Record] = []
    for record, removes, settles in steps:
        if removes and kept:
            slot = next(iter(kept))
            journal.remove(slot)
            removed.append(kept.pop(slot))
        kept[_add(journal, record)] = record
        if settles:
            journal.settle()
            removed.clear()
        found = _sorted(read(path))
        assert not Counter(_sorted(list(kept.values()))) - Counter(found)
        assert not Counter(found) - Counter(_sorted([*kept.values(), *removed]))
    journal.close()
    assert read(path) == []


def _record(number: int, size: int = 1) -> Record:
    return Record("", "n" * size, 0, Owner(bytes(16), "", 1, number), 7, 0.0)


def test_it_grows_and_what_was_removed_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal.create(str(path))
    journal.publish()
    slots = [_add(journal, _record(number, number % 700)) for number in range(3000)]
    size = path.stat().st_size
    for slot in slots[::2]:
        journal.remove(slot)
    for number in range(0, 3000, 2):
        _add(journal, _record(number, number % 700))
    assert path.stat().st_size == size
    assert {record.owner.pid for record in read(str(path))} == set(range(3000))


def test_a_journal_counts_from_the_moment_when_it_is_published(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    old = Journal.create(path)
    old.publish()
    _add(old, _record(1))
    new = Journal.create(path)
    _add(new, _record(2))
    assert [record.owner.pid for record in read(path)] == [1]
    new.publish()
    assert [record.owner.pid for record in read(path)] == [2]


def test_a_record_that_was_being_written_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal.create(str(path))
    journal.publish()
    _add(journal, _record(1))
    slot = _add(journal, _record(2, 600))
    # As if lockd had been killed before the first number of the record was written.
    os.pwrite(journal.descriptor, FREE, slot * 256)
    assert [record.owner.pid for record in read(str(path))] == [1]


def test_a_journal_goes_on_where_a_killed_lockd_left_it(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    killed = Journal.create(path)
    killed.publish()
    slots = [_add(killed, _record(number, number * 7)) for number in range(200)]
    for slot in slots[::3]:
        killed.remove(slot)
    killed.settle()
    left = {record.owner.pid for record in read(path)}
    found = find(path)
    assert found is not None
    journal, entries = found
    assert [entry.slot for entry in entries] == sorted(set(slots) - set(slots[::3]))
    size = os.stat(path).st_size
    for number in range(1000, 1060):
        _add(journal, _record(number))
    assert os.stat(path).st_size == size, "slots that had been given back are used"
    assert {record.owner.pid for record in read(path)} == left | set(range(1000, 1060))


# Journals that cannot be believed -----------------------------------------------------------------


@pytest.mark.parametrize("contents", [b"", bytes(256), bytes(65792)])
def test_one_that_a_power_cut_left_without_contents_is_void(
    tmp_path: Path, contents: bytes
) -> None:
    path = tmp_path / "journal"
    path.write_bytes(contents)
    assert read(str(path)) == []


def test_one_of_an_earlier_boot_is_void_whatever_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal.create(str(path))
    journal.publish()
    _add(journal, _record(1))
    data = path.read_bytes().replace(boot_id(), b"0" * 36)
    for length in (len(data), 300, 256, 100):
        path.write_bytes(data[:length])
        assert read(str(path)) == []
    os.setxattr(path, "user.aiovirt.boot", b"0" * 36)
    path.write_bytes(bytes(256) + data[256:])
    assert read(str(path)) == []


@pytest.mark.parametrize("left", [0, 1, 23, 24, 30, 59, 60, 63, 64, 256, 512, 16383])
def test_one_of_this_boot_that_was_cut_is_refused(tmp_path: Path, left: int) -> None:
    path = tmp_path / "journal"
    journal = Journal.create(str(path))
    journal.publish()
    for number in range(3):
        _add(journal, _record(number))
    os.truncate(path, left)
    with pytest.raises(ValueError, match=r"journal is (damaged|not a journal)"):
        read(str(path))


@pytest.mark.parametrize("count", [2, 63, 64, 2**31, 2**32 - 2])
def test_one_with_a_record_that_runs_into_another_is_refused(tmp_path: Path, count: int) -> None:
    path = tmp_path / "journal"
    journal = Journal.create(str(path))
    journal.publish()
    slot = _add(journal, _record(1))
    _add(journal, _record(2))
    os.pwrite(journal.descriptor, count.to_bytes(4, sys.byteorder), slot * 256)
    with pytest.raises(ValueError, match="is damaged: a record in slot 1"):
        read(str(path))


def test_one_of_this_boot_that_has_lost_a_part_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    _with_records(path)
    whole = path.read_bytes()
    for slot in (1, 3, 4, 63):
        path.write_bytes(whole[: slot * 256] + bytes(256) + whole[(slot + 1) * 256 :])
        with pytest.raises(ValueError, match=f"is damaged: slot {slot} is empty"):
            read(str(path))


def test_one_of_an_earlier_version_is_gone_on_with_in_its_own_format(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    _with_records(path)
    path.write_bytes(path.read_bytes().replace(MAGIC, FORMER_MAGIC).replace(FREE, bytes(4)))
    found = find(str(path))
    assert found is not None
    journal, entries = found
    assert [entry.record.owner.pid for entry in entries] == [0, 1, 2]
    assert not journal.is_in_place()
    journal.remove(2)
    journal.settle()
    for number in range(100, 200):
        _add(journal, _record(number, number * 3))
    assert len(read(str(path))) == 102


@ROOT_ONLY
def test_one_that_was_emptied_is_known_also_on_a_file_system_without_attributes_for_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.setxattr

    def as_tmpfs(descriptor: int, name: str, value: bytes) -> None:
        if name.startswith("user."):
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        really(descriptor, name, value)

    monkeypatch.setattr(os, "setxattr", as_tmpfs)
    path = tmp_path / "journal"
    _with_records(path)
    os.truncate(path, 0)
    with pytest.raises(ValueError, match="is damaged: its head is missing"):
        read(str(path))


def test_one_of_this_boot_whose_boot_was_lost_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    _with_records(path)
    whole = path.read_bytes()
    for at in (len(MAGIC), len(MAGIC) + 35):
        path.write_bytes(whole[:at] + bytes(1) + whole[at + 1 :])
        with pytest.raises(ValueError, match="is damaged: its head is missing"):
            read(str(path))


def _with_records(path: Path) -> None:
    journal = Journal.create(str(path))
    journal.publish()
    for number in range(3):
        _add(journal, _record(number))


def _set_slots(path: Path, slots: int) -> None:
    with path.open("r+b") as file:
        file.seek(len(MAGIC) + 36)
        file.write(slots.to_bytes(4, sys.byteorder))


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_one_with_records_after_its_last_slot_is_refused(tmp_path: Path, slots: int) -> None:
    path = tmp_path / "journal"
    _with_records(path)
    _set_slots(path, slots)
    with pytest.raises(ValueError, match="is damaged: it has records after"):
        read(str(path))


def test_a_huge_hole_at_its_end_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    _with_records(path)
    os.truncate(path, 1 << 40)
    assert len(read(str(path))) == 3
    _set_slots(path, 2**32 - 1)
    with pytest.raises(ValueError, match="is damaged: it has 4294967295 slots, more than"):
        read(str(path))


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    _with_records(path)
    data = path.read_bytes()
    path.write_bytes(data[:256] + data[256:].replace(b"n", b"\0"))
    with pytest.raises(ValueError, match="is damaged: the record in slot"):
        read(str(path))


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text("something else")
    with pytest.raises(ValueError, match="is not a journal"):
        read(str(path))


def test_what_is_not_a_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    os.mkfifo(path)
    with pytest.raises(ValueError, match="not a regular file"):
        read(str(path))


# A disk that fails --------------------------------------------------------------------------------


def _full(*args: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_lock_that_cannot_be_written_down_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.touch()
    space = LockSpace(table=LockTable(journal=Journal.create(str(tmp_path / "journal"))))
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", _full)
        with pytest.raises(RpcError, match="cannot be written down") as refusal:
            space.acquire(str(disk), 0, Owner(bytes(16), "guest", 1, 1), 1, Holder(1, 1))
    assert refusal.value.code == ErrorCode.SYSTEM_ERROR
    assert not space.resources
    with disk.open("r+") as file:  # nobody has it
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)


@pytest.mark.parametrize("size", [1, 900])
def test_what_could_not_be_written_takes_no_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    path = str(tmp_path / "journal")
    journal = Journal.create(path)
    journal.publish()
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", _full)
        for number in range(300):
            with pytest.raises(OSError, match="No space"):
                _add(journal, _record(number, size))
    before = os.stat(path).st_size
    _add(journal, _record(7, size))
    assert os.stat(path).st_size == before
    assert [record.owner.pid for record in read(path)] == [7]


@pytest.mark.parametrize("size", [1, 900])
def test_a_record_of_which_only_a_part_was_written_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    path = str(tmp_path / "journal")
    journal = Journal.create(path)
    journal.publish()
    really = os.pwrite

    def partly(descriptor: int, data: bytes, at: int) -> int:
        return really(descriptor, data[:50], at)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", partly)
        with pytest.raises(OSError, match="No space"):
            _add(journal, _record(1, size))
    assert read(path) == []


def test_it_grows_by_a_page_when_there_is_no_room_for_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "journal")
    journal = Journal.create(path)
    journal.publish()
    really = os.posix_fallocate

    def narrow(descriptor: int, offset: int, size: int) -> None:
        if size > 20 * 1024:
            _full()
        really(descriptor, offset, size)

    monkeypatch.setattr(os, "posix_fallocate", narrow)
    for number in range(78):
        _add(journal, _record(number))
    assert os.stat(path).st_size == 20 * 1024
    with pytest.raises(OSError, match="No space"):
        _add(journal, _record(80))
    assert len(read(path)) == 78


@pytest.mark.parametrize("left", [0, 256, 4096, 63 * 256])
def test_one_that_was_cut_does_not_grow_over_what_it_has_lost(tmp_path: Path, left: int) -> None:
    path = str(tmp_path / "journal")
    journal = Journal.create(path)
    journal.publish()
    for number in range(62):
        _add(journal, _record(number))
    os.truncate(path, left)
    with pytest.raises(OSError, match="was cut"):
        _add(journal, _record(62))
    assert not journal.is_in_place()
    with pytest.raises(ValueError, match="is damaged"):
        read(path)


def test_a_record_that_cannot_be_struck_out_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "journal")
    journal = Journal.create(path)
    journal.publish()
    slot = _add(journal, _record(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", _full)
        journal.remove(slot)
        journal.settle()
    assert journal.damaged
    assert {record.owner.pid for record in read(path)} == {1}
    assert _add(journal, _record(2)) == slot
    assert {record.owner.pid for record in read(path)} == {2}


def test_a_long_record_that_cannot_be_struck_out_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "journal")
    journal = Journal.create(path)
    journal.publish()
    slot = _add(journal, _record(1, 600))
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", _full)
        journal.remove(slot)
    assert journal.damaged
    assert _add(journal, _record(2, 600)) != slot


def test_a_holding_that_is_written_in_the_place_of_one_strikes_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "journal")
    journal = Journal.create(path)
    journal.publish()
    slot = _add(journal, _record(1))
    journal.remove(slot)
    assert _add(journal, _record(2)) == slot
    monkeypatch.setattr(os, "pwrite", _full)  # there is nothing left to be written
    journal.settle()
    assert not journal.damaged
    assert {record.owner.pid for record in read(path)} == {2}


def test_a_holding_that_cannot_be_written_down_leaves_one_before_it_to_be_struck_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "journal")
    journal = Journal.create(path)
    journal.publish()
    journal.remove(_add(journal, _record(1)))
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", _full)
        with pytest.raises(OSError, match="No space"):
            _add(journal, _record(2))
    journal.settle()
    assert read(path) == []


def test_a_journal_is_one_lockds_until_it_leaves_it(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    ours = Journal.create(path)
    ours.publish()
    _add(ours, _record(1))
    found = find(path)
    assert found is not None
    theirs = found[0]
    with pytest.raises(ValueError, match="is in use by another lockd"):
        theirs.claim()
    ours.leave()
    theirs.claim()
    theirs.close()
