"""The rules about the devices of a guest that libvirt's QEMU driver has besides those of all drivers.

Source: libvirt's src/qemu (qemu_validate.c, qemu_domain.c, qemu_domain_address.c).
"""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.virtd.xml.checking import Line, References
from aiovirt.daemons.virtd.xml.checking.processors import THREADS

_Q35: Final = "contains(/*/os[1]/type/@machine, 'q35')"
_X86: Final = "(os/type/@arch='x86_64' or os/type/@arch='i686')"
_SPICE: Final = "devices/graphics[@type='spice']"


def _first(path: str, value: str) -> str:
    return f"string(({path})[1]/{value})"


def _disk(holds: str, detail: str, *values: str, code: str = "unsupported") -> tuple[str, ...]:
    """A rule about disks: a condition of a disk, and paths from it for the detail."""
    path = f"devices/disk[{holds}]"
    return ("disk", code, path, detail, *(_first(path, value) for value in values))


_DISKS: Final[tuple[Line, ...]] = (
    _disk(
        "target/@bus='virtio'][address][address/@type!='pci'][address/@type!='ccw'"
        "][address/@type!='virtio-mmio'][address/@type!='unassigned'",
        "virtio disk cannot have an address of type '{}'",
        "address/@type",
    ),
    _disk(
        "@device='cdrom' or @device='floppy'][target/@bus='virtio'",
        "disk type of '{}' does not support ejectable media",
        "target/@dev",
    ),
    _disk(
        "driver/@name!='qemu'",
        "unsupported driver name '{}' for disk '{}'",
        "driver/@name",
        "target/@dev",
    ),
    _disk(
        "driver/@io='native'][driver/@cache][driver/@cache!='none'][driver/@cache!='directsync'"
        "][driver/@cache!='default'",
        "io='native' needs either no disk cache or directsync cache mode",
    ),
    _disk(
        "shareable][driver/@type!='raw'",
        "shared access for disk '{}' requires use of supported storage format",
        "target/@dev",
    ),
    *(
        _disk(
            f"@device='disk'][readonly][target/@bus='{bus}'",
            f"readonly {bus} disks are not supported",
        )
        for bus in ("ide", "sata")
    ),
    _disk(
        "serial[translate(., 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_ .+',"
        " '') != '']",
        "driver serial '{}' contains unsafe characters",
        "serial",
        code="internal",
    ),
    _disk(
        "wwn][target/@bus!='ide'][target/@bus!='scsi'][target/@bus!='sata'",
        "Only ide and scsi disk support wwn",
    ),
    _disk(
        "driver/@iothread][target/@bus!='virtio'",
        "IOThreads not available for bus {} target {}",
        "target/@bus",
        "target/@dev",
    ),
    References(
        "disk",
        "unsupported",
        "devices/disk/driver[@iothread]",
        "@iothread",
        *THREADS,
        "Disk iothread '{}' not defined in iothreadid",
    ),
)

_CONTROLLERS: Final[tuple[Line, ...]] = (
    (
        "controller",
        "unsupported",
        f"{_Q35} and devices/controller[@type='ide']",
        "IDE controllers are unsupported for this QEMU binary or machine type",
    ),
    (
        "disk",
        "internal",
        "devices/disk[target/@bus='ide']/address[@controller > 0]",
        "Only 1 IDE controller is supported",
    ),
    (
        "disk",
        "internal",
        "devices/disk[target/@bus='fdc']/address[@controller > 0]",
        "Only 1 fdc controller is supported",
    ),
    (
        "disk",
        "internal",
        "devices/disk[target/@bus='scsi']/address[@bus > 0]",
        "SCSI controller only supports 1 bus",
    ),
    (
        "controller",
        "unsupported",
        "devices/controller[@type='ide'][@index > 0]",
        "Only a single IDE controller is supported for this machine type",
    ),
    (
        "controller",
        "unsupported",
        "devices/controller[@type='scsi'][not(starts-with(@model, 'virtio-'))][driver/@queues]",
        "'queues' is only supported by virtio-scsi controller",
    ),
    References(
        "controller",
        "unsupported",
        "devices/controller/driver[@iothread]",
        "@iothread",
        *THREADS,
        "controller iothread '{}' not defined in iothreadid",
    ),
)

_CHARACTER: Final = (
    *(
        (
            tag,
            "unsupported",
            f"devices/{tag}[@type='{kind}'] and not({_SPICE})",
            f"chardev '{kind}' not supported without spice graphics",
        )
        for tag in ("channel", "serial", "parallel", "console", "redirdev", "smartcard")
        for kind in ("spicevmc", "spiceport")
    ),
    (
        "serial",
        "unsupported",
        "devices/serial/target[model/@name='pl011'][@type!='system-serial']",
        "Target model 'pl011' requires target type 'system-serial'",
    ),
    (
        "console",
        "unsupported",
        f"{_X86} and devices/console/target[@type='sclp']",
        "sclpconsole is not supported in this QEMU binary",
    ),
    (
        "console",
        "unsupported",
        f"{_X86} and devices/console/target[@type='sclplm']",
        "sclplmconsole is not supported in this QEMU binary",
    ),
    (
        "smartcard",
        "unsupported",
        "count(devices/smartcard) > 1",
        "this QEMU binary lacks multiple smartcard support",
    ),
)

