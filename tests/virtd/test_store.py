"""A change that cannot be stored has not happened: neither in memory nor for those who watch."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from aiovirt.daemons.virtd.host import lifecycle, network, saving, snapshot, store
from aiovirt.daemons.virtd.host.domain import Domain
from aiovirt.daemons.virtd.host.events import Event
from aiovirt.daemons.virtd.host.flavour import FLAVOURS
from aiovirt.daemons.virtd.host.host import Host
from aiovirt.daemons.virtd.host.store import Store, StoreError
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.virtd.conftest import DOMAIN


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host of the qemu driver without guests, with its store in a file."""
    made = Host(FLAVOURS["qemu"])
    made.load(Store(str(tmp_path / "store")))
    network.create(made, "<network><name>default</name></network>")  # that of the guests
    return made


@contextmanager
def full_disk(host: Host) -> Iterator[None]:
    """Let no file of this process grow: a commit fails as on a disk that is full."""
    assert host.store.path is not None
    size = Path(f"{host.store.path}-wal").stat().st_size
    earlier = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, earlier[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, earlier)


def _text(name: str) -> str:
    text = DOMAIN.format(title="kvm", name=name)
    return text.replace("<source file", "<driver type='qcow2'/><source file")


def _seen(host: Host) -> tuple[object, ...]:
    """Everything that a client could see of the domains."""
    domains = tuple((one.name, one.record) for one in host.domains)
    active = tuple((one.name, one.record.number) for one in host.domains.active())
    snapshots = tuple(one.name for domain in host.domains for one in domain.snapshots)
    return domains, active, snapshots, tuple(one.record for one in host.images)


def _again(host: Host) -> dict[bytes, object]:
    """The domains, as the next process finds them in the file."""
    other = Host(host.flavour)
    other.load(Store(host.store.path, read_only=True))
    return {one.uuid: one.record for one in other.domains}


def _domain(host: Host, name: str) -> Domain:
    found = host.domains.by_name(name)
    assert found is not None
    return found


SNAPSHOT = "<domainsnapshot><name>one</name></domainsnapshot>"

CHANGES: dict[str, Callable[[Host], object]] = {
    "save": lambda host: saving.save(_domain(host, "on"), "/image"),
    "save a transient guest": lambda host: saving.save(_domain(host, "brief"), "/old"),
    "managed save": lambda host: saving.managed_save(_domain(host, "on"), 0),
    "restore": lambda host: saving.restore(host, "/old"),
    "rename": lambda host: lifecycle.rename(_domain(host, "off"), "other"),
    "create": lambda host: lifecycle.create(host, _text("fresh")),
    "define": lambda host: lifecycle.define(host, _text("fresh")),
    "start": lambda host: lifecycle.start(_domain(host, "off")),
    "snapshot": lambda host: snapshot.create(_domain(host, "on"), SNAPSHOT, 0),
    "destroy": lambda host: lifecycle.destroy(_domain(host, "brief")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_that_the_disk_has_no_room_for_leaves_memory_as_it_was(
    host: Host, change: Callable[[Host], object]
) -> None:
    lifecycle.start(lifecycle.define(host, _text("on")))
    lifecycle.define(host, _text("off"))
    lifecycle.create(host, _text("gone"))
    saving.save(_domain(host, "gone"), "/old")
    lifecycle.create(host, _text("brief"))
    events: list[Event] = []
    host.events.receive(events.append)
    before = _seen(host), _again(host)
    with full_disk(host), pytest.raises(RpcError, match="cannot write") as caught:
        change(host)
    assert caught.value.code == ErrorCode.SYSTEM_ERROR
    assert (_seen(host), _again(host)) == before
    assert events == []
    change(host)  # there is room again
    assert _again(host) == {one.uuid: one.record for one in host.domains}
    assert events or _seen(host) != before[0]


def _replace_all(host: Host) -> None:
    with host.store.batch():
        for found in host.domains:
            host.domains.remove(found)
        lifecycle.define(host, _text("four"))
        lifecycle.define(host, _text("four"))  # another UUID


def test_a_block_that_raises_changes_nothing_and_keeps_the_order(host: Host) -> None:
    for name in ("one", "two", "three"):
        lifecycle.define(host, _text(name))
    before = _seen(host)
    with pytest.raises(RpcError, match="already exists"):
        _replace_all(host)
    assert _seen(host) == before
    assert host.domains.by_name("four") is None


def test_events_of_a_batch_come_in_order_after_it(host: Host) -> None:
    events: list[Event] = []
    host.events.receive(events.append)
    with host.store.batch():
        found = lifecycle.define(host, _text("one"))
        lifecycle.start(found)
        assert events == []
    assert [one.details[0] for one in events] == [0, 4, 2]


def test_the_store_in_memory_is_taken_along_as_a_whole() -> None:
    first = Host(FLAVOURS["test"])
    lifecycle.start(lifecycle.define(first, _text("one").replace("kvm", "test")))
    second = Host(FLAVOURS["test"])
    store = Store(None)
    store.restored(first.store.dump())
    second.load(store)
    assert _seen(second) == _seen(first)
    lifecycle.define(second, _text("two").replace("kvm", "test"))  # it can still be written


def test_a_long_log_is_brought_into_the_file_while_the_store_is_open(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = Store(str(path))
    expected = {}
    for number in range(1500):
        expected[f"key {number % 700}"] = data = f"{number} ".encode() * 1000
        store.put("test", "domain", f"key {number % 700}", data)
    store.settle()
    assert path.stat().st_size > 2 * 1024 * 1024  # by the thread: nothing was closed
    assert dict(Store(str(path), read_only=True).load("test", "domain")) == expected
    store.close()
    assert dict(Store(str(path), read_only=True).load("test", "domain")) == expected


def test_a_store_of_an_earlier_version_is_written_in_its_own_layout(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with closing(sqlite3.connect(path)) as base:
        base.execute(
            "create table object (host text not null, kind text not null, key text not null,"
            " data blob not null, primary key (host, kind, key)) without rowid"
        )
        base.execute("insert into object values ('test', 'domain', 'one', 'old')")
        base.execute("pragma user_version = 1")
        base.commit()
    store = Store(str(path))
    store.put("test", "domain", "one", b"new")
    store.put("test", "domain", "two", b"fresh")
    store.close()
    found = dict(Store(str(path)).load("test", "domain"))
    assert found == {"one": b"new", "two": b"fresh"}


def test_a_disk_whose_blocks_are_small_has_to_have_room_for_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would end the process with SIGBUS there."""

    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = str(tmp_path / "virtd.sqlite")
    Store(path).close()
    monkeypatch.setattr(os, "posix_fallocate", full)
    Store(path).close()  # a block is a page: SQLite asks for it itself
    monkeypatch.setattr(store, "_PAGE", 1 << 20)
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"bytes of room are needed beside it: No space left"):
            Store(path, read_only=read_only)
