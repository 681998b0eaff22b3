"""Arguments and results that procedures of several kinds of object share."""

from __future__ import annotations

from typing import Annotated

from aiovirt.daemons.virtd.protocol.limits import DOMAIN_EVENT_GRAPHICS_IDENTITY_MAX
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import (
    NonnullDomain,
    NonnullStoragePool,
    NonnullStorageVol,
    Uuid,
)
from aiovirt.rpc.wire import xdr


@xdr.struct
class TypeRet:
    """A type."""

    type: xdr.Str


@xdr.struct
class HostnameRet:
    """A host's name."""

    hostname: xdr.Str


@xdr.struct
class FlagsArgs:
    """Flags of the procedure."""

    flags: xdr.UInt


@xdr.struct
class CapabilitiesRet:
    """A document of capabilities."""

    capabilities: xdr.Str


@xdr.struct
class DomainArgs:
    """A domain."""

    dom: NonnullDomain


@xdr.struct
class DomainFlagsArgs:
    """A domain, and flags of the procedure."""

    dom: NonnullDomain
    flags: xdr.UInt


@xdr.struct
class NumRet:
    """A number."""

    num: xdr.Int


@xdr.struct
class XmlDescFlagsArgs:
    """A document, and flags of the procedure."""

    xml_desc: xdr.Str
    flags: xdr.UInt


@xdr.struct
class DomainRet:
    """A domain."""

    dom: NonnullDomain


@xdr.struct
class UuidArgs:
    """A UUID."""

    uuid: Uuid


@xdr.struct
class NameArgs:
    """A name."""

    name: xdr.Str


@xdr.struct
class XmlRet:
    """A document."""

    xml: xdr.Str


@xdr.struct
class MaxNamesArgs:
    """A limit. maxnames: the maximum number of names in the result."""

    maxnames: xdr.Int


@xdr.struct
class XmlArgs:
    """A document."""

    xml: xdr.Str


@xdr.struct
class XmlFlagsArgs:
    """A document, and flags of the procedure."""

    xml: xdr.Str
    flags: xdr.UInt


@xdr.struct
class AutostartRet:
    """Autostart of an object. autostart: 1 if it starts with the daemon, else 0."""

    autostart: xdr.Int


@xdr.struct
class NameRet:
    """A name."""

    name: xdr.Str


@xdr.struct
class StorageVolArgs:
    """A storage volume."""

    vol: NonnullStorageVol


@xdr.struct
class PathArgs:
    """A path."""

    path: xdr.Str


@xdr.struct
class StoragePoolArgs:
    """A storage pool."""

    pool: NonnullStoragePool


@xdr.struct
class PersistentRet:
    """The persistence of an object. persistent: 1 if it has a stored configuration, else 0."""

    persistent: xdr.Int


@xdr.struct
class ActiveRet:
    """The state of an object. active: 1 if it is active, else 0."""

    active: xdr.Int


@xdr.struct
class ResultRet:
    """The answer to a question, as a number."""

    result: xdr.Int


@xdr.struct
class CallbackRet:
    """A subscription. callbackID: its number, which events carry."""

    callbackID: xdr.Int


@xdr.struct
class CallbackArgs:
    """The subscription to end. callbackID: its number."""

    callbackID: xdr.Int


@xdr.struct
class DomainXmlDescFlagsArgs:
    """A domain and a document, and flags of the procedure."""

    dom: NonnullDomain
    xml_desc: xdr.Str
    flags: xdr.UInt


@xdr.struct
class DomainListAllArgs:
    """A choice of objects of a domain. need_results: 0 to count them only."""

    dom: NonnullDomain
    need_results: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainNameFlagsArgs:
    """A domain and a name, and flags of the procedure."""

    dom: NonnullDomain
    name: xdr.Str
    flags: xdr.UInt


@xdr.struct
class ListAllArgs:
    """A choice of objects. need_results: 0 to count them only."""

    need_results: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainCpumapStateArgs:
    """Processors of a domain. cpumap: numbers and ranges, as in "0-3,5"; state: 1 for on, 0 for
    off."""

    dom: NonnullDomain
    cpumap: xdr.Str
    state: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainEventLifecycleMsg:
    """Content of the event DOMAIN_EVENT_LIFECYCLE."""

    dom: NonnullDomain
    event: Annotated[xdr.Int, names("domain_events.DomainEventType")]
    detail: xdr.Int


@xdr.struct
class DomainEventRebootMsg:
    """Content of the event DOMAIN_EVENT_REBOOT."""

    dom: NonnullDomain


