"""At a restart the next program has every host as it was, whatever has become of the store's file."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aiovirt.daemons.virtd.component import HostsComponent
from aiovirt.daemons.virtd.constants.domain import DomainState
from aiovirt.daemons.virtd.host import ending, lifecycle, store, timers
from aiovirt.daemons.virtd.host.hosts import Hosts
from aiovirt.daemons.virtd.host.store import StoreError
from aiovirt.rpc.server import Daemon
from aiovirt.rpc.wire.errors import RpcError
from tests.virtd.conftest import DOMAIN


def _text(name: str) -> str:
    return DOMAIN.format(title="kvm", name=name)


def _names(hosts: Hosts) -> list[str]:
    return sorted(one.name for one in hosts.all["qemu"].domains)


def _define(hosts: Hosts, name: str) -> None:
    lifecycle.define(hosts.all["qemu"], _text(name))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run directory."""
    made = tmp_path / "run"
    made.mkdir()
    return made


@pytest.fixture
def hosts(folder: Path) -> Hosts:
    """The hosts of the program that runs, with one guest."""
    made = Hosts(str(folder / "virtd.sqlite"))
    made.open()
    _define(made, "guest")
    return made


def _restarted(hosts: Hosts, between: Callable[[], object] = lambda: None) -> Hosts:
    """The hosts of the next program, through the document. between: what happens before it resumes."""
    old = HostsComponent(hosts, Daemon("old"))
    state = msgspec.json.decode(msgspec.json.encode(old.save(int)), type=old.state_type)
    hosts.close()
    fresh = Hosts(hosts.path)
    component = HostsComponent(fresh, Daemon("new"))
    component.restore(state)
    between()
    component.resume()
    return fresh


