"""Flags of interfaces of the host.

Source: libvirt's include/libvirt: libvirt-interface.h.
"""

from __future__ import annotations

from enum import IntFlag


class ConnectListAllInterfacesFlags(IntFlag):
    """Flags of CONNECT_LIST_ALL_INTERFACES."""

    INACTIVE = 1
    ACTIVE = 2


class InterfaceXMLFlags(IntFlag):
    """Flags of INTERFACE_GET_XML_DESC."""

    INACTIVE = 1


class InterfaceDefineFlags(IntFlag):
    """Flags of INTERFACE_DEFINE_XML."""

    VALIDATE = 1
