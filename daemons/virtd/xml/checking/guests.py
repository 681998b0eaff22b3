"""The rules about a guest, apart from its devices.

Source: libvirt's src/conf (domain_validate.c, domain_postparse.c, domain_conf.c, numa_conf.c).
"""

from __future__ import annotations

from functools import cache
from typing import Final

from aiovirt.daemons.virtd.xml.checking import (
    Rules,
    conditions,
    devices,
    devices_completed,
    duplicates,
    limits,
    processors,
    unique,
)
from aiovirt.daemons.virtd.xml.kinds import domain_rules


def domain_features() -> list[str]:
    """The names of features, from the table of guests."""
    return [line.tag for line in domain_rules()["%features"].children[0].children]


#: libvirt looks for the name before anything else of a guest.
_NAMELESS: Final = ("domain", "name", "not(string(name))", "")

#: Looked at as the document was given, before libvirt's additions.
_GIVEN: Final = (
    (
        "resource",
        "xml",
        "count(resource) > 1",
        "only one resource element is supported",
    ),
    (
        "boot",
        "unsupported",
        "os/bootmenu/@timeout > 65535",
        "invalid value for boot menu timeout, must be in range [0,65535]",
    ),
    (
        "bootmenu",
        "unsupported",
        "os/bootmenu/@timeout > 65535",
        "invalid value for boot menu timeout, must be in range [0,65535]",
    ),
    (
        "genid",
        "xml",
        "count(genid) > 1",
        "element 'genid' can only appear once",
    ),
    (
        "vendor_id",
        "xml",
        "features/hyperv/vendor_id[string-length(@value) > 12]",
        "HyperV vendor_id value must not be more than 12 characters.",
    ),
    (
        "spinlocks",
        "xml",
        "features/hyperv/spinlocks[@state='on'][@retries < 4095]",
        "HyperV spinlock retry count must be at least 4095",
    ),
    (
        "seclabel",
        "xml",
        "seclabel[@type='static'][not(string(label))]",
        "security label is missing",
    ),
    (
        "bios",
        "unsupported",
        "os/bios[@rebootTimeout > 65535 or @rebootTimeout < -1]",
        "invalid value for rebootTimeout, must be in range [-1,65535]",
    ),
    (
        "title",
        "xml",
        "contains(title, '\n')",
        "Domain title can't contain newlines",
    ),
    (
        "domain",
        "xml",
        "not(string(os/type)) and not(bootloader)",
        "an os <type> must be specified",
    ),
)

#: Looked at when the document is read, before libvirt's additions.
_SHAPED: Final = (
    (
        "name",
        "xml",
        "contains(name, '/')",
        "name {} cannot contain '/'",
        "string(name)",
    ),
)

