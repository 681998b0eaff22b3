"""Character devices: serial and parallel ports, consoles, channels, and what else talks to one.

Source: libvirt's src/conf/domain_conf.c (virDomainChrDefFormat, virDomainChrSourceDefFormat,
virDomainSmartcardDefFormat, virDomainTPMDefFormat, virDomainRNGDefFormat).
"""

from __future__ import annotations

from typing import Final

_MODELS: Final = (
    "isa-serial|usb-serial|pci-serial|spapr-vty|pl011|sclpconsole|sclplmconsole|16550a|isa-debugcon"
)
_SERIAL: Final = (
    "isa-serial|usb-serial|pci-serial|spapr-vio-serial|system-serial|sclp-serial|isa-debug"
)
_TYPES: Final = "null|vc|pty|dev|file|pipe|stdio|udp|tcp|unix|spicevmc|spiceport|nmdm"

CHARACTERS: Final = f"""
%chardevice \
        type:{_TYPES}|qemu-vdagent|dbus=pty
%charsource
  source [../type=pty] path{{live}}
    %label
  source [../type=dev|pipe] path!
    %label
  source [../type=file] path! append:switch
    %label
  source [../type=nmdm] master! slave!
  source*^mode [../type=udp] mode:bind|connect=connect host service
  source [../type=tcp] mode:connect|bind=connect host service! tls:bool
    %reconnect
  source [../type=unix] mode:connect|bind=connect path {{unixsource}}
    %label
    %reconnect
  source [../type=spiceport|dbus] channel!
  source [../type=qemu-vdagent]
    clipboard copypaste:bool
    mouse mode:server|client
  protocol+ [../type=tcp] type:raw|telnet|telnets|tls=raw
  log file! append:switch
%serial
  serial*!! %chardevice
    %charsource
    target!+ type:(none)|{_SERIAL} port:uint
      model name:(none)|{_MODELS}
    %info
%parallel
  parallel*!! %chardevice
    %charsource
    target!+ port:uint
    %info
%console
  console*!! %chardevice tty{{live}}
    %charsource
    target!+ type:(none)|serial|xen|uml|virtio|lxc|openvz|sclp|sclplm port:uint
    %info
%channel
  channel*!! %chardevice
    %charsource
    target type:guestfwd|virtio|xen! address:address[type=guestfwd] port:uint[type=guestfwd] \
            name[type=virtio|xen] state:connected|disconnected{{live}}
    %info
%smartcard
  smartcard* mode:host|host-certificates|passthrough! \
          type:{_TYPES}|dbus[mode=passthrough]
    certificate* [../mode=host-certificates] #text
    database [../mode=host-certificates] #text
    %charsource
    %info
%rng
  rng*!! model:virtio|virtio-transitional|virtio-non-transitional!
    rate bytes:uint! period:count
    backend [model=random] model! #text {{random}}
    backend!! [model=egd] model! \
            type!:{_TYPES}
      %charsource
    backend model:builtin|!
    %virtiodriver
    %info
%tpm
  tpm* model:(default)|tpm-tis|tpm-crb|tpm-spapr|spapr-tpm-proxy
    backend type:passthrough|emulator|external! version:(default)|1.2|2.0[type=emulator] \
            persistent_state:yes[type=emulator]
      device [../type=passthrough] path=/dev/tpm0
      encryption [../type=emulator] secret:uuid!
      active_pcr_banks [../type=emulator]
        sha1!
        sha256!
        sha384!
        sha512!
      source [../type=external] type:unix|! mode:connect|=connect path
    %info
"""
