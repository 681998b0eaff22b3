"""virtd's administration program and its commands: worlds and clocks."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.admin import dispatch
from aiovirt.admin.cli.commands import command_table
from aiovirt.admin.cli.failure import CommandFailed
from aiovirt.admin.cli.parser import LineWords, parse
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.terminal import Terminal
from aiovirt.daemons.virtd import admin_protocol
from aiovirt.daemons.virtd.admin_client import WorldAdmin
from aiovirt.daemons.virtd.admin_dispatch import WorldAdminDispatch
from aiovirt.daemons.virtd.host.hosts import Hosts
from aiovirt.daemons.virtd.host.world_file import WorldError
from aiovirt.rpc.server import Daemon, ServerOptions
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

NANOSECONDS = 1_000_000_000
NEW = """<node>
  <domain type='test'><name>new</name><memory>65536</memory><os><type>hvm</type></os></domain>
</node>
"""


class Admin:
    """A daemon with the program. uri: of its admin socket; hosts: what it administers."""

    def __init__(self, folder: Path) -> None:
        self.hosts = Hosts(None)
        self.hosts.open()
        self.daemon = Daemon("virtd")
        server = self.daemon.add_server(ServerOptions("admin"))
        server.add_program(dispatch.handlers(self.daemon))
        WorldAdminDispatch(self.hosts.all).serve_on(server)
        server.listen_unix(str(folder / "virtd-admin-sock"))
        self.uri = f"virtd:///system?socket={folder}/virtd-admin-sock"

    def names(self, host: str = "test") -> list[str]:
        """The names of the domains of a host."""
        return [one.name for one in self.hosts.all[host].domains]

    async def virtadm(self, line: str, *, as_json: bool = False) -> tuple[bool, str, str]:
        """Run a command: whether it went well, and what it said."""
        out, err = io.StringIO(), io.StringIO()
        terminal = Terminal("virtadm", out=out, err=err)
        terminal.json = as_json
        table = command_table()
        session = AdminSession(table, terminal, self.uri)
        try:
            async with asyncio.timeout(10):
                await session.reconnect()
                succeeded = await session.run(parse(LineWords(line), table))
        finally:
            await session.close()
        return succeeded, out.getvalue(), err.getvalue()


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    """A daemon of the test's own."""
    one = Admin(tmp_path)
    ready = asyncio.Event()
    serving = asyncio.create_task(one.daemon.serve(ready.set))
    await ready.wait()
    yield one
    one.daemon.shutdown()
    await serving


@pytest.fixture
async def worlds(admin: Admin) -> AsyncIterator[WorldAdmin]:
    """Its client."""
    async with admin_client.connect(admin.uri) as connection:
        yield WorldAdmin(connection)


async def test_a_world_goes_over_the_wire_and_back(admin: Admin, worlds: WorldAdmin) -> None:
    began = await worlds.save()
    assert await worlds.load(NEW) == ["test"]
    assert admin.names() == ["new"]
    assert await worlds.load(began) == ["test", "qemu"]
    assert admin.names() == ["test"]
    assert await worlds.save() == began
    assert list(json.loads(await worlds.save("qemu"))["hosts"]) == ["qemu"]


async def test_reset_returns_one_host_or_all(admin: Admin, worlds: WorldAdmin) -> None:
    await worlds.load(NEW)
    assert await worlds.reset("qemu") == ["qemu"]
    assert admin.names() == ["new"]
    assert await worlds.reset() == ["test", "qemu"]
    assert admin.names() == ["test"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "<node>", "<domain/>", "x = ", "{}", '{"format": "x", "version": 1, "hosts": {}}'],
)
async def test_what_is_not_a_world_changes_nothing(
    admin: Admin, worlds: WorldAdmin, text: str
) -> None:
    before = await worlds.save()
    if not text:
        assert await worlds.load(text) == []  # TOML without a host
    else:
        with pytest.raises(RpcError) as caught:
            await worlds.load(text)
        assert caught.value.code == ErrorCode.INVALID_ARG
    assert await worlds.save() == before


async def test_clocks_are_set_stopped_and_sped_up(admin: Admin, worlds: WorldAdmin) -> None:
    await worlds.set_clock(now=5 * NANOSECONDS, rate=0)
    assert [(one.host, one.now, one.rate) for one in await worlds.clocks()] == [
        ("test", 5 * NANOSECONDS, 0.0),
        ("qemu", 5 * NANOSECONDS, 0.0),
    ]
    await worlds.set_clock("qemu", rate=3600)
    test, qemu = await worlds.clocks()
    assert (test.rate, qemu.rate) == (0.0, 3600.0)
    assert qemu.now > test.now


@pytest.mark.parametrize(
    ("host", "now", "rate"),
    [
        ("xen", None, 1.0),
        ("", -1, None),
        ("", 2**63 - 1, None),
        ("", None, -1.0),
        ("", None, float("nan")),
        ("", None, float("inf")),
        ("", 7, 1e7),
    ],
)
async def test_a_clock_that_cannot_be_is_refused_and_stays(
    worlds: WorldAdmin, host: str, now: int | None, rate: float | None
) -> None:
    await worlds.set_clock(now=1, rate=0)
    with pytest.raises(RpcError) as caught:
        await worlds.set_clock(host, now=now, rate=rate)
    assert caught.value.code == ErrorCode.INVALID_ARG
    assert [(one.now, one.rate) for one in await worlds.clocks()] == [(1, 0.0)] * 2


