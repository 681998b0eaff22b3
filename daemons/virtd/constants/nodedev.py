"""Enumerations and flags of devices of the host.

Source: libvirt's include/libvirt: libvirt-nodedev.h.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class ConnectListAllNodeDeviceFlags(IntFlag):
    """Flags of CONNECT_LIST_ALL_NODE_DEVICES."""

    CAP_SYSTEM = 1
    CAP_PCI_DEV = 2
    CAP_USB_DEV = 4
    CAP_USB_INTERFACE = 8
    CAP_NET = 16
    CAP_SCSI_HOST = 32
    CAP_SCSI_TARGET = 64
    CAP_SCSI = 128
    CAP_STORAGE = 256
    CAP_FC_HOST = 512
    CAP_VPORTS = 1024
    CAP_SCSI_GENERIC = 2048
    CAP_DRM = 4096
    CAP_MDEV_TYPES = 8192
    CAP_MDEV = 16384
    CAP_CCW_DEV = 32768
    CAP_CSS_DEV = 0x10000
    CAP_VDPA = 0x20000
    CAP_AP_CARD = 0x40000
    CAP_AP_QUEUE = 0x80000
    CAP_AP_MATRIX = 0x100000
    CAP_VPD = 0x200000
    INACTIVE = 0x40000000
    ACTIVE = 0x80000000


class NodeDeviceCreateXMLFlags(IntFlag):
    """Flags of NODE_DEVICE_CREATE_XML."""

    VALIDATE = 1


class NodeDeviceDefineXMLFlags(IntFlag):
    """Flags of NODE_DEVICE_DEFINE_XML."""

    VALIDATE = 1


class NodeDeviceEventID(IntEnum):
    """Kinds of event of a device."""

    LIFECYCLE = 0
    UPDATE = 1


class NodeDeviceEventLifecycleType(IntEnum):
    """Lifecycle events of a device."""

    CREATED = 0
    DELETED = 1
    DEFINED = 2
    UNDEFINED = 3
