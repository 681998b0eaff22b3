"""The events of guests that can be injected: their names, and the values that each takes.

Both sides read this table: a scenario is checked whole before any of it happens.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Final

import msgspec

from aiovirt.daemons.virtd.constants import domain_events as events
from aiovirt.daemons.virtd.faults.rules import DELAY_MAX, RuleError
from aiovirt.daemons.virtd.host import behavior

Values = dict[str, str | int]

#: The largest number of an event.
_NUMBER_MAX: Final = 2**63 - 1


class Key(msgspec.Struct, frozen=True):
    """A value of an event. choices: its names; is_number: a whole number from `least` to `most`;
    default: if it is not given, None if it must be."""

    choices: tuple[str, ...] = ()
    default: str | None = None
    is_number: bool = False
    least: int = 0
    most: int = _NUMBER_MAX


class Happening(msgspec.Struct, frozen=True):
    """An event. about: for the help; keys: the values that it takes."""

    about: str
    keys: Mapping[str, Key] = {}


def name_of(member: IntEnum) -> str:
    """Return the name of a number as users write it: `from-snapshot`."""
    return member.name.lower().replace("_", "-")


def _choice(kind: type[IntEnum], default: str | None = None) -> Key:
    return Key(tuple(name_of(one) for one in kind), default)


_DISK: Final = Key(default="")
_REASON: Final = {
    "stop": _choice(events.DomainEventStoppedDetailType, "crashed"),
    "start": Key(("booted", "migrated", "restored", "from-snapshot"), "booted"),
    "resume": Key(
        ("unpaused", "migrated", "from-snapshot", "postcopy", "postcopy-failed"), "unpaused"
    ),
    "suspend": Key(
        (
            "paused",
            "migrated",
            "ioerror",
            "watchdog",
            "from-snapshot",
            "postcopy",
            "postcopy-failed",
        ),
        "paused",
    ),
}
_NOTHING: Final[Mapping[str, Key]] = {}

HAPPENINGS: Final[Mapping[str, Happening]] = {
    # The state of the guest changes with these.
    "crash": Happening("the guest's system panics; then on_crash of its document"),
    "kill": Happening("the process of the guest ends"),
    "io-error": Happening(
        "a disk fails; the guest is paused unless told otherwise",
        {
            "disk": _DISK,
            "action": _choice(events.DomainEventIOErrorAction, "pause"),
            "reason": Key(("enospc", ""), ""),
        },
    ),
    "watchdog": Happening(
        "the watchdog expires", {"action": _choice(events.DomainEventWatchdogAction, "pause")}
    ),
    "shutdown": Happening("the guest's system shuts down"),
    "reboot": Happening("the guest's system boots again"),
    "start": Happening("the guest is started", {"reason": _REASON["start"]}),
    "stop": Happening("the guest ends", {"reason": _REASON["stop"]}),
    "suspend": Happening("the guest is paused", {"reason": _REASON["suspend"]}),
    "resume": Happening("the guest runs on", {"reason": _REASON["resume"]}),
    "pmsuspend": Happening(
        "the guest's system sleeps", {"target": Key(("memory", "disk"), "memory")}
    ),
    "pmwakeup": Happening("the guest's system wakes up"),
    "agent-connect": Happening("the agent answers from now on"),
    "agent-disconnect": Happening("the agent does not answer any more"),
    "agent-reply": Happening(
        "the agent answers a command with a value or an error; as ever if neither is given",
        {"command": Key(), "return": Key(default=""), "error": Key(default="")},
    ),
    "behave": Happening(
        "the system of the guest ignores a shutdown, crashes or hangs; as ever without values",
        {
            "shutdown": Key(behavior.SHUTDOWN, "normal"),
            "delay": Key(default="", is_number=True, most=DELAY_MAX),
            "boot": Key(behavior.BOOT, "normal"),
        },
    ),
    "address": Happening(
        "an interface has another address: a given one, the next one, or none",
        {"mac": Key(default=""), "address": Key(default="next")},
    ),
    # These are told, and nothing else.
    "lifecycle": Happening(
        "an event of any kind and detail",
        {
            "event": _choice(events.DomainEventType),
            "detail": Key(default="0", is_number=True),
        },
    ),
    "rtc-change": Happening("the clock is set", {"offset": Key(is_number=True, least=-(2**63))}),
    "balloon-change": Happening("the balloon has a size", {"actual": Key(is_number=True)}),
    "tray-change": Happening(
        "a tray moves", {"disk": _DISK, "reason": _choice(events.DomainEventTrayChangeReason)}
    ),
    "device-removed": Happening("a device was unplugged", {"alias": Key()}),
    "device-removal-failed": Happening("a device was not unplugged", {"alias": Key()}),
    "control-error": Happening("the daemon lost the control of the guest"),
    "memory-failure": Happening(
        "memory fails",
        {
            "recipient": _choice(events.DomainMemoryFailureRecipientType, "guest"),
            "action": _choice(events.DomainMemoryFailureActionType, "inject"),
            "flags": Key(default="0", is_number=True),
        },
    ),
    "block-threshold": Happening(
        "a disk is filled beyond its threshold",
        {
            "disk": _DISK,
            "threshold": Key(is_number=True),
            "excess": Key(default="0", is_number=True),
        },
    ),
}


def split(words: Iterable[str]) -> dict[str, str]:
    """Return the values of words KEY=VALUE. Raises RuleError for another word."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or key in found:
            raise RuleError(f"'{word}' is not a value: KEY=VALUE, each key once")
        found[key] = value
    return found


def check(name: str, given: Mapping[str, str]) -> Values:
    """Return all values of an event, with defaults for what is missing.

    Args:
        name: of the event.
        given: what was said.

    Raises:
        RuleError: the event does not exist, or a value does not fit.
    """
    happening = HAPPENINGS.get(name)
    if happening is None:
        raise RuleError(f"'{name}' is not an event of a guest; there are {', '.join(HAPPENINGS)}")
    for key in given:
        if key not in happening.keys:
            known = ", ".join(happening.keys) or "none"
            raise RuleError(f"'{name}' has no value '{key}'; its values are: {known}")
    made = {key: _value(name, key, kind, given.get(key)) for key, kind in happening.keys.items()}
    if name == "agent-reply" and made["return"]:
        _check_json(str(made["return"]))
    return made


def _value(name: str, key: str, kind: Key, given: str | None) -> str | int:
    text = kind.default if given is None else given
    if text is None:
        raise RuleError(f"'{name}' needs a value '{key}'")
    if kind.choices and text not in kind.choices:
        known = ", ".join(filter(None, kind.choices))
        raise RuleError(f"'{text}' is not a value of '{key}' of '{name}': {known}")
    if not kind.is_number or text == kind.default == "":
        return text
    try:
        number = int(text)
    except ValueError:
        number = kind.least - 1
    if not kind.least <= number <= kind.most:
        allowed = f"a number from {kind.least} to {kind.most}"
        raise RuleError(f"'{text}' is not a value of '{key}' of '{name}': {allowed}")
    return number


def _check_json(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise RuleError(f"'return' is not JSON: {error}") from None
