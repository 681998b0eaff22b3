"""Faults of virtd as a real virsh sees them."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.daemons.virtd.admin_client import WorldAdmin
from aiovirt.daemons.virtd.client import connect
from aiovirt.daemons.virtd.faults.client import Action, FaultAdmin, Rule
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from tests import harness
from tests.virtd.conftest import DOMAIN
from tests.virtd.test_ephemeral import Ephemeral, ephemeral

#: Seconds that virsh has for a command.
PATIENCE = 30.0
END_OF_FILE = "error: End of file while reading data: Input/output error"


class Stand:
    """A virtd of the test's own. faults: its administration."""

    def __init__(self, daemon: Ephemeral, faults: FaultAdmin) -> None:
        self.daemon = daemon
        self.faults = faults

    async def begin(
        self, *command: str, stdin: int = asyncio.subprocess.DEVNULL, stdout: int = PIPE
    ) -> asyncio.subprocess.Process:
        """Start virsh on the test host."""
        return await asyncio.create_subprocess_exec(
            harness.require("virsh"),
            "-c",
            self.daemon.told["test"],
            *command,
            stdin=stdin,
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **harness.libraries()},
        )

    async def virsh(self, *command: str) -> tuple[str, list[str]]:
        """Run virsh: what it printed, and its lines of error."""
        async with asyncio.timeout(PATIENCE):
            out, error = await (await self.begin(*command)).communicate()
        return out.decode().strip(), error.decode().strip().splitlines()


@pytest.fixture(scope="module")
def daemon() -> Iterator[Ephemeral]:
    """One for all tests of this file."""
    with ephemeral() as made:
        yield made


@pytest.fixture
async def stand(daemon: Ephemeral) -> AsyncIterator[Stand]:
    """It has no rules, and the world that it began with."""
    async with admin_client.connect(daemon.told["admin"]) as connection:
        stand = Stand(daemon, FaultAdmin(connection))
        yield stand
        await stand.faults.clear()
        await WorldAdmin(connection).reset()


async def test_errors_are_those_of_the_rules(stand: Stand) -> None:
    text = "Requested operation is not valid: the guest is on fire"
    code, domain = ErrorCode.OPERATION_INVALID, ErrorDomain.QEMU
    await stand.faults.add(
        Rule(Action.ERROR, "DOMAIN_DESTROY*", code=code, domain=domain, text=text)
    )
    _, error = await stand.virsh("destroy", "test")
    assert error == ["error: Failed to destroy domain 'test'", f"error: {text}"]
    await stand.faults.clear()
    assert (await stand.virsh("destroy", "test"))[0] == "Domain 'test' destroyed"


async def test_a_lookup_that_fails_is_tried_by_the_other_names(stand: Stand) -> None:
    number = await stand.faults.add(
        Rule(Action.ERROR, "DOMAIN_LOOKUP_BY_NAME", guest="test", code=ErrorCode.NO_DOMAIN)
    )
    _, error = await stand.virsh("domstate", "test")
    assert error[0] == "error: failed to get domain 'test'"
    assert [(one.id, one.strikes > 0) for one in await stand.faults.list()] == [(number, True)]


@pytest.mark.parametrize("action", [Action.CUT, Action.CLOSE_BEFORE, Action.CLOSE_AFTER])
async def test_a_broken_connection_is_an_end_of_file(stand: Stand, action: Action) -> None:
    await stand.faults.add(Rule(action, "DOMAIN_SUSPEND", times=1))
    _, error = await stand.virsh("suspend", "test")
    assert END_OF_FILE in error
    state, _ = await stand.virsh("domstate", "test")
    assert state == ("running" if action is Action.CLOSE_BEFORE else "paused")


async def test_silence_is_a_keepalive_timeout(stand: Stand) -> None:
    await stand.faults.add(Rule(Action.DROP, "CONNECT_GET_HOSTNAME"))
    await stand.faults.add(Rule(Action.MUTE))
    _, error = await stand.virsh("-k", "1", "-K", "1", "hostname")
    assert "error: internal error: connection closed due to keepalive timeout" in error


async def test_a_held_call_is_answered_when_its_rule_is_removed(stand: Stand) -> None:
    held = await stand.faults.add(Rule(Action.HOLD, "CONNECT_GET_HOSTNAME"))
    virsh = await stand.begin("hostname")
    await stand.faults.wait(held, timeout=PATIENCE)
    assert [one.held for one in await stand.faults.list()] == [1]
    await stand.faults.remove(held)
    async with asyncio.timeout(PATIENCE):
        out, error = await virsh.communicate()
    assert (out.strip() != b"", error) == (True, b"")


async def test_injected_events_are_told_in_the_words_of_virsh(stand: Stand) -> None:
    ready = await stand.faults.add(Rule(Action.HOLD, "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY"))
    virsh = await stand.begin("event", "--event", "lifecycle", "--loop", "--timestamp")
    try:
        await stand.faults.wait(ready, timeout=PATIENCE)
        await stand.faults.remove(ready)
        await stand.faults.inject("test", "suspend", reason="ioerror")
        await stand.faults.inject("test", "crash")
        assert virsh.stdout is not None
        async with asyncio.timeout(PATIENCE):
            lines = [(await virsh.stdout.readline()).decode() for _ in range(3)]
    finally:
        virsh.kill()
        await virsh.wait()
    told = [line.strip().partition("'lifecycle' for domain ")[2] for line in lines]
    assert told == [
        "'test': Suspended I/O Error",
        "'test': Crashed Panicked",
        "'test': Stopped Crashed",
    ]
    assert (await stand.virsh("domstate", "test", "--reason"))[0] == "shut off (crashed)"


