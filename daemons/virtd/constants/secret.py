"""Enumerations and flags of secrets.

Source: libvirt's include/libvirt: libvirt-secret.h.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class SecretUsageType(IntEnum):
    """Kinds of object that use a secret."""

    NONE = 0
    VOLUME = 1
    CEPH = 2
    ISCSI = 3
    TLS = 4
    VTPM = 5


class ConnectListAllSecretsFlags(IntFlag):
    """Flags of CONNECT_LIST_ALL_SECRETS."""

    EPHEMERAL = 1
    NO_EPHEMERAL = 2
    PRIVATE = 4
    NO_PRIVATE = 8


class SecretDefineFlags(IntFlag):
    """Flags of SECRET_DEFINE_XML."""

    VALIDATE = 1


class SecretEventID(IntEnum):
    """Kinds of event of a secret."""

    LIFECYCLE = 0
    VALUE_CHANGED = 1


class SecretEventLifecycleType(IntEnum):
    """Lifecycle events of a secret."""

    DEFINED = 0
    UNDEFINED = 1
