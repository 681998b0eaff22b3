"""Network filters are bound to the interfaces of running guests, and to ports that clients name.

Errors are those of libvirtd 9.0.0: src/nwfilter/nwfilter_driver.c, src/conf/virnwfilterbindingdef.c.
"""

from __future__ import annotations

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import DomainState
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from tests.virtd.conftest import Client, Virtd

UUID = "11111111-2222-3333-4444-555555555555"
BINDING = f"""<filterbinding>
  <owner>
    <name>mine</name>
    <uuid>{UUID}</uuid>
  </owner>
  <portdev name='tap7'/>
  <linkdev name='eth0'/>
  <mac address='52:54:00:00:00:07'/>
  <filterref filter='used'>
    <parameter name='CTRL' value='dhcp'/>
    <parameter name='IP' value='10.0.0.2'/>
    <parameter name='IP' value='10.0.0.3'/>
  </filterref>
</filterbinding>
"""
FLAGS = protocol.ListAllArgs(1, 0)


@pytest.fixture
async def client(virtd: Virtd) -> Client:
    """A client of a host with one filter."""
    client = await virtd.connect("qemu:///system")
    await client.call(protocol.NWFILTER_DEFINE_XML, protocol.XmlArgs("<filter name='used'/>"))
    return client


async def ports(client: Client) -> list[tuple[str, str]]:
    listed = await client.call(protocol.CONNECT_LIST_ALL_NWFILTER_BINDINGS, FLAGS)
    assert listed.ret == len(listed.bindings)
    return [(one.portdev, one.filtername) for one in listed.bindings]


async def create(client: Client, text: str, flags: int = 0) -> protocol.NonnullNwfilterBinding:
    args = protocol.XmlFlagsArgs(text, flags)
    made: protocol.NwfilterBindingRet = await client.call(
        protocol.NWFILTER_BINDING_CREATE_XML, args
    )
    return made.nwfilter


async def refused(client: Client, text: str) -> RpcError:
    args = protocol.XmlFlagsArgs(text, 0)
    return await client.refused(protocol.NWFILTER_BINDING_CREATE_XML, args)


async def xml(client: Client, binding: protocol.NonnullNwfilterBinding) -> str:
    args = protocol.NwfilterBindingGetXmlDescArgs(binding, 0)
    return str((await client.call(protocol.NWFILTER_BINDING_GET_XML_DESC, args)).xml)


async def delete(client: Client, binding: protocol.NonnullNwfilterBinding) -> None:
    args = protocol.NwfilterBindingDeleteArgs(binding)
    await client.call(protocol.NWFILTER_BINDING_DELETE, args)


async def define(
    client: Client, name: str, filtered: str, port: str = ""
) -> protocol.NonnullDomain:
    """Define a guest whose interface has a filter."""
    guest = await client.define(name)
    inner = f"<filterref filter='{filtered}'/></interface>"
    if port:
        inner = f"<target dev='{port}'/>{inner}"
    text = (await client.xml(guest)).replace("</interface>", inner)
    made: protocol.DomainRet = await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    return made.dom


async def test_a_binding_is_created_and_deleted(client: Client) -> None:
    binding = await create(client, BINDING, 1)
    assert (binding.portdev, binding.filtername) == ("tap7", "used")
    assert await ports(client) == [("tap7", "used")]
    assert await xml(client, binding) == BINDING
    found = await client.call(
        protocol.NWFILTER_BINDING_LOOKUP_BY_PORT_DEV, protocol.NameArgs("tap7")
    )
    assert found.nwfilter == binding
    await delete(client, binding)
    assert await ports(client) == []
    args = protocol.NwfilterBindingDeleteArgs(binding)
    gone = await client.refused(protocol.NWFILTER_BINDING_DELETE, args)
    assert (gone.code, gone.domain) == (ErrorCode.NO_NWFILTER_BINDING, ErrorDomain.NWFILTER)
    assert gone.message.endswith("no nwfilter binding for port dev 'tap7'")


async def test_a_port_has_one_binding(client: Client) -> None:
    await create(client, BINDING)
    error = await refused(client, BINDING)
    assert (error.code, error.domain) == (ErrorCode.OPERATION_FAILED, ErrorDomain.NWFILTER)
    assert error.message == "operation failed: binding 'tap7' already exists"
    guest = await define(client, "guest", "used", "tap7")
    error = await client.refused(protocol.DOMAIN_CREATE, protocol.DomainArgs(guest))
    assert error.message == "operation failed: binding 'tap7' already exists"
    assert (await client.state(guest))[0] == DomainState.SHUTOFF


