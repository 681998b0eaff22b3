"""The rules of faults: what one matches, when it strikes, and what happens then."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from aiovirt.daemons.virtd import protocol
from aiovirt.rpc.wire.errors import ErrorCode
from aiovirt.rpc.wire.program import Procedure


class RuleError(ValueError):
    """A rule that cannot be; the text says why."""


class Action(StrEnum):
    """The effect of a rule when it strikes."""

    ERROR = "error"
    DELAY = "delay"
    HOLD = "hold-worker"
    DROP = "drop-reply"
    CUT = "cut-reply"
    CLOSE_BEFORE = "close-before"
    CLOSE_AFTER = "close-after"
    STREAM_ERROR = "stream-error"
    STREAM_DELAY = "stream-delay"
    STREAM_CUT = "stream-cut"
    STREAM_CLOSE = "stream-close"
    MUTE = "mute-keepalive"
    LOSE_EVENT = "lose-event"
    REPEAT_EVENT = "repeat-event"
    DELAY_EVENT = "delay-event"

    @classmethod
    def of(cls, name: str) -> Action:
        """Return the action of a name. Raises RuleError for another one."""
        try:
            return cls(name)
        except ValueError:
            raise RuleError(f"'{name}' is not an action; there are {', '.join(cls)}") from None


#: The actions for events, those that need a delay, and those that may have one.
OF_EVENTS: Final = frozenset((Action.LOSE_EVENT, Action.REPEAT_EVENT, Action.DELAY_EVENT))
_NEED_DELAY: Final = frozenset((Action.DELAY, Action.DELAY_EVENT, Action.STREAM_DELAY))
_NO_DELAY: Final = frozenset((Action.MUTE, Action.LOSE_EVENT, Action.REPEAT_EVENT, Action.HOLD))
#: The actions for packets of open streams.
OF_STREAMS: Final = frozenset(
    (Action.STREAM_ERROR, Action.STREAM_DELAY, Action.STREAM_CUT, Action.STREAM_CLOSE)
)
#: The actions that have an error, and those that cut something.
_ERRORS: Final = frozenset((Action.ERROR, Action.STREAM_ERROR))
_CUTS: Final = frozenset((Action.CUT, Action.STREAM_CUT))
#: The largest delay, in milliseconds, and the largest other number of a rule.
DELAY_MAX: Final = 24 * 3600 * 1000
NUMBER_MAX: Final = 2**32 - 1
#: The largest code and domain of an error, and the bytes that its text, and a name or glob, may have.
CODE_MAX: Final = 2**31 - 1
NAME_MAX: Final = 256
TEXT_MAX: Final = 4096
#: The domain of an error that is given in the name of the client's driver.
DRIVER: Final = -1


#: The types of the fields of a rule that are not whole numbers.
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "action": (str,),
    "procedure": (str,),
    "guest": (str,),
    "text": (str,),
    "probability": (int, float),
}


class Rule(msgspec.Struct, frozen=True):
    """One rule.

    action: what happens. procedure: which calls or events, a name of the remote program or of the QEMU
    program, or a glob; for packets of streams, what opened them. guest: which domain, a name or a glob;
    empty for any call. client: by its id; 0 for all. times: how often it strikes, 0 without end. every:
    it strikes each time that so many have matched. probability: from 0 to 1, by `seed`. delay: in
    milliseconds, before the rest. code, domain, text: of the error; a domain of DRIVER is the one of the
    client's driver, an empty text is libvirt's phrase of the code. size: bytes of a reply or a packet
    that are sent before it is cut, 0 for half of it.
    """

    action: Action
    procedure: str = "*"
    guest: str = ""
    client: int = 0
    times: int = 0
    every: int = 1
    probability: float = 1.0
    seed: int = 0
    delay: int = 0
    code: int = 0
    domain: int = DRIVER
    text: str = ""
    size: int = 0

    @property
    def is_of_events(self) -> bool:
        """Whether it is for events."""
        return self.action in OF_EVENTS

    @property
    def is_of_streams(self) -> bool:
        """Whether it is for packets of open streams."""
        return self.action in OF_STREAMS


def matched(rule: Rule) -> list[Procedure[Any, Any]]:
    """Return the procedures of a rule: events, calls, those that open streams; none for PINGs."""
    if rule.action is Action.MUTE:
        return []
    pattern = rule.procedure.upper()
    return [
        procedure
        for program in (protocol.REMOTE, protocol.QEMU)
        for procedure in program
        if procedure.event is rule.is_of_events
        and (procedure.stream or not rule.is_of_streams)
        and fnmatchcase(procedure.name, pattern)
    ]


def check_types(rule: Rule) -> None:
    """Raise RuleError for a field that is of another type than the declared one."""
    for name in Rule.__struct_fields__:
        found, kind = getattr(rule, name), _TYPES.get(name, (int,))
        if not isinstance(found, kind) or isinstance(found, bool):
            wanted = "a text" if str in kind else "a number"
            raise RuleError(f"'{name}' is {wanted}, not {found!r}")


def check(rule: Rule) -> None:
    """Raise RuleError for a rule that contradicts itself or can never strike."""
    check_types(rule)
    action = rule.action
    if action is Action.MUTE:
        _check_mute(rule)
    elif not matched(rule):
        kind = "an event" if rule.is_of_events else "a procedure"
        if rule.is_of_streams:
            kind = "a procedure that opens a stream"
        raise RuleError(f"'{rule.procedure}' is not the name or glob of {kind}, as DOMAIN_*")
    if action in _NEED_DELAY and not rule.delay:
        raise RuleError(f"'{action}' needs a delay in milliseconds, from 1")
    if action in _NO_DELAY and rule.delay:
        raise RuleError(f"'{action}' has no delay")
    if not 0 <= rule.delay <= DELAY_MAX:
        raise RuleError(f"a delay is from 0 to {DELAY_MAX} ms, not {rule.delay}")
    if action in _ERRORS:
        if rule.code < 1:
            raise RuleError(f"'{action}' needs the code of an error, as {ErrorCode.NO_DOMAIN.name}")
    elif rule.code or rule.text or rule.domain != DRIVER:
        raise RuleError(f"'{action}' has no code, text and domain of an error")
    if action not in _CUTS and rule.size:
        raise RuleError(f"'{action}' has no number of bytes")
    _check_numbers(rule)


def _check_mute(rule: Rule) -> None:
    if rule.procedure != "*" or rule.guest:
        raise RuleError(f"'{rule.action}' is for clients: it has no procedure and no guest")


def _check_numbers(rule: Rule) -> None:
    for name in ("client", "times", "every", "seed", "size"):
        number = getattr(rule, name)
        least = 1 if name == "every" else 0
        if not least <= number <= NUMBER_MAX:
            raise RuleError(f"'{name}' is from {least} to {NUMBER_MAX}, not {number}")
    for name in ("code", "domain"):
        number = getattr(rule, name)
        if not DRIVER <= number <= CODE_MAX:
            raise RuleError(f"'{name}' is a number up to {CODE_MAX}, not {number}")
    for name in ("procedure", "guest"):
        if len(getattr(rule, name).encode(errors="surrogateescape")) > NAME_MAX:
            raise RuleError(f"'{name}' is a name or a glob of at most {NAME_MAX} bytes")
    if len(rule.text.encode(errors="surrogateescape")) > TEXT_MAX or "\0" in rule.text:
        raise RuleError(f"the text of an error has at most {TEXT_MAX} bytes, and no NUL")
    if not 0 < rule.probability <= 1:
        raise RuleError(f"a probability is above 0 and at most 1, not {rule.probability:g}")
