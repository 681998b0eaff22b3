"""The monitor of a guest: commands in QEMU's protocol, its events, and the command line of QEMU.

The expected replies are those of QEMU 7.2 through libvirtd 9.0.0.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import DomainState
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from tests.virtd.conftest import Client, Virtd

HMP = 1
REGEX = 1
NOCASE = 2
Domain = protocol.NonnullDomain


@pytest.fixture
async def client(virtd: Virtd) -> Client:
    """A client of the qemu driver."""
    return await virtd.connect("qemu:///system")


@pytest.fixture
async def guest(client: Client) -> Domain:
    """A running guest."""
    domain = await client.define()
    await client.start(domain)
    return domain


async def reply(client: Client, domain: Domain, text: str, flags: int = 0) -> str:
    """The reply to a command."""
    args = protocol.DomainMonitorCommandArgs(domain, text, flags)
    return str((await client.call(protocol.DOMAIN_MONITOR_COMMAND, args)).result)


async def executed(client: Client, domain: Domain, name: str) -> Any:
    """The value of a command without arguments."""
    return json.loads(await reply(client, domain, json.dumps({"execute": name})))["return"]


# Commands ------------------------------------------------------------------------------------------


async def test_a_monitor_answers_from_the_document_and_the_state(
    client: Client, guest: Domain
) -> None:
    status = await executed(client, guest, "query-status")
    assert status == {"status": "running", "singlestep": False, "running": True}
    version = (await executed(client, guest, "query-version"))["qemu"]
    assert version == {"major": 7, "minor": 2, "micro": 0}
    assert await executed(client, guest, "query-name") == {"name": "guest"}
    (block,) = await executed(client, guest, "query-block")
    assert block["inserted"]["file"] == "/d/guest.img"
    assert len(await executed(client, guest, "query-cpus-fast")) == 2
    assert await executed(client, guest, "query-balloon") == {"actual": 512 << 20}
    for one in await executed(client, guest, "query-commands"):
        if one["name"].startswith("query-"):
            await executed(client, guest, one["name"])


async def test_a_monitor_stops_and_continues_its_guest(client: Client, guest: Domain) -> None:
    assert await executed(client, guest, "stop") == {}
    assert (await client.state(guest))[0] == DomainState.PAUSED
    assert await reply(client, guest, "info status", HMP) == "VM status: paused\r\n"
    assert await reply(client, guest, "cont", HMP) == ""
    assert (await client.state(guest))[0] == DomainState.RUNNING
    assert await executed(client, guest, "quit") == {}
    error = await client.refused(
        protocol.DOMAIN_MONITOR_COMMAND, protocol.DomainMonitorCommandArgs(guest, "{}", 0)
    )
    assert (error.code, error.domain) == (ErrorCode.OPERATION_INVALID, ErrorDomain.DOMAIN)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ('{"execute":"x"}', "CommandNotFound", "The command x has not been found"),
        (
            '{"execute":"query-status","arguments":{"x":1}}',
            "GenericError",
            "Parameter 'x' is unexpected",
        ),
        ('{"execute":5}', "GenericError", "QMP input member 'execute' must be a string"),
        ("{}", "GenericError", "QMP input lacks member 'execute'"),
        ("[]", "GenericError", "QMP input must be a JSON object"),
        ('{"a":1}', "GenericError", "QMP input member 'a' is unexpected"),
    ],
)
async def test_qemus_refusal_is_a_reply(
    client: Client, guest: Domain, text: str, kind: str, words: str
) -> None:
    answer = json.loads(await reply(client, guest, text))
    assert answer["error"] == {"class": kind, "desc": words}
    assert ("id" in answer) == ("execute" in text)


async def test_what_libvirt_cannot_send_is_an_error(client: Client, guest: Domain) -> None:
    args = protocol.DomainMonitorCommandArgs(guest, '{"execute":"x","id":1}', 0)
    error = await client.refused(protocol.DOMAIN_MONITOR_COMMAND, args)
    assert (error.code, error.domain) == (ErrorCode.INTERNAL_ERROR, ErrorDomain.QEMU)
    args = protocol.DomainMonitorCommandArgs(guest, "[" * 100_000, 0)
    error = await client.refused(protocol.DOMAIN_MONITOR_COMMAND, args)
    assert error.message.startswith("internal error: cannot parse json [[[")


async def test_a_command_with_descriptors_returns_none(client: Client, guest: Domain) -> None:
    args = protocol.DomainMonitorCommandArgs(guest, '{"execute":"query-name"}', 0)
    procedure = protocol.DOMAIN_MONITOR_COMMAND_WITH_FILES
    answer, descriptors = await client.rpc.call_for_descriptors(procedure, args)
    assert json.loads(answer.result)["return"] == {"name": "guest"}
    assert descriptors == []


# Events --------------------------------------------------------------------------------------------


async def subscribe(client: Client, name: str | None, flags: int = 0, dom: Any = None) -> Any:
    """Names of the events that come from now on, and the number of the subscription."""
    seen: list[str] = []
    client.rpc.on_event(protocol.DOMAIN_MONITOR_EVENT, lambda one: seen.append(one.event))
    args = protocol.ConnectDomainMonitorEventRegisterArgs(dom, name, flags)
    answer = await client.call(protocol.CONNECT_DOMAIN_MONITOR_EVENT_REGISTER, args)
    return seen, answer.callbackID


async def life(client: Client, domain: Domain) -> None:
    """Pause a guest, let it run on, push its reset button."""
    await client.call(protocol.DOMAIN_SUSPEND, protocol.DomainArgs(domain))
    await client.call(protocol.DOMAIN_RESUME, protocol.DomainArgs(domain))
    await client.call(protocol.DOMAIN_RESET, protocol.DomainFlagsArgs(domain, 0))
    await client.call(protocol.CONNECT_GET_TYPE)


@pytest.mark.parametrize(
    ("name", "flags", "expected"),
    [
        (None, 0, ["STOP", "RESUME", "RESET"]),
        ("STOP", 0, ["STOP"]),
        ("stop", 0, []),
        ("stop", NOCASE, ["STOP"]),
        ("^RES", REGEX, ["RESUME", "RESET"]),
        ("s.o|me$", REGEX | NOCASE, ["STOP", "RESUME"]),
    ],
)
async def test_events_of_monitors_are_those_that_were_wanted(
    client: Client, guest: Domain, name: str | None, flags: int, expected: list[str]
) -> None:
    seen, number = await subscribe(client, name, flags)
    await life(client, guest)
    assert seen == expected
    args = protocol.CallbackArgs(number)
    await client.call(protocol.CONNECT_DOMAIN_MONITOR_EVENT_DEREGISTER, args)
    await life(client, guest)
    assert seen == expected
    error = await client.refused(protocol.CONNECT_DOMAIN_MONITOR_EVENT_DEREGISTER, args)
    assert error.message.endswith(f"qemu monitor event callback {number} not registered")


async def test_events_are_those_of_the_wanted_guest(client: Client, guest: Domain) -> None:
    other = await client.define("other")
    seen, _ = await subscribe(client, None, dom=other)
    await life(client, guest)
    assert seen == []


@pytest.mark.parametrize("pattern", ["(", "(.*)*x", ".*.*.*.*.*x", "a" * 300, "(a)\\1", "[z-a]"])
async def test_a_pattern_that_is_broken_or_costly_is_refused(client: Client, pattern: str) -> None:
    args = protocol.ConnectDomainMonitorEventRegisterArgs(None, pattern, REGEX)
    error = await client.refused(protocol.CONNECT_DOMAIN_MONITOR_EVENT_REGISTER, args)
    assert (error.code, error.domain) == (ErrorCode.INVALID_ARG, ErrorDomain.NONE)
    assert error.message.startswith(f"invalid argument: failed to compile regex '{pattern[:50]}")


# The command line ----------------------------------------------------------------------------------


async def test_a_document_becomes_a_command_line(client: Client, guest: Domain) -> None:
    text = await client.xml(guest, 2)
    args = protocol.ConnectDomainXmlToNativeArgs("qemu-argv", text, 0)
    line = (await client.call(protocol.CONNECT_DOMAIN_XML_TO_NATIVE, args)).nativeConfig
    assert line.startswith(f"LC_ALL=C PATH={os.environ['PATH']} ")
    for part in (
        "-name guest=guest,debug-threads=on -S",
        '\'{"driver":"file","filename":"/d/guest.img","node-name":"libvirt-1-storage",',
        '"driver":"virtio-balloon-pci","id":"balloon0"',
    ):
        assert part in line
    args = protocol.ConnectDomainXmlToNativeArgs("nothing", text, 0)
    error = await client.refused(protocol.CONNECT_DOMAIN_XML_TO_NATIVE, args)
    assert (error.code, error.domain) == (ErrorCode.INVALID_ARG, ErrorDomain.QEMU)
