"""Groups of elements and attributes that several kinds of document share.

Source: libvirt's src/conf (device_conf.c, domain_conf.c, storage_source_conf.c,
storage_encryption_conf.c, netdev_*_conf.c).
"""

from __future__ import annotations

from typing import Final

_TYPES: Final = (
    "pci|drive|virtio-serial|ccid|usb|spapr-vio|virtio-s390|ccw|virtio-mmio|isa|dimm|unassigned"
)


#: Where a device is plugged in, as far as each type of address has it (virDomainDeviceInfoFormat).
ADDRESSES: Final = f"""
%address
  address [type=pci] type domain:hex4=0x0000 bus:hex2=0x00 slot:slot=0x00 function:hex1=0x0 \
          multifunction:switch {{pci}}
    zpci uid:hex4=0x0000 fid:hex8=0x00000000
  address [type=drive] type controller:uint=0 bus:uint=0 target:uint=0 unit:uint=0
  address [type=virtio-serial] type controller:uint=0 bus:uint=0 port:uint=0
  address [type=ccid] type controller:uint=0 slot:uint=0
  address [type=usb] type bus:uint=0 port:usbport
  address [type=spapr-vio] type reg:reg
  address [type=ccw] type cssid:hex=0x0 ssid:hex=0x0 devno:hex4=0x0000
  address [type=virtio-mmio] type
  address [type=isa] type iobase:hexcount irq:hexcount
  address [type=dimm] type slot:uint=0 base:hexcount
  address [type=unassigned] type
  address [type!=virtio-s390] \
          type!:{_TYPES}
%pciaddress domain:hex4=0x0000 bus:hex2=0x00 slot:slot=0x00 function:hex1=0x0

// The alias of a device is libvirt's own while a guest runs, and stays in a definition if it is a \
        client's.
%info
  alias name {{user}}
  acpi index:count
  %address
%bootinfo
  boot order:positive loadparm:loadparm
  alias name {{user}}
  acpi index:count
  %address
%rominfo
  boot order:positive loadparm:loadparm
  alias name {{user}}
  rom enabled:bool bar:switch file
  acpi index:count
  %address
%virtio iommu:switch ats:switch packed:switch page_per_vq:switch
%virtiodriver
  driver %virtio
%vhostmodel model:virtio|virtio-transitional|virtio-non-transitional
"""

#: Secrets, encryption, and the security labels of sources.
SECRETS: Final = """
%auth
  auth username!
    secret type uuid:uuid usage[!uuid]
%encryption
  encryption!! format:default|qcow|luks|luks2 engine:qemu|librbd
    secret* type:passphrase| uuid:uuid usage[!uuid]
    cipher name size:count mode hash
    ivgen name hash
%label
  seclabel* model relabel:bool=yes[!labelskip] labelskip:yes {label}
    label #text
%reconnect
  reconnect enabled:bool timeout:uint![enabled=yes]
"""

#: Parts of network interfaces that networks have, too.
NETWORKING: Final = """
%bandwidth
  bandwidth
    inbound average:count peak:count floor:count burst:count
    outbound average:count peak:count burst:count
%vlan
  vlan trunk:yes {vlan}
    tag* id:uint nativeMode:tagged|untagged
%virtualport
  virtualport type:802.1Qbg|802.1Qbh|openvswitch|midonet {virtualport}
    parameters managerid:id typeid:id typeidversion:id instanceid:uuid interfaceid:uuid profileid
%ip
  ip* address:ipaddress family:ipv4|ipv6 prefix:count peer:address {ip}
%route
  route* family:ipv4|ipv6 address:address netmask:address prefix:uint gateway:address metric:count
%port
  port isolated:yes
"""