async def test_a_filter_that_does_not_exist_is_not_bound(client: Client) -> None:
    missing = "internal error: referenced filter 'other' is missing"
    text = BINDING.replace("tap7", "eth0")
    error = await refused(client, text.replace("'used'", "'other'"))
    assert (error.code, error.domain) == (ErrorCode.INTERNAL_ERROR, ErrorDomain.NWFILTER)
    assert error.message == missing
    outer = protocol.XmlArgs("<filter name='outer'><filterref filter='other'/></filter>")
    await client.call(protocol.NWFILTER_DEFINE_XML, outer)
    assert (await refused(client, text.replace("'used'", "'outer'"))).message == missing
    guest = await define(client, "guest", "other")
    error = await client.refused(protocol.DOMAIN_CREATE, protocol.DomainArgs(guest))
    assert error.message == missing
    assert await ports(client) == []


@pytest.mark.parametrize(
    ("part", "other", "message"),
    [
        ("<portdev name='tap7'/>", "", "filter binding has no port dev name"),
        ("<linkdev name='eth0'/>", "<linkdev/>", "filter binding has no link dev name"),
        ("<name>mine</name>", "", "filter binding has no owner name"),
        (f"<uuid>{UUID}</uuid>", "", "filter binding has no owner UUID"),
        (UUID, "x", "Unable to parse UUID 'x'"),
        ("<mac address='52:54:00:00:00:07'/>", "", "filter binding has no MAC address"),
        ("52:54:00:00:00:07", "52", "Unable to parse MAC '52'"),
        ("filter='used'", "", "filter binding has no filter reference"),
    ],
)
async def test_a_binding_that_is_not_whole_is_refused(
    client: Client, part: str, other: str, message: str
) -> None:
    error = await refused(client, BINDING.replace(part, other))
    assert (error.code, error.domain) == (ErrorCode.INTERNAL_ERROR, ErrorDomain.NWFILTER)
    assert error.message == f"internal error: {message}"


async def test_the_binding_of_a_guest_lasts_while_it_runs(client: Client) -> None:
    guest = await define(client, "guest", "used")
    await client.start(guest)
    assert await ports(client) == [("vnet0", "used")]
    binding = protocol.NonnullNwfilterBinding("vnet0", "used")
    await delete(client, binding)
    assert await ports(client) == []
    await client.call(protocol.DOMAIN_DESTROY, protocol.DomainArgs(guest))
    await client.start(guest)
    assert await ports(client) == [("vnet1", "used")]
    await client.call(protocol.DOMAIN_DESTROY, protocol.DomainArgs(guest))
    assert await ports(client) == []


async def test_an_attached_interface_is_bound(client: Client) -> None:
    guest = await client.define()
    await client.start(guest)
    device = (
        "<interface type='bridge'><source bridge='br0'/><target dev='tap9'/>"
        "<filterref filter='{}'/></interface>"
    )
    args = protocol.DomainXmlArgs(guest, device.format("other"))
    error = await client.refused(protocol.DOMAIN_ATTACH_DEVICE, args)
    assert error.message == "internal error: referenced filter 'other' is missing"
    args = protocol.DomainXmlArgs(guest, device.format("used"))
    await client.call(protocol.DOMAIN_ATTACH_DEVICE, args)
    assert await ports(client) == [("tap9", "used")]


async def test_a_binding_to_a_port_that_does_not_exist_needs_no_filter(client: Client) -> None:
    """libvirtd accepts it, and lets the filter go."""
    await create(client, BINDING.replace("'used'", "'other'"))
    assert await ports(client) == [("tap7", "other")]


async def test_a_filter_in_use_stays(client: Client) -> None:
    binding = await create(client, BINDING.replace("tap7", "eth0"))
    by_name = protocol.NameArgs("used")
    found = (await client.call(protocol.NWFILTER_LOOKUP_BY_NAME, by_name)).nwfilter
    args = protocol.NwfilterUndefineArgs(found)
    error = await client.refused(protocol.NWFILTER_UNDEFINE, args)
    assert error.message.endswith("nwfilter is in use")
    await delete(client, binding)
    await client.call(protocol.NWFILTER_UNDEFINE, args)
