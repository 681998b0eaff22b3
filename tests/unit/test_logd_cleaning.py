"""Old logs go as a whole, and nothing else goes."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiovirt.daemons.logd.cleaning import Sweep
from aiovirt.daemons.logd.component import Ageing, LogsComponent
from aiovirt.daemons.logd.dispatch import LogManagerDispatch
from aiovirt.daemons.logd.rotating import Identity, Rotation
from aiovirt.rpc.server import Daemon
from tests.unit.house import eventually
from tests.unit.log_house import LogHouse, open_log_house

DAY = 24 * 3600


def _file(path: Path, days: float) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("log")
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return str(path)


def _stale(root: Path | str, days: int, *kept: Path) -> dict[str, list[str]]:
    """The chains that a sweep would remove while `kept` are open."""
    found = [os.stat(path) for path in kept]
    identities = {Identity(one.st_dev, one.st_ino) for one in found}
    chains = Sweep(str(root), days, identities.copy, threading.Event()).stale_chains()
    return {path: sorted(file.path for file in files) for path, files in chains.items()}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LogHouse]:
    async with open_log_house(tmp_path) as house:
        yield house


def test_a_chain_is_as_young_as_its_youngest_file(tmp_path: Path) -> None:
    _file(tmp_path / "qemu" / "alive.log", 1)
    _file(tmp_path / "qemu" / "alive.log.0", 20)
    dead = [
        _file(tmp_path / "qemu" / name, 20) for name in ("dead.log", "dead.log.0", "dead.log.1")
    ]
    orphan = _file(tmp_path / "lxc" / "orphan.log.7", 20)
    assert _stale(tmp_path, 10) == {
        dead[0]: dead,
        orphan.removesuffix(".7"): [orphan],
    }


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    _file(tmp_path / "notes.txt", 20)
    _file(tmp_path / "qemu" / "notes.txt", 20)
    _file(tmp_path / "qemu" / "guest.log.bak", 20)
    _file(tmp_path / "qemu" / "deep" / "guest.log", 20)
    _file(tmp_path / "elsewhere" / "target", 20)
    (tmp_path / "qemu" / "link.log").symlink_to(tmp_path / "elsewhere" / "target")
    (tmp_path / "linked").symlink_to(tmp_path / "qemu")
    os.mkfifo(tmp_path / "qemu" / "fifo.log")
    os.utime(tmp_path / "qemu" / "fifo.log", (0, 0))
    assert _stale(tmp_path, 10) == {}


def test_files_directly_in_the_root_are_aged_too(tmp_path: Path) -> None:
    old = [_file(tmp_path / name, 20) for name in ("guest.log", "guest.log.0")]
    assert _stale(tmp_path, 10) == {old[0]: old}


def test_what_is_open_stays_however_its_path_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    used = tmp_path / "real" / "qemu" / "open.log"
    _file(used, 20)
    _file(tmp_path / "real" / "qemu" / "open.log.0", 20)
    for root in ("real", "real/", "link", "real/../real", "/real"):
        assert _stale(f"{tmp_path}/{root}", 10, used) == {}


def test_what_this_process_has_open_otherwise_stays_too(tmp_path: Path) -> None:
    own = _file(tmp_path / "logd.log", 20)
    with open(own, "rb"):
        assert _stale(tmp_path, 10) == {}
    assert _stale(tmp_path, 10) == {own: [own]}


def test_a_log_that_is_opened_or_written_after_it_was_found_old_stays(tmp_path: Path) -> None:
    files = [tmp_path / "qemu" / f"{name}.log" for name in ("opened", "written", "old")]
    opened, written, _ = files
    for file in files:
        _file(file, 20)
    open_files: set[Identity] = set()
    asked = []

    def ask() -> set[Identity]:
        asked.append(1)
        if len(asked) == 2:  # everything was found, nothing was removed yet
            found = opened.stat()
            open_files.add(Identity(found.st_dev, found.st_ino))
            os.utime(written)
        return set(open_files)

    Sweep(str(tmp_path), 10, ask, threading.Event()).run()
    assert [file.exists() for file in files] == [True, True, False]


async def test_an_open_log_stays_though_its_path_was_written_in_another_way(
    house: LogHouse,
) -> None:
    folder = house.folder / "qemu"
    folder.mkdir()
    quiet, old = folder / "quiet.log", folder / "old.log"
    await house.open(f"{house.folder}//qemu/../qemu/quiet.log")
    for file in (quiet, old):
        _file(file, 20)
    component = LogsComponent(house.service, Ageing("", 0))
    component.apply({"log_root": str(house.folder), "max_age_days": 10})
    await eventually(lambda: not old.exists())
    assert quiet.exists()


def test_a_missing_folder_is_no_reason_to_fail(tmp_path: Path) -> None:
    assert _stale(tmp_path / "nowhere", 10) == {}


def _logd(folder: Path, days: int) -> tuple[LogManagerDispatch, LogsComponent]:
    dispatch = LogManagerDispatch(Daemon("logd"), Rotation(0, 3))
    return dispatch, LogsComponent(dispatch, Ageing(str(folder), days))


async def test_old_logs_go_at_the_start(tmp_path: Path) -> None:
    old = tmp_path / "qemu" / "old.log"
    _file(old, 20)
    dispatch, component = _logd(tmp_path, 10)
    component.start()
    await eventually(lambda: not old.exists())
    await dispatch.finish()


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
