"""Old logs go as a whole, and nothing else goes."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from aiovirt.daemons.logd.cleaning import stale_chains
from aiovirt.daemons.logd.component import Ageing, LogsComponent
from aiovirt.daemons.logd.dispatch import LogManagerDispatch
from aiovirt.daemons.logd.rotating import Rotation
from aiovirt.rpc.server import Daemon
from tests.unit.house import eventually

DAY = 24 * 3600


def _file(path: Path, days: float) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("log")
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return str(path)


def test_a_chain_is_as_young_as_its_youngest_file(tmp_path: Path) -> None:
    _file(tmp_path / "qemu" / "alive.log", 1)
    _file(tmp_path / "qemu" / "alive.log.0", 20)
    dead = [
        _file(tmp_path / "qemu" / name, 20) for name in ("dead.log", "dead.log.0", "dead.log.1")
    ]
    orphan = _file(tmp_path / "lxc" / "orphan.log.7", 20)
    found = stale_chains(str(tmp_path), 10)
    assert {path: sorted(files) for path, files in found.items()} == {
        dead[0]: dead,
        orphan.removesuffix(".7"): [orphan],
    }


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    _file(tmp_path / "outside.log", 20)
    _file(tmp_path / "qemu" / "notes.txt", 20)
    _file(tmp_path / "qemu" / "guest.log.bak", 20)
    _file(tmp_path / "qemu" / "deep" / "guest.log", 20)
    _file(tmp_path / "elsewhere" / "target", 20)
    (tmp_path / "qemu" / "link.log").symlink_to(tmp_path / "elsewhere" / "target")
    (tmp_path / "linked").symlink_to(tmp_path / "qemu")
    assert stale_chains(str(tmp_path), 10) == {}


def test_a_missing_folder_is_no_reason_to_fail(tmp_path: Path) -> None:
    assert stale_chains(str(tmp_path / "nowhere"), 10) == {}


def _logd(folder: Path, days: int) -> tuple[LogManagerDispatch, LogsComponent]:
    dispatch = LogManagerDispatch(Daemon("logd"), Rotation(0, 3))
    return dispatch, LogsComponent(dispatch, Ageing(str(folder), days))


async def test_old_logs_go_at_the_start_but_open_ones_stay(tmp_path: Path) -> None:
    old = tmp_path / "qemu" / "old.log"
    used = tmp_path / "qemu" / "open.log"
    _file(old, 20)
    _file(used, 20)
    dispatch, component = _logd(tmp_path, 10)
    dispatch.logs[str(used)] = None  # type: ignore[assignment]  # whatever it is, it is open
    component.start()
    await eventually(lambda: not old.exists())
    assert used.exists()


async def test_an_age_that_is_set_later_counts_at_once(tmp_path: Path) -> None:
    old = tmp_path / "qemu" / "old.log"
    _file(old, 20)
    _, component = _logd(tmp_path, 0)
    component.start()
    await asyncio.sleep(0)
    assert old.exists()
    component.apply({"max_age_days": 10})
    await eventually(lambda: not old.exists())


async def test_what_cannot_be_removed_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "qemu" / "old.log"
    _file(old, 20)
    tried = []

    def refuse(path: str) -> None:
        tried.append(path)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "unlink", refuse)
    _, component = _logd(tmp_path, 10)
    component.start()
    await eventually(lambda: tried)
    assert old.exists()
