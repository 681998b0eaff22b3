"""Network interfaces and devices of the host that a guest is given.

Source: libvirt's src/conf/domain_conf.c (virDomainNetDefFormat, virDomainHostdevDefFormat,
virDomainRedirdevDefFormat).
"""

from __future__ import annotations

from typing import Final

_TYPES: Final = (
    "user|ethernet|vhostuser|server|client|mcast|network|bridge|internal|direct|hostdev|udp|"
    "vdpa|null|vds"
)

INTERFACES: Final = f"""
%interface
  interface* \
          type:{_TYPES}=user \
          managed:yes[type=hostdev] trustGuestRxFilters:bool {{interface}}
    mac address:mac type:generated|static check:bool
    driver [../type=hostdev] name:kvm|vfio|xen
    source [../type=network] network! portgroup portid:uuid{{live}} bridge{{live}}
      %ip
      %route
    source [../type=bridge] bridge!
      %ip
      %route
    source [../type=direct] dev! mode:vepa|private|bridge|passthrough=vepa
      %ip
      %route
    source [../type=vhostuser] type:unix|! path! mode:client|server!
      %reconnect
    source [../type=server|client|mcast] address port:uint!
    source [../type=udp] address port:uint!
      local address port:uint!
    source [../type=internal] name!
    source [../type=vdpa] dev!
    source [../type=vds] switchid:uuid! portid:long! portgroupid! connectionid:long!
    source [../type=hostdev]
      address type:pci|! %pciaddress
      address [type=usb] type bus:uint device:uint
    source [../type=user,../backend/type=passt] dev
    source [../type=ethernet|null]
      %ip
      %route
    %vlan
    %virtualport
    %bandwidth
    %port
    %ip
    %route
    portForward*! proto:tcp|udp! address:address dev
      range* start:count end:count to:count exclude:bool
    script path
    downscript path
    backenddomain name
    target dev managed:bool {{ifname}}
    guest dev actual{{live}}
    model type:netmodel
    driver [../type!=hostdev] name:(default)|qemu|vhost txmode:(default)|iothread|timer \
            ioeventfd:switch event_idx:switch queues:count rx_queue_size:count tx_queue_size:count \
            rss:switch rss_hash_report:switch %virtio
      host csum:switch gso:switch tso4:switch tso6:switch ecn:switch ufo:switch mrg_rxbuf:switch
      guest csum:switch tso4:switch tso6:switch ecn:switch ufo:switch
    backend type:(default)| tap vhost logFile
    filterref filter!
      parameter*^name name! value!
    tune
      sndbuf #ulong
    teaming type:persistent|transient! persistent
    link state:(default)|up|down
    mtu size:count
    coalesce
      rx
        frames max:count
    %rominfo
"""

_CHARACTERS: Final = (
    "null|vc|pty|dev|file|pipe|stdio|udp|tcp|unix|spicevmc|spiceport|nmdm|qemu-vdagent|dbus"
)

HOST_DEVICES: Final = f"""
%hostdev
  hostdev*!! mode:subsystem|capabilities=subsystem \
          type:usb|pci|scsi|scsi_host|mdev![mode=subsystem] \
                  type:storage|misc|net![mode=capabilities] managed:bool=no[mode=subsystem] \
          sgio:(default)|filtered|unfiltered[type=scsi] rawio:bool[type=scsi] \
          model[type=scsi_host|mdev] display:switch[type=mdev] ramfb:switch[type=mdev]
    driver [../type=pci] name:(default)|kvm|vfio|xen
    source [../mode=capabilities]
      block [../../type=storage] #text
      char [../../type=misc] #text
      interface [../../type=net] #text
    source [../type=usb] startupPolicy:(default)|mandatory|requisite|optional missing{{live}} \
            guestReset:(default)|off|uninitialized|on
      vendor id:hex4
      product id:hex4
      address bus:uint device:uint
    source [../type=pci] writeFiltering:bool
      address %pciaddress
    source [../type=scsi] protocol:(adapter)|iscsi name[protocol=iscsi] {{netsource}}
      adapter [../protocol!=iscsi] name!
      address [../protocol!=iscsi] bus:uint target:uint unit:ulong
      host* [../protocol=iscsi] name! port:count {{storagehost}}
      %auth
      initiator
        iqn name
    source [../type=scsi_host] protocol:vhost|! wwpn!
    source [../type=mdev]
      address uuid:uuid!
    ip* [../mode=capabilities] address:address family:ipv4|ipv6 prefix:count peer:address {{ip}}
    route* [../mode=capabilities] family:ipv4|ipv6 address:address netmask:address prefix:uint \
            gateway:address metric:count
    teaming type:persistent|transient! persistent
    readonly!
    shareable!
    %rominfo
%redirdev
  redirdev*!! bus:usb|=usb type:{_CHARACTERS}!
    source+ [../type=dbus] channel=org.qemu.usbredir
    %charsource
    %bootinfo
%redirfilter
  redirfilter
    usbdev* class:HEX2 vendor:HEX4 product:HEX4 version:usbversion allow:bool!
%hub
  hub* type:usb|!
    %info
"""
