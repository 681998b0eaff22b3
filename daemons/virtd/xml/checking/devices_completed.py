"""The rules about the devices of a guest that has all of libvirt's additions.

Source: libvirt's src/conf (domain_validate.c, domain_postparse.c, domain_conf.c).
"""

from __future__ import annotations

from typing import Final

#: A predicate for character devices; it comes last, since few devices pass those before it.
_CHARACTER: Final = (
    "[self::serial or self::parallel or self::console or self::redirdev or self::smartcard"
    " or self::channel]"
)
_NO_USB: Final = "devices/controller[@type='usb'][@model='none']"

#: Looked at after libvirt's additions.
COMPLETED: Final = (
    *(
        (
            "interface",
            "xml",
            f"devices/interface[@type='{kind}'][not(source)]",
            f"interface type='{kind}' requires a 'source' element",
        )
        for kind in (
            "network",
            "bridge",
            "direct",
            "vhostuser",
            "server",
            "client",
            "mcast",
            "udp",
            "hostdev",
            "vdpa",
        )
    ),
    (
        "interface",
        "xml",
        "devices/interface/mac[contains('13579bdf', substring(@address, 2, 1))]",
        "expected unicast mac address, found multicast '{}'",
        "string(devices/interface/mac[contains('13579bdf', substring(@address, 2, 1))]/@address)",
    ),
    (
        "hostdev",
        "xml",
        "devices/hostdev[not(source)]",
        "Missing <source> element in hostdev device",
    ),
    (
        "channel",
        "xml",
        "devices/channel[not(target)]",
        "target type must be specified for channel device",
    ),
    (
        "vsock",
        "unsupported",
        "devices/vsock/cid[@address < 3]",
        "guest CIDs must be >= 3",
    ),
    (
        "iommu",
        "unsupported",
        "devices/iommu/driver[@intremap='on'] and not(features/ioapic/@driver='qemu')",
        "IOMMU interrupt remapping requires split I/O APIC (ioapic driver='qemu')",
    ),
    (
        "iommu",
        "unsupported",
        "devices/iommu/driver[@eim='on'][not(@intremap='on')]",
        "IOMMU eim requires interrupt remapping to be enabled",
    ),
    (
        "channel",
        "xml",
        "devices/channel/target[@type='guestfwd'][not(@address)]",
        "guestfwd channel does not define a target address",
    ),
    (
        "disk",
        "unsupported",
        "devices/disk[driver/@queues][target/@bus!='virtio']",
        "queues attribute in disk driver element is only supported by virtio-blk",
    ),
    ("rng", "xml", "devices/rng[count(backend) != 1]", "only one RNG backend is supported"),
    (
        "filesystem",
        "target",
        "devices/filesystem[not(target)]",
        "{}",
        "string(devices/filesystem[not(target)]/source/@*)",
    ),
    *(
        (
            "iotune",
            "xml",
            f"devices/disk/iotune[total_{unit}{end}][read_{unit}{end} or write_{unit}{end}]",
            f"total and read/write {unit}{end} cannot be set at the same time",
        )
        for unit in ("bytes", "iops")
        for end in ("_sec", "_sec_max")
    ),
    (
        "address",
        "unsupported",
        "devices/disk[target/@bus='ide'][address[@type!='drive']]",
        "Invalid address type '{}' for the disk '{}' with the bus type 'ide'",
        "string(devices/disk[target/@bus='ide']/address/@type)",
        "string(devices/disk[target/@bus='ide']/target/@dev)",
    ),
    (
        "address",
        "unsupported",
        "devices/disk[target/@bus='scsi'][address[@type!='drive']]",
        "Invalid address type '{}' for the disk '{}' with the bus type 'scsi'",
        "string(devices/disk[target/@bus='scsi']/address/@type)",
        "string(devices/disk[target/@bus='scsi']/target/@dev)",
    ),
    (
        "address",
        "unsupported",
        "devices/disk[target/@bus='sata'][address[@type!='drive']]",
        "Invalid address type '{}' for the disk '{}' with the bus type 'sata'",
        "string(devices/disk[target/@bus='sata']/address/@type)",
        "string(devices/disk[target/@bus='sata']/target/@dev)",
    ),
    (
        "address",
        "unsupported",
        "devices/disk[target/@bus='fdc'][address[@type!='drive']]",
        "Invalid address type '{}' for the disk '{}' with the bus type 'fdc'",
        "string(devices/disk[target/@bus='fdc']/address/@type)",
        "string(devices/disk[target/@bus='fdc']/target/@dev)",
    ),
    (
        "disk",
        "unsupported",
        "devices/disk[@device='lun'][@type!='block'][not(@type='network' and "
        "source/@protocol='iscsi')][@type!='volume'][@type!='nvme']",
        "disk device='lun' is only valid for block type disk source",
    ),
    (
        "hostdev",
        "unsupported",
        "count(devices/hostdev[@ramfb='on']) > 1",
        "Only one vgpu device can have 'ramfb' enabled",
    ),
    (
        "hostdev",
        "xml",
        "devices/hostdev[@model='vfio-pci'][address[@type!='pci']]",
        "Unsupported address type '{}' with mediated device model 'vfio-pci'",
        "string(devices/hostdev[@model='vfio-pci']/address/@type)",
    ),
    (
        "hostdev",
        "xml",
        "devices/hostdev[@model='vfio-ccw'][address[@type!='ccw']]",
        "Unsupported address type '{}' with mediated device model 'vfio-ccw'",
        "string(devices/hostdev[@model='vfio-ccw']/address/@type)",
    ),
    (
        "controller",
        "unsupported",
        "devices/controller[@model='pci-root' or @model='pcie-root'][address]",
        "pci-root and pcie-root controllers should not have an address",
    ),
    (
        "controller",
        "unsupported",
        "devices/controller[@type='pci'][@index='0'][target/node]",
        "The PCI controller with index=0 can't be associated with a NUMA node",
    ),
    (
        "controller",
        "unsupported",
        "devices/controller[@type='pci'][target/@index > 30]",
        "PCI controller target index '{}' out of range - must be 0-30",
        "string(devices/controller[@type='pci']/target[@index > 30]/@index)",
    ),
    (
        "controller",
        "unsupported",
        "devices/controller[@type='pci'][target/@index][(target/@index='0') != (@index='0')]",
        "Only the PCI controller with index 0 can have target index 0, and vice versa",
    ),
    (
        "controller",
        "detail",
        f"{_NO_USB} and devices/controller[@type='usb'][@model!='none' or not(@model)]",
        "Can't add another USB controller: USB is disabled for this domain",
    ),
    (
        "controller",
        "detail",
        "devices/controller[@type='usb'] and not(devices/controller[@type='usb'][not(master)])",
        "No master USB controller specified",
    ),
    (
        "hub",
        "unsupported",
        f"{_NO_USB} and devices/hub",
        "Can't add USB hub: USB is disabled for this domain",
    ),
    (
        "input",
        "unsupported",
        f"{_NO_USB} and devices/input[@bus='usb']",
        "Can't add USB input device. USB bus is disabled",
    ),
    (
        "redirdev",
        "unsupported",
        "devices/redirdev and not(devices/controller[@type='usb'][not(@model='none')])",
        "cannot add redirected USB device: USB is disabled for this domain",
    ),
    (
        "shmem",
        "unsupported",
        "devices/shmem[contains(@name, '/')]",
        "shmem name cannot include '/' character",
    ),
    (
        "disk",
        "unsupported",
        "devices/disk[@sgio='unfiltered']",
        "unfiltered sgio is no longer supported",
    ),
    (
        "audio",
        "xml",
        "devices/*[self::sound or self::graphics]/audio[not(@id = ../../audio/@id)]",
        "no audio device with ID {}",
        "string(devices/*[self::sound or self::graphics]/audio[not(@id = ../../audio/@id)]/@id)",
    ),
    (
        "shmem",
        "xml",
        "devices/shmem[msi][not(server)]",
        "msi option is only supported with a server",
    ),
    (
        "video",
        "unsupported",
        "count(devices/video) > 1 and devices/video/model[@type='none']",
        "a 'none' video type must be the only video device defined for the domain",
    ),
    (
        "video",
        "unsupported",
        "devices/video[model[@type='ramfb']]/address",
        "address not supported for video type ramfb",
    ),
    (
        "listen",
        "xml",
        "devices/graphics/listen[@type='network'][not(@network)]",
        "'network' attribute is required for listen type 'network'",
    ),
    (
        "encryption",
        "unsupported",
        "devices/disk//encryption/cipher",
        "supplying <cipher> for domain disk definition is unnecessary",
    ),
    (
        "auth",
        "unsupported",
        "devices/disk//source[@protocol='iscsi']//auth/secret[@type!='iscsi']",
        "invalid secret type '{}'",
        "string(devices/disk//source[@protocol='iscsi']//auth/secret/@type)",
    ),
    (
        "auth",
        "unsupported",
        "devices/disk//auth/secret[not(@type)]",
        "unknown secret type '<null>'",
    ),
    (
        "reconnect",
        "internal",
        "devices/*/source[@mode='bind']/reconnect[@enabled='yes']",
        "chardev reconnect is possible only for connect mode",
    ),
    (
        "memory",
        "detail",
        "devices/memory/target/node >= count(cpu/numa/cell)",
        "can't add memory backend for guest node '{}' as the guest has only '{}' NUMA nodes "
        "configured",
        "string(devices/memory/target[node >= count(../../../cpu/numa/cell)]/node)",
        "string(count(cpu/numa/cell))",
    ),
    (
        "devices",
        "internal",
        f"devices/*[not(source/@path)][@type='file' or @type='dev' or @type='pipe']{_CHARACTER} | "
        "devices/rng/backend[@type='file' or @type='dev' or @type='pipe'][not(source/@path)]",
        "Missing source path attribute for char device",
    ),
    (
        "devices",
        "internal",
        f"devices/*[@type='unix'][not(source/@path)][not(self::channel)]{_CHARACTER} | "
        "devices/rng/backend[@type='unix'][not(source/@path)]",
        "Missing source path attribute for char device",
    ),
    (
        "source",
        "internal",
        f"devices/*[@type='tcp']{_CHARACTER}/source[not(@host)] | "
        "devices/rng/backend[@type='tcp']/source[not(@host)]",
        "Missing source host attribute for char device",
    ),
    (
        "source",
        "internal",
        f"devices/*[@type='tcp' or @type='udp']{_CHARACTER}"
        "/source[not(@service)][not(../@type='udp' and @mode='bind')] | "
        "devices/rng/backend[@type='tcp']/source[not(@service)]",
        "Missing source service attribute for char device",
    ),
)
