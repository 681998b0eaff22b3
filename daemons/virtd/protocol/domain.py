"""Domains: finding, defining, starting and stopping them, and what describes them."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.chars import Chars
from aiovirt.daemons.virtd.protocol.limits import (
    DOMAIN_LIST_MAX,
    SECURITY_LABEL_LIST_MAX,
    SECURITY_LABEL_MAX,
)
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullDomain
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    ActiveRet,
    AutostartRet,
    DomainArgs,
    DomainFlagsArgs,
    DomainRet,
    ListAllArgs,
    MaxNamesArgs,
    NameArgs,
    NumRet,
    PersistentRet,
    TypeRet,
    UuidArgs,
    XmlArgs,
    XmlDescFlagsArgs,
    XmlFlagsArgs,
    XmlRet,
)
from aiovirt.rpc.wire import xdr


@xdr.struct
class DomainGetInfoRet:
    """Result of DOMAIN_GET_INFO. memory: in KiB."""

    state: Annotated[xdr.UInt, names("domain.DomainState")]
    maxMem: xdr.UHyper
    memory: xdr.UHyper
    nrVirtCpu: xdr.UInt
    cpuTime: xdr.UHyper


@xdr.struct
class ConnectListDefinedDomainsRet:
    """Result of CONNECT_LIST_DEFINED_DOMAINS."""

    names: Annotated[list[str], xdr.Array(xdr.Str, DOMAIN_LIST_MAX)]


@xdr.struct
class DomainLookupByIdArgs:
    """Arguments of DOMAIN_LOOKUP_BY_ID."""

    id: xdr.Int


@xdr.struct
class DomainSetAutostartArgs:
    """Arguments of DOMAIN_SET_AUTOSTART. autostart: 1 to start it with the daemon, else 0."""

    dom: NonnullDomain
    autostart: xdr.Int


@xdr.struct
class ConnectListDomainsArgs:
    """Arguments of CONNECT_LIST_DOMAINS. maxids: the maximum number of ids."""

    maxids: xdr.Int


@xdr.struct
class ConnectListDomainsRet:
    """Result of CONNECT_LIST_DOMAINS."""

    ids: Annotated[list[int], xdr.Array(xdr.Int, DOMAIN_LIST_MAX)]


@xdr.struct
class DomainGetSecurityLabelRet:
    """Result of DOMAIN_GET_SECURITY_LABEL."""

    label: Annotated[bytes, Chars(SECURITY_LABEL_MAX)]
    enforcing: xdr.Int


@xdr.struct
class ConnectDomainXmlFromNativeArgs:
    """Arguments of CONNECT_DOMAIN_XML_FROM_NATIVE."""

    nativeFormat: xdr.Str
    nativeConfig: xdr.Str
    flags: xdr.UInt


@xdr.struct
class ConnectDomainXmlFromNativeRet:
    """Result of CONNECT_DOMAIN_XML_FROM_NATIVE."""

    domainXml: xdr.Str


@xdr.struct
class ConnectDomainXmlToNativeArgs:
    """Arguments of CONNECT_DOMAIN_XML_TO_NATIVE."""

    nativeFormat: xdr.Str
    domainXml: xdr.Str
    flags: xdr.UInt


@xdr.struct
class ConnectDomainXmlToNativeRet:
    """Result of CONNECT_DOMAIN_XML_TO_NATIVE."""

    nativeConfig: xdr.Str


@xdr.struct
class DomainIsUpdatedRet:
    """Result of DOMAIN_IS_UPDATED."""

    updated: xdr.Int


@xdr.struct
class DomainGetStateRet:
    """Result of DOMAIN_GET_STATE."""

    state: Annotated[xdr.Int, names("domain.DomainState")]
    reason: xdr.Int


@xdr.struct
class DomainSetMetadataArgs:
    """Arguments of DOMAIN_SET_METADATA. flags: DomainModificationImpact."""

    dom: NonnullDomain
    type: Annotated[xdr.Int, names("domain.DomainMetadataType")]
    metadata: xdr.OptStr
    key: xdr.OptStr
    uri: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class DomainGetMetadataArgs:
    """Arguments of DOMAIN_GET_METADATA. flags: DomainModificationImpact."""

    dom: NonnullDomain
    type: Annotated[xdr.Int, names("domain.DomainMetadataType")]
    uri: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class DomainGetMetadataRet:
    """Result of DOMAIN_GET_METADATA."""

    metadata: xdr.Str


@xdr.struct
class ConnectListAllDomainsRet:
    """Result of CONNECT_LIST_ALL_DOMAINS."""

    domains: Annotated[list[NonnullDomain], xdr.Array(NonnullDomain, DOMAIN_LIST_MAX)]
    ret: xdr.UInt


@xdr.struct
class DomainGetSecurityLabelListRet:
    """Result of DOMAIN_GET_SECURITY_LABEL_LIST."""

    labels: Annotated[
        list[DomainGetSecurityLabelRet],
        xdr.Array(DomainGetSecurityLabelRet, SECURITY_LABEL_LIST_MAX),
    ]
    ret: xdr.Int


@xdr.struct
class DomainRenameArgs:
    """Arguments of DOMAIN_RENAME."""

    dom: NonnullDomain
    new_name: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class DomainRenameRet:
    """Result of DOMAIN_RENAME."""

    retcode: xdr.Int


@xdr.struct
class DomainSetLifecycleActionArgs:
    """Arguments of DOMAIN_SET_LIFECYCLE_ACTION. flags: DomainModificationImpact."""

    dom: NonnullDomain
    type: Annotated[xdr.UInt, names("domain.DomainLifecycle")]
    action: Annotated[xdr.UInt, names("domain.DomainLifecycleAction")]
    flags: xdr.UInt


DOMAIN_CREATE: Final = REMOTE.procedure(9, "DOMAIN_CREATE", DomainArgs, xdr.Void)
DOMAIN_CREATE_XML: Final = REMOTE.procedure(
    10,
    "DOMAIN_CREATE_XML",
    XmlDescFlagsArgs,
    DomainRet,
    flags=names("domain_flags.DomainCreateFlags"),
)
DOMAIN_DEFINE_XML: Final = REMOTE.procedure(
    11, "DOMAIN_DEFINE_XML", XmlArgs, DomainRet, priority=True
)
DOMAIN_DESTROY: Final = REMOTE.procedure(12, "DOMAIN_DESTROY", DomainArgs, xdr.Void, priority=True)
DOMAIN_GET_XML_DESC: Final = REMOTE.procedure(
    14,
    "DOMAIN_GET_XML_DESC",
    DomainFlagsArgs,
    XmlRet,
    flags=names("domain_flags.DomainXMLFlags"),
    reads=True,
)
DOMAIN_GET_AUTOSTART: Final = REMOTE.procedure(
    15, "DOMAIN_GET_AUTOSTART", DomainArgs, AutostartRet, reads=True, priority=True
)
DOMAIN_GET_INFO: Final = REMOTE.procedure(
    16, "DOMAIN_GET_INFO", DomainArgs, DomainGetInfoRet, reads=True
)
DOMAIN_GET_OS_TYPE: Final = REMOTE.procedure(
    19, "DOMAIN_GET_OS_TYPE", DomainArgs, TypeRet, reads=True, priority=True
)
CONNECT_LIST_DEFINED_DOMAINS: Final = REMOTE.procedure(
    21,
    "CONNECT_LIST_DEFINED_DOMAINS",
    MaxNamesArgs,
    ConnectListDefinedDomainsRet,
    reads=True,
    priority=True,
)
DOMAIN_LOOKUP_BY_ID: Final = REMOTE.procedure(
    22, "DOMAIN_LOOKUP_BY_ID", DomainLookupByIdArgs, DomainRet, reads=True, priority=True
)
DOMAIN_LOOKUP_BY_NAME: Final = REMOTE.procedure(
    23, "DOMAIN_LOOKUP_BY_NAME", NameArgs, DomainRet, reads=True, priority=True
)
DOMAIN_LOOKUP_BY_UUID: Final = REMOTE.procedure(
    24, "DOMAIN_LOOKUP_BY_UUID", UuidArgs, DomainRet, reads=True, priority=True
)
CONNECT_NUM_OF_DEFINED_DOMAINS: Final = REMOTE.procedure(
    25, "CONNECT_NUM_OF_DEFINED_DOMAINS", xdr.Void, NumRet, reads=True, priority=True
)
DOMAIN_REBOOT: Final = REMOTE.procedure(
    27,
    "DOMAIN_REBOOT",
    DomainFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainRebootFlagValues"),
)
DOMAIN_RESUME: Final = REMOTE.procedure(28, "DOMAIN_RESUME", DomainArgs, xdr.Void)
DOMAIN_SET_AUTOSTART: Final = REMOTE.procedure(
    29, "DOMAIN_SET_AUTOSTART", DomainSetAutostartArgs, xdr.Void, priority=True
)
DOMAIN_SHUTDOWN: Final = REMOTE.procedure(33, "DOMAIN_SHUTDOWN", DomainArgs, xdr.Void)
DOMAIN_SUSPEND: Final = REMOTE.procedure(34, "DOMAIN_SUSPEND", DomainArgs, xdr.Void)
DOMAIN_UNDEFINE: Final = REMOTE.procedure(
    35, "DOMAIN_UNDEFINE", DomainArgs, xdr.Void, priority=True
)
CONNECT_LIST_DOMAINS: Final = REMOTE.procedure(
    37,
    "CONNECT_LIST_DOMAINS",
    ConnectListDomainsArgs,
    ConnectListDomainsRet,
    reads=True,
    priority=True,
)
CONNECT_NUM_OF_DOMAINS: Final = REMOTE.procedure(
    51, "CONNECT_NUM_OF_DOMAINS", xdr.Void, NumRet, reads=True, priority=True
)
DOMAIN_GET_SECURITY_LABEL: Final = REMOTE.procedure(
    121,
    "DOMAIN_GET_SECURITY_LABEL",
    DomainArgs,
    DomainGetSecurityLabelRet,
    reads=True,
    priority=True,
)
CONNECT_DOMAIN_XML_FROM_NATIVE: Final = REMOTE.procedure(
    135,
    "CONNECT_DOMAIN_XML_FROM_NATIVE",
    ConnectDomainXmlFromNativeArgs,
    ConnectDomainXmlFromNativeRet,
)
CONNECT_DOMAIN_XML_TO_NATIVE: Final = REMOTE.procedure(
    136, "CONNECT_DOMAIN_XML_TO_NATIVE", ConnectDomainXmlToNativeArgs, ConnectDomainXmlToNativeRet
)
DOMAIN_IS_ACTIVE: Final = REMOTE.procedure(
    150, "DOMAIN_IS_ACTIVE", DomainArgs, ActiveRet, reads=True, priority=True
)
DOMAIN_IS_PERSISTENT: Final = REMOTE.procedure(
    151, "DOMAIN_IS_PERSISTENT", DomainArgs, PersistentRet, reads=True, priority=True
)
DOMAIN_CREATE_WITH_FLAGS: Final = REMOTE.procedure(
    196,
    "DOMAIN_CREATE_WITH_FLAGS",
    DomainFlagsArgs,
    DomainRet,
    flags=names("domain_flags.DomainCreateFlags"),
)
DOMAIN_IS_UPDATED: Final = REMOTE.procedure(
    202, "DOMAIN_IS_UPDATED", DomainArgs, DomainIsUpdatedRet, reads=True, priority=True
)
DOMAIN_GET_STATE: Final = REMOTE.procedure(
    212, "DOMAIN_GET_STATE", DomainFlagsArgs, DomainGetStateRet, reads=True, priority=True
)
DOMAIN_UNDEFINE_FLAGS: Final = REMOTE.procedure(
    231,
    "DOMAIN_UNDEFINE_FLAGS",
    DomainFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainUndefineFlagsValues"),
    priority=True,
)
DOMAIN_DESTROY_FLAGS: Final = REMOTE.procedure(
    234,
    "DOMAIN_DESTROY_FLAGS",
    DomainFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainDestroyFlagsValues"),
    priority=True,
)
DOMAIN_RESET: Final = REMOTE.procedure(245, "DOMAIN_RESET", DomainFlagsArgs, xdr.Void)
DOMAIN_SHUTDOWN_FLAGS: Final = REMOTE.procedure(
    258,
    "DOMAIN_SHUTDOWN_FLAGS",
    DomainFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainShutdownFlagValues"),
)
DOMAIN_SET_METADATA: Final = REMOTE.procedure(
    264,
    "DOMAIN_SET_METADATA",
    DomainSetMetadataArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_GET_METADATA: Final = REMOTE.procedure(
    265,
    "DOMAIN_GET_METADATA",
    DomainGetMetadataArgs,
    DomainGetMetadataRet,
    flags=names("domain_flags.DomainModificationImpact"),
    reads=True,
)
CONNECT_LIST_ALL_DOMAINS: Final = REMOTE.procedure(
    273,
    "CONNECT_LIST_ALL_DOMAINS",
    ListAllArgs,
    ConnectListAllDomainsRet,
    flags=names("domain_flags.ConnectListAllDomainsFlags"),
    reads=True,
    priority=True,
)
DOMAIN_GET_SECURITY_LABEL_LIST: Final = REMOTE.procedure(
    278,
    "DOMAIN_GET_SECURITY_LABEL_LIST",
    DomainArgs,
    DomainGetSecurityLabelListRet,
    reads=True,
    priority=True,
)
DOMAIN_CREATE_XML_WITH_FILES: Final = REMOTE.procedure(
    309,
    "DOMAIN_CREATE_XML_WITH_FILES",
    XmlDescFlagsArgs,
    DomainRet,
    flags=names("domain_flags.DomainCreateFlags"),
    call_fds=True,
)
DOMAIN_CREATE_WITH_FILES: Final = REMOTE.procedure(
    310,
    "DOMAIN_CREATE_WITH_FILES",
    DomainFlagsArgs,
    DomainRet,
    flags=names("domain_flags.DomainCreateFlags"),
    call_fds=True,
)
DOMAIN_DEFINE_XML_FLAGS: Final = REMOTE.procedure(
    350,
    "DOMAIN_DEFINE_XML_FLAGS",
    XmlFlagsArgs,
    DomainRet,
    flags=names("domain_flags.DomainDefineFlags"),
    priority=True,
)
DOMAIN_RENAME: Final = REMOTE.procedure(358, "DOMAIN_RENAME", DomainRenameArgs, DomainRenameRet)
DOMAIN_SET_LIFECYCLE_ACTION: Final = REMOTE.procedure(
    390,
    "DOMAIN_SET_LIFECYCLE_ACTION",
    DomainSetLifecycleActionArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
