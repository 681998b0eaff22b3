"""Networks, and the ports that guests have on them.

Source: libvirt's src/conf (network_conf.c virNetworkDefFormatBuf, virnetworkportdef.c).
"""

from __future__ import annotations

from typing import Final

NETWORK: Final = """
network connections:uint{live} ipv6:yes trustGuestRxFilters:bool
  name #text
  uuid+ #text {netuuid}
  metadata {whole,metadata}
  forward! dev mode:none|nat|route|open|bridge|private|vepa|passthrough|hostdev=nat \
          managed:bool=no[mode=hostdev] {forward}
    driver name:kvm|vfio|xen
    nat [../mode=nat] ipv6:bool
      address start:address end:address
      port start:uint=1024 end:uint=65535
    pf dev!
    interface* dev! connections:count{live}
    address* type:pci|! %pciaddress
  bridge+ name zone stp:on|off delay:uint macTableManager:kernel|libvirt
  mtu size:count
  mac address:mac
  domain name! localOnly:bool
  dns enable:bool forwardPlainNames:bool
    forwarder* domain addr:address
    txt* name! value
    srv* service! protocol! domain target port:count priority:count weight:count
    host*!! ip:ipaddress
      hostname* #text
  %vlan
  %bandwidth
  port isolated:bool
  ip*!! family:ipv4|ipv6 address:ipaddress netmask:ipaddress prefix:count localPtr:bool
    tftp root
    dhcp
      range* start:ipaddress! end:ipaddress!
        lease expiry:ulong! unit:seconds|minutes|hours=minutes[expiry!=0]
      host* mac:hardware id name ip:address
        lease expiry:ulong! unit:seconds|minutes|hours=minutes[expiry!=0]
      bootp file! server:address
  %route
  %virtualport
  portgroup*!! name! default:yes trustGuestRxFilters:bool
    %vlan
    %virtualport
    %bandwidth
"""

PORT: Final = """
networkport!!
  uuid+ #text {uuid}
  owner
    name #text
    uuid #uuid
  group #text
  mac address:mac!
  %virtualport
  %bandwidth
  %vlan
  port isolated:bool
  rxfilters trustGuest:bool!
  plug type:network|bridge|direct|hostdev-pci! bridge[type=network|bridge] \
          macTableManager:kernel|libvirt[type=network|bridge] dev[type=direct] \
          mode:vepa|private|bridge|passthrough[type=direct] managed:bool[type=hostdev-pci]
    driver name:kvm|vfio|xen
    address %pciaddress
"""
