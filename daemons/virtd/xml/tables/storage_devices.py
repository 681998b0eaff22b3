"""Devices that hold data, and the controllers that devices are plugged into.

Source: libvirt's src/conf/domain_conf.c (virDomainDiskDefFormat, virDomainControllerDefFormat,
virDomainFSDefFormat, virDomainLeaseDefFormat).
"""

from __future__ import annotations

from typing import Final

_IOTUNE = "".join(
    f"      {name} #longcount\n"
    for name in (
        *(
            f"{what}_{unit}_sec"
            for unit in ("bytes", "iops")
            for what in ("total", "read", "write")
        ),
        *(
            f"{what}_{unit}_sec_max"
            for unit in ("bytes", "iops")
            for what in ("total", "read", "write")
        ),
        "size_iops_sec",
    )
)
_IOTUNE_LENGTHS = "".join(
    f"      {what}_{unit}_sec_max_length #longcount\n"
    for unit in ("bytes", "iops")
    for what in ("total", "read", "write")
)
_FORMATS = "raw|dir|bochs|cloop|dmg|iso|vpc|vdi|fat|vhd|ploop|cow|qcow|qcow2|qed|vmdk"

DISKS: Final = f"""
%disk
  disk* type:file|block|dir|network|volume|nvme|vhostuser=file device:disk|cdrom|floppy|lun=disk \
          model:(default)|virtio|virtio-transitional|virtio-non-transitional rawio:bool \
          sgio:(default)|filtered|unfiltered snapshot:(default)|no|internal|external|manual \

    driver name type:{_FORMATS} cache:(default)|none|writethrough|writeback|directsync|unsafe \
            error_policy:(default)|stop|report|ignore|enospace \
            rerror_policy:(default)|stop|report|ignore io:(default)|native|threads|io_uring \
            ioeventfd:switch event_idx:switch copy_on_read:switch discard:(default)|unmap|ignore \
            iothread:count detect_zeroes:(default)|off|on|unmap queues:count queue_size:count \
            %virtio
      metadata_cache
        max_size #bytescount
    %auth
    %source
    %chain
    backenddomain name
    geometry cyls:uint heads:uint secs:uint trans:(default)|none|auto|lba
    blockio logical_block_size:count physical_block_size:count
    mirror {{live,whole}}
    target dev bus:ide|fdc|scsi|virtio|xen|usb|uml|sata|sd \
            tray:(closed)|open[../device=cdrom|floppy] removable:switch[bus=usb] \
            rotation_rate:count
    iotune
{_IOTUNE}      group_name #text
{_IOTUNE_LENGTHS}    readonly!
    shareable!
    transient! shareBacking:yes
    serial #text
    wwn #text
    vendor #text
    product #text
    %encryption
    %bootinfo
"""

_SCSI: Final = (
    "auto|buslogic|lsilogic|lsisas1068|vmpvscsi|ibmvscsi|virtio-scsi|lsisas1078|"
    "virtio-transitional|virtio-non-transitional|ncr53c90|dc390|am53c974"
)
_USB: Final = (
    "piix3-uhci|piix4-uhci|ehci|ich9-ehci1|ich9-uhci1|ich9-uhci2|ich9-uhci3|vt82c686b-uhci|"
    "pci-ohci|nec-xhci|qusb1|qusb2|qemu-xhci|none"
)
_PCI: Final = (
    "pci-root|pcie-root|pci-bridge|dmi-to-pci-bridge|pcie-to-pci-bridge|pcie-root-port|"
    "pcie-switch-upstream-port|pcie-switch-downstream-port|pci-expander-bus|pcie-expander-bus"
)

CONTROLLERS: Final = f"""
%controller
  controller* type:ide|fdc|scsi|sata|virtio-serial|ccid|usb|pci|xenbus|isa=ide index:uint \
          model:{_SCSI}[type=scsi] model:{_USB}[type=usb] model:{_PCI}[type=pci] \
                  model:piix3|piix4|ich6[type=ide] \
          model:virtio|virtio-transitional|virtio-non-transitional[type=virtio-serial] \
                  model[type!=scsi|usb|pci|ide|virtio-serial] \
          ports:uint[type=virtio-serial|usb] vectors:uint[type=virtio-serial] \
          maxGrantFrames:uint[type=xenbus] maxEventChannels:uint[type=xenbus]
    model [../type=pci] name
    target [../type=pci] chassisNr:id chassis:id port:hex busNr:id index:id hotplug:switch
      node #uint
    driver queues:count cmd_per_lun:count max_sectors:count ioeventfd:switch iothread:count %virtio
    alias name {{user}}
    master [../type=usb] startport:uint
    acpi index:count
    %address
    pcihole64 [../type=pci] #KiB
"""

OTHERS: Final = f"""
%lease
  lease*
    lockspace #text
    key #text
    target path! offset:longcount
%filesystem
  filesystem*!! type:mount|block|file|template|ram|bind|volume=mount \
          accessmode:passthrough|mapped|squash \
          model:(default)|virtio|virtio-transitional|virtio-non-transitional \
          multidevs:(default)|remap|forbid|warn fmode:mode dmode:mode {{filesystem}}
    driver type:path|handle|loop|nbd|ploop|virtiofs format:{_FORMATS} wrpolicy:(default)|immediate \
            queue:longcount %virtio
    binary [../driver/type=virtiofs] path xattr:switch
      cache mode:(default)|none|always
      sandbox mode:(default)|namespace|chroot
      lock posix:switch flock:switch
      thread_pool size:uint
    source [../type=mount|bind] dir[!socket] socket
    source [../type=block] dev
    source [../type=file] file
    source [../type=template] name
    source [../type=ram] usage:ulong! units {{usage}}
    source [../type=volume] pool! volume!
    target dir
    readonly!
    %bootinfo
    space_hard_limit #bytescount
    space_soft_limit #bytescount
"""
