"""Contents of volumes leave room on the disk, so that the store can note what is removed."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from aiovirt.daemons.virtd.host.contents import CHUNK, RESERVE, Contents


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return Contents(str(tmp_path / "virtd.sqlite"))


def _leave(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Let every disk have so many bytes of room."""
    room = SimpleNamespace(f_bavail=size, f_frsize=1)
    monkeypatch.setattr(os, "statvfs", lambda place: room)


def test_a_write_that_would_take_the_last_room_is_refused(
    contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    _leave(monkeypatch, RESERVE + CHUNK)
    contents.write("one", 0, b"x" * CHUNK)
    _leave(monkeypatch, RESERVE + CHUNK - 1)
    with pytest.raises(OSError, match="No space left") as refusal:
        contents.write("one", CHUNK, b"x" * CHUNK)
    assert refusal.value.errno == errno.ENOSPC
    assert contents.size("one") == CHUNK


def test_a_copy_that_does_not_fit_leaves_nothing(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents.write("one", 0, b"x" * CHUNK)
    _leave(monkeypatch, RESERVE)
    with pytest.raises(OSError, match="No space left"):
        contents.copy("one", "two")
    assert os.listdir(tmp_path / "virtd-volumes") == ["one"]
    assert not contents.copy("none", "two")


def test_what_somebody_put_in_the_place_of_a_content_is_not_waited_for(
    contents: Contents, tmp_path: Path
) -> None:
    folder = tmp_path / "virtd-volumes"
    folder.mkdir()
    os.mkfifo(folder / "one")
    assert contents.read("one", 0, 100).is_hole
    with pytest.raises(OSError, match="No such device"):
        contents.write("one", 0, b"x")
    with pytest.raises(OSError, match="named pipe"):
        contents.copy("one", "two")
    assert stat.S_ISFIFO((folder / "one").stat().st_mode)