#: Looked at after libvirt's additions.
_COMPLETED: Final = (
    (
        "boot",
        "unsupported",
        "os/boot and devices/*/boot/@order",
        "per-device boot elements cannot be used together with os/boot elements",
    ),
    (
        "vcpu",  # libvirt compares the number with that of the last processor of a node, -1
        "internal",
        "number(vcpu) < 1",
        "CPU IDs in <numa> exceed the <vcpu> count",
    ),
    (
        "idmap",
        "unsupported",
        "idmap[(uid and not(gid)) or (gid and not(uid))]",
        "uid and gid should be mapped both",
    ),
    (
        "maxMemory",
        "xml",
        "number(maxMemory) < number(memory)",
        "maximum memory size must be equal or greater than the actual memory size",
    ),
    (
        "memnode",
        "xml",
        "numatune/memnode and not(cpu/numa/cell)",
        "Element 'memnode' is invalid without any guest NUMA cells",
    ),
    (
        "memnode",
        "xml",
        "numatune/memory[@mode='restrictive'] and numatune/memnode[@mode!='restrictive']",
        "'restrictive' mode is required in memnode element when mode is 'restrictive' in "
        "memory element",
    ),
    (
        "memnode",
        "unsupported",
        "numatune/memory[@placement='auto'] and numatune/memnode",
        "Per-node binding is not compatible with automatic NUMA placement.",
    ),
    (
        "cell",
        "xml",
        "cpu/numa[cell/@id >= count(cell)]",
        "Exactly one 'cell' element per guest NUMA cell allowed, non-contiguous ranges or "
        "ranges not starting from 0 are not allowed",
    ),
    (
        "nvram",
        "detail",
        "os[@firmware='bios']/nvram",
        "firmware type 'bios' does not support nvram",
    ),
    (
        "loader",
        "detail",
        "os[@firmware]/loader[@secure='no']",
        "loader attribute 'secure' cannot be specified when firmware autoselection is enabled",
    ),
    (
        "loader",
        "detail",
        "os[@firmware]/loader/@type",
        "loader attribute 'type' cannot be specified when firmware autoselection is enabled",
    ),
    (
        "nvram",
        "detail",
        "os[not(@firmware)][nvram][not(loader)]",
        "no loader path specified and firmware auto selection disabled",
    ),
    (
        "type",
        "xml",
        "os[type='exe'][not(init)]",
        "init binary must be specified",
    ),
    *(
        (
            f"on_{event}",
            "unsupported",
            f"on_{event}[starts-with(., 'coredump')]",
            f"Lifecycle event '{event}' doesn't support '{{}}' action",
            f"string(on_{event})",
        )
        for event in ("poweroff", "reboot")
    ),
    (
        "loader",
        "detail",
        "os[not(@firmware)]/loader[not(text())]",
        "no loader path specified and firmware auto selection disabled",
    ),
    (
        "loader",
        "detail",
        "os[loader/@stateless='yes'][nvram/@template]",
        "NVRAM template is not permitted when loader is stateless",
    ),
    (
        "loader",
        "detail",
        "os[loader/@stateless='yes'][nvram]",
        "NVRAM is not permitted when loader is stateless",
    ),
    (
        "loader",
        "detail",
        "os[@firmware='bios']/loader[@stateless='no']",
        "Only EFI firmware permits NVRAM",
    ),
    (
        "loader",
        "detail",
        "os[not(@firmware)]/loader[@stateless='no'][@type='rom']",
        "Only pflash loader type permits NVRAM",
    ),
    (
        "feature",
        "detail",
        ""
        "os/firmware[feature[@name='enrolled-keys'][@enabled='yes']][feature[@name='secure-boot'][@enabled='no']]",
        "firmware feature 'enrolled-keys' cannot be enabled when firmware feature "
        "'secure-boot' is disabled",
    ),
    (
        "loader",
        "detail",
        "os[@firmware]/loader/@readonly",
        "loader attribute 'readonly' cannot be specified when firmware autoselection is enabled",
    ),
    (
        "loader",
        "detail",
        "os[@firmware]/loader/text()",
        "loader path cannot be specified when firmware autoselection is enabled",
    ),
    (
        "memory",
        "unsupported",
        "numatune/memory[not(@nodeset)][not(@placement='auto')]",
        "nodeset for NUMA memory tuning must be set if 'placement' is 'static'",
    ),
    (
        "sysinfo",
        "detail",
        "sysinfo/system/entry[@name='uuid'][translate(., 'ABCDEF', 'abcdef') != "
        "string(../../../uuid[1])]",
        "UUID mismatch between <uuid> and <sysinfo>",
    ),
)


@cache
def given() -> Rules:
    """The rules about a guest as it was given."""
    known = " or ".join(f"self::{name}" for name in domain_features())
    other = f"features/*[not({known})]"
    words = "unexpected feature '{}'"
    features = ("features", "unsupported", other, words, f"name({other})")
    return Rules(conditions((_NAMELESS, *_GIVEN, *processors.GIVEN, *devices.GIVEN, features)))


@cache
def device() -> Rules:
    """The rules about a device as it was given, in a guest that has nothing else."""
    return Rules(conditions(devices.GIVEN))


@cache
def bounds() -> Rules:
    """The bounds of a guest, which are looked at before all other rules."""
    return Rules(conditions(limits.LIMITS))


@cache
def shaped() -> Rules:
    """The rules about a guest that is in shape, and has none of libvirt's additions."""
    return Rules(conditions(_SHAPED))


@cache
def completed() -> Rules:
    """The rules about a guest that has all of libvirt's additions."""
    table = (*limits.DEVICES, *_COMPLETED, *processors.COMPLETED, *devices_completed.COMPLETED)
    return Rules([*processors.COMPUTED, *conditions(table), *unique(duplicates.GUESTS)])
