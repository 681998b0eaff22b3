"""The journal finds again what was written, whatever was struck out in between."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiovirt.daemons.lockd.journal import Journal, Record, pack_owner, read
from aiovirt.daemons.lockd.protocol import Owner
from aiovirt.daemons.lockd.space import LockSpace
from aiovirt.rpc.wire.errors import RpcError

_TEXTS = st.text(max_size=20) | st.integers(0, 1500).map(lambda size: "x" * size)
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
    start=st.none() | st.integers(1, 2**64 - 1),
    since=st.floats(0, 2e9),
)


def _add(journal: Journal, record: Record) -> int:
    owner = pack_owner(record.owner, record.start)
    return journal.add(record.directory, record.name, record.flags, owner, record.since)


def _sorted(records: list[Record]) -> list[str]:
    return sorted(map(repr, records))


@given(st.lists(st.tuples(_RECORDS, st.booleans()), max_size=60))
def test_what_was_added_and_not_removed_is_read(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Record, bool]]
) -> None:
    path = str(tmp_path_factory.mktemp("journal") / "journal")
    journal = Journal(path)
    journal.publish()
    kept: dict[int, Record] = {}
    for record, removes in steps:
        if removes and kept:
            slot = next(iter(kept))
            journal.remove(slot)
            del kept[slot]
        kept[_add(journal, record)] = record
        assert _sorted(read(path)) == _sorted(list(kept.values()))
    journal.close()
    assert read(path) == []


def _record(number: int, size: int = 1) -> Record:
    return Record("", "n" * size, 0, Owner(bytes(16), "", 1, number), None, 0.0)


def test_it_grows_and_what_was_removed_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(str(path))
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
    old = Journal(path)
    old.publish()
    _add(old, _record(1))
    new = Journal(path)
    _add(new, _record(2))
    assert [record.owner.pid for record in read(path)] == [1]
    new.publish()
    assert [record.owner.pid for record in read(path)] == [2]


def test_a_record_that_was_being_written_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(str(path))
    journal.publish()
    _add(journal, _record(1))
    slot = _add(journal, _record(2, 600))
    # As if lockd had been killed before the first number of the record was written.
    journal._map[slot * 256 : slot * 256 + 4] = bytes(4)
    assert [record.owner.pid for record in read(str(path))] == [1]


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text("something else")
    with pytest.raises(ValueError, match="no journal"):
        read(str(path))


def test_a_lock_that_cannot_be_written_down_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.touch()
    journal = Journal(str(tmp_path / "journal"))
    space = LockSpace(journal=journal)

    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", full)
        with pytest.raises(RpcError, match="cannot be written down"):
            space.acquire(str(disk), 0, Owner(bytes(16), "guest", 1, 1), 1)
    assert not space.resources
    with disk.open("r+") as file:  # nobody has it
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
