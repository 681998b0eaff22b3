"""Enumerations and flags of networks and their ports.

Source: libvirt's include/libvirt: libvirt-network.h.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class NetworkXMLFlags(IntFlag):
    """Flags of NETWORK_GET_XML_DESC."""

    INACTIVE = 1


class ConnectListAllNetworksFlags(IntFlag):
    """Flags of CONNECT_LIST_ALL_NETWORKS."""

    INACTIVE = 1
    ACTIVE = 2
    PERSISTENT = 4
    TRANSIENT = 8
    AUTOSTART = 16
    NO_AUTOSTART = 32


class NetworkCreateFlags(IntFlag):
    """Flags of NETWORK_CREATE_XML_FLAGS."""

    VALIDATE = 1


class NetworkDefineFlags(IntFlag):
    """Flags of NETWORK_DEFINE_XML_FLAGS."""

    VALIDATE = 1


class NetworkUpdateCommand(IntEnum):
    """Changes of a section of a network."""

    NONE = 0
    MODIFY = 1
    DELETE = 2
    ADD_LAST = 3
    ADD_FIRST = 4


class NetworkUpdateSection(IntEnum):
    """Sections of a network."""

    NONE = 0
    BRIDGE = 1
    DOMAIN = 2
    IP = 3
    IP_DHCP_HOST = 4
    IP_DHCP_RANGE = 5
    FORWARD = 6
    FORWARD_INTERFACE = 7
    FORWARD_PF = 8
    PORTGROUP = 9
    DNS_HOST = 10
    DNS_TXT = 11
    DNS_SRV = 12


class NetworkUpdateFlags(IntFlag):
    """Flags of NETWORK_UPDATE."""

    AFFECT_CURRENT = 0
    AFFECT_LIVE = 1
    AFFECT_CONFIG = 2


class NetworkEventLifecycleType(IntEnum):
    """Lifecycle events of a network."""

    DEFINED = 0
    UNDEFINED = 1
    STARTED = 2
    STOPPED = 3


class NetworkEventID(IntEnum):
    """Kinds of event of a network."""

    LIFECYCLE = 0


class IPAddrType(IntEnum):
    """Families of addresses."""

    IPV4 = 0
    IPV6 = 1


class NetworkPortCreateFlags(IntFlag):
    """Flags of NETWORK_PORT_CREATE_XML."""

    RECLAIM = 1
    VALIDATE = 2
