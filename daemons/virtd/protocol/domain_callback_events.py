"""Events of domains for clients that name their subscriptions: all clients since libvirt 1.3."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import DOMAIN_EVENT_TUNABLE_MAX, DOMAIN_JOB_STATS_MAX
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullDomain
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    CallbackArgs,
    CallbackRet,
    DomainEventBalloonChangeMsg,
    DomainEventBlockJobMsg,
    DomainEventControlErrorMsg,
    DomainEventDeviceRemovedMsg,
    DomainEventDiskChangeMsg,
    DomainEventGraphicsMsg,
    DomainEventIoErrorMsg,
    DomainEventIoErrorReasonMsg,
    DomainEventLifecycleMsg,
    DomainEventPmsuspendDiskMsg,
    DomainEventPmsuspendMsg,
    DomainEventPmwakeupMsg,
    DomainEventRebootMsg,
    DomainEventRtcChangeMsg,
    DomainEventTrayChangeMsg,
    DomainEventWatchdogMsg,
)
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.typedparams import TypedParam


@xdr.struct
class ConnectDomainEventCallbackRegisterAnyArgs:
    """Arguments of CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY."""

    eventID: Annotated[xdr.Int, names("domain_events.DomainEventID")]
    dom: Annotated[NonnullDomain | None, xdr.Optional(NonnullDomain)]


@xdr.struct
class DomainEventCallbackLifecycleMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_LIFECYCLE."""

    callbackID: xdr.Int
    msg: DomainEventLifecycleMsg


@xdr.struct
class DomainEventCallbackRebootMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_REBOOT."""

    callbackID: xdr.Int
    msg: DomainEventRebootMsg


@xdr.struct
class DomainEventCallbackRtcChangeMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_RTC_CHANGE."""

    callbackID: xdr.Int
    msg: DomainEventRtcChangeMsg


@xdr.struct
class DomainEventCallbackWatchdogMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_WATCHDOG."""

    callbackID: xdr.Int
    msg: DomainEventWatchdogMsg


@xdr.struct
class DomainEventCallbackIoErrorMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_IO_ERROR."""

    callbackID: xdr.Int
    msg: DomainEventIoErrorMsg


@xdr.struct
class DomainEventCallbackGraphicsMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_GRAPHICS."""

    callbackID: xdr.Int
    msg: DomainEventGraphicsMsg


@xdr.struct
class DomainEventCallbackIoErrorReasonMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_IO_ERROR_REASON."""

    callbackID: xdr.Int
    msg: DomainEventIoErrorReasonMsg


@xdr.struct
class DomainEventCallbackControlErrorMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_CONTROL_ERROR."""

    callbackID: xdr.Int
    msg: DomainEventControlErrorMsg


@xdr.struct
class DomainEventCallbackBlockJobMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_BLOCK_JOB."""

    callbackID: xdr.Int
    msg: DomainEventBlockJobMsg


@xdr.struct
class DomainEventCallbackDiskChangeMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_DISK_CHANGE."""

    callbackID: xdr.Int
    msg: DomainEventDiskChangeMsg


@xdr.struct
class DomainEventCallbackTrayChangeMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_TRAY_CHANGE."""

    callbackID: xdr.Int
    msg: DomainEventTrayChangeMsg


@xdr.struct
class DomainEventCallbackPmwakeupMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_PMWAKEUP."""

    callbackID: xdr.Int
    reason: xdr.Int
    msg: DomainEventPmwakeupMsg


@xdr.struct
class DomainEventCallbackPmsuspendMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_PMSUSPEND."""

    callbackID: xdr.Int
    reason: xdr.Int
    msg: DomainEventPmsuspendMsg


@xdr.struct
class DomainEventCallbackBalloonChangeMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_BALLOON_CHANGE."""

    callbackID: xdr.Int
    msg: DomainEventBalloonChangeMsg


@xdr.struct
class DomainEventCallbackPmsuspendDiskMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_PMSUSPEND_DISK."""

    callbackID: xdr.Int
    reason: xdr.Int
    msg: DomainEventPmsuspendDiskMsg


@xdr.struct
class DomainEventCallbackDeviceRemovedMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_DEVICE_REMOVED."""

    callbackID: xdr.Int
    msg: DomainEventDeviceRemovedMsg


@xdr.struct
class DomainEventBlockJob2Msg:
    """Content of the event DOMAIN_EVENT_BLOCK_JOB_2."""

    callbackID: xdr.Int
    dom: NonnullDomain
    dst: xdr.Str
    type: Annotated[xdr.Int, names("domain.DomainBlockJobType")]
    status: Annotated[xdr.Int, names("domain_events.ConnectDomainEventBlockJobStatus")]


@xdr.struct
class DomainEventCallbackTunableMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_TUNABLE."""

    callbackID: xdr.Int
    dom: NonnullDomain
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_EVENT_TUNABLE_MAX)]


