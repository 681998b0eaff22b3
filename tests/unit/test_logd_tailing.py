"""Reading on in a log as `tail -F` does: nothing twice, nothing left out without a word."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiovirt.daemons.logd import rotating, tailing
from aiovirt.daemons.logd.protocol import Position
from aiovirt.daemons.logd.reading import Opened, open_chain
from aiovirt.daemons.logd.rotating import RotatingFile, Rotation, _open
from aiovirt.daemons.logd.tailing import Tail

OLDEST = Position(0, 0)


class Written:
    """A log that is written, and somebody who reads on in it."""

    def __init__(self, path: Path, size: int = 0, backups: int = 2) -> None:
        self.path = path
        self.file = RotatingFile(str(path), Rotation(size, backups))
        self.tail = self.follow(fresh=True)

    def follow(self, position: Position = OLDEST, *, fresh: bool = False) -> Tail:
        return Tail(
            str(self.path),
            self.file.rotation,
            position,
            fresh=fresh,
            marks=lambda: self.file.marks,
        )

    def write(self, text: str) -> None:
        self.file.append(memoryview(text.encode()))

    def read(self, maxlen: int = 1000) -> tuple[str, bool]:
        """All that there is now, and whether a gap was told."""
        text, gap = "", False
        while (piece := self.tail.read(maxlen)).data:
            text += piece.data.decode()
            gap = gap or not piece.found
        return text, gap

    def close(self) -> None:
        self.tail.close()
        self.file.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Written]:
    log = Written(tmp_path / "guest.log")
    yield log
    log.close()


def test_what_comes_is_read_once(log: Written) -> None:
    assert log.read() == ("", False)
    log.write("one\n")
    assert log.read() == ("one\n", False)
    log.write("two\n")
    assert log.read(1) == ("two\n", False)
    assert log.read() == ("", False)


def test_after_a_cut_what_comes_is_read_and_the_cut_is_told(log: Written) -> None:
    log.write("before\n" * 10)
    log.read()
    os.truncate(log.path, 0)
    log.write("after\n")
    assert log.read() == ("after\n", True)
    log.write("more\n")
    assert log.read() == ("more\n", False)


def test_a_cut_is_noticed_though_the_file_has_grown_beyond_the_place(log: Written) -> None:
    log.write("before\n")
    log.read()
    os.truncate(log.path, 0)
    log.write("after\n" * 100)
    assert log.read() == ("after\n" * 100, True)


def test_a_cut_that_leaves_something_repeats_nothing(log: Written) -> None:
    log.write("old line\nanother\n")
    log.read()
    os.truncate(log.path, 9)
    assert log.read() == ("", False), "there is nothing new yet"
    log.write("new line\n")
    assert log.read() == ("new line\n", True)


def test_a_cut_that_is_seen_before_the_log_sees_it_counts_once(log: Written) -> None:
    log.write("before\n")
    log.read()
    os.truncate(log.path, 0)
    assert log.read() == ("", False)
    log.write("one\n")
    assert log.read() == ("one\n", True)
    log.write("two\n")
    assert log.read() == ("two\n", False)


def test_a_follower_from_after_the_cut_reads_all_of_it(log: Written) -> None:
    log.write("before\n")
    os.truncate(log.path, 0)
    log.file.look()
    log.tail = log.follow(Position(log.file.inode, log.file.position))
    log.write("after\n")
    assert log.read()[0] == "after\n"


def test_a_removed_file_is_read_to_its_end_and_then_the_new_one(log: Written) -> None:
    log.write("one\n")
    log.read()
    log.write("two\n")
    log.path.unlink()
    assert log.read() == ("two\n", False)
    log.write("three\n")
    assert log.read() == ("three\n", True)
    log.write("four\n")
    assert log.read() == ("four\n", False)


def test_a_removal_brings_no_old_backups_back(tmp_path: Path) -> None:
    log = Written(tmp_path / "guest.log", size=10)
    for text in ("a" * 10, "b" * 10, "c" * 5):
        log.write(text)
        log.read()
    log.path.unlink()
    log.write("new")
    assert log.read() == ("new", True)
    log.close()


def test_rotations_are_no_gaps_as_long_as_every_file_is_there(tmp_path: Path) -> None:
    for backups in (0, 1, 3):
        log = Written(tmp_path / f"{backups}.log", size=10, backups=backups)
        text = ""
        for number in range(20):
            log.write(f"{number:05}")
            text += f"{number:05}"
            got, gap = log.read()
            assert (text[-len(got) :], gap) == (got, False)
        log.close()


@pytest.mark.parametrize("backups", [0, 1, 3])
def test_a_rotation_while_files_are_opened_is_no_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backups: int
) -> None:
    log = Written(tmp_path / "guest.log", size=10, backups=backups)
    log.write("0" * 9)
    log.read()
    write_before = ["1" * 10]

    def rotated_meanwhile(path: str, max_backups: int) -> list[Opened]:
        if write_before:
            log.write(write_before.pop())
        return open_chain(path, max_backups)

    monkeypatch.setattr(tailing, "open_chain", rotated_meanwhile)
    text, gap = log.read()
    log.write("2" * 10)
    more = log.read()
    assert (text + more[0], gap, more[1]) == ("1" * 10 + "2" * 10, False, False)
    log.close()


def test_a_reader_waits_while_a_log_turns_to_another_file(
    log: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write("one\n")
    log.read()
    reads = []

    def opened(path: str) -> tuple[int, os.stat_result]:
        found = _open(path)
        reads.append(log.read())  # the file has its name, and the log does not write to it yet
        return found

    monkeypatch.setattr(rotating, "_open", opened)
    log.file.rotate()
    monkeypatch.undo()
    log.write("two\n")
    assert log.read() == ("two\n", False)
    log.file.rotate()
    log.write("three\n")
    assert (reads, log.read()) == ([("", False)], ("three\n", False))


def test_what_was_rotated_away_before_it_was_read_is_told(tmp_path: Path) -> None:
    log = Written(tmp_path / "guest.log", size=4, backups=1)
    log.write("aaaa")
    log.read()
    log.write("bbbbccccddddee")
    assert log.read() == ("ddddee", True)
    log.write("f")
    assert log.read() == ("f", False)
    log.close()


def test_a_log_whose_file_is_away_at_the_moment_is_waited_for(log: Written) -> None:
    log.path.unlink()
    assert log.read() == ("", False)
    log.write("here\n")
    assert log.read() == ("here\n", False)


def test_a_log_that_nobody_writes_is_read_from_its_start_after_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "guest.log"
    path.write_text("0123456789")
    tail = Tail(str(path), Rotation(0, 2), Position(path.stat().st_ino, 8))
    assert tail.read(100).data == b"89"
    os.truncate(path, 3)
    assert tail.read(100)[::2] == (b"012", False)
    tail.close()
    assert tail.read(100).data == b""


def test_nothing_is_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    log = Written(tmp_path / "guest.log", size=5)
    for _ in range(10):
        log.write("12345")
        log.read()
    log.path.unlink()
    log.write("more")
    log.read()
    log.close()
    assert len(os.listdir("/proc/self/fd")) == before


_DEEDS = st.lists(
    st.one_of(
        st.integers(1, 12),  # so many characters are written
        st.sampled_from(["read", "read", "cut", "remove", "rotate"]),
    ),
    max_size=20,
)


@given(deeds=_DEEDS)
def test_whatever_is_done_to_it_nothing_comes_twice_and_what_is_left_out_is_told(
    tmp_path_factory: pytest.TempPathFactory, deeds: list[int | str]
) -> None:
    log = Written(tmp_path_factory.mktemp("logs") / "guest.log", size=20, backups=2)
    written = seen = ""
    told = False
    assert log.read() == ("", False), "from here on, something can be missed"
    for number, deed in enumerate([*deeds, "read"]):
        if isinstance(deed, int):
            # Each byte stands once in all that is written, and none is a line's end.
            text = "".join(chr(11 + len(written) + n) for n in range(deed))
            log.file.append(memoryview(text.encode("latin-1")))
            written += text
        elif deed == "read":
            while (piece := log.tail.read(1000)).data:
                text = piece.data.decode("latin-1")
                whole = text == written[len(seen) :][: len(text)]
                told = told or not piece.found
                assert whole or told, f"a gap that was not told, at {number}"
                told = told and whole  # it may be told before an earlier file than it is in
                assert text in written[len(seen) :], f"repeated, at {number}"
                seen = written[: written.index(text) + len(text)]
        elif deed == "cut" and log.path.exists():
            os.truncate(log.path, 0)
        elif deed == "remove":
            log.path.unlink(missing_ok=True)
        elif deed == "rotate":
            log.file.look()
            log.file.rotate()
    log.close()
