"""Secrets, interfaces, network filters and devices of a host.

Source: libvirt's src/conf (secret_conf.c, interface_conf.c, nwfilter_conf.c, node_device_conf.c).
"""

from __future__ import annotations

from typing import Final

SECRETS: Final = """
secret ephemeral:bool=no private:bool=no
  uuid+ #text {secretuuid}
  description #text
  usage type:none|volume|ceph|iscsi|tls|vtpm!
    volume [../type=volume] #text
    name [../type=ceph|tls|vtpm] #text
    target [../type=iscsi] #text
"""

_PROTOCOL: Final = """
  protocol* family:ipv4|ipv6!
    autoconf!
    dhcp! peerdns:bool
    ip* address:address! prefix:uint
    route* gateway:address! address:address prefix:uint
  link [../type!=bridge] speed:uint state
"""

INTERFACE: Final = f"""
%hostinterface
  start mode:none|onboot|hotplug
  mtu size:count
{_PROTOCOL}\
  mac [../type=ethernet] address:mac
  bridge!! stp:on|off delay
    %hostinterface_slaves
  bond!! mode:balance-rr|active-backup|balance-xor|broadcast|802.3ad|balance-tlb|balance-alb
    miimon freq:uint downdelay:uint updelay:uint carrier:ioctl|netif
    arpmon interval:uint target validate:none|active|backup|all
    %hostinterface_slaves
  vlan tag
    interface name!
%hostinterface_slaves
  interface* type:ethernet|bridge|bond|vlan! name
    %hostinterface
interface type:ethernet|bridge|bond|vlan! name!
  %hostinterface
"""

_PROTOCOLS: Final = (
    "mac vlan stp arp rarp ip ipv6 tcp udp udplite esp ah sctp icmp igmp all tcp-ipv6 udp-ipv6"
    " udplite-ipv6 esp-ipv6 ah-ipv6 sctp-ipv6 icmpv6 all-ipv6"
)

NWFILTER: Final = f"""
filter name! chain=root priority:int
  uuid+ #text {{filteruuid}}
  rule* action:drop|accept|reject|return|continue! direction:in|out|inout! priority:int=500 \
          statematch:false|(true)|(0)
{"".join(f"    {name}*! {{attributes}}" + chr(10) for name in _PROTOCOLS.split())}\
  filterref*& filter!
    parameter*^name name! value!
"""

NODE_DEVICE: Final = """
device
  name #text
  path #text
  devnode* type! #text
  parent #text
  driver
    name #text
  capability* {whole}
"""
