"""The rules about a guest that libvirt's QEMU driver has besides those of all drivers, for x86.

The machine is one with QEMU 7.2.0 and a software TPM: whatever they have is allowed.

Source: libvirt's src/qemu (qemu_validate.c, qemu_domain.c, qemu_domain_address.c).
"""

from __future__ import annotations

from functools import cache
from typing import Final

from aiovirt.daemons.virtd.xml.checking import Line, References, Rules, conditions, unique
from aiovirt.daemons.virtd.xml.checking.qemu_devices import DEVICES
from aiovirt.rpc.wire.errors import ErrorDomain

_Q35: Final = "contains(/*/os[1]/type/@machine, 'q35')"
_X86: Final = "(os/type/@arch='x86_64' or os/type/@arch='i686')"
#: The beginnings of the names of machines whose buses libvirt knows.
_MACHINES: Final = (
    *("pc-0.", "pc-1.", "pc-2.", "pc-i440", "pc-q35", "q35", "rhel", "isapc", "microvm", "xenfv"),
    *("xenpv", "none"),
)
_PCI_MACHINES: Final = " or ".join(
    [
        "os/type/@machine='pc'",
        *(f"starts-with(os/type/@machine, '{name}')" for name in _MACHINES),
    ]
)
_NO_PCI: Final = "(os/type/@machine='isapc' or starts-with(os/type/@machine, 'microvm'))"
_NO_USB: Final = "devices/controller[@type='usb'][@model='none']"


def _first(path: str, value: str) -> str:
    return f"string(({path})[1]/{value})"


#: Looked at when the devices get their addresses, before the rules of all drivers.
_PLACES: Final[tuple[Line, ...]] = (
    (
        "type",
        "xml",
        f"{_X86} and not({_PCI_MACHINES})",
        "No PCI buses available",
    ),
    (
        "memballoon",
        "xml",
        f"{_X86} and {_NO_PCI} and devices/memballoon[@model!='none']",
        "No PCI buses available",
    ),
    (
        "controller",
        "internal",
        "devices/controller[@type='pci'][not(@model)]",
        "PCI controller model was not set correctly",
    ),
    (
        "controller",
        "xml",
        "devices/controller[@type='pci'][@model='pci-root' or @model='pcie-root'][@index!='0']",
        "pci-root and pcie-root controllers should have index 0",
    ),
    (
        "memory",
        "internal",
        "maxMemory and count(devices/memory[@model='dimm' or @model='nvdimm']) > maxMemory/@slots",
        "failed to find an empty memory slot",
    ),
    (
        "address",
        "xml",
        "devices/*/address[@type='pci'][@domain][@domain!='0x0000']",
        "Invalid PCI address {}:{}:{}.{}. Only PCI domain 0 is available",
        *(
            "substring-after("
            + _first("devices/*/address[@type='pci'][@domain!='0x0000']", f"@{name}")
            + ", 'x')"
            for name in ("domain", "bus", "slot", "function")
        ),
    ),
    (
        "controller",
        "unsupported",
        f"{_NO_USB} and devices/*[self::disk[target/@bus='usb'] or self::redirdev or "
        "self::sound[@model='usb']]",
        "USB is disabled for this domain, but USB devices are present in the domain XML",
    ),
    References(
        "address",
        "xml",
        "devices/*/address[@type='usb']",
        "@bus",
        "devices/controller[@type='usb']/@index",
        "",
        "Missing USB bus {}",
    ),
)
_PORTS: Final = (
    (
        "address",
        "xml",
        "devices/*[address/@type='usb']",
        "address/@bus address/@port",
        "Duplicate USB address bus {0} port {1}",
    ),
)