def _again(hosts: Hosts) -> list[str]:
    """The guests that a start finds in the file."""
    other = Hosts(hosts.path)
    other.open()
    return _names(other)


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Have SQLite open files as it does on a file system that is read-only; `undo` ends that."""
    real = sqlite3.connect

    def connect(name: str, **options: Any) -> sqlite3.Connection:
        return real(name.replace("mode=rw", "mode=ro"), **options)

    monkeypatch.setattr(store.sqlite3, "connect", connect)
    return monkeypatch


async def test_a_file_that_cannot_be_written_costs_changes_only(
    hosts: Hosts, read_only: pytest.MonkeyPatch
) -> None:
    fresh = _restarted(hosts)
    assert _names(fresh) == ["guest"]
    with pytest.raises(RpcError, match=r"cannot write .*virtd\.sqlite: .*readonly"):
        _define(fresh, "other")
    assert _names(fresh) == ["guest"]
    read_only.undo()
    _define(fresh, "other")
    fresh.close()
    assert _again(hosts) == ["guest", "other"]


async def test_a_store_that_exists_is_opened_without_a_write(hosts: Hosts) -> None:
    earlier = resource.getrlimit(resource.RLIMIT_FSIZE)
    shared = os.stat(f"{hosts.path}-shm").st_size  # SQLite's own, beside the file
    resource.setrlimit(resource.RLIMIT_FSIZE, (shared, earlier[1]))
    try:
        fresh = _restarted(hosts)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, earlier)
    assert not fresh.all["qemu"].store.is_read_only
    assert _names(fresh) == ["guest"]


async def test_hosts_whose_file_was_removed_get_a_new_one(hosts: Hosts, folder: Path) -> None:
    shutil.rmtree(folder)
    os.mkdir(folder)
    assert hosts.is_lost
    fresh = _restarted(hosts)
    assert not fresh.is_lost
    _define(fresh, "other")
    fresh.close()
    assert _again(hosts) == ["guest", "other"]


async def test_hosts_without_a_run_directory_are_in_memory_until_there_is_one(
    hosts: Hosts, folder: Path
) -> None:
    shutil.rmtree(folder)
    fresh = _restarted(hosts)
    assert fresh.is_lost
    _define(fresh, "other")
    os.mkdir(folder)
    last = _restarted(fresh)
    assert not last.is_lost
    last.close()
    assert _again(hosts) == ["guest", "other"]


async def test_a_file_without_room_is_not_left_half_made(hosts: Hosts, folder: Path) -> None:
    shutil.rmtree(folder)
    os.mkdir(folder)
    earlier = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, earlier[1]))

    try:
        fresh = _restarted(hosts, limit)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, earlier)
    assert _names(fresh) == ["guest"]
    assert os.listdir(folder) == []
    assert not _restarted(fresh).is_lost


async def test_another_file_in_the_place_of_the_store_refuses_the_restart(hosts: Hosts) -> None:
    os.rename(f"{hosts.path}", f"{hosts.path}.away")
    os.mknod(f"{hosts.path}")
    with pytest.raises(StoreError, match="replaced by another file"):
        hosts.unfiled()
    _define(hosts, "other")
    os.rename(f"{hosts.path}.away", f"{hosts.path}")
    assert _names(_restarted(hosts)) == ["guest", "other"]


async def test_hosts_in_memory_are_taken_along() -> None:
    hosts = Hosts(None)
    hosts.open()
    _define(hosts, "guest")
    fresh = _restarted(hosts)
    _define(fresh, "other")
    assert _names(fresh) == ["guest", "other"]


async def test_a_program_of_an_earlier_version_leaves_the_file_only(hosts: Hosts) -> None:
    hosts.close()
    fresh = Hosts(hosts.path)
    component = HostsComponent(fresh, Daemon("new"))
    component.restore(msgspec.json.decode(b"true", type=component.state_type))
    component.resume()
    assert _names(fresh) == ["guest"]


# Damage ------------------------------------------------------------------------------------------

DAMAGES = {
    "text": "update object set data = 'text'",
    "other fields": "update object set data = x'80'",
    "no message": "update object set data = x'c1'",
    "no UUID": "update object set data = x'82a475756964a178a46e616d65a178'",
    "another table": "alter table object rename column key to other",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("restart", [False, True], ids=["start", "restart"])
def test_a_damaged_store_is_refused_with_the_name_of_its_file(
    hosts: Hosts, damage: str, restart: bool
) -> None:
    hosts.close()
    with sqlite3.connect(str(hosts.path)) as base:
        base.execute(damage)
    base.close()
    other = Hosts(hosts.path)
    with pytest.raises(StoreError, match=r"run/virtd\.sqlite: "):
        other.read_back(None) if restart else other.open()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("restart", [False, True], ids=["start", "restart"])
def test_a_fifo_in_the_place_of_a_file_does_not_hang(
    hosts: Hosts, suffix: str, restart: bool
) -> None:
    hosts.close()
    Path(f"{hosts.path}{suffix}").unlink(missing_ok=True)
    os.mkfifo(f"{hosts.path}{suffix}")
    other = Hosts(hosts.path)
    with pytest.raises(StoreError, match="not a regular file"):
        other.read_back(None) if restart else other.open()


# Timers ------------------------------------------------------------------------------------------


async def test_a_guest_that_shuts_down_goes_on_to_do_so(hosts: Hosts) -> None:
    host = hosts.all["qemu"]
    guest = host.domains.by_name("guest")
    assert guest is not None
    lifecycle.start(guest)
    host.pace.shutdown = 60.0
    ending.shut_down(guest)
    ((_, before),) = host.timers.pending()
    fresh = _restarted(hosts).all["qemu"]
    ((key, left),) = fresh.timers.pending()
    assert key == (guest.uuid, "shutdown")
    assert 0 < left <= before
    fresh.timers.cancel_all()
    host.timers.cancel_all()


async def test_a_shutdown_that_cannot_be_stored_is_tried_again(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "RETRY", 0.01)
    host = hosts.all["qemu"]
    guest = host.domains.by_name("guest")
    assert guest is not None
    lifecycle.start(guest)
    host.pace.shutdown = 0.01
    refused, stopped = asyncio.Event(), asyncio.Event()
    host.events.receive(lambda _: stopped.set())

    def put(*args: object) -> None:
        refused.set()
        raise RpcError(38, "cannot write")

    with monkeypatch.context() as full:
        full.setattr(host.store, "put", put)
        ending.shut_down(guest)
        await refused.wait()
        assert guest.record.state == DomainState.RUNNING
        assert not stopped.is_set()
    await stopped.wait()
    assert guest.record.state == DomainState.SHUTOFF
