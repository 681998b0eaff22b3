"""Devices that come and go, in the definition and in the running guest."""

from __future__ import annotations

import libvirt
import storage
from domains import document
from telling import attempt, element, quietly, tell

NAME = "walkplug"
UUID = "11111111-2222-3333-4444-000000000021"
DISK = """
<disk type='file' device='disk'>
  <driver name='qemu' type='raw'/><source file='{path}'/><target dev='{target}' bus='virtio'/>
</disk>
"""
CDROM = "<disk type='file' device='cdrom'>{source}<target dev='hdc' bus='ide'/></disk>"
NIC = (
    "<interface type='user'><mac address='52:54:00:11:22:{end}'/><model type='virtio'/></interface>"
)
WATCHDOG = "<watchdog model='i6300esb' action='{action}'/>"
RNG = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
CONFIG, LIVE = libvirt.VIR_DOMAIN_AFFECT_CONFIG, libvirt.VIR_DOMAIN_AFFECT_LIVE


def walk(host: libvirt.virConnect) -> None:
    """Go through attaching, updating and detaching."""
    with storage.one_pool(host, NAME, UUID) as pool:
        paths = [pool.createXML(storage.volume_document(name, 64), 0).path() for name in ("a", "b")]
        text = document(host, NAME, UUID).replace(
            "<devices>", "<features><acpi/></features><devices>"
        )
        domain = host.defineXML(text)
        try:
            told = attempt("attach", domain.attachDeviceFlags, NIC.format(end="a0"), CONFIG)
            if told is None:
                return
            defined(domain, paths)
            domain.create()
            running(domain, paths)
        finally:
            quietly(domain.destroy)
            domain.undefine()


def defined(domain: libvirt.virDomain, paths: list[str]) -> None:
    """Changes of the definition."""
    attempt("attach it again", domain.attachDeviceFlags, NIC.format(end="a0"), CONFIG)
    attempt("attach live", domain.attachDeviceFlags, NIC.format(end="a1"), LIVE)
    attempt("attach", domain.attachDevice, NIC.format(end="a2"))
    attempt("broken", domain.attachDeviceFlags, "<disk", CONFIG)
    attempt("wrong root", domain.attachDeviceFlags, "<nothing/>", CONFIG)
    attempt("disk", domain.attachDeviceFlags, DISK.format(path=paths[0], target="vdb"), CONFIG)
    attempt(
        "same target", domain.attachDeviceFlags, DISK.format(path=paths[1], target="vdb"), CONFIG
    )
    attempt("watchdog", domain.attachDeviceFlags, WATCHDOG.format(action="reset"), CONFIG)
    attempt("second watchdog", domain.attachDeviceFlags, WATCHDOG.format(action="none"), CONFIG)
    source = f"<source file='{paths[1]}'/>"
    attempt("medium", domain.updateDeviceFlags, CDROM.format(source=source), CONFIG)
    tell("disks", element(domain.XMLDesc(), "source"))
    attempt("eject", domain.updateDeviceFlags, CDROM.format(source=""), CONFIG)
    attempt("detach", domain.detachDeviceFlags, NIC.format(end="a0"), CONFIG)
    attempt("detach it again", domain.detachDeviceFlags, NIC.format(end="a0"), CONFIG)
    attempt(
        "detach disk", domain.detachDeviceFlags, DISK.format(path=paths[0], target="vdb"), CONFIG
    )
    attempt("detach watchdog", domain.detachDeviceFlags, WATCHDOG.format(action="reset"), CONFIG)
    attempt("detach alias", domain.detachDeviceAlias, "ua-none", CONFIG)
    tell("interfaces", element(domain.XMLDesc(), "mac"))


def running(domain: libvirt.virDomain, paths: list[str]) -> None:
    """Changes of the running guest."""
    attempt("disk", domain.attachDevice, DISK.format(path=paths[0], target="vdb"))
    attempt("same target", domain.attachDevice, DISK.format(path=paths[1], target="vdb"))
    attempt("only live", domain.attachDeviceFlags, DISK.format(path=paths[1], target="vdc"), LIVE)
    attempt("nic", domain.attachDeviceFlags, NIC.format(end="b0"), LIVE | CONFIG)
    attempt("rng", domain.attachDeviceFlags, RNG, LIVE)
    attempt("watchdog", domain.attachDeviceFlags, WATCHDOG.format(action="reset"), LIVE)
    attempt("sound", domain.attachDeviceFlags, "<sound model='ac97'/>", LIVE)
    tell("live disks", element(domain.XMLDesc(), "target"))
    tell("config disks", element(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), "target"))
    attempt("capacity", domain.blockInfo, "vdb")
    attempt("resize", domain.blockResize, "vdb", 128)
    attempt(
        "resize bytes", domain.blockResize, "vdb", 1 << 17, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES
    )
    attempt("resize none", domain.blockResize, "vdz", 128)
    attempt("peek", lambda: len(domain.blockPeek(paths[0], 0, 16)))
    attempt("peek none", domain.blockPeek, "/nowhere", 0, 16)
    attempt("peek memory", lambda: len(domain.memoryPeek(0, 16, libvirt.VIR_MEMORY_PHYSICAL)))
    attempt("limits", domain.setBlockIoTune, "vdb", {"total_bytes_sec": 1 << 20}, LIVE)
    attempt("no limits", domain.blockIoTune, "vdz", LIVE)
    attempt(
        "two limits", domain.setBlockIoTune, "vdb", {"total_iops_sec": 1, "read_iops_sec": 1}, LIVE
    )
    attempt("job of a disk", domain.blockJobInfo, "vdb")
    attempt("abort its job", domain.blockJobAbort, "vdb")
    attempt("threshold", domain.setBlockThreshold, "vdz", 100)
    source = f"<source file='{paths[1]}'/>"
    attempt(
        "another disk", domain.updateDeviceFlags, DISK.format(path=paths[1], target="vdb"), LIVE
    )
    attempt(
        "no such drive", domain.updateDeviceFlags, CDROM.format(source=source).replace("hdc", "hdd")
    )
    attempt("detach none", domain.detachDeviceFlags, NIC.format(end="ff"), LIVE)
    attempt("detach drive", domain.detachDeviceFlags, CDROM.format(source=""), LIVE)
