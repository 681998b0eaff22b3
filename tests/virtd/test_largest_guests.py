"""Guests at the bounds of documents: what virtd accepts it can read again, and so can its clients.

libvirt has no such bounds; they are those of docs/documents.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.host import documents
from aiovirt.daemons.virtd.xml.checking.limits import DEVICES_MAX
from aiovirt.rpc.wire.errors import ErrorCode
from tests.virtd.conftest import DOMAIN, Client, MakeVirtd, Virtd

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CHANNEL = "<channel type='unix'><target type='virtio' name='c{0}'/></channel>"


def disks(count: int) -> str:
    """Write disks of SCSI, of which each controller has seven."""
    heads = ["", *LETTERS, *(one + two for one in LETTERS for two in LETTERS)]
    names = [f"sd{head}{last}" for head in heads for last in LETTERS][:count]
    return "".join(
        f"<disk type='file'><source file='/{name}'/><target dev='{name}'/></disk>" for name in names
    )


def guest(devices: str, more: str = "", title: str = "test") -> str:
    """Write a guest with these devices only."""
    head, _, rest = DOMAIN.format(title=title, name="large").partition("<devices>")
    return f"{head}{more}<devices>{devices}{rest[rest.index('</devices>') :]}"


async def defined(client: Client, text: str) -> protocol.NonnullDomain:
    return (await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))).dom


async def test_the_largest_guest_is_saved_restored_and_defined_again(virtd: Virtd) -> None:
    client = await virtd.connect()
    domain = await defined(client, guest(disks(DEVICES_MAX)))
    text = await client.xml(domain)
    assert text.count("<controller") == -(-DEVICES_MAX // 7)
    await client.start(domain)
    await client.call(protocol.DOMAIN_SAVE, protocol.DomainSaveArgs(domain, "/saved"))
    await client.call(protocol.DOMAIN_RESTORE, protocol.DomainRestoreArgs("/saved"))
    await client.call(protocol.DOMAIN_DESTROY, protocol.DomainArgs(domain))
    await defined(client, text)
    assert await client.xml(domain) == text


async def test_a_large_guest_is_read_after_a_restart(
    make_virtd: MakeVirtd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await (await make_virtd(str(tmp_path / "store"))).connect()
    text = await client.xml(await defined(client, guest(disks(DEVICES_MAX))))
    monkeypatch.setattr(documents, "_read", {})  # as a new process has it
    again = await (await make_virtd(str(tmp_path / "store"))).connect()
    args = protocol.NameArgs("large")
    found = (await again.call(protocol.DOMAIN_LOOKUP_BY_NAME, args)).dom
    assert await again.xml(found) == text


@pytest.mark.parametrize(
    ("devices", "what"),
    [
        (disks(DEVICES_MAX + 1), "devices"),
        ("<controller type='scsi'/>" * (DEVICES_MAX + 1), "controllers"),
    ],
    ids=["devices", "controllers"],
)
async def test_more_devices_are_refused(virtd: Virtd, devices: str, what: str) -> None:
    client = await virtd.connect()
    error = await client.refused(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(guest(devices)))
    assert error.code == ErrorCode.XML_DETAIL
    assert error.message == f"too many {what}: {DEVICES_MAX + 1}, at most {DEVICES_MAX}"


def channels(count: int) -> str:
    """Write channels, which share one controller."""
    return "".join(map(CHANNEL.format, range(count)))


async def test_a_guest_with_the_most_devices_gets_no_other(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    small = await defined(client, guest("", title="qemu").replace("large", "small"))
    others = (await client.xml(small)).partition("<devices>")[2]
    own = others.count("\n    <") - others.count("\n    </") - others.count("\n    <controller")
    domain = await defined(client, guest(channels(DEVICES_MAX - own), title="qemu"))
    text = await client.xml(domain)
    args = protocol.DomainXmlFlagsArgs(domain, CHANNEL.format("new"), 2)
    error = await client.refused(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, args)
    assert error.code == ErrorCode.XML_DETAIL
    assert error.message == f"too many devices: {DEVICES_MAX + 1}, at most {DEVICES_MAX}"
    assert await client.xml(domain) == text


async def test_more_ports_of_usb_than_a_document_can_have_are_refused(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    tablets = "<input type='tablet' bus='usb'/>" * 1000
    args = protocol.XmlArgs(guest(tablets, title="qemu"))
    error = await client.refused(protocol.DOMAIN_DEFINE_XML, args)
    assert error.code == ErrorCode.INTERNAL_ERROR  # as libvirt says it, of fewer
    assert error.message == "internal error: No free USB ports"


async def test_a_document_that_becomes_too_large_is_refused(virtd: Virtd) -> None:
    client = await virtd.connect()
    quotes = '"' * 1_000_000  # libvirt writes each with six characters
    text = guest("", f"<description>{quotes}</description>")
    error = await client.refused(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    assert error.code == ErrorCode.XML_DETAIL
    assert "(completed domain_definition)" in error.message
    assert "is too large: at most 1048576" in error.message
    await client.refused(protocol.DOMAIN_LOOKUP_BY_NAME, protocol.NameArgs("large"))
