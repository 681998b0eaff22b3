"""Guests that ask for EFI get the files that libvirtd 9.0.0 gives them with Debian's package ovmf."""

from __future__ import annotations

import re

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_flags import DomainUndefineFlagsValues as Undefine
from aiovirt.rpc.wire.errors import ErrorCode
from tests.virtd.conftest import Client, Virtd

GUEST = """<domain type='qemu'><name>guest</name><memory>65536</memory>
<os firmware='{firmware}'><type arch='x86_64' machine='{machine}'>hvm</type>{os}</os>
<features><acpi/>{features}</features></domain>"""

SECURE = (
    "<loader readonly='yes' secure='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.ms.fd</loader>",
    "<nvram template='/usr/share/OVMF/OVMF_VARS_4M.ms.fd'>"
    "/var/lib/libvirt/qemu/nvram/guest_VARS.fd</nvram>",
)
PLAIN = (
    "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>",
    "<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>"
    "/var/lib/libvirt/qemu/nvram/guest_VARS.fd</nvram>",
)


async def defined(client: Client, **parts: str) -> protocol.NonnullDomain:
    """Define a guest: machine, firmware, and elements of os and features."""
    given = {"firmware": "efi", "machine": "q35", "os": "", "features": "", **parts}
    args = protocol.XmlArgs(GUEST.format_map(given))
    domain: protocol.NonnullDomain = (await client.call(protocol.DOMAIN_DEFINE_XML, args)).dom
    return domain


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"machine": "pc"}, PLAIN),
        ({}, SECURE),
        ({"features": "<smm state='on'/>"}, SECURE),
        ({"features": "<smm state='on'/>", "os": "<loader secure='yes'/>"}, SECURE),
        ({"os": "<firmware><feature enabled='no' name='secure-boot'/></firmware>"}, PLAIN),
    ],
)
async def test_a_running_guest_names_the_files_of_its_firmware(
    virtd: Virtd, parts: dict[str, str], expected: tuple[str, str]
) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await defined(client, **parts)
    await client.start(domain)
    text = await client.xml(domain)
    assert "<os>" in text  # libvirtd's says no longer that it asks for EFI
    assert re.findall(r"<loader.*|<nvram.*", text) == list(expected)
    assert ("<smm state='on'/>" in text) == (expected is SECURE)
    assert "<os firmware='efi'>" in await client.xml(domain, 2)  # INACTIVE


async def test_a_guest_whose_firmware_has_variables_is_not_undefined_by_mistake(
    virtd: Virtd,
) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await defined(client)
    flags = protocol.DomainFlagsArgs(domain, 0)
    await client.start(domain)
    await client.call(protocol.DOMAIN_DESTROY, protocol.DomainArgs(domain))
    error = await client.refused(protocol.DOMAIN_UNDEFINE_FLAGS, flags)
    assert error.code == ErrorCode.OPERATION_INVALID
    assert "cannot undefine domain with nvram" in error.message
    flags = protocol.DomainFlagsArgs(domain, int(Undefine.NVRAM))
    await client.call(protocol.DOMAIN_UNDEFINE_FLAGS, flags)


async def test_a_guest_that_never_ran_has_no_variables(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    args = protocol.DomainFlagsArgs(await defined(client), 0)
    await client.call(protocol.DOMAIN_UNDEFINE_FLAGS, args)


@pytest.mark.parametrize(
    "parts",
    [
        {"firmware": "bios", "machine": "pc"},
        {
            "machine": "pc",
            "os": "<firmware><feature enabled='yes' name='secure-boot'/></firmware>",
        },
    ],
)
async def test_a_firmware_that_no_file_is_for_is_refused(
    virtd: Virtd, parts: dict[str, str]
) -> None:
    client = await virtd.connect("qemu:///system")
    args = protocol.DomainArgs(await defined(client, **parts))
    error = await client.refused(protocol.DOMAIN_CREATE, args)
    assert error.code == ErrorCode.OPERATION_FAILED
    assert "Unable to find any firmware to satisfy" in error.message