@xdr.struct
class DomainEventCallbackAgentLifecycleMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_AGENT_LIFECYCLE."""

    callbackID: xdr.Int
    dom: NonnullDomain
    state: Annotated[xdr.Int, names("domain_events.ConnectDomainEventAgentLifecycleState")]
    reason: Annotated[xdr.Int, names("domain_events.ConnectDomainEventAgentLifecycleReason")]


@xdr.struct
class DomainEventCallbackDeviceAddedMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_DEVICE_ADDED."""

    callbackID: xdr.Int
    dom: NonnullDomain
    devAlias: xdr.Str


@xdr.struct
class DomainEventCallbackMigrationIterationMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_MIGRATION_ITERATION."""

    callbackID: xdr.Int
    dom: NonnullDomain
    iteration: xdr.Int


@xdr.struct
class DomainEventCallbackJobCompletedMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_JOB_COMPLETED."""

    callbackID: xdr.Int
    dom: NonnullDomain
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_JOB_STATS_MAX)]


@xdr.struct
class DomainEventCallbackDeviceRemovalFailedMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_DEVICE_REMOVAL_FAILED."""

    callbackID: xdr.Int
    dom: NonnullDomain
    devAlias: xdr.Str


@xdr.struct
class DomainEventCallbackMetadataChangeMsg:
    """Content of the event DOMAIN_EVENT_CALLBACK_METADATA_CHANGE."""

    callbackID: xdr.Int
    dom: NonnullDomain
    type: Annotated[xdr.Int, names("domain.DomainMetadataType")]
    nsuri: xdr.OptStr


@xdr.struct
class DomainEventBlockThresholdMsg:
    """Content of the event DOMAIN_EVENT_BLOCK_THRESHOLD."""

    callbackID: xdr.Int
    dom: NonnullDomain
    dev: xdr.Str
    path: xdr.OptStr
    threshold: xdr.UHyper
    excess: xdr.UHyper


@xdr.struct
class DomainEventMemoryFailureMsg:
    """Content of the event DOMAIN_EVENT_MEMORY_FAILURE."""

    callbackID: xdr.Int
    dom: NonnullDomain
    recipient: Annotated[xdr.Int, names("domain_events.DomainMemoryFailureRecipientType")]
    action: Annotated[xdr.Int, names("domain_events.DomainMemoryFailureActionType")]
    flags: Annotated[xdr.UInt, names("domain_events.DomainMemoryFailureFlags")]


@xdr.struct
class DomainEventMemoryDeviceSizeChangeMsg:
    """Content of the event DOMAIN_EVENT_MEMORY_DEVICE_SIZE_CHANGE."""

    callbackID: xdr.Int
    dom: NonnullDomain
    alias: xdr.Str
    size: xdr.UHyper


CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: Final = REMOTE.procedure(
    316,
    "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY",
    ConnectDomainEventCallbackRegisterAnyArgs,
    CallbackRet,
    function="virConnectDomainEventRegisterAny",
    reads=True,
    priority=True,
)
CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY: Final = REMOTE.procedure(
    317,
    "CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY",
    CallbackArgs,
    xdr.Void,
    function="virConnectDomainEventDeregisterAny",
    reads=True,
    priority=True,
)
DOMAIN_EVENT_CALLBACK_LIFECYCLE: Final = REMOTE.event(
    318, "DOMAIN_EVENT_CALLBACK_LIFECYCLE", DomainEventCallbackLifecycleMsg
)
DOMAIN_EVENT_CALLBACK_REBOOT: Final = REMOTE.event(
    319, "DOMAIN_EVENT_CALLBACK_REBOOT", DomainEventCallbackRebootMsg
)
DOMAIN_EVENT_CALLBACK_RTC_CHANGE: Final = REMOTE.event(
    320, "DOMAIN_EVENT_CALLBACK_RTC_CHANGE", DomainEventCallbackRtcChangeMsg
)
DOMAIN_EVENT_CALLBACK_WATCHDOG: Final = REMOTE.event(
    321, "DOMAIN_EVENT_CALLBACK_WATCHDOG", DomainEventCallbackWatchdogMsg
)
DOMAIN_EVENT_CALLBACK_IO_ERROR: Final = REMOTE.event(
    322, "DOMAIN_EVENT_CALLBACK_IO_ERROR", DomainEventCallbackIoErrorMsg
)
DOMAIN_EVENT_CALLBACK_GRAPHICS: Final = REMOTE.event(
    323, "DOMAIN_EVENT_CALLBACK_GRAPHICS", DomainEventCallbackGraphicsMsg
)
DOMAIN_EVENT_CALLBACK_IO_ERROR_REASON: Final = REMOTE.event(
    324, "DOMAIN_EVENT_CALLBACK_IO_ERROR_REASON", DomainEventCallbackIoErrorReasonMsg
)
DOMAIN_EVENT_CALLBACK_CONTROL_ERROR: Final = REMOTE.event(
    325, "DOMAIN_EVENT_CALLBACK_CONTROL_ERROR", DomainEventCallbackControlErrorMsg
)
DOMAIN_EVENT_CALLBACK_BLOCK_JOB: Final = REMOTE.event(
    326, "DOMAIN_EVENT_CALLBACK_BLOCK_JOB", DomainEventCallbackBlockJobMsg
)
DOMAIN_EVENT_CALLBACK_DISK_CHANGE: Final = REMOTE.event(
    327, "DOMAIN_EVENT_CALLBACK_DISK_CHANGE", DomainEventCallbackDiskChangeMsg
)
DOMAIN_EVENT_CALLBACK_TRAY_CHANGE: Final = REMOTE.event(
    328, "DOMAIN_EVENT_CALLBACK_TRAY_CHANGE", DomainEventCallbackTrayChangeMsg
)
DOMAIN_EVENT_CALLBACK_PMWAKEUP: Final = REMOTE.event(
    329, "DOMAIN_EVENT_CALLBACK_PMWAKEUP", DomainEventCallbackPmwakeupMsg
)
DOMAIN_EVENT_CALLBACK_PMSUSPEND: Final = REMOTE.event(
    330, "DOMAIN_EVENT_CALLBACK_PMSUSPEND", DomainEventCallbackPmsuspendMsg
)
DOMAIN_EVENT_CALLBACK_BALLOON_CHANGE: Final = REMOTE.event(
    331, "DOMAIN_EVENT_CALLBACK_BALLOON_CHANGE", DomainEventCallbackBalloonChangeMsg
)
DOMAIN_EVENT_CALLBACK_PMSUSPEND_DISK: Final = REMOTE.event(
    332, "DOMAIN_EVENT_CALLBACK_PMSUSPEND_DISK", DomainEventCallbackPmsuspendDiskMsg
)
DOMAIN_EVENT_CALLBACK_DEVICE_REMOVED: Final = REMOTE.event(
    333, "DOMAIN_EVENT_CALLBACK_DEVICE_REMOVED", DomainEventCallbackDeviceRemovedMsg
)
DOMAIN_EVENT_BLOCK_JOB_2: Final = REMOTE.event(
    339, "DOMAIN_EVENT_BLOCK_JOB_2", DomainEventBlockJob2Msg
)
DOMAIN_EVENT_CALLBACK_TUNABLE: Final = REMOTE.event(
    346, "DOMAIN_EVENT_CALLBACK_TUNABLE", DomainEventCallbackTunableMsg
)
DOMAIN_EVENT_CALLBACK_AGENT_LIFECYCLE: Final = REMOTE.event(
    348, "DOMAIN_EVENT_CALLBACK_AGENT_LIFECYCLE", DomainEventCallbackAgentLifecycleMsg
)
DOMAIN_EVENT_CALLBACK_DEVICE_ADDED: Final = REMOTE.event(
    354, "DOMAIN_EVENT_CALLBACK_DEVICE_ADDED", DomainEventCallbackDeviceAddedMsg
)
DOMAIN_EVENT_CALLBACK_MIGRATION_ITERATION: Final = REMOTE.event(
    359, "DOMAIN_EVENT_CALLBACK_MIGRATION_ITERATION", DomainEventCallbackMigrationIterationMsg
)
DOMAIN_EVENT_CALLBACK_JOB_COMPLETED: Final = REMOTE.event(
    363, "DOMAIN_EVENT_CALLBACK_JOB_COMPLETED", DomainEventCallbackJobCompletedMsg
)
DOMAIN_EVENT_CALLBACK_DEVICE_REMOVAL_FAILED: Final = REMOTE.event(
    367, "DOMAIN_EVENT_CALLBACK_DEVICE_REMOVAL_FAILED", DomainEventCallbackDeviceRemovalFailedMsg
)
DOMAIN_EVENT_CALLBACK_METADATA_CHANGE: Final = REMOTE.event(
    379, "DOMAIN_EVENT_CALLBACK_METADATA_CHANGE", DomainEventCallbackMetadataChangeMsg
)
DOMAIN_EVENT_BLOCK_THRESHOLD: Final = REMOTE.event(
    385, "DOMAIN_EVENT_BLOCK_THRESHOLD", DomainEventBlockThresholdMsg
)
DOMAIN_EVENT_MEMORY_FAILURE: Final = REMOTE.event(
    423, "DOMAIN_EVENT_MEMORY_FAILURE", DomainEventMemoryFailureMsg
)
DOMAIN_EVENT_MEMORY_DEVICE_SIZE_CHANGE: Final = REMOTE.event(
    438, "DOMAIN_EVENT_MEMORY_DEVICE_SIZE_CHANGE", DomainEventMemoryDeviceSizeChangeMsg
)
