"""Devices of a desk: screens and how they are reached, keyboards, sound; and small devices.

Source: libvirt's src/conf/domain_conf.c (virDomainGraphicsDefFormat, virDomainVideoDefFormat,
virDomainInputDefFormat, virDomainAudioDefFormat, virDomainMemoryDefFormat and the like).
"""

from __future__ import annotations

from typing import Final

_COMPRESSION = "(default)|auto|never|always"

GRAPHICS: Final = f"""
%graphics
  graphics* type:sdl|vnc|rdp|desktop|spice|egl-headless|dbus! display[type=sdl|desktop] \
          xauth[type=sdl] fullscreen:yes[type=sdl|desktop] p2p:yes[type=dbus] address[type=dbus] \
          socket[type=vnc] port:int[type=vnc|spice|rdp] tlsPort:int[type=spice] \
          autoport:bool[type=vnc|spice|rdp] websocket:int[type=vnc] replaceUser:yes[type=rdp] \
          multiUser:yes[type=rdp] listen[type=vnc|spice|rdp] keymap[type=vnc|spice] \
          sharePolicy:(default)|allow-exclusive|force-shared|ignore[type=vnc] \
          powerControl:bool[type=vnc] defaultMode:(any)|secure|insecure[type=spice] \
          passwd[type=vnc|spice]{{secure}} passwdValidTo[type=vnc|spice] \
          connected:(default)|fail|disconnect|keep[type=vnc|spice]
    listen* [../type=vnc|spice|rdp] type:none|address|network|socket! address[type=address] \
            network[type=network] socket[type=socket]
    channel*^name [../type=spice] \
            name:main|display|inputs|cursor|playback|record|smartcard|usbredir! \
            mode:any|secure|insecure! {{channel}}
    image [../type=spice] compression:(default)|auto_glz|auto_lz|quic|glz|lz|off
    jpeg [../type=spice] compression:{_COMPRESSION}
    zlib [../type=spice] compression:{_COMPRESSION}
    playback [../type=spice] compression:switch
    streaming [../type=spice] mode:(default)|filter|all|off
    mouse [../type=spice] mode:(default)|server|client
    clipboard [../type=spice] copypaste:bool
    filetransfer [../type=spice] enable:bool
    gl [../type=sdl] enable:bool!
    gl [../type=egl-headless] rendernode
    gl [../type=spice|dbus] enable:bool! rendernode
    audio [../type=vnc|dbus] id:count
%video
  video*!!
    driver %virtio vgaconf:(io)|on|off name:(default)|qemu|vhostuser
    model+ \
            type:default|vga|cirrus|vmvga|xen|vbox|qxl|parallels|virtio|gop|none|bochs|ramfb=default \
                    \
            ram:count[type=qxl] vram:count vram64:count[type=qxl] vgamem:count[type=qxl] \
            heads:count primary:yes
      acceleration! accel3d:bool accel2d:bool rendernode
      resolution x:uint! y:uint!
    %info
"""

DESK: Final = """
%input
  input* type:mouse|tablet|keyboard|passthrough|evdev! bus:ps2|usb|xen|parallels|virtio|(none) \
          model:(default)|virtio|virtio-transitional|virtio-non-transitional
    %virtiodriver
    source [../type=evdev] dev! grab:(default)|all \
            grabToggle:(default)|ctrl-ctrl|alt-alt|shift-shift|meta-meta|scrolllock|ctrl-scrolllock \
                    \
            repeat:switch
    source [../type=passthrough] evdev!
    %info
%sound
  sound* model:sb16|es1370|pcspk|ac97|ich6|ich9|usb|ich7!
    codec* type:duplex|micro|output!
    audio id:count
    %info
%audioformat frequency:count channels:count format:u8|s8|u16|s16|u32|s32|f32
%audioio mixingEngine:bool fixedSettings:bool voices:count bufferLength:count \
        dev[../type=alsa|oss] bufferCount:count[../type=coreaudio|oss|sdl] \
        tryPoll:bool[../type=oss] serverName[../type=jack] clientName[../type=jack] \
        connectPorts[../type=jack] exactName:bool[../type=jack] name[../type=pulseaudio] \
        streamName[../type=pulseaudio] latency:count[../type=pulseaudio]
%audio
  audio* id:count type:none|alsa|coreaudio|jack|oss|pulseaudio|sdl|spice|file|dbus! \
          timerPeriod:count tryMMap:bool[type=oss] exclusive:bool[type=oss] \
          dspPolicy:int[type=oss] serverName[type=pulseaudio] \
          driver:esd|alsa|arts|pulseaudio[type=sdl] path[type=file]
    input %audioio
      settings! [../fixedSettings=yes] %audioformat
    output %audioio
      settings! [../fixedSettings=yes] %audioformat
%watchdog
  watchdog model:i6300esb|ib700|diag288! \
          action:reset|shutdown|poweroff|pause|dump|none|inject-nmi=reset
    %info
%memballoon
  memballoon model:virtio|xen|none|virtio-transitional|virtio-non-transitional! autodeflate:switch \
          freePageReporting:switch
    stats period:count
    %info
    %virtiodriver
%nvram
  nvram!!
    %info
%panic
  panic* model:(default)|isa|pseries|hyperv|s390
    %info
%shmem
  shmem*!! name! role:(default)|master|peer
    model+ type:ivshmem|ivshmem-plain|ivshmem-doorbell=ivshmem
    size #MiB
    server! path
    msi! vectors:count ioeventfd:switch
    %info
%memory
  memory* model:dimm|nvdimm|virtio-pmem|virtio-mem|sgx-epc! access:(default)|shared|private \
          discard:bool
    uuid #uuid
    source [../model=dimm|virtio-mem|sgx-epc]
      nodemask #set
      pagesize #KiBcount
    source [../model=nvdimm|virtio-pmem]
      path #text
      alignsize [../../model=nvdimm] #KiBcount
      pmem! [../../model=nvdimm]
    target
      size #KiB
      node #uint
      label
        size #KiB
      readonly!
      block #KiBcount
      requested #KiB
      current {live} #KiB
    %info
%iommu
  iommu model:intel|smmuv3|virtio!
    driver intremap:switch caching_mode:switch eim:switch iotlb:switch aw_bits:count
    acpi index:count
    %address
%vsock
  vsock model:(default)|virtio|virtio-transitional|virtio-non-transitional
    cid+ auto:bool address:count {cid}
    %info
    %virtiodriver
"""

#: All devices, in the order in which libvirt writes them.
DEVICES: Final = """
%devices
  emulator #text
  %disk
  %controller
  %lease
  %filesystem
  %interface
  %smartcard
  %serial
  %parallel
  %console
  %channel
  %input
  %tpm
  %graphics
  %sound
  %audio
  %video
  %hostdev
  %redirdev
  %redirfilter
  %hub
  %watchdog
  %memballoon
  %rng
  %nvram
  %panic
  %shmem
  %memory
  %iommu
  %vsock
"""
