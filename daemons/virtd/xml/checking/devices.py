"""The rules about the devices of a guest.

Source: libvirt's src/conf (domain_validate.c, domain_postparse.c, domain_conf.c).
"""

from __future__ import annotations

from typing import Final

#: Looked at as the document was given, before libvirt's additions.
GIVEN: Final = (
    (
        "auth",
        "unsupported",
        "devices/disk[source/@protocol='iscsi']/auth/secret[@type!='iscsi']",
        "invalid secret type '{}'",
        "string(devices/disk[source/@protocol='iscsi']/auth/secret/@type)",
    ),
    (
        "interface",
        "unsupported",
        "devices/interface[@type!='network']/bandwidth/inbound[@floor > 0]",
        "floor attribute is not supported for this config",
    ),
    (
        "interface",
        "unsupported",
        "devices/interface/bandwidth/outbound[@floor > 0]",
        "'floor' attribute allowed only in <inbound> element",
    ),
    (
        "video",
        "unsupported",
        "count(devices/video/model[@primary='yes']) > 1",
        "Only one primary video device is supported",
    ),
    (
        "seclabel",
        "xml",
        "devices/*/source[count(seclabel) > 1][seclabel[not(@model)]]",
        "missing security model when using multiple labels",
    ),
    (
        "graphics",
        "unsupported",
        "devices/graphics[@type='vnc'][@passwd][@connected!='keep']",
        "VNC supports connected='keep' only",
    ),
    (
        "watchdog",
        "internal",
        "count(devices/watchdog) > 1",
        "only a single watchdog device is supported",
    ),
    (
        "memballoon",
        "internal",
        "count(devices/memballoon) > 1",
        "only a single memory balloon device is supported",
    ),
    (
        "nvram",
        "internal",
        "count(devices/nvram) > 1",
        "only a single nvram device is supported",
    ),
    (
        "redirfilter",
        "internal",
        "count(devices/redirfilter) > 1",
        "only one set of redirection filter rule is supported",
    ),
    (
        "iommu",
        "xml",
        "count(devices/iommu) > 1",
        "only a single IOMMU device is supported",
    ),
    (
        "vsock",
        "xml",
        "count(devices/vsock) > 1",
        "only a single vsock device is supported",
    ),
    (
        "tpm",
        "xml",
        "count(devices/tpm) > 2",
        "a maximum of two TPM devices is supported, one of them being a TPM Proxy device",
    ),
    (
        "source",
        "xml",
        "devices/*[count(source) > 1][@type!='udp']"
        "[self::serial or self::parallel or self::console or self::channel]",
        "only one source element is allowed for character device",
    ),
    (
        "source",
        "xml",
        "devices/*[count(source) > 2][@type='udp']"
        "[self::serial or self::parallel or self::console or self::channel]",
        "only two source elements are allowed for character device",
    ),
    (
        "bandwidth",
        "unsupported",
        "devices/interface[@type!='network']/bandwidth/inbound[@floor != 0]",
        "floor attribute is not supported for this config",
    ),
    (
        "auth",
        "unsupported",
        "devices/disk[auth][source/auth]",
        "an <auth> definition already found for disk source",
    ),
    (
        "encryption",
        "unsupported",
        "devices/disk[encryption][source/encryption]",
        "an <encryption> definition already found for disk source",
    ),
    (
        "source",
        "unsupported",
        "devices/disk/source/@fdgroup",
        "driver does not support FD passing for disk",
    ),
    (
        "graphics",
        "unsupported",
        "devices/graphics[@listen!=''][listen[1][@type='address']/@address!=@listen]",
        "graphics 'listen' attribute '{}' must match 'address' attribute of first listen "
        "element (found '{}')",
        "string(devices/graphics[@listen][listen[1]/@address!=@listen]/@listen)",
        "string(devices/graphics[@listen][listen[1]/@address!=@listen]/listen/@address)",
    ),
    (
        "graphics",
        "unsupported",
        "devices/graphics[@socket][listen[1][@type='socket']/@socket!=@socket]",
        "graphics 'socket' attribute '{}' must match 'socket' attribute of first listen "
        "element (found '{}')",
        "string(devices/graphics/@socket)",
        "string(devices/graphics/listen/@socket)",
    ),
    (
        "tpm",
        "xml",
        "devices/tpm[not(backend)]",
        "missing TPM device backend",
    ),
    (
        "wwn",
        "internal",
        "devices/disk/wwn[string-length(.) != 16 or translate(., '0123456789abcdefABCDEF', '')]",
        "Malformed wwn: {}",
        "string(devices/disk/wwn[string-length(.) != 16 or "
        "translate(., '0123456789abcdefABCDEF', '')])",
    ),
    (
        "disk",
        "xml",
        "devices/disk[@type='network']/source[@protocol!='nbd'][not(@name)]",
        "missing name for disk source",
    ),
    (
        "tag",
        "xml",
        "devices/interface/vlan/tag[@id > 4095]",
        "vlan tag id {} too large (maximum 4095)",
        "string(devices/interface/vlan/tag[@id > 4095]/@id)",
    ),
    (
        "graphics",
        "internal",
        "devices/graphics[@passwdValidTo][translate(@passwdValidTo, '0123456789', 'dddddddddd') "
        "!= 'dddd-dd-ddTdd:dd:dd']",
        "cannot parse password validity time '{}', expect YYYY-MM-DDTHH:MM:SS",
        "string(devices/graphics[translate(@passwdValidTo, '0123456789', 'dddddddddd') "
        "!= 'dddd-dd-ddTdd:dd:dd']/@passwdValidTo)",
    ),
    *(
        (
            tag,
            "xml@xml",
            f"devices/hostdev[@type='usb']/source/{tag}[@id=0]",
            f"Invalid value for attribute 'id' in element '{tag}': Zero is not permitted",
        )
        for tag in ("vendor",)
    ),
    *(
        (
            tag,
            "internal",
            f"devices/hostdev[@type='usb']/source[{tag}][not({other})]",
            f"missing {other}",
        )
        for tag, other in (("product", "vendor"), ("vendor", "product"))
    ),
    (
        "lease",
        "xml",
        "devices/lease[not(string(key))]",
        "Missing 'key' element for lease",
    ),
    (
        "input",
        "internal",
        "devices/input[@bus='ps2'][@type!='mouse'][@type!='keyboard']",
        "ps2 bus does not support {} input device",
        "string(devices/input[@bus='ps2'][@type!='mouse'][@type!='keyboard']/@type)",
    ),
    (
        "input",
        "internal",
        "os[type='hvm'] and devices/input[@bus='xen']",
        "unsupported input bus xen",
    ),
    (
        "backend",
        "xml",
        "devices/rng/backend[@model='egd'][not(@type)]",
        "missing EGD backend type",
    ),
    (
        "hostdev",
        "xml@xml",
        "devices/hostdev[@type='mdev'][not(@model)]",
        "Missing required attribute 'model' in element 'hostdev'",
    ),
)
