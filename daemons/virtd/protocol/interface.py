"""Network interfaces of the host."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import INTERFACE_LIST_MAX
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullInterface
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    ActiveRet,
    FlagsArgs,
    ListAllArgs,
    MaxNamesArgs,
    NameArgs,
    NumRet,
    XmlFlagsArgs,
    XmlRet,
)
from aiovirt.rpc.wire import xdr


@xdr.struct
class ConnectListInterfacesRet:
    """Result of CONNECT_LIST_INTERFACES."""

    names: Annotated[list[str], xdr.Array(xdr.Str, INTERFACE_LIST_MAX)]


@xdr.struct
class InterfaceRet:
    """An interface of the host."""

    iface: NonnullInterface


@xdr.struct
class InterfaceLookupByMacStringArgs:
    """Arguments of INTERFACE_LOOKUP_BY_MAC_STRING."""

    mac: xdr.Str


@xdr.struct
class InterfaceFlagsArgs:
    """An interface of the host, and flags of the procedure."""

    iface: NonnullInterface
    flags: xdr.UInt


@xdr.struct
class InterfaceArgs:
    """An interface of the host."""

    iface: NonnullInterface


@xdr.struct
class ConnectListAllInterfacesRet:
    """Result of CONNECT_LIST_ALL_INTERFACES."""

    ifaces: Annotated[list[NonnullInterface], xdr.Array(NonnullInterface, INTERFACE_LIST_MAX)]
    ret: xdr.UInt


CONNECT_NUM_OF_INTERFACES: Final = REMOTE.procedure(
    126, "CONNECT_NUM_OF_INTERFACES", xdr.Void, NumRet, reads=True, priority=True
)
CONNECT_LIST_INTERFACES: Final = REMOTE.procedure(
    127,
    "CONNECT_LIST_INTERFACES",
    MaxNamesArgs,
    ConnectListInterfacesRet,
    reads=True,
    priority=True,
)
INTERFACE_LOOKUP_BY_NAME: Final = REMOTE.procedure(
    128, "INTERFACE_LOOKUP_BY_NAME", NameArgs, InterfaceRet, reads=True, priority=True
)
INTERFACE_LOOKUP_BY_MAC_STRING: Final = REMOTE.procedure(
    129,
    "INTERFACE_LOOKUP_BY_MAC_STRING",
    InterfaceLookupByMacStringArgs,
    InterfaceRet,
    reads=True,
    priority=True,
)
INTERFACE_GET_XML_DESC: Final = REMOTE.procedure(
    130,
    "INTERFACE_GET_XML_DESC",
    InterfaceFlagsArgs,
    XmlRet,
    flags=names("interface.InterfaceXMLFlags"),
    reads=True,
)
INTERFACE_DEFINE_XML: Final = REMOTE.procedure(
    131,
    "INTERFACE_DEFINE_XML",
    XmlFlagsArgs,
    InterfaceRet,
    flags=names("interface.InterfaceDefineFlags"),
    priority=True,
)
INTERFACE_UNDEFINE: Final = REMOTE.procedure(
    132, "INTERFACE_UNDEFINE", InterfaceArgs, xdr.Void, priority=True
)
INTERFACE_CREATE: Final = REMOTE.procedure(133, "INTERFACE_CREATE", InterfaceFlagsArgs, xdr.Void)
INTERFACE_DESTROY: Final = REMOTE.procedure(
    134, "INTERFACE_DESTROY", InterfaceFlagsArgs, xdr.Void, priority=True
)
CONNECT_NUM_OF_DEFINED_INTERFACES: Final = REMOTE.procedure(
    137, "CONNECT_NUM_OF_DEFINED_INTERFACES", xdr.Void, NumRet, reads=True, priority=True
)
CONNECT_LIST_DEFINED_INTERFACES: Final = REMOTE.procedure(
    138,
    "CONNECT_LIST_DEFINED_INTERFACES",
    MaxNamesArgs,
    ConnectListInterfacesRet,
    reads=True,
    priority=True,
)
INTERFACE_IS_ACTIVE: Final = REMOTE.procedure(
    156, "INTERFACE_IS_ACTIVE", InterfaceArgs, ActiveRet, reads=True, priority=True
)
INTERFACE_CHANGE_BEGIN: Final = REMOTE.procedure(220, "INTERFACE_CHANGE_BEGIN", FlagsArgs, xdr.Void)
INTERFACE_CHANGE_COMMIT: Final = REMOTE.procedure(
    221, "INTERFACE_CHANGE_COMMIT", FlagsArgs, xdr.Void
)
INTERFACE_CHANGE_ROLLBACK: Final = REMOTE.procedure(
    222, "INTERFACE_CHANGE_ROLLBACK", FlagsArgs, xdr.Void
)
CONNECT_LIST_ALL_INTERFACES: Final = REMOTE.procedure(
    284,
    "CONNECT_LIST_ALL_INTERFACES",
    ListAllArgs,
    ConnectListAllInterfacesRet,
    flags=names("interface.ConnectListAllInterfacesFlags"),
    reads=True,
    priority=True,
)
