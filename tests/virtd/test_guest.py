"""The system within a guest: its agent, its console, its screen, its sleep."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import DomainState
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.host.consoles import Terminal
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import string
from tests.virtd.conftest import Client, Virtd

DEVICES = """
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <serial type='pty'/><console type='pty'/><video><model type='vga'/></video>
  </devices>"""


async def running(client: Client) -> protocol.NonnullDomain:
    """A running guest with a channel for an agent and a console."""
    domain = await client.define()
    text = (await client.xml(domain)).replace("</devices>", DEVICES)
    await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    await client.start(domain)
    return domain


async def test_a_guest_without_an_agent_refuses_as_libvirt_does(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    virtd.host("qemu").pace.boot = None
    domain = await client.define("bare")
    flags = protocol.DomainFlagsArgs(domain, 0)
    assert (await client.refused(protocol.DOMAIN_GET_FSINFO, flags)).domain == ErrorDomain.DOMAIN
    await client.start(domain)
    error = await client.refused(protocol.DOMAIN_GET_FSINFO, flags)
    assert (error.code, error.domain) == (ErrorCode.ARGUMENT_UNSUPPORTED, ErrorDomain.QEMU)
    assert error.message == "argument unsupported: QEMU guest agent is not configured"
    flags = protocol.DomainFlagsArgs(await running(client), 0)
    error = await client.refused(protocol.DOMAIN_GET_TIME, flags)
    assert (error.code, error.domain) == (ErrorCode.AGENT_UNRESPONSIVE, ErrorDomain.QEMU)


async def test_the_test_drivers_guests_answer_without_an_agent(virtd: Virtd) -> None:
    client = await virtd.connect()
    domain = await client.define()
    await client.start(domain)
    flags = protocol.DomainFlagsArgs(domain, 0)
    assert (await client.call(protocol.DOMAIN_GET_HOSTNAME, flags)).hostname == "guesthost"
    time = await client.call(protocol.DOMAIN_GET_TIME, flags)
    assert (time.seconds, time.nseconds) == (627319920, 0)
    await client.call(protocol.DOMAIN_SET_TIME, protocol.DomainSetTimeArgs(domain, 5000, 7, 0))
    control = await client.call(protocol.DOMAIN_GET_CONTROL_INFO, flags)
    assert (control.state, control.stateTime) == (1, 5000)
    errors = protocol.DomainGetDiskErrorsArgs(domain, 9, 0)
    found = (await client.call(protocol.DOMAIN_GET_DISK_ERRORS, errors)).errors
    assert [(one.disk, one.error) for one in found] == [("vda", 1)]


async def test_a_guest_sleeps_and_wakes_with_events(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await running(client)
    seen: list[str] = []
    for number, procedure in (
        (DomainEventID.PMSUSPEND, protocol.DOMAIN_EVENT_CALLBACK_PMSUSPEND),
        (DomainEventID.PMWAKEUP, protocol.DOMAIN_EVENT_CALLBACK_PMWAKEUP),
    ):

        def note(one: Any, name: str = number.name) -> None:
            seen.append(f"{name} {one.msg.dom.name} {one.reason}")

        client.rpc.on_event(procedure, note)
        args = protocol.ConnectDomainEventCallbackRegisterAnyArgs(number, None)
        await client.call(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, args)
    sleep = protocol.DomainPmSuspendForDurationArgs(domain, 0, 0, 0)
    await client.call(protocol.DOMAIN_PM_SUSPEND_FOR_DURATION, sleep)
    assert (await client.state(domain))[0] == DomainState.PMSUSPENDED
    flags = protocol.DomainFlagsArgs(domain, 0)
    await client.call(protocol.DOMAIN_PM_WAKEUP, flags)
    assert (await client.state(domain))[0] == DomainState.RUNNING
    assert seen == ["PMSUSPEND guest 0", "PMWAKEUP guest 0"]
    error = await client.refused(protocol.DOMAIN_PM_WAKEUP, flags)
    assert "not in suspended state" in error.message


# Consoles ------------------------------------------------------------------------------------------


def test_a_terminal_asks_who_logs_in_and_hides_the_password() -> None:
    terminal = Terminal("g")
    assert terminal.greeting().endswith(b"g login: ")
    assert terminal.typed(b"rx\x7foot\r") == b"rx\b \boot\r\nPassword: "
    assert terminal.typed(b"secret\r").endswith(b"root@g:~# ")
    assert terminal.typed(b"hostname\r") == b"hostname\r\ng\r\nroot@g:~# "
    assert b"command not found" in terminal.typed(b"nano\r")
    assert terminal.typed(b"\x03") == b"^C\r\nroot@g:~# "
    assert terminal.typed(b"exit\r").endswith(b"g login: ")


async def until(stream: Any, wanted: bytes) -> bytes:
    """Read from a stream until something has come."""
    found = b""
    while wanted not in found:
        data = await asyncio.wait_for(stream.receive(), 10)
        assert isinstance(data, bytes), found
        found += data
    return found


async def test_a_console_echoes_until_its_guest_ends(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await running(client)
    args = protocol.DomainOpenConsoleArgs(domain, None, 0)
    stream = await client.rpc.open_stream(protocol.DOMAIN_OPEN_CONSOLE, args)
    await until(stream, b"guest login: ")
    await stream.send(b"root\r")
    assert await until(stream, b"Password: ") == b"root\r\nPassword: "
    with pytest.raises(RpcError, match="Active console session exists"):
        await client.rpc.open_stream(protocol.DOMAIN_OPEN_CONSOLE, args)
    force = protocol.DomainOpenConsoleArgs(domain, "serial0", 1)
    other = await client.rpc.open_stream(protocol.DOMAIN_OPEN_CONSOLE, force)
    await until(other, b"login: ")
    assert await asyncio.wait_for(stream.receive(), 10) is None
    await client.call(protocol.DOMAIN_DESTROY, protocol.DomainArgs(domain))
    assert await asyncio.wait_for(other.receive(), 10) is None
    with pytest.raises(RpcError, match="domain is not running"):
        await client.rpc.open_stream(protocol.DOMAIN_OPEN_CONSOLE, args)


async def test_a_channel_gives_back_what_it_got(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await running(client)
    args = protocol.DomainOpenChannelArgs(domain, "org.qemu.guest_agent.0", 0)
    stream = await client.rpc.open_stream(protocol.DOMAIN_OPEN_CHANNEL, args)
    await stream.send(b"ping")
    assert await until(stream, b"ping") == b"ping"
    await stream.abort()
    missing = protocol.DomainOpenChannelArgs(domain, "x", 0)
    with pytest.raises(RpcError, match="cannot find channel x"):
        await client.rpc.open_stream(protocol.DOMAIN_OPEN_CHANNEL, missing)


@pytest.mark.parametrize("uri", ["test:///default", "qemu:///system"])
async def test_a_screen_is_a_picture(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    domain = await running(client)
    args = protocol.DomainScreenshotArgs(domain, 0, 0)
    stream = await client.rpc.open_stream(protocol.DOMAIN_SCREENSHOT, args)
    assert stream.result.mime == "image/png"
    data = b""
    while (piece := await asyncio.wait_for(stream.receive(), 10)) is not None:
        assert isinstance(piece, bytes)
        data += piece
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at = data.index(b"IDAT")
    size = int.from_bytes(data[at - 4 : at], "big")
    assert len(zlib.decompress(data[at + 4 : at + 4 + size])) == 200 * (1 + 320 * 3)


async def test_memory_and_disks_are_looked_at_within_bounds(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await running(client)
    peek = protocol.DomainMemoryPeekArgs(domain, 254, 4, 2)
    assert (await client.call(protocol.DOMAIN_MEMORY_PEEK, peek)).buffer == b"\xfe\xff\x00\x01"
    peek = protocol.DomainMemoryPeekArgs(domain, 0, 5 << 20, 2)
    error = await client.refused(protocol.DOMAIN_MEMORY_PEEK, peek)
    assert (error.code, error.domain) == (ErrorCode.INTERNAL_ERROR, ErrorDomain.RPC)
    block = protocol.DomainBlockPeekArgs(domain, "vda", 0, 512, 0)
    assert (await client.call(protocol.DOMAIN_BLOCK_PEEK, block)).buffer == bytes(512)
    block = protocol.DomainBlockPeekArgs(domain, "vda", 10 << 30, 512, 0)
    error = await client.refused(protocol.DOMAIN_BLOCK_PEEK, block)
    assert error.code == ErrorCode.SYSTEM_ERROR


async def test_a_guest_is_saved_and_restored_by_typed_parameters(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await running(client)
    place = [string("file", "/images/one")]
    await client.call(protocol.DOMAIN_SAVE_PARAMS, protocol.DomainSaveParamsArgs(domain, place, 0))
    assert (await client.state(domain))[0] == DomainState.SHUTOFF
    await client.call(protocol.DOMAIN_RESTORE_PARAMS, protocol.DomainRestoreParamsArgs(place, 0))
    assert (await client.state(domain))[0] == DomainState.RUNNING
    nowhere = protocol.DomainSaveParamsArgs(domain, [], 0)
    error = await client.refused(protocol.DOMAIN_SAVE_PARAMS, nowhere)
    assert error.code == ErrorCode.INVALID_ARG


@pytest.mark.parametrize("uri", ["test:///default", "qemu:///system"])
async def test_a_guest_is_started_with_descriptors_that_nobody_needs(
    virtd: Virtd, uri: str
) -> None:
    client = await virtd.connect(uri)
    domain = await client.define()
    await client.call(protocol.DOMAIN_CREATE_WITH_FILES, protocol.DomainFlagsArgs(domain, 0))
    assert (await client.state(domain))[0] == DomainState.RUNNING
