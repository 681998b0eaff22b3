"""Virtual networks and their ports."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import (
    NETWORK_DHCP_LEASES_MAX,
    NETWORK_LIST_MAX,
    NETWORK_PORT_LIST_MAX,
    NETWORK_PORT_PARAMETERS_MAX,
)
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullNetwork, NonnullNetworkPort, Uuid
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    ActiveRet,
    AutostartRet,
    CallbackArgs,
    CallbackRet,
    ListAllArgs,
    MaxNamesArgs,
    NameArgs,
    NameRet,
    NumRet,
    PersistentRet,
    UuidArgs,
    XmlArgs,
    XmlFlagsArgs,
    XmlRet,
)
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.typedparams import TypedParam


@xdr.struct
class ConnectListNetworksRet:
    """Result of CONNECT_LIST_NETWORKS."""

    names: Annotated[list[str], xdr.Array(xdr.Str, NETWORK_LIST_MAX)]


@xdr.struct
class NetworkArgs:
    """A network."""

    net: NonnullNetwork


@xdr.struct
class NetworkRet:
    """A network."""

    net: NonnullNetwork


@xdr.struct
class NetworkGetXmlDescArgs:
    """Arguments of NETWORK_GET_XML_DESC. flags: NetworkXMLFlags."""

    net: NonnullNetwork
    flags: xdr.UInt


@xdr.struct
class NetworkSetAutostartArgs:
    """Arguments of NETWORK_SET_AUTOSTART. autostart: 1 to start it with the daemon, else 0."""

    net: NonnullNetwork
    autostart: xdr.Int


@xdr.struct
class ConnectListAllNetworksRet:
    """Result of CONNECT_LIST_ALL_NETWORKS."""

    nets: Annotated[list[NonnullNetwork], xdr.Array(NonnullNetwork, NETWORK_LIST_MAX)]
    ret: xdr.UInt


@xdr.struct
class NetworkUpdateArgs:
    """Arguments of NETWORK_UPDATE. flags: NetworkUpdateFlags."""

    net: NonnullNetwork
    command: Annotated[xdr.UInt, names("network.NetworkUpdateCommand")]
    section: Annotated[xdr.UInt, names("network.NetworkUpdateSection")]
    parentIndex: xdr.Int
    xml: xdr.Str
    flags: xdr.UInt


@xdr.struct
class ConnectNetworkEventRegisterAnyArgs:
    """Arguments of CONNECT_NETWORK_EVENT_REGISTER_ANY."""

    eventID: Annotated[xdr.Int, names("network.NetworkEventID")]
    net: Annotated[NonnullNetwork | None, xdr.Optional(NonnullNetwork)]


@xdr.struct
class NetworkEventLifecycleMsg:
    """Content of the event NETWORK_EVENT_LIFECYCLE."""

    callbackID: xdr.Int
    net: NonnullNetwork
    event: Annotated[xdr.Int, names("network.NetworkEventLifecycleType")]
    detail: xdr.Int


@xdr.struct
class NetworkGetDhcpLeasesArgs:
    """Arguments of NETWORK_GET_DHCP_LEASES. need_results: 0 for the number only."""

    net: NonnullNetwork
    mac: xdr.OptStr
    need_results: xdr.Int
    flags: xdr.UInt


@xdr.struct
class NetworkDhcpLease:
    """A DHCP lease. expirytime: seconds since 1970; type: IPAddrType; prefix: bits of the network."""

    iface: xdr.Str
    expirytime: xdr.Hyper
    type: Annotated[xdr.Int, names("network.IPAddrType")]
    mac: xdr.OptStr
    iaid: xdr.OptStr
    ipaddr: xdr.Str
    prefix: xdr.UInt
    hostname: xdr.OptStr
    clientid: xdr.OptStr


@xdr.struct
class NetworkGetDhcpLeasesRet:
    """Result of NETWORK_GET_DHCP_LEASES."""

    leases: Annotated[list[NetworkDhcpLease], xdr.Array(NetworkDhcpLease, NETWORK_DHCP_LEASES_MAX)]
    ret: xdr.UInt


@xdr.struct
class NetworkListAllPortsArgs:
    """Arguments of NETWORK_LIST_ALL_PORTS. need_results: 0 for the number only."""

    network: NonnullNetwork
    need_results: xdr.Int
    flags: xdr.UInt


@xdr.struct
class NetworkListAllPortsRet:
    """Result of NETWORK_LIST_ALL_PORTS."""

    ports: Annotated[list[NonnullNetworkPort], xdr.Array(NonnullNetworkPort, NETWORK_PORT_LIST_MAX)]
    ret: xdr.UInt


@xdr.struct
class NetworkPortLookupByUuidArgs:
    """Arguments of NETWORK_PORT_LOOKUP_BY_UUID."""

    network: NonnullNetwork
    uuid: Uuid


@xdr.struct
class NetworkPortRet:
    """A port of a network."""

    port: NonnullNetworkPort


@xdr.struct
class NetworkPortCreateXmlArgs:
    """Arguments of NETWORK_PORT_CREATE_XML. flags: NetworkPortCreateFlags."""

    network: NonnullNetwork
    xml: xdr.Str
    flags: xdr.UInt


@xdr.struct
class NetworkPortGetParametersArgs:
    """Arguments of NETWORK_PORT_GET_PARAMETERS. nparams: the maximum number of parameters; 0 to ask
    for their number."""

    port: NonnullNetworkPort
    nparams: xdr.Int
    flags: xdr.UInt


@xdr.struct
class NetworkPortGetParametersRet:
    """Result of NETWORK_PORT_GET_PARAMETERS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, NETWORK_PORT_PARAMETERS_MAX)]
    nparams: xdr.Int


