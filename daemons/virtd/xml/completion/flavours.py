"""The defaults of each driver.

Source: libvirt's src/test/test_driver.c (testDriverNew, testDomainDevicesDefPostParse) and
src/qemu/qemu_domain.c (qemuDomainDefPostParse, qemuDomainDeviceDefPostParse).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec


class Flavour(msgspec.Struct, frozen=True):
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
    #: The rest is for drivers with machines: without emulators, nothing of it is added.
    emulators: Mapping[str, str] = msgspec.field(default_factory=dict)
    #: For each architecture, what the name of a machine stands for; "" for the one of no name.
    machines: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=dict)
    #: Bytes of a pool that is defined and has no volumes.
    pool_capacity: int = 0
    #: The model of a screen by architecture; "" for all others.
    video: Mapping[str, str] = msgspec.field(default_factory=dict)


_PC: Final = {"": "pc-i440fx-7.2", "pc": "pc-i440fx-7.2", "q35": "pc-q35-7.2"}

FLAVOURS: Final[dict[str, Flavour]] = {
    "test": Flavour(
        "test",
        arch="i686",
        interface_prefix="testnet",
        pool_capacity=100 << 30,
        video={"ppc64": "vga", "ppc64le": "vga", "": "cirrus"},
    ),
    "qemu": Flavour(
        "qemu",
        arch="x86_64",
        memory_of_nodes=True,
        pool_capacity=100 << 30,
        video={"ppc64": "vga", "ppc64le": "vga", "aarch64": "virtio", "": "cirrus"},
        emulators={
            "x86_64": "/usr/bin/qemu-system-x86_64",
            "i686": "/usr/bin/qemu-system-i386",
            "aarch64": "/usr/bin/qemu-system-aarch64",
        },
        machines={
            "x86_64": _PC,
            "i686": _PC,
            "aarch64": {"": "virt-7.2", "virt": "virt-7.2"},
        },
    ),
}
