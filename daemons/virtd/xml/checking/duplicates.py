"""Keys that no two elements of a guest may share.

Source: libvirt's src/conf (domain_validate.c, domain_postparse.c, domain_conf.c).
"""

from __future__ import annotations

from typing import Final

#: Element, code, XPath of the elements, the parts of the key, and what is said.
GUESTS: Final = (
    (
        "disk",
        "xml",
        "devices/disk",
        "target/@dev",
        "target '{0}' duplicated for disk sources '{first}' and '{second}'",
        "source/@file | source/@dev | source/@dir | source/@name",
    ),
    (
        "disk",
        "unsupported",
        "devices/disk[address/@type='drive']",
        "target/@bus address/@controller address/@bus address/@target address/@unit",
        "Found duplicate drive address for disk with target name '{first}' controller='{1}' "
        "bus='{2}' target='{3}' unit='{4}'",
        "target/@dev",
    ),
    (
        "controller",
        "xml",
        "devices/controller[@type!='usb']",
        "@type @index",
        "Multiple '{0}' controllers with index '{1}'",
    ),
    (
        "hostdev",
        "xml",
        "devices/hostdev[@type='mdev']",
        "source/address/@uuid",
        "Hostdev already exists in the domain configuration",
    ),
    (
        "hostdev",
        "xml",
        "devices/hostdev[@type='pci']",
        "source/address/@domain source/address/@bus source/address/@slot source/address/@function",
        "Hostdev already exists in the domain configuration",
    ),
    (
        "hostdev",
        "xml",
        "devices/hostdev[@type='usb']",
        "source/address/@bus source/address/@device",
        "Hostdev already exists in the domain configuration",
    ),
    (
        "hostdev",
        "xml",
        "devices/hostdev[@type='usb'][not(source/address)]",
        "source/vendor/@id source/product/@id",
        "Hostdev already exists in the domain configuration",
    ),
    (
        "hostdev",
        "xml",
        "devices/hostdev[@type='scsi']",
        "source/adapter/@name source/address/@bus source/address/@target source/address/@unit",
        "Hostdev already exists in the domain configuration",
    ),
    (
        "hostdev",
        "unsupported",
        "devices/hostdev[@type='scsi'][address/@type='drive']",
        "address/@controller address/@bus address/@target address/@unit",
        "SCSI host address controller='{0}' bus='{1}' target='{2}' unit='{3}' in use by "
        "another SCSI host device",
    ),
    (
        "hostdev",
        "unsupported",
        "devices/hostdev[@type='scsi'][address/@type='drive'] | devices/disk[target/@bus='scsi']",
        "address/@controller address/@bus address/@target address/@unit",
        "using disk target name conflicts with SCSI host device address controller='{0}' "
        "bus='{1}' target='{2}' unit='{3}'",
    ),
    (
        "panic",
        "xml",
        "devices/panic",
        "@model",
        "Multiple panic devices with model '{0}'",
    ),
    (
        "audio",
        "xml",
        "devices/audio",
        "@id",
        "audio ID '{0}' duplicated",
    ),
    (
        "alias",
        "unsupported",
        # Those of libvirt itself may repeat: parts of one USB controller share one.
        "devices/*[not(self::console and target/@type='serial')]/alias[starts-with(@name, 'ua-')]",
        "@name",
        "non unique alias detected: {0}",
    ),
    (
        "filesystem",
        "unsupported",
        "devices/filesystem[driver/@type='virtiofs']",
        "target/@dir",
        "filesystem target '{0}' specified twice",
    ),
    (
        "boot",
        "unsupported",
        "devices/*/boot",
        "@order",
        "boot order '{0}' used for more than one device",
    ),
    (
        "seclabel",
        "detail",
        "seclabel",
        "@model",
        "seclabel for model {0} is already provided",
    ),
    (
        "cachetune",
        "xml",
        "cputune/cachetune",
        "@vcpus",
        "Identical vcpus in cachetunes found",
    ),
)
