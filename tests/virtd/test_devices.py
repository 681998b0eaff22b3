"""Devices attached, detached and updated, with their events, as libvirt's qemu driver has them."""

from __future__ import annotations

from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.constants.domain_flags import DomainXMLFlags
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from tests.virtd.conftest import Client, Virtd

LIVE, CONFIG = 1, 2
DISK = "<disk type='file' device='disk'><source file='/d/b.img'/><target dev='vdb' bus='virtio'/></disk>"
NIC = "<interface type='network'><source network='default'/><model type='virtio'/></interface>"
CDROM = "<disk type='file' device='cdrom'>{source}<target dev='hdc' bus='ide'/><readonly/></disk>"


async def subscribed(virtd: Virtd) -> tuple[Client, list[tuple[str, tuple[Any, ...]]]]:
    """A client, and the events of devices that it has seen."""
    client = await virtd.connect("qemu:///system")
    seen: list[tuple[str, tuple[Any, ...]]] = []
    for number, procedure in (
        (DomainEventID.DEVICE_ADDED, protocol.DOMAIN_EVENT_CALLBACK_DEVICE_ADDED),
        (DomainEventID.DEVICE_REMOVED, protocol.DOMAIN_EVENT_CALLBACK_DEVICE_REMOVED),
        (DomainEventID.TRAY_CHANGE, protocol.DOMAIN_EVENT_CALLBACK_TRAY_CHANGE),
    ):

        def note(one: Any, name: str = number.name) -> None:
            message = getattr(one, "msg", one)
            seen.append((name, (message.devAlias, getattr(message, "reason", None))))

        client.rpc.on_event(procedure, note)
        args = protocol.ConnectDomainEventCallbackRegisterAnyArgs(number, None)
        await client.call(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, args)
    return client, seen


async def test_a_disk_comes_and_goes_in_both_documents(virtd: Virtd) -> None:
    client, seen = await subscribed(virtd)
    domain = await client.define()
    await client.start(domain)
    both = protocol.DomainXmlFlagsArgs(domain, DISK, LIVE | CONFIG)
    await client.call(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, both)
    assert "<alias name='virtio-disk1'/>" in await client.xml(domain)
    definition = await client.xml(domain, DomainXMLFlags.INACTIVE)
    assert "vdb" in definition
    assert "alias" not in definition
    await client.call(protocol.DOMAIN_DETACH_DEVICE_FLAGS, both)
    assert "vdb" not in await client.xml(domain)
    assert "vdb" not in await client.xml(domain, DomainXMLFlags.INACTIVE)
    await client.state(domain)
    assert seen == [
        ("DEVICE_ADDED", ("virtio-disk1", None)),
        ("DEVICE_REMOVED", ("virtio-disk1", None)),
    ]
    error = await client.refused(protocol.DOMAIN_DETACH_DEVICE_FLAGS, both)
    assert error.code == ErrorCode.DEVICE_MISSING


