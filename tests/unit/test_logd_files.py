"""Log files: rotation loses nothing, and a position is found again."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiovirt.daemons.logd import rotating
from aiovirt.daemons.logd.protocol import Position
from aiovirt.daemons.logd.reading import read_log
from aiovirt.daemons.logd.rotating import RotatingFile, Rotation, backups


def _write(file: RotatingFile, *pieces: bytes) -> None:
    for piece in pieces:
        file.append(memoryview(piece))


def _all(path: Path, count: int) -> list[bytes]:
    """What is in the files, from old to new, without those that are not there."""
    names = reversed([str(path), *backups(str(path), count)])
    return [Path(name).read_bytes() for name in names if os.path.exists(name)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "guest.log"


def test_a_full_file_becomes_a_backup_and_the_oldest_goes(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(10, 2))
    _write(file, b"a" * 10, b"b" * 10, b"c" * 10, b"d" * 5)
    assert _all(path, 9) == [b"b" * 10, b"c" * 10, b"d" * 5]
    assert (file.inode, file.position) == (path.stat().st_ino, 5)
    file.close()


def test_a_file_is_full_only_when_more_comes(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(10, 2))
    _write(file, b"a" * 10)
    assert _all(path, 2) == [b"a" * 10]
    file.close()


def test_lines_stay_whole_where_one_ends_near_the_boundary(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(100, 3))
    _write(file, b"x" * 59 + b"\n" + b"y" * 59 + b"\n")
    assert _all(path, 3) == [b"x" * 59 + b"\n", b"y" * 59 + b"\n"]
    file.close()


def test_a_line_that_ends_too_far_back_is_cut(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(100, 3))
    _write(file, b"x" * 18 + b"\n" + b"y" * 100)
    assert _all(path, 3) == [b"x" * 18 + b"\n" + b"y" * 81, b"y" * 19]
    file.close()


def test_a_file_that_was_too_large_already_is_left_as_it_is(path: Path) -> None:
    path.write_bytes(b"old" * 10)
    file = RotatingFile(str(path), Rotation(10, 3))
    _write(file, b"new")
    assert _all(path, 3) == [b"old" * 10, b"new"]
    file.close()


def test_without_backups_the_old_file_is_removed(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(4, 0))
    _write(file, b"aaaa", b"bb")
    assert _all(path, 3) == [b"bb"]
    file.close()


def test_size_0_means_no_rotation(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(0, 3))
    _write(file, b"a" * 100_000)
    assert _all(path, 3) == [b"a" * 100_000]
    file.close()


def test_truncating_removes_the_backups_too(path: Path) -> None:
    for name in (str(path), *backups(str(path), 3)):
        Path(name).write_bytes(b"old")
    file = RotatingFile(str(path), Rotation(100, 2), truncate=True)
    assert (path.read_bytes(), file.position) == (b"", 0)
    assert [os.path.exists(name) for name in backups(str(path), 3)] == [False, False, True]
    file.close()


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    RotatingFile(str(path), Rotation(0, 3)).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_new_limit_counts_for_an_open_file(path: Path) -> None:
    rotation = Rotation(0, 3)
    file = RotatingFile(str(path), rotation)
    _write(file, b"a" * 50)
    rotation.max_size = 50
    _write(file, b"b" * 10)
    assert _all(path, 3) == [b"a" * 50, b"b" * 10]
    file.close()


ROTATIONS = (b"1" * 10, b"2" * 10, b"3" * 10, b"4" * 10)


@dataclass
class Told:
    """Notes what is logged."""

    texts: list[str] = field(default_factory=list)

    def error(self, text: str, **_: object) -> None:
        self.texts.append(text)

    warning = error


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
@pytest.mark.parametrize(
    ("count", "step"),
    [(0, 0), (0, -1), (1, 0), (1, 1), (1, -1), (3, 0), (3, 1), (3, 2), (3, 3), (3, -1)],
)
def test_a_rotation_that_fails_changes_and_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, count: int, step: int, number: int
) -> None:
    """count: of backups; step: the renaming that fails, or -1 for the opening of the new file."""
    told = Told()
    monkeypatch.setattr(rotating, "_log", told)
    monkeypatch.setattr(rotating, "RETRY_AFTER", 0.0)
    file = RotatingFile(str(path), Rotation(10, count))
    _write(file, *ROTATIONS)
    before, rename, renamings = _all(path, 9), os.rename, iter([0])

    def refuse(name: str, *_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number), name)

    def rename_some(old: str, new: str) -> None:
        if next(renamings) == step:
            refuse(old)
        rename(old, new)

    with monkeypatch.context() as patched:
        if step < 0:
            patched.setattr(os, "open", refuse)
        for attempt in range(1, 4):
            renamings = itertools.count()
            patched.setattr(os, "rename", rename_some)
            _write(file, b"5" * 4)
            assert _all(path, 9) == [*before[:-1], before[-1] + b"5" * 4 * attempt]
    assert told.texts == ["log cannot be rotated and is written on"]
    assert file.failure is not None
    full = path.read_bytes()
    _write(file, b"6" * 4)
    assert _all(path, 9) == [*before[:-1], full, b"6666"][-count - 1 :]
    assert told.texts[1:] == ["log is rotated again"]
    assert file.failure is None
    file.close()


def test_a_file_that_cannot_be_rotated_is_not_tried_for_every_write(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(10, 2))
    os.mkdir(f"{path}.1")
    _write(file, b"a" * 8, b"b" * 8, b"c" * 8)
    assert path.read_bytes() == b"a" * 8 + b"b" * 8 + b"c" * 8
    os.rmdir(f"{path}.1")
    _write(file, b"d")
    assert path.read_bytes()[-1:] == b"d"
    file.rotate()  # asked for
    assert file.failure is None
    _write(file, b"e" * 8, b"f" * 8)
    assert _all(path, 2) == [b"a" * 8 + b"b" * 8 + b"c" * 8 + b"d", b"e" * 8 + b"f" * 2, b"f" * 6]
    file.close()


def test_a_gap_between_backups_is_filled_before_any_is_removed(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(10, 3))
    _write(file, *ROTATIONS)
    os.unlink(f"{path}.1")
    _write(file, b"5")
    assert _all(path, 9) == [b"1" * 10, b"3" * 10, b"4" * 10, b"5"]
    file.close()


def test_what_has_the_name_after_the_oldest_is_left_alone(path: Path) -> None:
    other = path.with_name(f"{path.name}.2")
    other.write_bytes(b"from earlier settings")
    file = RotatingFile(str(path), Rotation(10, 2))
    _write(file, *ROTATIONS)
    assert _all(path, 2) == [b"2" * 10, b"3" * 10, b"4" * 10]
    assert other.read_bytes() == b"from earlier settings"
    file.close()


_PIECES = st.lists(st.text("ab\n", max_size=120).map(str.encode), max_size=30)


@given(pieces=_PIECES, size=st.integers(0, 200))
def test_nothing_is_lost_or_doubled_whatever_is_written(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], size: int
) -> None:
    path = tmp_path_factory.mktemp("logs") / "guest.log"
    file = RotatingFile(str(path), Rotation(size, 32))
    whole = b""
    for piece in pieces:
        file.append(memoryview(piece))
        whole += piece
        if file.rotations > 32:
            break
        assert b"".join(_all(path, 32)) == whole
        assert not size or max(map(len, _all(path, 32))) <= size
        assert file.position == path.stat().st_size
    file.close()


# Others' hands on a file --------------------------------------------------------------------------


def test_a_file_that_was_cut_short_is_continued_at_its_new_end(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(100, 3))
    _write(file, b"a" * 60)
    os.truncate(path, 0)
    _write(file, b"b" * 60)
    assert _all(path, 3) == [b"b" * 60], "its size is what it is, so that it is not rotated early"
    assert file.position == 60
    assert (file.marks.cuts, file.marks.cut_at) == (1, 0)
    file.close()


def test_a_file_that_was_removed_is_made_anew(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(0, 3))
    _write(file, b"before")
    path.unlink()
    _write(file, b"after")
    assert path.read_bytes() == b"after"
    assert file.position == 5
    file.close()


@pytest.mark.parametrize("code", [errno.ESTALE, errno.ENOTCONN])
def test_a_file_that_was_replaced_on_its_server_is_made_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    file = RotatingFile(str(path), Rotation(0, 2))
    _write(file, b"old")
    stale, look = file.fileno(), os.fstat

    def fail(descriptor: int) -> os.stat_result:
        if descriptor == stale:
            raise OSError(code, os.strerror(code))
        return look(descriptor)

    path.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", fail)
        patched.setattr(rotating, "_close", lambda *_: None)  # its number is not given again
        _write(file, b"new")
    assert (path.read_bytes(), file.marks.removals) == (b"new", 1)
    os.close(stale)
    file.close()


def test_what_others_add_counts_for_the_size(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(10, 3))
    _write(file, b"a" * 5)
    with path.open("ab") as other:
        other.write(b"b" * 5)
    _write(file, b"c")
    assert _all(path, 3) == [b"aaaaabbbbb", b"c"]
    file.close()


# Numbers of descriptors ---------------------------------------------------------------------------


def _failing_close(closed: list[int]) -> Callable[[int], None]:
    """As close(2) with a delayed write error: the number is free, and there is an error."""
    close = os.close

    def fail(descriptor: int) -> None:
        closed.append(descriptor)
        close(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    return fail


@pytest.mark.parametrize("turn", ["rotated", "removed"])
def test_a_number_is_never_used_after_close_though_that_fails(
    path: Path, monkeypatch: pytest.MonkeyPatch, turn: str
) -> None:
    file = RotatingFile(str(path), Rotation(10, 3))
    _write(file, b"a" * 10)
    closed: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "close", _failing_close(closed))
        if turn == "removed":
            path.unlink()
        _write(file, b"b" * 10)
    victim, writing = os.pipe()  # one of them gets the number that was closed
    assert closed[0] in (victim, writing)
    _write(file, b"c" * 10)
    assert closed[0] != file.fileno()
    os.set_blocking(victim, False)
    with pytest.raises(BlockingIOError):
        os.read(victim, 100)
    wanted = {"rotated": [b"a" * 10, b"b" * 10, b"c" * 10], "removed": [b"b" * 10, b"c" * 10]}
    assert _all(path, 3) == wanted[turn]
    for descriptor in (victim, writing):
        os.close(descriptor)
    file.close()


def test_an_end_that_fails_is_an_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RotatingFile(str(path), Rotation(10, 3))
    closed: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "close", _failing_close(closed))
        file.close()
        file.close()
    assert len(closed) == 1
    assert file.fileno() == -1


# What is not a regular file ----------------------------------------------------------------------


@contextlib.contextmanager
def _read_fifo(path: Path) -> Iterator[int]:
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield reading
    os.close(reading)


def test_a_device_is_written_to_and_not_rotated(path: Path) -> None:
    path.symlink_to("/dev/null")
    file = RotatingFile(str(path), Rotation(10, 2), truncate=True)
    _write(file, b"a" * 10, b"b" * 10, b"c" * 10)
    with pytest.raises(OSError, match="only a regular file is rotated"):
        file.rotate()
    assert os.readlink(path) == "/dev/null"
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    file.close()


def test_a_fifo_is_refused_at_once(path: Path) -> None:
    with _read_fifo(path):
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match="Illegal seek"):
            RotatingFile(str(path), Rotation(10, 2))
        assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(OSError, match="No such device"):
        RotatingFile(str(path), Rotation(10, 2), truncate=True)
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize("where", ["", ".0", ".1"])
def test_what_is_not_a_regular_file_is_not_moved(path: Path, where: str) -> None:
    file = RotatingFile(str(path), Rotation(10, 2))
    _write(file, b"a" * 10)
    if not where:
        path.unlink()
        path.with_name("other").write_bytes(b"")  # so that the inode is not used again
    with _read_fifo(Path(f"{path}{where}")) as reading:
        with pytest.raises(OSError, match="is not a regular file, so it is not moved"):
            file.rotate()
        assert stat.S_ISFIFO(os.stat(f"{path}{where}").st_mode)
        assert os.read(reading, 1) == b"", "nobody has opened it for writing"
    file.close()


def test_truncating_leaves_a_link_to_a_folder_alone(path: Path) -> None:
    link = Path(f"{path}.0")
    link.symlink_to(path.parent)
    path.write_bytes(b"old")
    file = RotatingFile(str(path), Rotation(10, 2), truncate=True)
    assert (path.read_bytes(), os.readlink(link)) == (b"", str(path.parent))
    file.close()


def test_a_link_is_renamed_as_libvirt_does_unless_it_leads_to_a_device(path: Path) -> None:
    target = path.with_name("target")
    path.symlink_to(target)
    file = RotatingFile(str(path), Rotation(10, 2))
    _write(file, b"a" * 10, b"b")
    assert (target.read_bytes(), path.read_bytes()) == (b"a" * 10, b"b")
    file.close()
    null = path.with_name("null.log")
    null.symlink_to("/dev/null")
    file = RotatingFile(str(null), Rotation(10, 2), truncate=True)
    _write(file, b"a" * 10, b"b" * 10)
    assert os.readlink(null) == "/dev/null"
    file.close()


def test_a_fifo_is_never_read_as_a_log(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(OSError, match="it is a FIFO, not a regular file"):
        read_log(str(path), 3, Position(0, 0), 100)


# After a restart ----------------------------------------------------------------------------------


def test_a_file_is_taken_over_without_being_looked_at(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = RotatingFile(str(path), Rotation(10, 3))
    _write(first, b"a" * 8)

    def refuse(*_: object) -> os.stat_result:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", refuse)
        file = RotatingFile.take_over(
            str(path),
            first.rotation,
            first.fileno(),
            2,
            identity=first.identity,
            position=first.position,
        )
        assert (file.position, file.inode, file.rotations) == (8, first.inode, 2)
        _write(file, b"b")  # a disk that answers nothing else may still be written to
    _write(file, b"c" * 4)
    assert _all(path, 3) == [b"a" * 8 + b"b" + b"c", b"ccc"]
    assert file.rotations == 3
    file.close()


def test_a_document_that_does_not_say_where_a_file_ends_is_read_too(path: Path) -> None:
    first = RotatingFile(str(path), Rotation(10, 3))
    _write(first, b"a" * 8)
    file = RotatingFile.take_over(str(path), first.rotation, first.fileno(), 0)
    _write(file, b"b" * 4)
    assert _all(path, 3) == [b"a" * 8 + b"bb", b"bb"]
    assert file.marks.cuts == 0
    file.close()


# Reading -----------------------------------------------------------------------------------------


def test_a_position_is_found_again_after_rotation(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(10, 3))
    _write(file, b"0123456789")
    position = Position(file.inode, 4)
    _write(file, b"abcdefghijKLM")
    data, reached, _ = read_log(str(path), 3, position, 100)
    assert data == b"456789abcdefghijKLM"
    assert reached == Position(file.inode, 3)
    file.close()


def test_reading_in_pieces_gives_the_same_as_reading_at_once(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(7, 5))
    _write(file, b"the quick brown fox jumps")
    position, pieces = Position(0, 0), []
    while True:
        data, position, _ = read_log(str(path), 5, position, 3)
        if not data:
            break
        pieces.append(data)
    assert b"".join(pieces) == b"the quick brown fox jumps"
    file.close()


def test_a_position_that_is_gone_stands_for_the_oldest_there_is(path: Path) -> None:
    file = RotatingFile(str(path), Rotation(4, 1))
    _write(file, b"aaaabbbbcc")
    assert read_log(str(path), 1, Position(0, 2), 100)[0] == b"bbbbcc"
    file.close()


def test_behind_the_end_there_is_nothing(path: Path) -> None:
    path.write_bytes(b"abc")
    position = Position(path.stat().st_ino, 7)
    assert read_log(str(path), 3, position, 100) == (b"", position, True)
    with pytest.raises(OSError, match="no file reaches"):
        read_log(str(path), 3, Position(path.stat().st_ino, 2**64 - 1), 100)


def test_a_log_without_any_file_is_an_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_log(str(path), 3, Position(1, 0), 100)


def test_a_log_whose_newest_file_is_missing_is_read_from_its_backups(path: Path) -> None:
    Path(f"{path}.1").write_bytes(b"older ")
    Path(f"{path}.0").write_bytes(b"old")
    assert read_log(str(path), 3, Position(0, 0), 100)[0] == b"older old"