# Streams -------------------------------------------------------------------------------------------

#: More than virsh sends in one packet.
CONTENT = bytes(range(256)) * 4096


@pytest.fixture
async def volume(stand: Stand, tmp_path: Path) -> Path:
    """A file with the content of the volume "v" of the pool "default" of QEMU's host."""
    file = tmp_path / "content"
    file.write_bytes(CONTENT)
    uri = stand.daemon.told["qemu"]
    await stand.virsh("-c", uri, "pool-create-as", "default", "dir", "--target", str(tmp_path))
    await stand.virsh("-c", uri, "vol-create-as", "default", "v", str(len(CONTENT)))
    assert await _upload(stand, file) == []
    return file


def _volume(stand: Stand, what: str, file: Path) -> tuple[str, ...]:
    return ("-c", stand.daemon.told["qemu"], f"vol-{what}", "v", str(file), "--pool", "default")


async def _upload(stand: Stand, file: Path) -> list[str]:
    _, error = await stand.virsh(*_volume(stand, "upload", file))
    return error


async def _download(stand: Stand, file: Path) -> list[str]:
    _, error = await stand.virsh(*_volume(stand, "download", file))
    return error


async def test_an_upload_fails_in_its_middle(stand: Stand, volume: Path) -> None:
    code, text = ErrorCode.OPERATION_FAILED, "operation failed: the disk is full"
    rule = Rule(Action.STREAM_ERROR, "STORAGE_VOL_UPLOAD", every=3, code=code, text=text)
    number = await stand.faults.add(rule)
    error = await _upload(stand, volume)
    assert error[-1] == f"error: {text}"
    (struck,) = await stand.faults.list()
    assert (struck.id, struck.seen, struck.strikes) == (number, 3, 1)
    await stand.faults.clear()
    assert await _upload(stand, volume) == []


async def test_a_download_fails_in_its_middle(stand: Stand, volume: Path, tmp_path: Path) -> None:
    code, text = ErrorCode.OPERATION_FAILED, "operation failed: the disk is gone"
    rule = Rule(Action.STREAM_ERROR, "STORAGE_VOL_DOWNLOAD", every=2, code=code, text=text)
    await stand.faults.add(rule)
    error = await _download(stand, tmp_path / "got")
    assert error[-1] == f"error: {text}"


@pytest.mark.parametrize("action", [Action.STREAM_CUT, Action.STREAM_CLOSE])
async def test_a_connection_ends_in_the_middle_of_a_stream(
    stand: Stand, volume: Path, tmp_path: Path, action: Action
) -> None:
    await stand.faults.add(Rule(action, "STORAGE_VOL_*LOAD", every=2))
    for what in ("upload", "download"):
        virsh = await stand.begin(*_volume(stand, what, tmp_path / "content"))
        async with asyncio.timeout(PATIENCE):
            await virsh.communicate()
        assert virsh.returncode != 0  # it writes to a closed connection, which may end it (SIGPIPE)
    assert [one.strikes for one in await stand.faults.list()] == [2]
    await stand.faults.clear()
    assert await _upload(stand, volume) == []


async def test_packets_that_are_late_come_in_their_order(
    stand: Stand, volume: Path, tmp_path: Path
) -> None:
    await stand.faults.add(Rule(Action.STREAM_DELAY, "STORAGE_VOL_*LOAD", every=2, delay=1))
    assert await _upload(stand, volume) == []
    assert await _download(stand, tmp_path / "got") == []
    assert (tmp_path / "got").read_bytes() == CONTENT
    (struck,) = await stand.faults.list()
    assert struck.strikes > 1


async def test_a_console_fails_while_it_is_used(stand: Stand) -> None:
    text = "operation failed: the line is dead"
    rule = Rule(
        Action.STREAM_ERROR,
        "DOMAIN_OPEN_CONSOLE",
        guest="te*",
        every=2,  # after the greeting
        code=ErrorCode.OPERATION_FAILED,
        text=text,
    )
    await stand.faults.add(rule)
    uri = stand.daemon.told["qemu"]
    async with connect(uri) as host:
        document = DOMAIN.format(title="kvm", name="test")
        await host.create(document.replace("</devices>", "<console type='pty'/></devices>"))
    ours, theirs = os.openpty()
    virsh = await stand.begin("-c", uri, "console", "test", stdin=theirs, stdout=theirs)
    os.close(theirs)
    try:
        seen = b""
        while b"login: " not in seen:
            seen += await asyncio.to_thread(os.read, ours, 4096)
        os.write(ours, b"x")
        async with asyncio.timeout(PATIENCE):
            _, error = await virsh.communicate()
    finally:
        os.close(ours)
    assert f"error: {text}" in error.decode()
    (struck,) = await stand.faults.list()
    assert struck.strikes == 1


async def test_rules_strike_the_guests_of_a_private_host(stand: Stand, tmp_path: Path) -> None:
    world = tmp_path / "world.xml"
    world.write_text(
        "<node><domain type='test'><name>own</name><memory>1024</memory><os><type>hvm"
        "</type></os></domain></node>"
    )
    uri = stand.daemon.told["test"].replace("/default", str(world))
    await stand.faults.add(
        Rule(Action.ERROR, "DOMAIN_SUSPEND", guest="own", code=ErrorCode.NO_MEMORY)
    )
    _, error = await stand.virsh("-c", uri, "suspend", "own")
    assert error[-1].startswith("error: out of memory")