async def test_a_console_that_shows_a_serial_port_has_the_ports_alias(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    ports = "<serial type='pty'/><console type='pty'/></devices>"
    text = (await client.xml(domain)).replace("</devices>", ports)
    await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    await client.start(domain)
    assert (await client.xml(domain)).count("<alias name='serial0'/>") == 2
    args = protocol.DomainXmlFlagsArgs(domain, DISK, LIVE)
    await client.call(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, args)


async def test_an_interface_has_one_address_in_both_documents_and_a_name_while_it_runs(
    virtd: Virtd,
) -> None:
    client, seen = await subscribed(virtd)
    domain = await client.define()
    await client.start(domain)
    assert "<target dev='vnet0'/>" in await client.xml(domain)
    args = protocol.DomainXmlFlagsArgs(domain, NIC, LIVE | CONFIG)
    await client.call(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, args)
    running = await client.xml(domain)
    defined = await client.xml(domain, DomainXMLFlags.INACTIVE)
    assert "<target dev='vnet1'/>" in running
    assert "vnet" not in defined
    macs = [line for line in running.splitlines() if "<mac" in line]
    assert macs == [line for line in defined.splitlines() if "<mac" in line]
    assert len(set(macs)) == 2
    alias = protocol.DomainDetachDeviceAliasArgs(domain, "net1", LIVE)
    await client.call(protocol.DOMAIN_DETACH_DEVICE_ALIAS, alias)
    await client.state(domain)
    assert [name for name, _ in seen] == ["DEVICE_ADDED", "DEVICE_REMOVED"]
    error = await client.refused(protocol.DOMAIN_DETACH_DEVICE_ALIAS, alias)
    assert error.code == ErrorCode.INTERNAL_ERROR


async def test_a_medium_is_changed_with_its_tray_out_and_in(virtd: Virtd) -> None:
    client, seen = await subscribed(virtd)
    domain = await client.define()
    cdrom = protocol.DomainXmlFlagsArgs(domain, CDROM.format(source=""), CONFIG)
    await client.call(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, cdrom)
    await client.start(domain)
    medium = CDROM.format(source="<source file='/d/cd.iso'/>")
    args = protocol.DomainXmlFlagsArgs(domain, medium, LIVE)
    await client.call(protocol.DOMAIN_UPDATE_DEVICE_FLAGS, args)
    assert "/d/cd.iso" in await client.xml(domain)
    assert "/d/cd.iso" not in await client.xml(domain, DomainXMLFlags.INACTIVE)
    await client.state(domain)
    assert seen == [("TRAY_CHANGE", ("ide0-1-0", 0)), ("TRAY_CHANGE", ("ide0-1-0", 1))]
    error = await client.refused(protocol.DOMAIN_DETACH_DEVICE_FLAGS, args)
    assert error.code == ErrorCode.OPERATION_UNSUPPORTED


async def test_the_short_call_is_for_running_guests(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    error = await client.refused(
        protocol.DOMAIN_ATTACH_DEVICE, protocol.DomainXmlArgs(domain, DISK)
    )
    assert (error.code, error.domain) == (ErrorCode.OPERATION_INVALID, ErrorDomain.DOMAIN)


async def test_the_test_driver_has_no_devices_to_attach(virtd: Virtd) -> None:
    client = await virtd.connect()
    domain = await client.define()
    args = protocol.DomainXmlFlagsArgs(domain, DISK, CONFIG)
    error = await client.refused(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, args)
    assert (error.code, error.domain) == (ErrorCode.NO_SUPPORT, ErrorDomain.DOMAIN)


BALLOON = "<memballoon model='virtio'/>"
SPICE = "<graphics type='spice'/>"
OTHER_DISK = DISK.replace("vdb", "vdz")
TAKEN = (
    DISK.replace("vdb", "sda")
    .replace("virtio", "scsi")
    .replace("</disk>", "<address type='drive' controller='0' bus='0' target='0' unit='0'/></disk>")
)


@pytest.mark.parametrize(
    ("procedure", "flags", "text", "code", "message"),
    [
        ("ATTACH", CONFIG, DISK.replace("vdb", "vda"), 55, "target vda already exists"),
        ("ATTACH", LIVE, DISK.replace("vdb", "vda"), 27, "target 'vda' duplicated"),
        (
            "ATTACH",
            CONFIG,
            BALLOON,
            84,
            "persistent attach of device 'memballoon' is not supported",
        ),
        ("ATTACH", CONFIG, TAKEN, 55, "Domain already contains a disk with that address"),
        (
            "DETACH",
            CONFIG,
            BALLOON,
            84,
            "persistent detach of device 'memballoon' is not supported",
        ),
        ("DETACH", CONFIG, OTHER_DISK, 99, "no target device vdz"),
        ("UPDATE", CONFIG, OTHER_DISK, 8, "target vdz doesn't exist."),
        ("UPDATE", LIVE, OTHER_DISK, 1, "disk 'vdz' not found"),
        ("UPDATE", CONFIG, SPICE, 8, "cannot find existing graphics type 'spice' device to modify"),
        ("UPDATE", CONFIG, BALLOON, 84, "persistent update of device 'memballoon' is not"),
        ("UPDATE", LIVE, BALLOON, 67, "live update of device 'memballoon' is not supported"),
        ("UPDATE", LIVE | CONFIG, BALLOON, 84, "persistent update"),
        ("UPDATE", LIVE, DISK.replace("vdb", "vda"), 67, "only in removable drives"),
    ],
)
async def test_a_device_is_refused_as_libvirtd_does(
    virtd: Virtd, procedure: str, flags: int, text: str, code: int, message: str
) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    if "scsi" in text:
        first = protocol.DomainXmlFlagsArgs(domain, TAKEN.replace("/d/b", "/d/c"), CONFIG)
        await client.call(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, first)
        text = text.replace("sda", "sdb")
    await client.start(domain)
    found = getattr(protocol, f"DOMAIN_{procedure}_DEVICE_FLAGS")
    error = await client.refused(found, protocol.DomainXmlFlagsArgs(domain, text, flags))
    assert error.code == code
    assert message in error.message


async def test_one_address_of_pci_is_used_once(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    address = "<address type='pci' domain='0' bus='0' slot='0x9' function='0'/></disk>"
    args = [
        protocol.DomainXmlFlagsArgs(
            domain, DISK.replace("vdb", name).replace("</disk>", address), 2
        )
        for name in ("vdb", "vdc")
    ]
    await client.call(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, args[0])
    error = await client.refused(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, args[1])
    assert error.code == ErrorCode.XML_ERROR
    assert error.message.endswith("Attempted double use of PCI Address 0000:00:09.0")


async def test_a_controller_without_an_index_gets_the_next_one(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    text = "<controller type='scsi' model='virtio-scsi'/>"
    for _ in range(2):
        args = protocol.DomainXmlFlagsArgs(domain, text, CONFIG)
        await client.call(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, args)
    assert "<controller type='scsi' index='1' model='virtio-scsi'>" in await client.xml(domain)