async def test_what_is_too_large_is_refused(
    worlds: WorldAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_protocol, "WORLD_MAX", 10)
    with pytest.raises(RpcError, match="bytes, and at most 10 can be sent"):
        await worlds.save()


async def test_commands_about_worlds(admin: Admin, tmp_path: Path) -> None:
    (tmp_path / "other.xml").write_text(NEW.partition("\n")[2].rpartition("</node>")[0])
    world = tmp_path / "w.xml"
    world.write_text("<node><domain file='other.xml'/></node>")
    saved = tmp_path / "saved.json"
    assert await admin.virtadm(f"world-save {saved}") == (True, f"World saved to {saved}\n\n", "")
    succeeded, out, _ = await admin.virtadm(f"world-load {world}")
    assert (succeeded, out) == (True, f"World of host test loaded from {world}\n\n")
    assert admin.names() == ["new"]
    succeeded, out, _ = await admin.virtadm(f"world-load {saved}")
    assert (succeeded, out) == (True, f"World of hosts test, qemu loaded from {saved}\n\n")
    assert admin.names() == ["test"]
    _, out, _ = await admin.virtadm("world-save --host test")
    assert out.strip() == json.dumps(json.loads(out), indent=1)
    succeeded, out, _ = await admin.virtadm("world-reset", as_json=True)
    assert json.loads(out) == ["test", "qemu"]
    succeeded, _, err = await admin.virtadm(f"world-load {tmp_path}/none.xml")
    assert not succeeded
    assert err.splitlines() == [
        f"error: failed to read {tmp_path}/none.xml",
        f"error: {tmp_path}/none.xml: No such file or directory",
    ]
    succeeded, _, err = await admin.virtadm(f"world-save {tmp_path}")
    assert (succeeded, err.splitlines()[1]) == (False, "error: Is a directory")


async def test_the_command_clock(admin: Admin) -> None:
    line = "clock --set 2030-01-31T12:00:00+00:00 --stop --host qemu"
    _, out, _ = await admin.virtadm(line, as_json=True)
    assert json.loads(out) == [{"host": "qemu", "now": 1_896_091_200 * NANOSECONDS, "rate": 0.0}]
    _, out, _ = await admin.virtadm("clock --rate 2.5 --set 100")
    assert [line.split()[0] for line in out.splitlines() if line] == [
        "Host",
        "-" * len(out.splitlines()[1]),
        "test",
        "qemu",
    ]
    assert out.count("2.5") == 2


@pytest.mark.parametrize("line", ["--rate x", "--rate -1", "--set tomorrow", "--rate 1 --stop"])
async def test_a_wrong_clock_is_told_before_anything_is_called(admin: Admin, line: str) -> None:
    succeeded, _, err = await admin.virtadm(f"clock {line}")
    assert not succeeded
    assert err.startswith("error: ")


async def test_a_world_to_load_has_to_be_named(admin: Admin) -> None:
    with pytest.raises(CommandFailed, match="requires <file>"):
        await admin.virtadm("world-load")


async def test_a_saved_world_replaces_an_earlier_one_as_a_whole_or_not_at_all(
    admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, link = tmp_path / "saved.json", tmp_path / "link"
    saved.write_text("an earlier world")
    saved.chmod(0o640)
    link.symlink_to("saved.json")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        succeeded, _, err = await admin.virtadm(f"world-save {link}")
    assert (succeeded, "No space left on device" in err) == (False, True)
    assert saved.read_text() == "an earlier world"
    assert await admin.virtadm(f"world-save {link}") == (True, f"World saved to {link}\n\n", "")
    assert json.loads(saved.read_text())["format"] == "aiovirt world"
    assert link.is_symlink()
    assert saved.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link", "saved.json", "virtd-admin-sock"]


async def test_a_fifo_with_nobody_at_its_other_end_is_not_waited_for(
    admin: Admin, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for command in ("world-save", "world-load"):
        succeeded, _, err = await admin.virtadm(f"{command} {fifo}")
        assert (succeeded, str(fifo) in err) == (False, True)
    with pytest.raises(WorldError, match="it is a FIFO, not a regular file"):
        Hosts(None, world=str(fifo)).open()


async def test_a_world_comes_out_of_a_pipe_and_goes_into_one(admin: Admin) -> None:
    reading, writing = os.pipe()
    os.write(writing, NEW.encode())
    os.close(writing)
    succeeded, _, err = await admin.virtadm(f"world-load /proc/self/fd/{reading}")
    os.close(reading)
    assert (succeeded, err, admin.names()) == (True, "", ["new"])
    reading, writing = os.pipe()
    succeeded, _, err = await admin.virtadm(f"world-save --host test /proc/self/fd/{writing}")
    os.close(writing)
    data = os.read(reading, 4096)
    os.close(reading)
    assert (succeeded, err, b'"aiovirt world"' in data) == (True, "", True)
