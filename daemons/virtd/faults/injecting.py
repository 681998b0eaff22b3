"""Injecting events into guests: names and values become calls of the host."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiovirt.daemons.virtd.constants import domain as states
from aiovirt.daemons.virtd.constants import domain_events as events
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.faults.happenings import Values, check
from aiovirt.daemons.virtd.host import (
    agent,
    behavior,
    ending,
    incidents,
    leases,
    lifecycle,
    sleeping,
)
from aiovirt.daemons.virtd.host.agent_commands import REPLIES

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

_EnumT = TypeVar("_EnumT", bound=IntEnum)


def inject(domain: Domain, name: str, given: Mapping[str, str]) -> None:
    """Let an event happen to a guest.

    Args:
        domain: the guest.
        name: of the event; see `happenings`.
        given: its values.

    Raises:
        RuleError: the event does not exist, or a value does not fit.
        RpcError: the guest is not in a state in which it can happen.
    """
    values = check(name, given)
    _FUNCTIONS[name](domain, values)


def _member(kind: type[_EnumT], value: str | int) -> _EnumT:
    return kind[str(value).upper().replace("-", "_")]


def _io_error(domain: Domain, values: Values) -> None:
    action = _member(events.DomainEventIOErrorAction, values["action"])
    incidents.io_error(domain, str(values["disk"]), action, str(values["reason"]))


def _watchdog(domain: Domain, values: Values) -> None:
    incidents.watchdog(domain, _member(events.DomainEventWatchdogAction, values["action"]))


def _shutdown(domain: Domain, values: Values) -> None:
    domain.require_active()
    ending.shut_down_now(domain)


def _reboot(domain: Domain, values: Values) -> None:
    domain.require_active()
    ending.rebooted(domain)


def _start(domain: Domain, values: Values) -> None:
    if domain.is_active:
        lifecycle.start(domain)  # which refuses
    reason = _member(states.DomainRunningReason, values["reason"])
    detail = _member(events.DomainEventStartedDetailType, values["reason"])
    origin = lifecycle.Origin(reason, detail)
    lifecycle.run(domain, domain.record.config or "", origin, paused=False)


def _stop(domain: Domain, values: Values) -> None:
    domain.require_active()
    reason = _member(states.DomainShutoffReason, values["reason"])
    detail = _member(events.DomainEventStoppedDetailType, values["reason"])
    lifecycle.stop(domain, int(reason), int(detail))


def _suspend(domain: Domain, values: Values) -> None:
    named = {"paused": "user", "migrated": "migration"}.get(str(values["reason"]), values["reason"])
    reason = _member(states.DomainPausedReason, named)
    detail = _member(events.DomainEventSuspendedDetailType, values["reason"])
    incidents.suspend(domain, reason, detail)


def _resume(domain: Domain, values: Values) -> None:
    reason = _member(states.DomainRunningReason, values["reason"])
    detail = _member(events.DomainEventResumedDetailType, values["reason"])
    incidents.resume(domain, reason, detail)


def _pmsuspend(domain: Domain, values: Values) -> None:
    domain.require_active()
    sleeping.fall_asleep(domain, int(values["target"] == "disk"))


def _agent(*, connected: bool) -> Callable[[Domain, Values], None]:
    def change(domain: Domain, values: Values) -> None:
        domain.require_active()
        agent.set_connected(domain, connected=connected)

    return change


def _agent_reply(domain: Domain, values: Values) -> None:
    replies: dict[str, Any] = dict(domain.detail(REPLIES, {}))
    command = str(values["command"])
    replies.pop(command, None)
    if values["error"]:
        replies[command] = {"error": values["error"]}
    elif values["return"]:
        replies[command] = {"return": json.loads(str(values["return"]))}
    domain.keep(REPLIES, replies or None)


def _behave(domain: Domain, values: Values) -> None:
    delay = values["delay"]
    seconds = int(delay) / 1000 if delay != "" else None
    behavior.behave(domain, str(values["shutdown"]), str(values["boot"]), seconds)


def _address(domain: Domain, values: Values) -> None:
    leases.readdress(domain, str(values["mac"]), str(values["address"]))


# What is told, and nothing else ---------------------------------------------------------------------


def _tell(number: DomainEventID, *keys: str) -> Callable[[Domain, Values], None]:
    """An event whose details are these values."""

    def tell(domain: Domain, values: Values) -> None:
        domain.emit(number, *(values[key] for key in keys))

    return tell


def _lifecycle(domain: Domain, values: Values) -> None:
    event = _member(events.DomainEventType, values["event"])
    domain.emit(DomainEventID.LIFECYCLE, int(event), values["detail"])


def _tray(domain: Domain, values: Values) -> None:
    reason = _member(events.DomainEventTrayChangeReason, values["reason"])
    disk = incidents.find_disk(domain, str(values["disk"]))
    domain.emit(DomainEventID.TRAY_CHANGE, disk.alias, int(reason))


def _memory_failure(domain: Domain, values: Values) -> None:
    recipient = _member(events.DomainMemoryFailureRecipientType, values["recipient"])
    action = _member(events.DomainMemoryFailureActionType, values["action"])
    domain.emit(DomainEventID.MEMORY_FAILURE, int(recipient), int(action), values["flags"])


def _threshold(domain: Domain, values: Values) -> None:
    disk = incidents.find_disk(domain, str(values["disk"]))
    said = disk.target, disk.source, values["threshold"], values["excess"]
    domain.emit(DomainEventID.BLOCK_THRESHOLD, *said)


_FUNCTIONS: Final[Mapping[str, Callable[[Domain, Values], None]]] = {
    "crash": lambda domain, values: ending.crash(domain),
    "kill": lambda domain, values: incidents.kill(domain),
    "io-error": _io_error,
    "watchdog": _watchdog,
    "shutdown": _shutdown,
    "reboot": _reboot,
    "start": _start,
    "stop": _stop,
    "suspend": _suspend,
    "resume": _resume,
    "pmsuspend": _pmsuspend,
    "pmwakeup": lambda domain, values: sleeping.wake_up(domain),
    "agent-connect": _agent(connected=True),
    "agent-disconnect": _agent(connected=False),
    "agent-reply": _agent_reply,
    "behave": _behave,
    "address": _address,
    "lifecycle": _lifecycle,
    "rtc-change": _tell(DomainEventID.RTC_CHANGE, "offset"),
    "balloon-change": _tell(DomainEventID.BALLOON_CHANGE, "actual"),
    "tray-change": _tray,
    "device-removed": _tell(DomainEventID.DEVICE_REMOVED, "alias"),
    "device-removal-failed": _tell(DomainEventID.DEVICE_REMOVAL_FAILED, "alias"),
    "control-error": _tell(DomainEventID.CONTROL_ERROR),
    "memory-failure": _memory_failure,
    "block-threshold": _threshold,
}
