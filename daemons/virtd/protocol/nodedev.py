"""Devices of the host."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import NODE_DEVICE_CAPS_LIST_MAX, NODE_DEVICE_LIST_MAX
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullNodeDevice
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    ActiveRet,
    AutostartRet,
    CallbackArgs,
    CallbackRet,
    ListAllArgs,
    NameArgs,
    NumRet,
    PersistentRet,
    XmlDescFlagsArgs,
    XmlRet,
)
from aiovirt.rpc.wire import xdr


@xdr.struct
class NodeNumOfDevicesArgs:
    """Arguments of NODE_NUM_OF_DEVICES."""

    cap: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class NodeListDevicesArgs:
    """Arguments of NODE_LIST_DEVICES."""

    cap: xdr.OptStr
    maxnames: xdr.Int
    flags: xdr.UInt


@xdr.struct
class NodeListDevicesRet:
    """Result of NODE_LIST_DEVICES."""

    names: Annotated[list[str], xdr.Array(xdr.Str, NODE_DEVICE_LIST_MAX)]


@xdr.struct
class NodeDeviceRet:
    """A device of the host."""

    dev: NonnullNodeDevice


@xdr.struct
class NameFlagsArgs:
    """A name, and flags of the procedure."""

    name: xdr.Str
    flags: xdr.UInt


@xdr.struct
class NodeDeviceGetParentRet:
    """Result of NODE_DEVICE_GET_PARENT."""

    parentName: xdr.OptStr


@xdr.struct
class NodeDeviceListCapsArgs:
    """Arguments of NODE_DEVICE_LIST_CAPS."""

    name: xdr.Str
    maxnames: xdr.Int


@xdr.struct
class NodeDeviceListCapsRet:
    """Result of NODE_DEVICE_LIST_CAPS."""

    names: Annotated[list[str], xdr.Array(xdr.Str, NODE_DEVICE_CAPS_LIST_MAX)]


@xdr.struct
class ConnectListAllNodeDevicesRet:
    """Result of CONNECT_LIST_ALL_NODE_DEVICES."""

    devices: Annotated[list[NonnullNodeDevice], xdr.Array(NonnullNodeDevice, NODE_DEVICE_LIST_MAX)]
    ret: xdr.UInt


@xdr.struct
class NodeDeviceLookupScsiHostByWwnArgs:
    """Arguments of NODE_DEVICE_LOOKUP_SCSI_HOST_BY_WWN."""

    wwnn: xdr.Str
    wwpn: xdr.Str
    flags: xdr.UInt


@xdr.struct
class NodeDeviceDetachFlagsArgs:
    """Arguments of NODE_DEVICE_DETACH_FLAGS."""

    name: xdr.Str
    driverName: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class ConnectNodeDeviceEventRegisterAnyArgs:
    """Arguments of CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY."""

    eventID: Annotated[xdr.Int, names("nodedev.NodeDeviceEventID")]
    dev: Annotated[NonnullNodeDevice | None, xdr.Optional(NonnullNodeDevice)]


@xdr.struct
class NodeDeviceEventLifecycleMsg:
    """Content of the event NODE_DEVICE_EVENT_LIFECYCLE."""

    callbackID: xdr.Int
    dev: NonnullNodeDevice
    event: Annotated[xdr.Int, names("nodedev.NodeDeviceEventLifecycleType")]
    detail: xdr.Int


@xdr.struct
class NodeDeviceEventUpdateMsg:
    """Content of the event NODE_DEVICE_EVENT_UPDATE."""

    callbackID: xdr.Int
    dev: NonnullNodeDevice


@xdr.struct
class NodeDeviceSetAutostartArgs:
    """Arguments of NODE_DEVICE_SET_AUTOSTART. autostart: 1 to start it with the daemon, else 0."""

    name: xdr.Str
    autostart: xdr.Int


NODE_NUM_OF_DEVICES: Final = REMOTE.procedure(
    111, "NODE_NUM_OF_DEVICES", NodeNumOfDevicesArgs, NumRet, reads=True, priority=True
)
NODE_LIST_DEVICES: Final = REMOTE.procedure(
    112, "NODE_LIST_DEVICES", NodeListDevicesArgs, NodeListDevicesRet, reads=True, priority=True
)
NODE_DEVICE_LOOKUP_BY_NAME: Final = REMOTE.procedure(
    113, "NODE_DEVICE_LOOKUP_BY_NAME", NameArgs, NodeDeviceRet, reads=True, priority=True
)
NODE_DEVICE_GET_XML_DESC: Final = REMOTE.procedure(
    114, "NODE_DEVICE_GET_XML_DESC", NameFlagsArgs, XmlRet, reads=True
)
NODE_DEVICE_GET_PARENT: Final = REMOTE.procedure(
    115, "NODE_DEVICE_GET_PARENT", NameArgs, NodeDeviceGetParentRet, reads=True, priority=True
)
NODE_DEVICE_NUM_OF_CAPS: Final = REMOTE.procedure(
    116, "NODE_DEVICE_NUM_OF_CAPS", NameArgs, NumRet, reads=True, priority=True
)
NODE_DEVICE_LIST_CAPS: Final = REMOTE.procedure(
    117,
    "NODE_DEVICE_LIST_CAPS",
    NodeDeviceListCapsArgs,
    NodeDeviceListCapsRet,
    reads=True,
    priority=True,
)
NODE_DEVICE_DETTACH: Final = REMOTE.procedure(118, "NODE_DEVICE_DETTACH", NameArgs, xdr.Void)
NODE_DEVICE_RE_ATTACH: Final = REMOTE.procedure(119, "NODE_DEVICE_RE_ATTACH", NameArgs, xdr.Void)
NODE_DEVICE_RESET: Final = REMOTE.procedure(120, "NODE_DEVICE_RESET", NameArgs, xdr.Void)
NODE_DEVICE_CREATE_XML: Final = REMOTE.procedure(
    123,
    "NODE_DEVICE_CREATE_XML",
    XmlDescFlagsArgs,
    NodeDeviceRet,
    flags=names("nodedev.NodeDeviceCreateXMLFlags"),
)
NODE_DEVICE_DESTROY: Final = REMOTE.procedure(
    124, "NODE_DEVICE_DESTROY", NameArgs, xdr.Void, priority=True
)
CONNECT_LIST_ALL_NODE_DEVICES: Final = REMOTE.procedure(
    285,
    "CONNECT_LIST_ALL_NODE_DEVICES",
    ListAllArgs,
    ConnectListAllNodeDevicesRet,
    flags=names("nodedev.ConnectListAllNodeDeviceFlags"),
    reads=True,
    priority=True,
)
NODE_DEVICE_LOOKUP_SCSI_HOST_BY_WWN: Final = REMOTE.procedure(
    297,
    "NODE_DEVICE_LOOKUP_SCSI_HOST_BY_WWN",
    NodeDeviceLookupScsiHostByWwnArgs,
    NodeDeviceRet,
    reads=True,
    priority=True,
)
NODE_DEVICE_DETACH_FLAGS: Final = REMOTE.procedure(
    301, "NODE_DEVICE_DETACH_FLAGS", NodeDeviceDetachFlagsArgs, xdr.Void
)
CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY: Final = REMOTE.procedure(
    374,
    "CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY",
    ConnectNodeDeviceEventRegisterAnyArgs,
    CallbackRet,
    reads=True,
    priority=True,
)
CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY: Final = REMOTE.procedure(
    375,
    "CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY",
    CallbackArgs,
    xdr.Void,
    reads=True,
    priority=True,
)
NODE_DEVICE_EVENT_LIFECYCLE: Final = REMOTE.event(
    376, "NODE_DEVICE_EVENT_LIFECYCLE", NodeDeviceEventLifecycleMsg
)
NODE_DEVICE_EVENT_UPDATE: Final = REMOTE.event(
    377, "NODE_DEVICE_EVENT_UPDATE", NodeDeviceEventUpdateMsg
)
NODE_DEVICE_DEFINE_XML: Final = REMOTE.procedure(
    428,
    "NODE_DEVICE_DEFINE_XML",
    XmlDescFlagsArgs,
    NodeDeviceRet,
    flags=names("nodedev.NodeDeviceDefineXMLFlags"),
)
NODE_DEVICE_UNDEFINE: Final = REMOTE.procedure(
    429, "NODE_DEVICE_UNDEFINE", NameFlagsArgs, xdr.Void, priority=True
)
NODE_DEVICE_CREATE: Final = REMOTE.procedure(
    430, "NODE_DEVICE_CREATE", NameFlagsArgs, xdr.Void, priority=True
)
NODE_DEVICE_GET_AUTOSTART: Final = REMOTE.procedure(
    433, "NODE_DEVICE_GET_AUTOSTART", NameArgs, AutostartRet, priority=True
)
NODE_DEVICE_SET_AUTOSTART: Final = REMOTE.procedure(
    434, "NODE_DEVICE_SET_AUTOSTART", NodeDeviceSetAutostartArgs, xdr.Void, priority=True
)
NODE_DEVICE_IS_PERSISTENT: Final = REMOTE.procedure(
    435, "NODE_DEVICE_IS_PERSISTENT", NameArgs, PersistentRet, reads=True, priority=True
)
NODE_DEVICE_IS_ACTIVE: Final = REMOTE.procedure(
    436, "NODE_DEVICE_IS_ACTIVE", NameArgs, ActiveRet, reads=True, priority=True
)
