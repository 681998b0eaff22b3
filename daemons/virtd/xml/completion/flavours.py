"""The defaults of each driver.

Source: libvirt's src/test/test_driver.c (testDriverNew, testDomainDevicesDefPostParse) and
src/qemu/qemu_domain.c (qemuDomainDefPostParse, qemuDomainDeviceDefPostParse).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Flavour:
    """A driver's defaults."""

    name: str
    #: The architecture of a guest that names none.
    arch: str
    #: The first three bytes of a hardware address that is made.
    mac_prefix: str = "52:54:00"
    #: The beginning of an interface's name on the host that is made at definition; empty for none.
    interface_prefix: str = ""
    #: Disks that a wide SCSI controller takes; 7 for a narrow one.
    scsi_units: int = 7
    #: Whether the memory of its nodes is a guest's, whatever `<memory>` says.
    memory_of_nodes: bool = False
    #: Bytes of a pool that is defined and has no volumes.
    pool_capacity: int = 0
    #: The model of a screen by architecture; "" for all others.
    video: Mapping[str, str] = field(default_factory=dict)


FLAVOURS: Final[dict[str, Flavour]] = {
    "test": Flavour(
        "test",
        arch="i686",
        interface_prefix="testnet",
        pool_capacity=100 << 30,
        video={"ppc64": "vga", "ppc64le": "vga", "": "cirrus"},
    ),
}
