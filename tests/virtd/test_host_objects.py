"""Secrets, devices, interfaces and filters of a host, as libvirt's drivers of 9.0.0 have them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.nodedev import ConnectListAllNodeDeviceFlags as Devices
from aiovirt.daemons.virtd.constants.secret import SecretUsageType
from aiovirt.daemons.virtd.host.store import Store
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from tests.virtd.conftest import Client, MakeVirtd, Virtd

QEMU = "qemu:///system"
TEST = "test:///default"
BOTH = pytest.mark.parametrize("uri", [TEST, QEMU])
VALUE = b"a value that nobody else sees"
SECRET = """
<secret ephemeral='{ephemeral}' private='{private}'>
  <usage type='ceph'><name>{name}</name></usage>
</secret>
"""


async def secret_of(
    client: Client, name: str = "client.x", *, ephemeral: str = "no", private: str = "no"
) -> protocol.NonnullSecret:
    text = SECRET.format(name=name, ephemeral=ephemeral, private=private)
    secret = (await client.call(protocol.SECRET_DEFINE_XML, protocol.XmlFlagsArgs(text, 0))).secret
    await client.call(protocol.SECRET_SET_VALUE, protocol.SecretSetValueArgs(secret, VALUE, 0))
    return secret


async def test_a_secret_is_found_by_its_use_and_gives_its_value(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    secret = await secret_of(client)
    args = protocol.SecretLookupByUsageArgs(SecretUsageType.CEPH, "client.x")
    assert (await client.call(protocol.SECRET_LOOKUP_BY_USAGE, args)).secret == secret
    flags = protocol.SecretFlagsArgs(secret, 0)
    assert (await client.call(protocol.SECRET_GET_VALUE, flags)).value == VALUE
    assert "value" not in (await client.call(protocol.SECRET_GET_XML_DESC, flags)).xml
    await client.call(protocol.SECRET_UNDEFINE, protocol.SecretUndefineArgs(secret))
    error = await client.refused(protocol.SECRET_LOOKUP_BY_USAGE, args)
    assert (error.code, error.domain) == (ErrorCode.NO_SECRET, ErrorDomain.SECRET)
    assert error.message == "Secret not found: no secret with matching usage 'client.x'"


async def test_a_private_secret_does_not_give_its_value(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    flags = protocol.SecretFlagsArgs(await secret_of(client, private="yes"), 0)
    error = await client.refused(protocol.SECRET_GET_VALUE, flags)
    assert (error.code, error.message) == (
        ErrorCode.INVALID_SECRET,
        "Invalid secret: secret is private",
    )


async def test_no_two_secrets_have_one_use(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    await secret_of(client)
    text = SECRET.format(name="client.x", ephemeral="no", private="no")
    error = await client.refused(protocol.SECRET_DEFINE_XML, protocol.XmlFlagsArgs(text, 0))
    assert error.code == ErrorCode.INTERNAL_ERROR
    assert error.message.endswith("already defined for use with client.x")


async def test_a_value_is_in_no_printed_form(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    secret = await secret_of(client)
    stored = virtd.host("qemu").secrets.by_uuid(secret.uuid)
    assert stored is not None
    for one in (
        protocol.SecretSetValueArgs(secret, VALUE, 0),
        protocol.SecretGetValueRet(VALUE),
        stored,
        stored.record,
    ):
        assert VALUE.decode() not in repr(one)


def secrets_stored(path: Path) -> list[bytes]:
    """The rows of the store's secrets."""
    store = Store(str(path), read_only=True)
    try:
        return [data for _, data in store.load("qemu", "secret")]
    finally:
        store.close()


