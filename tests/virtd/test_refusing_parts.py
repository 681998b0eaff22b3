"""A refusal names the part of libvirt that refuses (the domain of its error), as libvirtd 9.0.0 does."""

from __future__ import annotations

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from tests.virtd.conftest import Virtd
from tests.virtd.interop.story import documents

#: Documents of the stories, with the answers of libvirtd's QEMU driver.
ANSWERS = {
    "bootloader": (ErrorCode.CONFIG_UNSUPPORTED, ErrorDomain.QEMU),
    "cdrom-virtio": (ErrorCode.CONFIG_UNSUPPORTED, ErrorDomain.QEMU),
    "clock-timer-pit": (ErrorCode.CONFIG_UNSUPPORTED, ErrorDomain.QEMU),
    "cpu-custom-nomodel": (ErrorCode.XML_ERROR, ErrorDomain.CPU),
    "cpu-vendor": (ErrorCode.XML_ERROR, ErrorDomain.CPU),
    "ctl-pci-root-q35": (ErrorCode.XML_ERROR, ErrorDomain.QEMU),
    "ctl-queues": (ErrorCode.CONFIG_UNSUPPORTED, ErrorDomain.QEMU),
    "disk-ide5": (ErrorCode.INTERNAL_ERROR, ErrorDomain.QEMU),
    "disk-iothread-none": (ErrorCode.CONFIG_UNSUPPORTED, ErrorDomain.QEMU),
    "efi-noacpi": (ErrorCode.CONFIG_UNSUPPORTED, ErrorDomain.QEMU),
    "fs-virtiofs-nomem": (ErrorCode.CONFIG_UNSUPPORTED, ErrorDomain.QEMU),
    "pci-addr-domain": (ErrorCode.XML_ERROR, ErrorDomain.DOMAIN),
    "usb-port-dup": (ErrorCode.XML_ERROR, ErrorDomain.DOMAIN),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_refusal_names_the_part_that_refuses(virtd: Virtd, name: str) -> None:
    client = await virtd.connect("qemu:///system")
    text = documents()[name].replace("@driver", "qemu").replace("@dir", "/d")
    error = await client.refused(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    assert (error.code, error.domain) == ANSWERS[name]


@pytest.mark.parametrize(
    ("machine", "firmware"), [("pc", ["", "no"]), ("q35", [".ms", ".secboot", "", "yes"])]
)
async def test_firmware_that_needs_q35_is_offered_there_only(
    virtd: Virtd, machine: str, firmware: list[str]
) -> None:
    client = await virtd.connect("qemu:///system")
    args = protocol.ConnectGetDomainCapabilitiesArgs(None, None, machine, "qemu", 0)
    answer = await client.call(protocol.CONNECT_GET_DOMAIN_CAPABILITIES, args)
    *names, secure = firmware
    text = answer.capabilities
    expected = "".join(
        f"      <value>/usr/share/OVMF/OVMF_CODE_4M{name}.fd</value>\n" for name in names
    )
    assert f"<loader supported='yes'>\n{expected}      <enum name='type'>" in text
    assert f"<enum name='secure'>\n        <value>{secure}</value>" in text