@xdr.struct
class DomainEventRtcChangeMsg:
    """Content of the event DOMAIN_EVENT_RTC_CHANGE."""

    dom: NonnullDomain
    offset: xdr.Hyper


@xdr.struct
class DomainEventWatchdogMsg:
    """Content of the event DOMAIN_EVENT_WATCHDOG."""

    dom: NonnullDomain
    action: Annotated[xdr.Int, names("domain_events.DomainEventWatchdogAction")]


@xdr.struct
class DomainEventIoErrorMsg:
    """Content of the event DOMAIN_EVENT_IO_ERROR."""

    dom: NonnullDomain
    srcPath: xdr.Str
    devAlias: xdr.Str
    action: Annotated[xdr.Int, names("domain_events.DomainEventIOErrorAction")]


@xdr.struct
class DomainEventIoErrorReasonMsg:
    """Content of the event DOMAIN_EVENT_IO_ERROR_REASON."""

    dom: NonnullDomain
    srcPath: xdr.Str
    devAlias: xdr.Str
    action: Annotated[xdr.Int, names("domain_events.DomainEventIOErrorAction")]
    reason: xdr.Str


@xdr.struct
class DomainEventGraphicsAddress:
    """An end of a connection to a display. family: DomainEventGraphicsAddressType."""

    family: Annotated[xdr.Int, names("domain_events.DomainEventGraphicsAddressType")]
    node: xdr.Str
    service: xdr.Str


@xdr.struct
class DomainEventGraphicsIdentity:
    """An identity of a client of a display."""

    type: xdr.Str
    name: xdr.Str


@xdr.struct
class DomainEventGraphicsMsg:
    """Content of the event DOMAIN_EVENT_GRAPHICS."""

    dom: NonnullDomain
    phase: Annotated[xdr.Int, names("domain_events.DomainEventGraphicsPhase")]
    local: DomainEventGraphicsAddress
    remote: DomainEventGraphicsAddress
    authScheme: xdr.Str
    subject: Annotated[
        list[DomainEventGraphicsIdentity],
        xdr.Array(DomainEventGraphicsIdentity, DOMAIN_EVENT_GRAPHICS_IDENTITY_MAX),
    ]


@xdr.struct
class DomainEventBlockJobMsg:
    """Content of the event DOMAIN_EVENT_BLOCK_JOB."""

    dom: NonnullDomain
    path: xdr.Str
    type: Annotated[xdr.Int, names("domain.DomainBlockJobType")]
    status: Annotated[xdr.Int, names("domain_events.ConnectDomainEventBlockJobStatus")]


@xdr.struct
class DomainEventDiskChangeMsg:
    """Content of the event DOMAIN_EVENT_DISK_CHANGE."""

    dom: NonnullDomain
    oldSrcPath: xdr.OptStr
    newSrcPath: xdr.OptStr
    devAlias: xdr.Str
    reason: Annotated[xdr.Int, names("domain_events.ConnectDomainEventDiskChangeReason")]


@xdr.struct
class DomainEventTrayChangeMsg:
    """Content of the event DOMAIN_EVENT_TRAY_CHANGE."""

    dom: NonnullDomain
    devAlias: xdr.Str
    reason: Annotated[xdr.Int, names("domain_events.DomainEventTrayChangeReason")]


@xdr.struct
class DomainEventPmwakeupMsg:
    """Content of the event DOMAIN_EVENT_PMWAKEUP."""

    dom: NonnullDomain


@xdr.struct
class DomainEventPmsuspendMsg:
    """Content of the event DOMAIN_EVENT_PMSUSPEND."""

    dom: NonnullDomain


@xdr.struct
class DomainEventBalloonChangeMsg:
    """Content of the event DOMAIN_EVENT_BALLOON_CHANGE."""

    dom: NonnullDomain
    actual: xdr.UHyper


@xdr.struct
class DomainEventPmsuspendDiskMsg:
    """Content of the event DOMAIN_EVENT_PMSUSPEND_DISK."""

    dom: NonnullDomain


@xdr.struct
class DomainEventControlErrorMsg:
    """Content of the event DOMAIN_EVENT_CONTROL_ERROR."""

    dom: NonnullDomain


@xdr.struct
class DomainEventDeviceRemovedMsg:
    """Content of the event DOMAIN_EVENT_DEVICE_REMOVED."""

    dom: NonnullDomain
    devAlias: xdr.Str
