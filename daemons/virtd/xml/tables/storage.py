"""Storage pools and volumes.

Source: libvirt's src/conf/storage_conf.c (virStoragePoolDefFormatBuf, virStorageVolDefFormat) and
storage_adapter_conf.c.
"""

from __future__ import annotations

from typing import Final

#: The types of pools.
POOL_TYPES: Final = (
    "dir|fs|netfs|logical|disk|iscsi|iscsi-direct|scsi|mpath|rbd|sheepdog|gluster|zfs|vstorage"
)

POOL: Final = f"""
%permissions
  permissions
    mode #octal
    owner #owner
    group #owner
    label #text
pool type:{POOL_TYPES}!
  name #text
  uuid+ #text {{pooluuid}}
  capacity #bytes
  allocation #bytes
  available #bytes
  features
    cow state:bool!
  source!!+
    host* [../../type=netfs|iscsi|iscsi-direct|rbd|sheepdog|gluster] name! port:count
    device* [../../type=logical|fs|iscsi|iscsi-direct|disk|zfs] path! part_separator:bool
      freeExtent* {{live}} start:ulong! end:ulong!
    dir [../../type=netfs|gluster] path:path
    adapter [../../type=scsi] type:scsi_host|fc_host name[type=scsi_host] parent[type=fc_host] \
            parent_wwnn[type=fc_host] parent_wwpn[type=fc_host] parent_fabric_wwn[type=fc_host] \
            managed:bool[type=fc_host] wwnn[type=fc_host] wwpn[type=fc_host] {{adapter}}
      parentaddr [../type=scsi_host] unique_id:uint
        address %pciaddress
    name [../../type=logical|rbd|sheepdog|gluster|zfs|vstorage] #text
    initiator [../../type=iscsi|iscsi-direct]
      iqn name
    format [../../type=fs] \
            type:auto|ext2|ext3|ext4|ufs|iso9660|udf|gfs|gfs2|vfat|hfs+|xfs|ocfs2|vmfs
    format [../../type=netfs] type:auto|nfs|glusterfs|cifs
    format [../../type=disk] type:unknown|dos|dvh|gpt|mac|bsd|pc98|sun|lvm2
    format [../../type=logical] type:unknown|lvm2
    auth type:chap|ceph! username!
      secret uuid:uuid usage[!uuid]
    protocol ver
    vendor name
    product name
  target!! [../type!=rbd|sheepdog|gluster|iscsi-direct]
    path #path
    %permissions
  refresh
    volume allocation:default|capacity
"""

VOLUME: Final = """
%times
  timestamps {live}
    atime #text
    mtime #text
    ctime #text
    btime #text
%voltarget
  path #text
  format type
  %permissions
  %times
  %encryption
  compat #text
  clusterSize #B
  features!
    lazy_refcounts!
    extended_l2!
volume type:file|block|dir|network|netdir|ploop
  name #text
  key #text
  source {live}
    device* path!
      extent* start:ulong! end:ulong!
  capacity #bytes
  allocation #bytes
  physical {live} #bytes
  target!!+
    %voltarget
  backingStore!! [<path>]
    path #text
    format type
    %permissions
    %times
"""
