"""Events of domains, as clients older than libvirt 1.3 subscribe to them."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
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


@xdr.struct
class CallbacksRet:
    """The number of subscriptions. cb_registered: always 0 from a daemon."""

    cb_registered: xdr.Int


@xdr.struct
class EventArgs:
    """An event. eventID: DomainEventID."""

    eventID: Annotated[xdr.Int, names("domain_events.DomainEventID")]


CONNECT_DOMAIN_EVENT_REGISTER: Final = REMOTE.procedure(
    105, "CONNECT_DOMAIN_EVENT_REGISTER", xdr.Void, CallbacksRet, reads=True, priority=True
)
CONNECT_DOMAIN_EVENT_DEREGISTER: Final = REMOTE.procedure(
    106, "CONNECT_DOMAIN_EVENT_DEREGISTER", xdr.Void, CallbacksRet, reads=True, priority=True
)
DOMAIN_EVENT_LIFECYCLE: Final = REMOTE.event(107, "DOMAIN_EVENT_LIFECYCLE", DomainEventLifecycleMsg)
CONNECT_DOMAIN_EVENT_REGISTER_ANY: Final = REMOTE.procedure(
    167, "CONNECT_DOMAIN_EVENT_REGISTER_ANY", EventArgs, xdr.Void, reads=True, priority=True
)
CONNECT_DOMAIN_EVENT_DEREGISTER_ANY: Final = REMOTE.procedure(
    168, "CONNECT_DOMAIN_EVENT_DEREGISTER_ANY", EventArgs, xdr.Void, reads=True, priority=True
)
DOMAIN_EVENT_REBOOT: Final = REMOTE.event(169, "DOMAIN_EVENT_REBOOT", DomainEventRebootMsg)
DOMAIN_EVENT_RTC_CHANGE: Final = REMOTE.event(
    170, "DOMAIN_EVENT_RTC_CHANGE", DomainEventRtcChangeMsg
)
DOMAIN_EVENT_WATCHDOG: Final = REMOTE.event(171, "DOMAIN_EVENT_WATCHDOG", DomainEventWatchdogMsg)
DOMAIN_EVENT_IO_ERROR: Final = REMOTE.event(172, "DOMAIN_EVENT_IO_ERROR", DomainEventIoErrorMsg)
DOMAIN_EVENT_GRAPHICS: Final = REMOTE.event(173, "DOMAIN_EVENT_GRAPHICS", DomainEventGraphicsMsg)
DOMAIN_EVENT_IO_ERROR_REASON: Final = REMOTE.event(
    195, "DOMAIN_EVENT_IO_ERROR_REASON", DomainEventIoErrorReasonMsg
)
DOMAIN_EVENT_CONTROL_ERROR: Final = REMOTE.event(
    224, "DOMAIN_EVENT_CONTROL_ERROR", DomainEventControlErrorMsg
)
DOMAIN_EVENT_BLOCK_JOB: Final = REMOTE.event(241, "DOMAIN_EVENT_BLOCK_JOB", DomainEventBlockJobMsg)
DOMAIN_EVENT_DISK_CHANGE: Final = REMOTE.event(
    248, "DOMAIN_EVENT_DISK_CHANGE", DomainEventDiskChangeMsg
)
DOMAIN_EVENT_TRAY_CHANGE: Final = REMOTE.event(
    268, "DOMAIN_EVENT_TRAY_CHANGE", DomainEventTrayChangeMsg
)
DOMAIN_EVENT_PMWAKEUP: Final = REMOTE.event(269, "DOMAIN_EVENT_PMWAKEUP", DomainEventPmwakeupMsg)
DOMAIN_EVENT_PMSUSPEND: Final = REMOTE.event(270, "DOMAIN_EVENT_PMSUSPEND", DomainEventPmsuspendMsg)
DOMAIN_EVENT_BALLOON_CHANGE: Final = REMOTE.event(
    276, "DOMAIN_EVENT_BALLOON_CHANGE", DomainEventBalloonChangeMsg
)
DOMAIN_EVENT_PMSUSPEND_DISK: Final = REMOTE.event(
    292, "DOMAIN_EVENT_PMSUSPEND_DISK", DomainEventPmsuspendDiskMsg
)
DOMAIN_EVENT_DEVICE_REMOVED: Final = REMOTE.event(
    311, "DOMAIN_EVENT_DEVICE_REMOVED", DomainEventDeviceRemovedMsg
)