_MACHINE: Final = (
    (
        "bootloader",
        "unsupported",
        "bootloader",
        "bootloader is not supported by QEMU",
    ),
    *(
        (
            "type",
            "unsupported",
            holds,
            f"Emulator '{{}}' does not support {what} '{{}}'",
            "string(devices/emulator)",
            value,
        )
        for holds, what, value in (
            ("os/type[.!='hvm']", "os type", "string(os/type)"),
            ("@type != 'qemu' and @type != 'kvm'", "virt type", "string(@type)"),
        )
    ),
    *(
        (
            name,
            "unsupported",
            f"{_X86} and features/{name}",
            f"The '{name}' feature is not supported for architecture '{{}}' or machine type '{{}}'",
            "string(os/type/@arch)",
            "string(os/type/@machine)",
        )
        for name in ("hpt", "gic", "htm", "nested-hv", "ccf-assist", "cfpc", "sbbc", "ibs")
    ),
    (
        "tseg",
        "unsupported",
        f"features/smm/tseg and not({_Q35})",
        "SMM TSEG is only supported with q35 machine type",
    ),
    *(
        (
            "os",
            "unsupported",
            f"{firmware} and {_X86} and not(features/acpi)",
            "UEFI requires ACPI on this architecture",
        )
        for firmware in ("os/@firmware='efi'", "os/loader/@type='pflash'")
    ),
    (
        "loader",
        "unsupported",
        f"os/loader/@secure='yes' and not({_Q35})",
        "Secure boot is supported with q35 machine types only",
    ),
    (
        "loader",
        "unsupported",
        "os[not(@firmware)]/loader/@secure='yes' and not(features/smm/@state='on')",
        "Secure boot requires SMM feature enabled",
    ),
    *(
        (
            "vcpu",
            "unsupported",
            f"number(vcpu) > {most} and {holds}",
            f"Maximum CPUs greater than specified machine type limit {most}",
        )
        for most, holds in ((288, _Q35), (255, f"not({_Q35}) and {_X86}"))
    ),
    (
        "vcpu",
        "unsupported",
        f"number(vcpu) > 255 and {_Q35} and not(devices/iommu/driver/@eim='on')",
        "more than 255 vCPUs require extended interrupt mode enabled on the iommu device",
    ),
    (
        "topology",
        "unsupported",
        "cpu/topology[@sockets * @dies * @cores * @threads != number(/*/vcpu)]",
        "CPU topology doesn't match maximum vcpu count",
    ),
    *(
        (
            name,
            "unsupported",
            f"@type!='kvm' and cputune/{name}",
            "cachetune is only supported for KVM domains",
        )
        for name in ("cachetune", "memorytune")
    ),
    (
        "cache",
        "unsupported",
        "cpu[not(@mode='host-passthrough' or @mode='maximum')]/cache[@mode='passthrough']",
        "CPU cache mode 'passthrough' can only be used with 'host-passthrough' / 'maximum' CPUs",
    ),
    (
        "cache",
        "unsupported",
        "cpu/cache[@mode='emulate'][not(@level='3')]",
        "CPU cache mode 'emulate' can only be used with level='3'",
    ),
    (
        "on_poweroff",
        "unsupported",
        "on_poweroff='preserve' or on_reboot='preserve'",
        "qemu driver doesn't support the 'preserve' action for 'on_reboot'/'on_poweroff'",
    ),
    (
        "timer",
        "unsupported",
        "clock/timer[@name='pit'][@tickpolicy='merge' or @tickpolicy='catchup']",
        "unsupported pit tickpolicy '{}'",
        "string(clock/timer[@name='pit']/@tickpolicy)",
    ),
    (
        "maxMemory",
        "unsupported",
        "maxMemory and not(cpu/numa/cell)",
        "At least one numa node has to be configured when enabling memory hotplug",
    ),
    (
        "memory",
        "unsupported",
        "devices/memory[@model='dimm' or @model='nvdimm'] and not(maxMemory)",
        "cannot use/hotplug a memory device when domain 'maxMemory' is not defined",
    ),
    (
        "launchSecurity",
        "unsupported",
        "launchSecurity[@type='sev']",
        "SEV launch security is not supported with this QEMU binary",
    ),
)


@cache
def places() -> Rules:
    """The rules about addresses, which come before those of all drivers."""
    return Rules([*conditions(_PLACES), *unique(_PORTS)])


@cache
def rules() -> Rules:
    """The rules about a guest that has all of libvirt's additions."""
    return Rules(conditions((*_MACHINE, *DEVICES)), ErrorDomain.QEMU)
