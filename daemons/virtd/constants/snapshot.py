"""Flags of snapshots.

Source: libvirt's include/libvirt: libvirt-domain-snapshot.h.
"""

from __future__ import annotations

from enum import IntFlag


class DomainSnapshotCreateFlags(IntFlag):
    """Flags of DOMAIN_SNAPSHOT_CREATE_XML."""

    REDEFINE = 1
    CURRENT = 2
    NO_METADATA = 4
    HALT = 8
    DISK_ONLY = 16
    REUSE_EXT = 32
    QUIESCE = 64
    ATOMIC = 128
    LIVE = 256
    VALIDATE = 512


class DomainSnapshotXMLFlags(IntFlag):
    """Flags of DOMAIN_SNAPSHOT_GET_XML_DESC."""

    SECURE = 1


class DomainSnapshotListFlags(IntFlag):
    """Flags of DOMAIN_SNAPSHOT_NUM, DOMAIN_SNAPSHOT_LIST_NAMES, DOMAIN_SNAPSHOT_NUM_CHILDREN,
    DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES, DOMAIN_LIST_ALL_SNAPSHOTS and
    DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN."""

    ROOTS = 1
    DESCENDANTS = 1
    LEAVES = 4
    NO_LEAVES = 8
    METADATA = 2
    NO_METADATA = 16
    INACTIVE = 32
    ACTIVE = 64
    DISK_ONLY = 128
    INTERNAL = 256
    EXTERNAL = 512
    TOPOLOGICAL = 1024


class DomainSnapshotRevertFlags(IntFlag):
    """Flags of DOMAIN_REVERT_TO_SNAPSHOT."""

    RUNNING = 1
    PAUSED = 2
    FORCE = 4
    RESET_NVRAM = 8


class DomainSnapshotDeleteFlags(IntFlag):
    """Flags of DOMAIN_SNAPSHOT_DELETE."""

    CHILDREN = 1
    METADATA_ONLY = 2
    CHILDREN_ONLY = 4
