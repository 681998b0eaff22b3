"""The component of the rules: they go from one program to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from aiovirt.daemons.runtime.component import Component, Keep
from aiovirt.daemons.virtd.faults.rules import Rule
from aiovirt.daemons.virtd.faults.striking import ActiveRule, FaultRules

if TYPE_CHECKING:
    from aiovirt.rpc.server import Daemon


class RuleState(msgspec.Struct):
    """A rule with its counts; see `ActiveRule`."""

    id: int
    rule: Rule
    seen: int
    strikes: int


class FaultsState(msgspec.Struct):
    """last: the id that was given last; rules: in their order."""

    last: int = 0
    rules: list[RuleState] = []


class FaultsComponent(Component):
    """The rules of a daemon. Calls that they hold go on before the program ends."""

    name = "faults"

    def __init__(self, rules: FaultRules, daemon: Daemon) -> None:
        self._rules = rules
        daemon.on_settling.append(rules.let_go)

    @property
    def state_type(self) -> type[FaultsState]:
        """See `Component`."""
        return FaultsState

    async def pause(self) -> None:
        """See `Component`."""
        self._rules.send_late_events()

    def save(self, keep: Keep) -> FaultsState:
        """See `Component`."""
        rules = [RuleState(one.id, one.rule, one.seen, one.strikes) for one in self._rules]
        return FaultsState(self._rules.last_id, rules)

    def restore(self, state: FaultsState) -> None:
        """See `Component`."""
        self._rules.restore(
            state.last,
            [ActiveRule(one.id, one.rule, one.seen, one.strikes) for one in state.rules],
        )