@xdr.struct
class NetworkPortSetParametersArgs:
    """Arguments of NETWORK_PORT_SET_PARAMETERS."""

    port: NonnullNetworkPort
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, NETWORK_PORT_PARAMETERS_MAX)]
    flags: xdr.UInt


@xdr.struct
class NetworkPortFlagsArgs:
    """A port of a network, and flags of the procedure."""

    port: NonnullNetworkPort
    flags: xdr.UInt


CONNECT_LIST_DEFINED_NETWORKS: Final = REMOTE.procedure(
    36,
    "CONNECT_LIST_DEFINED_NETWORKS",
    MaxNamesArgs,
    ConnectListNetworksRet,
    reads=True,
    priority=True,
)
CONNECT_LIST_NETWORKS: Final = REMOTE.procedure(
    38, "CONNECT_LIST_NETWORKS", MaxNamesArgs, ConnectListNetworksRet, reads=True, priority=True
)
NETWORK_CREATE: Final = REMOTE.procedure(39, "NETWORK_CREATE", NetworkArgs, xdr.Void)
NETWORK_CREATE_XML: Final = REMOTE.procedure(40, "NETWORK_CREATE_XML", XmlArgs, NetworkRet)
NETWORK_DEFINE_XML: Final = REMOTE.procedure(
    41, "NETWORK_DEFINE_XML", XmlArgs, NetworkRet, priority=True
)
NETWORK_DESTROY: Final = REMOTE.procedure(
    42, "NETWORK_DESTROY", NetworkArgs, xdr.Void, priority=True
)
NETWORK_GET_XML_DESC: Final = REMOTE.procedure(
    43,
    "NETWORK_GET_XML_DESC",
    NetworkGetXmlDescArgs,
    XmlRet,
    flags=names("network.NetworkXMLFlags"),
    reads=True,
    priority=True,
)
NETWORK_GET_AUTOSTART: Final = REMOTE.procedure(
    44, "NETWORK_GET_AUTOSTART", NetworkArgs, AutostartRet, reads=True, priority=True
)
NETWORK_GET_BRIDGE_NAME: Final = REMOTE.procedure(
    45, "NETWORK_GET_BRIDGE_NAME", NetworkArgs, NameRet, reads=True, priority=True
)
NETWORK_LOOKUP_BY_NAME: Final = REMOTE.procedure(
    46, "NETWORK_LOOKUP_BY_NAME", NameArgs, NetworkRet, reads=True, priority=True
)
NETWORK_LOOKUP_BY_UUID: Final = REMOTE.procedure(
    47, "NETWORK_LOOKUP_BY_UUID", UuidArgs, NetworkRet, reads=True, priority=True
)
NETWORK_SET_AUTOSTART: Final = REMOTE.procedure(
    48, "NETWORK_SET_AUTOSTART", NetworkSetAutostartArgs, xdr.Void, priority=True
)
NETWORK_UNDEFINE: Final = REMOTE.procedure(
    49, "NETWORK_UNDEFINE", NetworkArgs, xdr.Void, priority=True
)
CONNECT_NUM_OF_DEFINED_NETWORKS: Final = REMOTE.procedure(
    50, "CONNECT_NUM_OF_DEFINED_NETWORKS", xdr.Void, NumRet, reads=True, priority=True
)
CONNECT_NUM_OF_NETWORKS: Final = REMOTE.procedure(
    52, "CONNECT_NUM_OF_NETWORKS", xdr.Void, NumRet, reads=True, priority=True
)
NETWORK_IS_ACTIVE: Final = REMOTE.procedure(
    152, "NETWORK_IS_ACTIVE", NetworkArgs, ActiveRet, reads=True, priority=True
)
NETWORK_IS_PERSISTENT: Final = REMOTE.procedure(
    153, "NETWORK_IS_PERSISTENT", NetworkArgs, PersistentRet, reads=True, priority=True
)
CONNECT_LIST_ALL_NETWORKS: Final = REMOTE.procedure(
    283,
    "CONNECT_LIST_ALL_NETWORKS",
    ListAllArgs,
    ConnectListAllNetworksRet,
    flags=names("network.ConnectListAllNetworksFlags"),
    reads=True,
    priority=True,
)
NETWORK_UPDATE: Final = REMOTE.procedure(
    291,
    "NETWORK_UPDATE",
    NetworkUpdateArgs,
    xdr.Void,
    flags=names("network.NetworkUpdateFlags"),
    priority=True,
)
CONNECT_NETWORK_EVENT_REGISTER_ANY: Final = REMOTE.procedure(
    313,
    "CONNECT_NETWORK_EVENT_REGISTER_ANY",
    ConnectNetworkEventRegisterAnyArgs,
    CallbackRet,
    reads=True,
    priority=True,
)
CONNECT_NETWORK_EVENT_DEREGISTER_ANY: Final = REMOTE.procedure(
    314, "CONNECT_NETWORK_EVENT_DEREGISTER_ANY", CallbackArgs, xdr.Void, reads=True, priority=True
)
NETWORK_EVENT_LIFECYCLE: Final = REMOTE.event(
    315, "NETWORK_EVENT_LIFECYCLE", NetworkEventLifecycleMsg
)
NETWORK_GET_DHCP_LEASES: Final = REMOTE.procedure(
    341, "NETWORK_GET_DHCP_LEASES", NetworkGetDhcpLeasesArgs, NetworkGetDhcpLeasesRet, reads=True
)
NETWORK_LIST_ALL_PORTS: Final = REMOTE.procedure(
    404,
    "NETWORK_LIST_ALL_PORTS",
    NetworkListAllPortsArgs,
    NetworkListAllPortsRet,
    reads=True,
    priority=True,
)
NETWORK_PORT_LOOKUP_BY_UUID: Final = REMOTE.procedure(
    405,
    "NETWORK_PORT_LOOKUP_BY_UUID",
    NetworkPortLookupByUuidArgs,
    NetworkPortRet,
    reads=True,
    priority=True,
)
NETWORK_PORT_CREATE_XML: Final = REMOTE.procedure(
    406,
    "NETWORK_PORT_CREATE_XML",
    NetworkPortCreateXmlArgs,
    NetworkPortRet,
    flags=names("network.NetworkPortCreateFlags"),
)
NETWORK_PORT_GET_PARAMETERS: Final = REMOTE.procedure(
    407,
    "NETWORK_PORT_GET_PARAMETERS",
    NetworkPortGetParametersArgs,
    NetworkPortGetParametersRet,
    flags=names("connect.TypedParameterFlags"),
    reads=True,
)
NETWORK_PORT_SET_PARAMETERS: Final = REMOTE.procedure(
    408, "NETWORK_PORT_SET_PARAMETERS", NetworkPortSetParametersArgs, xdr.Void
)
NETWORK_PORT_GET_XML_DESC: Final = REMOTE.procedure(
    409, "NETWORK_PORT_GET_XML_DESC", NetworkPortFlagsArgs, XmlRet, reads=True
)
NETWORK_PORT_DELETE: Final = REMOTE.procedure(
    410, "NETWORK_PORT_DELETE", NetworkPortFlagsArgs, xdr.Void
)
NETWORK_DEFINE_XML_FLAGS: Final = REMOTE.procedure(
    432,
    "NETWORK_DEFINE_XML_FLAGS",
    XmlFlagsArgs,
    NetworkRet,
    flags=names("network.NetworkDefineFlags"),
    priority=True,
)
NETWORK_CREATE_XML_FLAGS: Final = REMOTE.procedure(
    437,
    "NETWORK_CREATE_XML_FLAGS",
    XmlFlagsArgs,
    NetworkRet,
    flags=names("network.NetworkCreateFlags"),
    priority=True,
)