_SCREENS: Final = (
    (
        "graphics",
        "unsupported",
        "devices/graphics[@type='rdp' or @type='desktop']",
        "{} graphics are not supported with this QEMU",
        "string(devices/graphics[@type='rdp' or @type='desktop']/@type)",
    ),
    (
        "graphics",
        "unsupported",
        "devices/graphics[@type='vnc'][string-length(@passwd) > 8]",
        "VNC password is {} characters long, only 8 permitted",
        "string(string-length(devices/graphics[@type='vnc'][string-length(@passwd) > 8]/@passwd))",
    ),
    *(
        (
            "video",
            "unsupported",
            f"devices/video/model[@type='{kind}']",
            f"domain configuration does not support video model '{kind}'",
        )
        for kind in ("xen", "vbox", "parallels", "gop")
    ),
    (
        "video",
        "unsupported",
        "devices/video[position() > 1]/model[@type!='qxl'][@type!='virtio'][not(@primary='yes')]",
        "video type '{}' is only valid as primary video device",
        "string(devices/video[position() > 1]/model[@type!='qxl'][@type!='virtio']"
        "[not(@primary='yes')]/@type)",
    ),
    (
        "acceleration",
        "unsupported",
        "devices/video/model[@type!='virtio']/acceleration[@accel3d='yes']",
        "3d acceleration is supported only with 'virtio' video device",
    ),
    (
        "video",
        "unsupported",
        "devices/video/model[@type!='qxl'][@type!='virtio'][@heads > 1]",
        "video type '{}' doesn't support multiple 'heads'",
        "string(devices/video/model[@type!='qxl'][@type!='virtio'][@heads > 1]/@type)",
    ),
)

_OTHERS: Final = (
    (
        "mtu",
        "unsupported",
        "devices/interface[mtu][@type='user' or @type='direct' or @type='hostdev']",
        "setting MTU on interface type {} is not supported yet",
        "string(devices/interface[mtu][@type='user' or @type='direct' or @type='hostdev']/@type)",
    ),
    (
        "coalesce",
        "unsupported",
        "devices/interface[coalesce][@type='user' or @type='vhostuser' or @type='hostdev']",
        "coalesce settings on interface type {} are not supported",
        "string(devices/interface[coalesce][@type='user' or @type='vhostuser' or "
        "@type='hostdev']/@type)",
    ),
    (
        "tpm",
        "unsupported",
        "count(devices/tpm[@model!='spapr-tpm-proxy']) > 1",
        "only a single TPM non-proxy device is supported",
    ),
    (
        "watchdog",
        "unsupported",
        f"{_X86} and devices/watchdog[@model='diag288']",
        "diag288 model of watchdog is allowed for s390 and s390x only",
    ),
    *(
        (
            "watchdog",
            "unsupported",
            f"devices/watchdog[@model='{model}'][address]",
            f"{model} model of watchdog does not support configuring the address",
        )
        for model in ("ib700", "itco")
    ),
    (
        "hostdev",
        "unsupported",
        "devices/hostdev[@mode='capabilities']",
        "hostdev mode 'capabilities' is not supported in qemu",
    ),
    (
        "filesystem",
        "unsupported",
        "devices/filesystem[@type!='mount']",
        "only supports mount filesystem type",
    ),
    (
        "disk",
        "unsupported",
        "devices/disk[@type='dir'][driver/@type='fat'][not(readonly)]",
        "virtual FAT storage can't be accessed in read-write mode",
    ),
    (
        "filesystem",
        "unsupported",
        "devices/filesystem[driver/@type='virtiofs'] and not(memoryBacking/access/@mode='shared') "
        "and not(cpu/numa/cell/@memAccess='shared')",
        "'virtiofs' requires shared memory",
    ),
    (
        "shmem",
        "unsupported",
        "devices/shmem[model/@type='ivshmem' or not(model)]",
        "ivshmem device is not supported with this QEMU binary",
    ),
    (
        "shmem",
        "unsupported",
        "devices/shmem[model/@type='ivshmem-doorbell'][not(server/@path)]",
        "shmem model 'ivshmem-doorbell' is supported only with server option enabled",
    ),
    (
        "panic",
        "unsupported",
        f"{_X86} and devices/panic[@model='s390']",
        "only S390 guests support panic device of model 's390'",
    ),
    (
        "iommu",
        "unsupported",
        f"devices/iommu[@model='intel'] and not({_Q35})",
        "IOMMU device: 'intel' is only supported with Q35 machines",
    ),
    (
        "nvram",
        "unsupported",
        f"{_X86} and devices/nvram",
        "nvram device is only supported for PPC64",
    ),
)

#: All of them, in libvirt's order.
DEVICES: Final[tuple[Line, ...]] = (*_CONTROLLERS, *_DISKS, *_CHARACTER, *_SCREENS, *_OTHERS)
