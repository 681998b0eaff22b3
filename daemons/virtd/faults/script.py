"""Scenarios: files in TOML with faults, waits, events and clocks, one after the other.

    [[step]]
    fault = "error"
    name = "full"
    procedure = "DOMAIN_CREATE*"
    code = "NO_MEMORY"
    times = 1

    [[step]]
    wait = "full"
    timeout = 10

    [[step]]
    event = "crash"
    guest = "web"

A file is checked as a whole before anything is done.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from aiovirt.daemons.virtd.faults import happenings, naming
from aiovirt.daemons.virtd.faults.rules import Action, Rule, RuleError, check
from aiovirt.rpc.patterns import pattern

#: Steps of one file, bytes of it, and seconds that a step may wait.
STEPS_MAX: Final = 1000
SIZE_MAX: Final = 1024 * 1024
WAIT_MAX: Final = 24 * 3600
#: Seconds for which a step waits for strikes if it does not say so.
TIMEOUT: Final = 30.0

_HEADER: Final = pattern(r"^[ \t]*\[\[[ \t]*step[ \t]*\]\]", re.MULTILINE)
_SECOND: Final = 1_000_000_000


class ScriptError(ValueError):
    """A file that is not a scenario; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Add:
    """Add a rule. name: for later steps."""

    name: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until a rule has struck. timeout: in seconds."""

    name: str
    strikes: int
    timeout: float


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a rule."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Remove all rules of the daemon."""


@dataclass(frozen=True, slots=True)
class Inject:
    """Let an event happen to a guest."""

    guest: str
    event: str
    host: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SetClock:
    """Change the clock of a host, of all for an empty name. now: in nanoseconds since the epoch."""

    host: str
    now: int | None
    rate: float | None


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for so many seconds."""

    seconds: float


Step: TypeAlias = Add | Wait | Remove | Clear | Inject | SetClock | Pause


def parse(text: str) -> list[Step]:
    """Read a scenario. Raises ScriptError, which names the step and its line."""
    if len(text) > SIZE_MAX:
        raise ScriptError(f"a scenario has at most {SIZE_MAX} bytes")
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ScriptError(f"not TOML: {error}") from error
    steps = document.pop("step", None)
    if document or not isinstance(steps, list) or not all(isinstance(one, dict) for one in steps):
        raise ScriptError("a scenario has tables [[step]] and nothing else")
    if not 0 < len(steps) <= STEPS_MAX:
        raise ScriptError(f"a scenario has 1 to {STEPS_MAX} steps, not {len(steps)}")
    lines = [text.count("\n", 0, match.start()) + 1 for match in _HEADER.finditer(text)]
    names: set[str] = set()
    made = []
    for number, table in enumerate(steps):
        try:
            made.append(_step(table, names))
        except RuleError as error:
            line = f" (line {lines[number]})" if len(lines) == len(steps) else ""
            raise ScriptError(f"step {number + 1}{line}: {error}") from error
    return made


class _Table:
    """The keys of a step; every one has to be asked for."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._rest = dict(table)

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """Take a value. Raises RuleError for one of another type."""
        if key not in self._rest:
            return default
        value = self._rest.pop(key)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join(_TYPES[one] for one in kinds)
            raise RuleError(f"'{key}' is {wanted}, not {value!r:.60}")
        return value

    def needed(self, key: str, kind: type | tuple[type, ...]) -> Any:
        """Take a value that has to be there. Raises RuleError."""
        if key not in self._rest:
            raise RuleError(f"'{key}' is missing")
        return self.take(key, kind)

    def end(self) -> None:
        """Raise RuleError for a key that nothing has asked for."""
        for key in self._rest:
            raise RuleError(f"'{key}' is not a key of this step")


_TYPES: Final[Mapping[type, str]] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a table",
    datetime: "a date and time",
}


def _step(given: Mapping[str, Any], names: set[str]) -> Step:
    kinds = [kind for kind in _STEPS if kind in given]
    if len(kinds) != 1:
        raise RuleError(f"a step has one of these keys: {', '.join(_STEPS)}")
    table = _Table(given)
    made = _STEPS[kinds[0]](table, names)
    table.end()
    return made


def _fault(table: _Table, names: set[str]) -> Add:
    fields: dict[str, Any] = {"action": Action.of(table.needed("fault", str))}
    for key in ("procedure", "guest", "text"):
        fields[key] = table.take(key, str)
    for key in ("client", "times", "every", "seed", "delay", "size"):
        fields[key] = table.take(key, int)
    fields["probability"] = table.take("probability", (float, int))
    for key, read in (("code", naming.code), ("domain", naming.domain)):
        value = table.take(key, (str, int))
        fields[key] = None if value is None else read(str(value))
    rule = Rule(**{key: value for key, value in fields.items() if value is not None})
    check(rule)
    name = table.take("name", str, "")
    if name in names:
        raise RuleError(f"a rule of the name '{name}' exists already")
    if name:
        names.add(name)
    return Add(name, rule)


def _known(name: str, names: set[str]) -> str:
    if name not in names:
        raise RuleError(f"no rule of the name '{name}' exists then")
    return name


def _wait(table: _Table, names: set[str]) -> Wait:
    name = _known(table.needed("wait", str), names)
    strikes = table.take("strikes", int, 1)
    if not 1 <= strikes < 2**63:
        raise RuleError(f"'strikes' is from 1, not {strikes}")
    return Wait(name, strikes, _seconds("timeout", table.take("timeout", (float, int), TIMEOUT)))


def _seconds(key: str, seconds: float) -> float:
    if not 0 < seconds <= WAIT_MAX:
        raise RuleError(f"'{key}' is above 0 and at most {WAIT_MAX} seconds, not {seconds:g}")
    return float(seconds)


def _remove(table: _Table, names: set[str]) -> Remove:
    name = _known(table.needed("remove", str), names)
    names.remove(name)
    return Remove(name)


def _clear(table: _Table, names: set[str]) -> Clear:
    if not table.needed("clear", bool):
        raise RuleError("'clear' is true")
    names.clear()
    return Clear()


def _event(table: _Table, names: set[str]) -> Inject:
    event, guest = table.needed("event", str), table.needed("guest", str)
    values = {key: str(value) for key, value in table.take("values", dict, {}).items()}
    happenings.check(event, values)
    return Inject(guest, event, table.take("host", str, ""), values)


def _clock(table: _Table, names: set[str]) -> SetClock:
    host = table.needed("clock", str)
    time, rate = table.take("time", (datetime, int, float)), table.take("rate", (float, int))
    if time is None and rate is None:
        raise RuleError("a step with 'clock' has 'time', 'rate' or both")
    if rate is not None and not 0 <= rate < float("inf"):
        raise RuleError(f"'rate' is a number from 0, not {rate}")
    if isinstance(time, datetime):
        time = time.replace(tzinfo=time.tzinfo or UTC).timestamp()
    if time is not None and not 0 <= time < 2**63 / _SECOND:
        raise RuleError(f"'time' is from 1970 to 2262, not {time}")
    return SetClock(
        host,
        None if time is None else round(time * _SECOND),
        None if rate is None else float(rate),
    )


def _pause(table: _Table, names: set[str]) -> Pause:
    return Pause(_seconds("pause", table.needed("pause", (float, int))))


_STEPS: Final[Mapping[str, Callable[[_Table, set[str]], Step]]] = {
    "fault": _fault,
    "wait": _wait,
    "remove": _remove,
    "clear": _clear,
    "event": _event,
    "clock": _clock,
    "pause": _pause,
}
