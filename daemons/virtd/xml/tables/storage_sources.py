"""Where disks and firmware variables come from: the sources of every type of storage.

Source: libvirt's src/conf/domain_conf.c (virDomainDiskSourceFormat, \
        virDomainDiskBackingStoreFormat).
"""

from __future__ import annotations

from typing import Final

_PROTOCOLS = "nbd|rbd|sheepdog|gluster|iscsi|http|https|ftp|ftps|tftp|ssh|vxhs|nfs"

SOURCES: Final = f"""
%policy startupPolicy:(default)|mandatory|requisite|optional
%sourceparts
  slices
    slice type:storage|! offset:ulong! size:ulong!
%reservations
  reservations managed:bool!
    source type:unix|=unix path mode:client|=client
%source
  source [../type=file] file fdgroup %policy index:count{{live}}
    %sourceparts
    %label
    %encryption
    %reservations
  source [../type=block] dev %policy index:count{{live}}
    %sourceparts
    %label
    %auth
    %encryption
    %reservations
  source [../type=dir] dir %policy index:count{{live}}
    %label
  source [../type=network] protocol:{_PROTOCOLS}! name query tls:bool tlsHostname \
          index:count{{live}} {{netsource}}
    host* name port:count transport:(tcp)|unix|rdma socket {{storagehost}}
    identity user group
    snapshot name
    config file
    initiator
      iqn name
    ssl verify:bool
    cookies {{secure}}
      cookie* name! #text
    readahead size:longcount
    timeout seconds:longcount
    %sourceparts
    %auth
    %encryption
    %reservations
  source [../type=volume] pool! volume! mode:(default)|host|direct %policy index:count{{live}}
    %sourceparts
    %label
    %encryption
    %reservations
  source [../type=nvme] type:pci|! managed:bool=yes namespace:ulong! index:count{{live}}
    address %pciaddress
    %sourceparts
    %encryption
  source [../type=vhostuser] type:unix|! path! index:count{{live}}
    %reconnect
%chain
  backingStore! type:(none)|file|block|dir|network|volume|nvme index:count{{live}}
    format type!
      metadata_cache
        max_size #bytescount
    %source
    %chain
"""
