"""Network filters, and their bindings to ports."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import NWFILTER_BINDING_LIST_MAX, NWFILTER_LIST_MAX
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullNwfilter, NonnullNwfilterBinding
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    ListAllArgs,
    MaxNamesArgs,
    NameArgs,
    NumRet,
    UuidArgs,
    XmlArgs,
    XmlFlagsArgs,
    XmlRet,
)
from aiovirt.rpc.wire import xdr


@xdr.struct
class NwfilterRet:
    """A network filter."""

    nwfilter: NonnullNwfilter


@xdr.struct
class NwfilterGetXmlDescArgs:
    """Arguments of NWFILTER_GET_XML_DESC."""

    nwfilter: NonnullNwfilter
    flags: xdr.UInt


@xdr.struct
class ConnectListNwfiltersRet:
    """Result of CONNECT_LIST_NWFILTERS."""

    names: Annotated[list[str], xdr.Array(xdr.Str, NWFILTER_LIST_MAX)]


@xdr.struct
class NwfilterUndefineArgs:
    """Arguments of NWFILTER_UNDEFINE."""

    nwfilter: NonnullNwfilter


@xdr.struct
class ConnectListAllNwfiltersRet:
    """Result of CONNECT_LIST_ALL_NWFILTERS."""

    filters: Annotated[list[NonnullNwfilter], xdr.Array(NonnullNwfilter, NWFILTER_LIST_MAX)]
    ret: xdr.UInt


@xdr.struct
class NwfilterBindingRet:
    """A binding of a network filter."""

    nwfilter: NonnullNwfilterBinding


@xdr.struct
class NwfilterBindingGetXmlDescArgs:
    """Arguments of NWFILTER_BINDING_GET_XML_DESC."""

    nwfilter: NonnullNwfilterBinding
    flags: xdr.UInt


@xdr.struct
class NwfilterBindingDeleteArgs:
    """Arguments of NWFILTER_BINDING_DELETE."""

    nwfilter: NonnullNwfilterBinding


@xdr.struct
class ConnectListAllNwfilterBindingsRet:
    """Result of CONNECT_LIST_ALL_NWFILTER_BINDINGS."""

    bindings: Annotated[
        list[NonnullNwfilterBinding], xdr.Array(NonnullNwfilterBinding, NWFILTER_BINDING_LIST_MAX)
    ]
    ret: xdr.UInt


NWFILTER_LOOKUP_BY_NAME: Final = REMOTE.procedure(
    175, "NWFILTER_LOOKUP_BY_NAME", NameArgs, NwfilterRet, reads=True, priority=True
)
NWFILTER_LOOKUP_BY_UUID: Final = REMOTE.procedure(
    176, "NWFILTER_LOOKUP_BY_UUID", UuidArgs, NwfilterRet, reads=True, priority=True
)
NWFILTER_GET_XML_DESC: Final = REMOTE.procedure(
    177, "NWFILTER_GET_XML_DESC", NwfilterGetXmlDescArgs, XmlRet, reads=True, priority=True
)
CONNECT_NUM_OF_NWFILTERS: Final = REMOTE.procedure(
    178, "CONNECT_NUM_OF_NWFILTERS", xdr.Void, NumRet, reads=True, priority=True
)
CONNECT_LIST_NWFILTERS: Final = REMOTE.procedure(
    179, "CONNECT_LIST_NWFILTERS", MaxNamesArgs, ConnectListNwfiltersRet, reads=True, priority=True
)
NWFILTER_DEFINE_XML: Final = REMOTE.procedure(
    180, "NWFILTER_DEFINE_XML", XmlArgs, NwfilterRet, priority=True
)
NWFILTER_UNDEFINE: Final = REMOTE.procedure(
    181, "NWFILTER_UNDEFINE", NwfilterUndefineArgs, xdr.Void, priority=True
)
CONNECT_LIST_ALL_NWFILTERS: Final = REMOTE.procedure(
    286,
    "CONNECT_LIST_ALL_NWFILTERS",
    ListAllArgs,
    ConnectListAllNwfiltersRet,
    reads=True,
    priority=True,
)
NWFILTER_BINDING_LOOKUP_BY_PORT_DEV: Final = REMOTE.procedure(
    397,
    "NWFILTER_BINDING_LOOKUP_BY_PORT_DEV",
    NameArgs,
    NwfilterBindingRet,
    reads=True,
    priority=True,
)
NWFILTER_BINDING_GET_XML_DESC: Final = REMOTE.procedure(
    398,
    "NWFILTER_BINDING_GET_XML_DESC",
    NwfilterBindingGetXmlDescArgs,
    XmlRet,
    reads=True,
    priority=True,
)
NWFILTER_BINDING_CREATE_XML: Final = REMOTE.procedure(
    399,
    "NWFILTER_BINDING_CREATE_XML",
    XmlFlagsArgs,
    NwfilterBindingRet,
    flags=names("nwfilter.NWFilterBindingCreateFlags"),
    priority=True,
)
NWFILTER_BINDING_DELETE: Final = REMOTE.procedure(
    400, "NWFILTER_BINDING_DELETE", NwfilterBindingDeleteArgs, xdr.Void, priority=True
)
CONNECT_LIST_ALL_NWFILTER_BINDINGS: Final = REMOTE.procedure(
    401,
    "CONNECT_LIST_ALL_NWFILTER_BINDINGS",
    ListAllArgs,
    ConnectListAllNwfilterBindingsRet,
    reads=True,
    priority=True,
)
NWFILTER_DEFINE_XML_FLAGS: Final = REMOTE.procedure(
    431,
    "NWFILTER_DEFINE_XML_FLAGS",
    XmlFlagsArgs,
    NwfilterRet,
    flags=names("nwfilter.NWFilterDefineFlags"),
    priority=True,
)
