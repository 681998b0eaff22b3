"""Events of a guest's monitor: made from the events of the guest, for those who subscribed to them.

Source: libvirt's src/conf/domain_event.c (virDomainQemuMonitorEventStateRegisterID), QEMU's qapi/*.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_events import (
    DomainEventID,
    DomainEventShutdownDetailType,
    DomainEventType,
)
from aiovirt.daemons.virtd.constants.qemu import (
    ConnectDomainQemuMonitorEventRegisterFlags as Flags,
)
from aiovirt.daemons.virtd.host.events import Event
from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.server.events import encoded
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

#: What a pattern may have at most, so that a client's pattern is matched in no time: characters, and
#: repetitions, none of them of a group.
_PATTERN_MAX: Final = 256
_REPEATS_MAX: Final = 4
_REPEAT: Final = pattern(r"[*+?{]")
_REPEATED_GROUP: Final = pattern(r"\)[*+?{]|\\\d")


class MonitorWish(msgspec.Struct, frozen=True):
    """A subscription. subject: the UUID of the only guest, or empty; name: of the event, or a pattern,
    empty for all events; flags: DomainQemuMonitorEventRegisterFlags."""

    subject: bytes
    name: str
    flags: int

    def wants(self, subject: bytes, name: str) -> bool:
        """Whether it is about an event of a guest."""
        if self.subject and self.subject != subject:
            return False
        if not self.name:
            return True
        if self.flags & Flags.REGEX:
            return self.pattern().search(name) is not None
        return name.lower() == self.name.lower() if self.flags & Flags.NOCASE else name == self.name

    def pattern(self) -> re.Pattern[str]:
        """Return the pattern. Raises RpcError INVALID_ARG for one that is broken or too costly."""
        reason = ""
        repeats = len(_REPEAT.findall(self.name))
        if len(self.name) > _PATTERN_MAX or repeats > _REPEATS_MAX:
            reason = (
                f"at most {_PATTERN_MAX} characters and {_REPEATS_MAX} repetitions are supported"
            )
        elif _REPEATED_GROUP.search(self.name):
            reason = "repeated groups and back references are not supported"
        try:
            if not reason:
                return re.compile(self.name, re.IGNORECASE if self.flags & Flags.NOCASE else 0)
        except (re.error, OverflowError, RecursionError) as error:
            reason = str(error)
        raise RpcError.of(
            ErrorCode.INVALID_ARG,
            f"failed to compile regex '{self.name[:_PATTERN_MAX]}': {reason}",
            domain=ErrorDomain.NONE,
        )


class MonitorEvent(msgspec.Struct, frozen=True):
    """An event of a monitor. details: what QEMU says of it, None if it says nothing."""

    name: str
    details: Mapping[str, Any] | None = None


def monitor_event(event: Event) -> MonitorEvent | None:
    """Return what the monitor of a guest tells when this happens to the guest, or None."""
    made = _MADE.get(event.number)
    return None if made is None else made(*event.details)


def message(event: Event, told: MonitorEvent, number: int, now: int) -> bytes:
    """Encode an event of a monitor as a message.

    Args:
        event: what happened to the guest.
        told: what its monitor tells.
        number: of the subscription.
        now: the time of day, in nanoseconds since the epoch.
    """
    subject = event.subject
    details = None if told.details is None else json.dumps(told.details, separators=(",", ":"))
    content = protocol.DomainMonitorEventMsg(
        number,
        protocol.NonnullDomain(subject.name, subject.uuid, subject.number),
        told.name,
        now // 1_000_000_000,
        now // 1000 % 1_000_000,
        details,
    )
    return encoded(protocol.DOMAIN_MONITOR_EVENT, content)


def _lifecycle(kind: int, detail: int) -> MonitorEvent | None:
    if kind == DomainEventType.SHUTDOWN:
        by_guest = detail == DomainEventShutdownDetailType.GUEST
        reason = "guest-shutdown" if by_guest else "host-qmp-quit"
        return MonitorEvent("SHUTDOWN", {"guest": by_guest, "reason": reason})
    name = _LIFECYCLE.get(kind)
    return None if name is None else MonitorEvent(name)


_LIFECYCLE: Final[Mapping[int, str]] = {
    DomainEventType.STARTED: "RESUME",
    DomainEventType.SUSPENDED: "STOP",
    DomainEventType.RESUMED: "RESUME",
}


def _agent(state: int, reason: int) -> MonitorEvent | None:
    if reason == 1:  # the guest has just been started
        return None
    return MonitorEvent("VSERPORT_CHANGE", {"open": state == 1, "id": "channel0"})


def _removed(alias: str) -> MonitorEvent:
    return MonitorEvent("DEVICE_DELETED", {"device": alias, "path": f"/machine/peripheral/{alias}"})


def _tray(alias: str, reason: int) -> MonitorEvent:
    return MonitorEvent("DEVICE_TRAY_MOVED", {"device": "", "tray-open": reason == 0, "id": alias})


_MADE: Final[Mapping[int, Callable[..., MonitorEvent | None]]] = {
    DomainEventID.LIFECYCLE: _lifecycle,
    DomainEventID.REBOOT: lambda: MonitorEvent(
        "RESET", {"guest": False, "reason": "host-qmp-system-reset"}
    ),
    DomainEventID.AGENT_LIFECYCLE: _agent,
    DomainEventID.DEVICE_REMOVED: _removed,
    DomainEventID.TRAY_CHANGE: _tray,
    DomainEventID.BALLOON_CHANGE: lambda kib: MonitorEvent(
        "BALLOON_CHANGE", {"actual": kib * 1024}
    ),
    DomainEventID.PMSUSPEND: lambda: MonitorEvent("SUSPEND"),
    DomainEventID.PMSUSPEND_DISK: lambda: MonitorEvent("SUSPEND_DISK"),
    DomainEventID.PMWAKEUP: lambda: MonitorEvent("WAKEUP"),
}