async def test_an_ephemeral_secret_is_not_in_the_store(
    make_virtd: MakeVirtd, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    client = await (await make_virtd(str(store))).connect(QEMU)
    kept = await secret_of(client, "kept")
    await secret_of(client, "gone", ephemeral="yes")
    again = await (await make_virtd(str(store))).connect(QEMU)
    listed = await again.call(protocol.CONNECT_LIST_ALL_SECRETS, protocol.ListAllArgs(1, 0))
    assert listed.secrets == [kept]
    flags = protocol.SecretFlagsArgs(kept, 0)
    assert (await again.call(protocol.SECRET_GET_VALUE, flags)).value == VALUE
    rows = secrets_stored(store)
    assert len(rows) == 1
    assert b"gone" not in rows[0]


async def test_events_of_secrets_tell_what_happened(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    events: asyncio.Queue[Any] = asyncio.Queue()
    for number, message in (
        (0, protocol.SECRET_EVENT_LIFECYCLE),
        (1, protocol.SECRET_EVENT_VALUE_CHANGED),
    ):
        client.rpc.on_event(message, events.put_nowait)
        args = protocol.ConnectSecretEventRegisterAnyArgs(number, None)
        await client.call(protocol.CONNECT_SECRET_EVENT_REGISTER_ANY, args)
    secret = await secret_of(client)
    await client.call(protocol.SECRET_UNDEFINE, protocol.SecretUndefineArgs(secret))
    found = [await events.get() for _ in range(3)]
    assert [one.secret for one in found] == [secret] * 3
    assert [getattr(one, "event", None) for one in found] == [0, None, 1]


async def test_the_test_driver_has_no_secrets_and_no_filters(virtd: Virtd) -> None:
    client = await virtd.connect()
    for procedure in (protocol.CONNECT_LIST_ALL_SECRETS, protocol.CONNECT_LIST_ALL_NWFILTERS):
        error = await client.refused(procedure, protocol.ListAllArgs(1, 0))
        assert error.code == ErrorCode.NO_SUPPORT


async def devices_of(client: Client, flags: int = 0) -> list[str]:
    args = protocol.ListAllArgs(1, flags)
    listed = await client.call(protocol.CONNECT_LIST_ALL_NODE_DEVICES, args)
    return [one.name for one in listed.devices]


async def test_each_driver_has_its_devices(virtd: Virtd) -> None:
    client = await virtd.connect()
    hosts = ["scsi_host1", "scsi_host2", "scsi_host11"]
    assert sorted(await devices_of(client)) == sorted(["computer", *hosts])
    assert await devices_of(client, Devices.CAP_FC_HOST) == hosts
    assert await devices_of(client, Devices.CAP_VPORTS) == hosts[:2]
    client = await virtd.connect(QEMU)
    assert await devices_of(client, Devices.CAP_SYSTEM) == ["computer"]
    assert await devices_of(client, Devices.CAP_NET) == ["net_eth0_52_54_00_12_34_56"]
    assert await devices_of(client, Devices.CAP_STORAGE) == ["block_vda"]


async def test_a_virtual_port_comes_and_goes_with_events(virtd: Virtd) -> None:
    client = await virtd.connect()
    events: asyncio.Queue[Any] = asyncio.Queue()
    client.rpc.on_event(protocol.NODE_DEVICE_EVENT_LIFECYCLE, events.put_nowait)
    register = protocol.ConnectNodeDeviceEventRegisterAnyArgs(0, None)
    await client.call(protocol.CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY, register)
    text = (
        "<device><parent>scsi_host1</parent><capability type='scsi_host'><capability type='fc_host'>"
        "<wwnn>2000000012341235</wwnn><wwpn>1000000012341235</wwpn></capability></capability></device>"
    )
    args = protocol.XmlDescFlagsArgs(text, 0)
    device = (await client.call(protocol.NODE_DEVICE_CREATE_XML, args)).dev
    assert device.name == "scsi_host12"
    await client.call(protocol.NODE_DEVICE_DESTROY, protocol.NameArgs(device.name))
    found = [await events.get() for _ in range(2)]
    assert [(one.dev, one.event) for one in found] == [(device, 0), (device, 1)]


async def test_an_unknown_device_is_refused_in_its_drivers_name(virtd: Virtd) -> None:
    for uri, domain in ((TEST, ErrorDomain.TEST), (QEMU, ErrorDomain.NODEDEV)):
        client = await virtd.connect(uri)
        args = protocol.NameArgs("x")
        error = await client.refused(protocol.NODE_DEVICE_LOOKUP_BY_NAME, args)
        assert (error.code, error.domain) == (ErrorCode.NO_NODE_DEVICE, domain)
        assert error.message == "Node device not found: no node device with matching name 'x'"


async def interfaces_of(client: Client) -> list[str]:
    args = protocol.ListAllArgs(1, 0)
    listed = await client.call(protocol.CONNECT_LIST_ALL_INTERFACES, args)
    return sorted(one.name for one in listed.ifaces)


async def test_changes_of_interfaces_are_taken_back(make_virtd: MakeVirtd, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    client = await (await make_virtd(store)).connect()
    assert await interfaces_of(client) == ["eth1"]
    begin = protocol.FlagsArgs(0)
    await client.call(protocol.INTERFACE_CHANGE_BEGIN, begin)
    error = await client.refused(protocol.INTERFACE_CHANGE_BEGIN, begin)
    assert error.message.endswith("there is another transaction running.")
    text = "<interface type='ethernet' name='eth2'><mac address='aa:bb:cc:dd:ee:02'/></interface>"
    await client.call(protocol.INTERFACE_DEFINE_XML, protocol.XmlFlagsArgs(text, 0))
    assert await interfaces_of(client) == ["eth1", "eth2"]
    again = await (await make_virtd(store)).connect()  # the change outlives the process
    await again.call(protocol.INTERFACE_CHANGE_ROLLBACK, begin)
    assert await interfaces_of(again) == ["eth1"]
    error = await again.refused(protocol.INTERFACE_CHANGE_COMMIT, begin)
    assert (error.code, error.domain) == (ErrorCode.OPERATION_INVALID, ErrorDomain.TEST)


async def test_interfaces_of_qemus_host_are_only_looked_at(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    assert await interfaces_of(client) == ["eth0", "lo"]
    error = await client.refused(protocol.INTERFACE_CHANGE_BEGIN, protocol.FlagsArgs(0))
    assert (error.code, error.domain) == (ErrorCode.NO_SUPPORT, ErrorDomain.INTERFACE)
    mac = protocol.InterfaceLookupByMacStringArgs("52:54:00:12:34:56")
    assert (await client.call(protocol.INTERFACE_LOOKUP_BY_MAC_STRING, mac)).iface.name == "eth0"


async def filter_of(client: Client, name: str, *uses: str) -> protocol.NonnullNwfilter:
    inner = "".join(f"<filterref filter='{one}'/>" for one in uses)
    args = protocol.XmlArgs(f"<filter name='{name}'>{inner}</filter>")
    return (await client.call(protocol.NWFILTER_DEFINE_XML, args)).nwfilter


async def test_a_filter_that_others_use_stays(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    inner = await filter_of(client, "inner")
    outer = await filter_of(client, "outer", "inner")
    args = protocol.NwfilterUndefineArgs(inner)
    error = await client.refused(protocol.NWFILTER_UNDEFINE, args)
    assert (error.code, error.domain) == (ErrorCode.OPERATION_INVALID, ErrorDomain.NWFILTER)
    await client.call(protocol.NWFILTER_UNDEFINE, protocol.NwfilterUndefineArgs(outer))
    await client.call(protocol.NWFILTER_UNDEFINE, args)
    count = await client.call(protocol.CONNECT_NUM_OF_NWFILTERS)
    assert count.num == 0


async def test_filters_do_not_refer_to_each_other(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    await filter_of(client, "one", "two")
    text = "<filter name='two'><filterref filter='one'/></filter>"
    error = await client.refused(protocol.NWFILTER_DEFINE_XML, protocol.XmlArgs(text))
    assert error.message == "operation failed: filter would introduce a loop"


async def test_a_running_guest_uses_its_filter(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    used = await filter_of(client, "used")
    guest = await client.define("a &amp; b")
    text = (await client.xml(guest)).replace(
        "</interface>", "<filterref filter='used'/></interface>"
    )
    guest = (await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))).dom
    await client.start(guest)
    args = protocol.ListAllArgs(1, 0)
    listed = await client.call(protocol.CONNECT_LIST_ALL_NWFILTER_BINDINGS, args)
    (binding,) = listed.bindings
    assert binding.filtername == "used"
    wanted = protocol.NwfilterBindingGetXmlDescArgs(binding, 0)
    shown = (await client.call(protocol.NWFILTER_BINDING_GET_XML_DESC, wanted)).xml
    assert "<name>a &amp; b</name>" in shown
    error = await client.refused(protocol.NWFILTER_UNDEFINE, protocol.NwfilterUndefineArgs(used))
    assert error.message.endswith("nwfilter is in use")
