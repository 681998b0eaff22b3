"""Flags of checkpoints.

Source: libvirt's include/libvirt: libvirt-domain-checkpoint.h.
"""

from __future__ import annotations

from enum import IntFlag


class DomainCheckpointCreateFlags(IntFlag):
    """Flags of DOMAIN_CHECKPOINT_CREATE_XML."""

    REDEFINE = 1
    QUIESCE = 2
    REDEFINE_VALIDATE = 4


class DomainCheckpointXMLFlags(IntFlag):
    """Flags of DOMAIN_CHECKPOINT_GET_XML_DESC."""

    SECURE = 1
    NO_DOMAIN = 2
    SIZE = 4


class DomainCheckpointListFlags(IntFlag):
    """Flags of DOMAIN_LIST_ALL_CHECKPOINTS and DOMAIN_CHECKPOINT_LIST_ALL_CHILDREN."""

    ROOTS = 1
    DESCENDANTS = 1
    TOPOLOGICAL = 2
    LEAVES = 4
    NO_LEAVES = 8


class DomainCheckpointDeleteFlags(IntFlag):
    """Flags of DOMAIN_CHECKPOINT_DELETE."""

    CHILDREN = 1
    METADATA_ONLY = 2
    CHILDREN_ONLY = 4
