"""The agent of a guest: it comes when the guest has booted, and answers as QEMU's agent does.

The expected answers are those of QEMU's agent 7.2 in a Linux guest, through libvirtd 9.0.0.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import DomainState
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.constants.domain_flags import DomainVcpuFlags
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import to_dict
from tests.virtd.conftest import Client, MakeVirtd, Virtd

CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
MINUTES = 600.0
Domain = protocol.NonnullDomain


@pytest.fixture
async def client(virtd: Virtd) -> Client:
    """A client of the qemu driver."""
    return await virtd.connect("qemu:///system")


async def guest(client: Client, device: str = CHANNEL) -> Domain:
    """A running guest with one more device: the channel of an agent, or another one."""
    domain = await client.define()
    text = (await client.xml(domain)).replace("</devices>", f"{device}</devices>")
    await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    await client.start(domain)
    return domain


async def agent_state(client: Client, domain: Domain) -> str:
    """The state of the channel in the live document."""
    text = await client.xml(domain)
    return text.partition("name='org.qemu.guest_agent.0' state='")[2].partition("'")[0]


async def command(client: Client, domain: Domain, name: str, **arguments: Any) -> Any:
    """The value of a command of the agent."""
    request = json.dumps({"execute": name, "arguments": arguments})
    args = protocol.DomainAgentCommandArgs(domain, request, -1, 0)
    answer = await client.call(protocol.DOMAIN_AGENT_COMMAND, args)
    return json.loads(answer.result)["return"]


async def refusal(client: Client, domain: Domain, request: str) -> RpcError:
    """The error for a request to the agent."""
    args = protocol.DomainAgentCommandArgs(domain, request, -1, 0)
    return await client.refused(protocol.DOMAIN_AGENT_COMMAND, args)


async def events(client: Client) -> list[tuple[int, int]]:
    """State and reason of each event of agents from now on."""
    seen: list[tuple[int, int]] = []
    client.rpc.on_event(
        protocol.DOMAIN_EVENT_CALLBACK_AGENT_LIFECYCLE,
        lambda one: seen.append((one.state, one.reason)),
    )
    number = DomainEventID.AGENT_LIFECYCLE
    args = protocol.ConnectDomainEventCallbackRegisterAnyArgs(number, None)
    await client.call(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, args)
    return seen


# When it comes and goes ------------------------------------------------------------------------------


async def test_an_agent_connects_after_the_boot_and_again_after_a_reset(
    virtd: Virtd, client: Client
) -> None:
    seen = await events(client)
    virtd.host("qemu").pace.boot = MINUTES
    domain = await guest(client)
    assert await agent_state(client, domain) == "disconnected"
    assert seen == [(2, 1)]
    found = virtd.host("qemu").domains.by_uuid(domain.uuid)
    assert found is not None
    virtd.host("qemu").pace.boot = 0.0
    await client.call(protocol.DOMAIN_SUSPEND, protocol.DomainArgs(domain))
    await client.call(protocol.DOMAIN_RESUME, protocol.DomainArgs(domain))
    assert await agent_state(client, domain) == "connected"
    await client.call(protocol.DOMAIN_RESET, protocol.DomainFlagsArgs(domain, 0))
    assert await agent_state(client, domain) == "connected"
    assert seen == [(2, 1), (1, 2), (2, 2), (1, 2)]
    inactive = await client.xml(domain, 2)
    assert "state=" not in inactive.partition("<channel")[2].partition("</channel>")[0]
    assert "domain-1-guest/org.qemu.guest_agent.0" not in inactive


async def test_a_paused_guest_does_not_boot(virtd: Virtd, client: Client) -> None:
    domain = await client.define()
    text = (await client.xml(domain)).replace("</devices>", f"{CHANNEL}</devices>")
    await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    await client.call(protocol.DOMAIN_CREATE_WITH_FLAGS, protocol.DomainFlagsArgs(domain, 1))
    assert await agent_state(client, domain) == "disconnected"
    error = await client.refused(
        protocol.DOMAIN_GET_GUEST_INFO, protocol.DomainGetGuestInfoArgs(domain, 0, 0)
    )
    assert (error.code, error.domain) == (ErrorCode.OPERATION_INVALID, ErrorDomain.QEMU)


async def test_a_guest_goes_on_booting_after_the_end_of_the_daemon(
    make_virtd: MakeVirtd, tmp_path: Any
) -> None:
    store = str(tmp_path / "store")
    virtd = await make_virtd(store)
    virtd.host("qemu").pace.boot = MINUTES
    domain = await guest(await virtd.connect("qemu:///system"))
    virtd.hosts.close()
    other = await make_virtd(store)
    pending = [what for (_, what), _ in other.host("qemu").timers.pending()]
    assert pending == ["boot"]
    seen = await events(client := await other.connect("qemu:///system"))
    while not seen:
        await client.call(protocol.CONNECT_GET_TYPE)
        await asyncio.sleep(0.01)
    assert await agent_state(client, domain) == "connected"


async def test_a_channel_that_is_plugged_in_gets_an_agent(client: Client) -> None:
    domain = await guest(client, "<controller type='virtio-serial'/>")
    args = protocol.DomainXmlFlagsArgs(domain, CHANNEL, 1)
    await client.call(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, args)
    assert await agent_state(client, domain) == "connected"


async def test_a_channel_needs_a_controller_that_is_there(client: Client) -> None:
    domain = await client.define()
    await client.start(domain)
    args = protocol.DomainXmlFlagsArgs(domain, CHANNEL, 1)
    error = await client.refused(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, args)
    assert (error.code, error.domain) == (ErrorCode.INTERNAL_ERROR, ErrorDomain.DOMAIN)
    assert "no virtio-serial controllers are available" in str(error)


async def test_the_test_drivers_guests_have_no_agent(virtd: Virtd) -> None:
    client = await virtd.connect()
    domain = await guest(client)
    assert await agent_state(client, domain) == ""
    error = await refusal(client, domain, "{}")
    assert (error.code, error.domain) == (ErrorCode.NO_SUPPORT, ErrorDomain.NONE)


# Commands ------------------------------------------------------------------------------------------


async def test_an_agent_executes_commands(client: Client) -> None:
    domain = await guest(client)
    assert await command(client, domain, "guest-ping") == {}
    assert await command(client, domain, "guest-sync", id=7) == 7
    assert await command(client, domain, "guest-get-host-name") == {"host-name": "guest"}
    assert (await command(client, domain, "guest-get-osinfo"))["id"] == "debian"
    assert await command(client, domain, "guest-get-timezone") == {"zone": "UTC", "offset": 0}
    interfaces = await command(client, domain, "guest-network-get-interfaces")
    addresses = [one["ip-address"] for one in interfaces[1]["ip-addresses"]]
    assert interfaces[0]["name"] == "lo"
    assert addresses[0].startswith("192.168.122.")
    assert addresses[1].startswith("fe80::5054:ff:fe")
    known = {
        one["name"]: one["enabled"]
        for one in (await command(client, domain, "guest-info"))["supported_commands"]
    }
    assert known["guest-get-fsinfo"]
    assert not known["guest-exec"]
    assert await command(client, domain, "guest-set-vcpus", vcpus=[]) == 0


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ('{"execute":"x"}', "'x': The command x has not been found"),
        ('{"execute":"guest-exec"}', "'guest-exec': Command guest-exec has been disabled"),
        ('{"execute":"guest-sync"}', "'guest-sync': Parameter 'id' is missing"),
        (
            '{"execute":"guest-sync","arguments":{"id":"x"}}',
            "'guest-sync': Invalid parameter type for 'id', expected: integer",
        ),
        (
            '{"execute":"guest-ping","arguments":{"x":1}}',
            "'guest-ping': Parameter 'x' is unexpected",
        ),
        ('{"execute":5}', "'<unknown>': QMP input member 'execute' must be a string"),
        ("[]", "'<unknown>': QMP input must be a JSON object"),
        ("{}", "'<unknown>': QMP input lacks member 'execute'"),
        ('{"execute":"guest-ping","y":1}', "'guest-ping': QMP input member 'y' is unexpected"),
    ],
)
async def test_an_agent_refuses_in_its_own_words(client: Client, request_: str, text: str) -> None:
    error = await refusal(client, await guest(client), request_)
    assert (error.code, error.domain) == (ErrorCode.INTERNAL_ERROR, ErrorDomain.QEMU)
    assert error.message == f"internal error: unable to execute QEMU agent command {text}"


async def test_what_is_not_json_is_refused(client: Client) -> None:
    domain = await guest(client)
    for text in ("{", "[" * 100_000):
        error = await refusal(client, domain, text)
        assert (error.code, error.domain) == (ErrorCode.INTERNAL_ERROR, ErrorDomain.NONE)
        assert error.message.startswith(f"internal error: cannot parse json {text[:50]}")


async def test_an_agent_ends_its_guest_without_a_reply(client: Client) -> None:
    domain = await guest(client)
    error = await refusal(client, domain, '{"execute":"guest-shutdown"}')
    assert error.code == ErrorCode.AGENT_UNRESPONSIVE
    assert (await client.state(domain))[0] == DomainState.SHUTOFF
    error = await refusal(client, domain, '{"execute":"guest-ping"}')
    assert (error.code, error.domain) == (ErrorCode.OPERATION_INVALID, ErrorDomain.DOMAIN)


# The functions of libvirt -----------------------------------------------------------------------------


async def test_frozen_file_systems_disable_other_commands(client: Client) -> None:
    domain = await guest(client)
    everything = protocol.DomainMountpointsArgs(domain, [], 0)
    one = protocol.DomainMountpointsArgs(domain, ["/boot"], 0)
    assert (await client.call(protocol.DOMAIN_FSFREEZE, one)).filesystems == 1
    error = await client.refused(protocol.DOMAIN_FSFREEZE, everything)
    assert error.message.endswith(
        "'guest-fsfreeze-freeze': Command guest-fsfreeze-freeze has been disabled:"
        " the agent is in frozen state"
    )
    assert await command(client, domain, "guest-fsfreeze-status") == "frozen"
    flags = protocol.DomainFlagsArgs(domain, 0)
    assert "frozen" in (await client.refused(protocol.DOMAIN_GET_FSINFO, flags)).message
    assert (await client.refused(protocol.DOMAIN_FSTHAW, one)).code == (
        ErrorCode.ARGUMENT_UNSUPPORTED
    )
    assert (await client.call(protocol.DOMAIN_FSTHAW, everything)).filesystems == 1
    assert (await client.call(protocol.DOMAIN_FSTHAW, everything)).filesystems == 0
    assert (await client.call(protocol.DOMAIN_FSFREEZE, everything)).filesystems == 2


async def test_an_agent_answers_libvirts_functions(client: Client) -> None:
    domain = await guest(client)
    flags = protocol.DomainFlagsArgs(domain, 0)
    assert (await client.call(protocol.DOMAIN_GET_HOSTNAME, flags)).hostname == "guest"
    await client.call(protocol.DOMAIN_SET_TIME, protocol.DomainSetTimeArgs(domain, 1000, 0, 0))
    assert 1000 <= (await client.call(protocol.DOMAIN_GET_TIME, flags)).seconds < 1100
    filesystems = (await client.call(protocol.DOMAIN_GET_FSINFO, flags)).info
    assert [(one.mountpoint, one.name, one.dev_aliases) for one in filesystems] == [
        ("/", "vda1", ["vda"]),
        ("/boot", "vda2", ["vda"]),
    ]
    info = protocol.DomainGetGuestInfoArgs(domain, 0, 0)
    facts = to_dict((await client.call(protocol.DOMAIN_GET_GUEST_INFO, info)).params)
    assert (facts["os.id"], facts["hostname"], facts["fs.count"]) == ("debian", "guest", 2)
    assert (facts["disk.1.name"], facts["disk.1.dependency.0.name"]) == ("/dev/vda1", "/dev/vda")
    assert facts["if.1.addr.0.type"] == "ipv4"
    password = protocol.DomainSetUserPasswordArgs(domain, "root", "secret", 0)
    await client.call(protocol.DOMAIN_SET_USER_PASSWORD, password)
    source = protocol.DomainInterfaceAddressesArgs(domain, 1, 0)
    found = (await client.call(protocol.DOMAIN_INTERFACE_ADDRESSES, source)).ifaces
    assert [one.name for one in found] == ["lo", "eth0"]


async def test_processors_are_switched_within_the_guest(client: Client) -> None:
    domain = await guest(client)
    guest_flag = DomainVcpuFlags.GUEST
    off = protocol.DomainCpumapStateArgs(domain, "1", 0, 0)
    await client.call(protocol.DOMAIN_SET_GUEST_VCPUS, off)
    flags = protocol.DomainFlagsArgs(domain, 0)
    answer = await client.call(protocol.DOMAIN_GET_GUEST_VCPUS, flags)
    assert to_dict(answer.params) == {"vcpus": "0-1", "online": "0", "offlinable": "1"}
    for text, code in (("0", ErrorCode.OPERATION_UNSUPPORTED), ("7", ErrorCode.INVALID_ARG)):
        args = protocol.DomainCpumapStateArgs(domain, text, 0, 0)
        assert (await client.refused(protocol.DOMAIN_SET_GUEST_VCPUS, args)).code == code
    count = protocol.DomainFlagsArgs(domain, guest_flag)
    assert (await client.call(protocol.DOMAIN_GET_VCPUS_FLAGS, count)).num == 1
    both = protocol.DomainSetVcpusFlagsArgs(domain, 2, guest_flag)
    await client.call(protocol.DOMAIN_SET_VCPUS_FLAGS, both)
    assert (await client.call(protocol.DOMAIN_GET_VCPUS_FLAGS, count)).num == 2
    more = protocol.DomainSetVcpusFlagsArgs(domain, 3, guest_flag)
    assert (await client.refused(protocol.DOMAIN_SET_VCPUS_FLAGS, more)).message.endswith("3 > 2")


async def test_keys_are_added_removed_and_replaced(client: Client) -> None:
    domain = await guest(client)

    async def change(keys: list[str], flags: int) -> None:
        args = protocol.DomainAuthorizedSshKeysSetArgs(domain, "root", keys, flags)
        await client.call(protocol.DOMAIN_AUTHORIZED_SSH_KEYS_SET, args)

    wanted = protocol.DomainAuthorizedSshKeysGetArgs(domain, "root", 0)
    error = await client.refused(protocol.DOMAIN_AUTHORIZED_SSH_KEYS_GET, wanted)
    assert "No such file or directory" in error.message
    await change(["a", "b"], 0)
    await change(["b", "c"], 1)
    await change(["a"], 2)
    answer = await client.call(protocol.DOMAIN_AUTHORIZED_SSH_KEYS_GET, wanted)
    assert answer.keys == ["b", "c"]
    await change(["d"], 0)
    assert (await client.call(protocol.DOMAIN_AUTHORIZED_SSH_KEYS_GET, wanted)).keys == ["d"]
