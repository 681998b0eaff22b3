"""The capabilities of a host, as the document that clients read first.

Source: the answers of libvirt 9.0.0 with QEMU 7.2.0, and src/conf/capabilities.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.host import node
from aiovirt.daemons.virtd.host.processors import HOST_FEATURES, HOST_MODEL, HOST_VENDOR

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host

#: The emulators of qemu's host, with the width of a word, by architecture.
EMULATORS: Final = {
    "i686": ("/usr/bin/qemu-system-i386", 32),
    "x86_64": ("/usr/bin/qemu-system-x86_64", 64),
}
_VERSIONS: Final = ("7.2", "7.1", "7.0", "6.2", "6.1", "6.0", "5.2", "5.1", "5.0", "4.2", "4.1")
#: What a short name of a machine stands for.
ALIASES: Final = {"pc": "pc-i440fx-7.2", "q35": "pc-q35-7.2"}
#: The machines, with the processors that each may have.
MACHINES: Final = {
    **{f"pc-i440fx-{version}": 255 for version in _VERSIONS},
    **{f"pc-q35-{version}": 288 for version in _VERSIONS},
    "microvm": 288,
    "isapc": 1,
}


def text(host: Host) -> str:
    """Return the document of a host."""
    return _text(host.name, "" if host.name == "test" else host.uuid)


@cache
def _text(name: str, uuid: str) -> str:
    lines = _test() if name == "test" else _qemu(uuid)
    return "<capabilities>\n\n" + "\n".join(lines) + "\n\n</capabilities>\n"


def _cells(machine: node.Machine, *, test: bool) -> Iterator[str]:
    count = machine.cpus // machine.nodes
    yield f"      <cells num='{machine.nodes}'>"
    for number in range(machine.nodes):
        # Test's cells say another memory than its numbers do; the small pages of the second are large.
        memory = 2097152 * (number + 1) if test else machine.cells[number]
        size = 4 * (number + 1)
        yield f"        <cell id='{number}'>"
        yield f"          <memory unit='KiB'>{memory}</memory>"
        yield f"          <pages unit='KiB' size='{size}'>{memory // size}</pages>"
        yield "          <pages unit='KiB' size='2048'>0</pages>"
        yield "          <pages unit='KiB' size='1048576'>0</pages>"
        if not test:
            yield "          <distances>"
            yield "            <sibling id='0' value='10'/>"
            yield "          </distances>"
        yield f"          <cpus num='{count}'>"
        threads = 1 if test else machine.threads
        for cpu in range(count):
            core = cpu // threads
            first = number * count + core * threads
            siblings = f"{first}-{first + threads - 1}" if threads > 1 else f"{first}"
            yield (
                f"            <cpu id='{number * count + cpu}' socket_id='{number}' die_id='0'"
                f" core_id='{core}' siblings='{siblings}'/>"
            )
        yield "          </cpus>"
        yield "        </cell>"
    yield "      </cells>"


def _test() -> Iterator[str]:
    yield "  <host>\n    <cpu>\n      <arch>i686</arch>\n      <features>\n        <pae/>"
    yield "        <nonpae/>\n      </features>"
    for size in (4, 8, 2048, 1048576):
        yield f"      <pages unit='KiB' size='{size}'/>"
    yield "    </cpu>\n    <power_management/>\n    <iommu support='no'/>\n    <topology>"
    yield from _cells(node.TEST, test=True)
    yield "    </topology>\n    <secmodel>\n      <model>testSecurity</model>\n      <doi></doi>"
    yield "    </secmodel>\n  </host>"
    for kind in ("hvm", "xen"):
        yield f"\n  <guest>\n    <os_type>{kind}</os_type>\n    <arch name='i686'>"
        yield "      <wordsize>32</wordsize>\n      <emulator>/usr/bin/test-hv</emulator>"
        yield "      <domain type='test'/>\n    </arch>\n    <features>\n      <pae/>"
        yield "      <nonpae/>\n    </features>\n  </guest>"


def _qemu(uuid: str) -> Iterator[str]:
    machine = node.QEMU
    yield f"  <host>\n    <uuid>{uuid}</uuid>\n    <cpu>\n      <arch>x86_64</arch>"
    yield f"      <model>{HOST_MODEL}</model>\n      <vendor>{HOST_VENDOR}</vendor>"
    yield "      <microcode version='240'/>"
    yield "      <signature family='6' model='94' stepping='3'/>"
    yield f"      <counter name='tsc' frequency='{machine.mhz}000000' scaling='no'/>"
    yield (
        f"      <topology sockets='{machine.sockets}' dies='1' cores='{machine.cores}'"
        f" threads='{machine.threads}'/>"
    )
    yield "      <maxphysaddr mode='emulate' bits='39'/>"
    for name in HOST_FEATURES:
        yield f"      <feature name='{name}'/>"
    for size in (4, 2048, 1048576):
        yield f"      <pages unit='KiB' size='{size}'/>"
    yield "    </cpu>\n    <power_management>\n      <suspend_mem/>\n    </power_management>"
    yield "    <iommu support='no'/>\n    <migration_features>\n      <live/>"
    yield "      <uri_transports>\n        <uri_transport>tcp</uri_transport>"
    yield "        <uri_transport>rdma</uri_transport>\n      </uri_transports>"
    yield "    </migration_features>\n    <topology>"
    yield from _cells(machine, test=False)
    yield "    </topology>\n    <cache>"
    yield "      <bank id='0' level='3' type='both' size='8' unit='MiB' cpus='0-7'/>\n    </cache>"
    yield "    <secmodel>\n      <model>none</model>\n      <doi>0</doi>\n    </secmodel>"
    yield "    <secmodel>\n      <model>dac</model>\n      <doi>0</doi>"
    for kind in ("kvm", "qemu"):
        yield f"      <baselabel type='{kind}'>+64055:+64055</baselabel>"
    yield "    </secmodel>\n  </host>"
    for arch, (emulator, width) in EMULATORS.items():
        yield from _guest(arch, emulator, width)


def _guest(arch: str, emulator: str, width: int) -> Iterator[str]:
    yield f"\n  <guest>\n    <os_type>hvm</os_type>\n    <arch name='{arch}'>"
    yield f"      <wordsize>{width}</wordsize>\n      <emulator>{emulator}</emulator>"
    aliases = {name: alias for alias, name in ALIASES.items()}
    for name, cpus in MACHINES.items():
        yield f"      <machine maxCpus='{cpus}'>{name}</machine>"
        if name in aliases:
            yield f"      <machine canonical='{name}' maxCpus='{cpus}'>{aliases[name]}</machine>"
    yield "      <domain type='qemu'/>\n      <domain type='kvm'/>\n    </arch>\n    <features>"
    if width == 32:
        yield "      <pae/>\n      <nonpae/>"
    yield "      <acpi default='on' toggle='yes'/>\n      <apic default='on' toggle='no'/>"
    yield "      <cpuselection/>\n      <deviceboot/>"
    yield "      <disksnapshot default='on' toggle='no'/>\n    </features>\n  </guest>"


def sysinfo(host: Host) -> str:
    """Return what the firmware of a host says of it."""
    if host.name == "test":
        entries = {
            "vendor": "LENOVO",
            "version": "G4ETA1WW (2.61 )",
            "date": "05/07/2014",
            "release": "2.61",
        }
        return f"<sysinfo type='smbios'>\n{_entries('bios', entries)}</sysinfo>\n"
    bios = {"vendor": "aiovirt", "version": "1.0", "date": "01/01/2023", "release": "1.0"}
    system = {"manufacturer": "aiovirt", "product": "aiovirt", "version": "1.0", "uuid": host.uuid}
    parts = _entries("bios", bios) + _entries("system", system)
    return f"<sysinfo type='smbios'>\n{parts}</sysinfo>\n"


def _entries(tag: str, entries: dict[str, str]) -> str:
    inner = "".join(
        f"    <entry name='{name}'>{value}</entry>\n" for name, value in entries.items()
    )
    return f"  <{tag}>\n{inner}  </{tag}>\n"
