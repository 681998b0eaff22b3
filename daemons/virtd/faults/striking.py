"""The rules of a daemon, in the order in which they were added, and where they strike.

The first rule that matches and strikes decides; the rules after it are not asked about that call. With
no rule that can strike, the server and the events go their ways of every day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiovirt.daemons.virtd.dispatch.serving import SESSION
from aiovirt.daemons.virtd.faults.guests import guest_of
from aiovirt.daemons.virtd.faults.rules import DRIVER, Action, Rule, check, matched
from aiovirt.daemons.virtd.host.events import Family
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import ClientState
from aiovirt.rpc.server.faults import Ending, Fault
from aiovirt.rpc.server.streams import STREAMS_MAX
from aiovirt.rpc.wire.error_codes import phrase
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.dispatch.front import RemoteDispatch
    from aiovirt.daemons.virtd.dispatch.serving import Session
    from aiovirt.daemons.virtd.host.events import Event
    from aiovirt.rpc.server import Client, Server
    from aiovirt.rpc.wire.program import Procedure

_log = get_logger("daemons.virtd.faults")

#: The names of the guests that a client's streams are about, by key and serial of their calls.
_GUESTS: Final = ClientState[dict[tuple[bytes, int], str]]("guests of streams")

_ENDINGS: Final = {
    Action.DROP: Ending.DROPPED,
    Action.CUT: Ending.CUT,
    Action.CLOSE_BEFORE: Ending.CLOSED_BEFORE,
    Action.CLOSE_AFTER: Ending.CLOSED_AFTER,
    Action.STREAM_CUT: Ending.CUT,
    Action.STREAM_CLOSE: Ending.CLOSED_BEFORE,
}


class ActiveRule:
    """A rule with its counts. seen: what matched; strikes: how much of it was struck; held: calls that
    it holds."""

    def __init__(self, number: int, rule: Rule, seen: int = 0, strikes: int = 0) -> None:
        self.id = number
        self.rule = rule
        self.seen = seen
        self.strikes = strikes
        self.held = 0
        self.keys = frozenset(procedure.key for procedure in matched(rule))
        self._is_removed = False
        self._released = asyncio.Event()
        self._struck = asyncio.Event()

    @property
    def is_spent(self) -> bool:
        """Whether it has struck as often as it may."""
        return 0 < self.rule.times <= self.strikes

    def strikes_now(self) -> bool:
        """Count what matched, and decide whether it is struck.

        Chance depends on the seed and on the count only, so that it is the same in each run.
        """
        rule = self.rule
        self.seen += 1
        if self.seen % rule.every:
            return False
        if rule.probability < 1:
            import random  # late: no start needs it

            chance = random.Random(f"{rule.seed}/{self.seen}").random()  # noqa: S311  no secret
            if chance >= rule.probability:
                return False
        self.strikes += 1
        self._struck.set()
        return True

    async def wait_for(self, strikes: int) -> None:
        """Wait until it has struck so often. Raises RpcError if it is let go before."""
        released = self._released
        while self.strikes < strikes and not released.is_set():
            self._struck.clear()
            await self._struck.wait()
        if self.strikes < strikes:
            code = ErrorCode.INVALID_ARG if self._is_removed else ErrorCode.OPERATION_ABORTED
            why = "was removed" if self._is_removed else "is left, as the daemon ends or restarts,"
            text = f"rule {self.id} {why} after {self.strikes} strikes"
            raise RpcError(code, text, domain=ErrorDomain.CONF)

    async def hold(self, seconds: float | None = None) -> None:
        """Wait so many seconds, None for ever, or until it is let go."""
        self.held += 1
        try:
            async with asyncio.timeout(seconds):
                await self._released.wait()
        except TimeoutError:
            pass
        finally:
            self.held -= 1

    def let_go(self, *, removed: bool = False) -> None:
        """End all that waits for it. removed: for good."""
        self._is_removed = removed
        self._released.set()
        self._struck.set()
        if not removed:
            self._released = asyncio.Event()


class LateEvents:
    """Events that are sent after a while."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[asyncio.TimerHandle, Client, bytes]] = {}
        self._last = 0

    def send(self, client: Client, data: bytes, seconds: float) -> None:
        """Send a message to a client after so many seconds."""
        self._last += 1
        handle = asyncio.get_running_loop().call_later(seconds, self._expire, self._last)
        self._waiting[self._last] = handle, client, data

    def _expire(self, number: int) -> None:
        _, client, data = self._waiting.pop(number)
        client.write_event(data)

    def send_all(self) -> None:
        """Send all of them now, in the order in which they happened."""
        for number, (handle, *_) in list(self._waiting.items()):
            handle.cancel()
            self._expire(number)


class StreamRules:
    """The rules for packets of open streams. asked: those that can strike, by the key of the procedure
    that opened the stream."""

    def __init__(self) -> None:
        self.asked: dict[bytes, list[ActiveRule]] = {}

    def note(self, client: Client, key: bytes, serial: int, guest: str) -> None:
        """Note which guest a stream is about.

        Args:
            client: whose stream it is.
            key: of the procedure that opens it.
            serial: of the call that opens it.
            guest: the name of the guest; empty for none.
        """
        noted = _GUESTS.get(client)
        if noted is None:
            noted = _GUESTS.set(client, {})
        while len(noted) >= STREAMS_MAX:  # no more can be open, and the oldest ended first
            del noted[next(iter(noted))]
        noted[key, serial] = guest

    def matches(self, rule: Rule, client: Client, key: bytes, serial: int) -> bool:
        """Return whether a rule is for the packets of a stream.

        Args:
            rule: the rule, which is for the procedure of the stream.
            client: whose stream it is.
            key: of the procedure that opened it.
            serial: of the call that opened it.
        """
        if rule.client not in (0, client.id):
            return False
        if not rule.guest:
            return True
        guest = (_GUESTS.get(client) or {}).get((key, serial), "")
        return bool(guest) and fnmatchcase(guest, rule.guest)


class FaultRules:
    """The rules for one server and for the events of its dispatch."""

    def __init__(self, server: Server, dispatch: RemoteDispatch) -> None:
        self._server = server
        self._dispatch = dispatch
        self._rules: dict[int, ActiveRule] = {}
        self._last = 0
        self._asked: dict[bytes, list[ActiveRule]] = {}
        self._streams = StreamRules()
        self._late = LateEvents()
        self._mutes: list[ActiveRule] = []

    # Administration ------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[ActiveRule]:
        return iter(list(self._rules.values()))

    def __len__(self) -> int:
        return len(self._rules)

    @property
    def last_id(self) -> int:
        """The id that was given last."""
        return self._last

    def get(self, number: int) -> ActiveRule | None:
        """Return the rule with this id."""
        return self._rules.get(number)

    def add(self, rule: Rule) -> int:
        """Add a rule, and return its id. Raises RuleError."""
        check(rule)
        self._last += 1
        self._rules[self._last] = ActiveRule(self._last, rule)
        self._apply()
        return self._last

    def restore(self, last: int, rules: Iterable[ActiveRule]) -> None:
        """Take over the rules of an earlier program.

        Args:
            last: the id that was given last.
            rules: with their counts.
        """
        self._last = last
        self._rules = {one.id: one for one in rules}
        self._apply()

    def remove(self, number: int) -> bool:
        """Remove a rule and release what it holds; whether it existed."""
        found = self._rules.pop(number, None)
        if found is None:
            return False
        self._apply()
        found.let_go(removed=True)
        return True

    def let_go(self) -> None:
        """Let the calls go on that are delayed or held, since the daemon ends or restarts."""
        for one in self._rules.values():
            one.let_go()

    def clear(self) -> None:
        """Remove all rules."""
        for number in list(self._rules):
            self.remove(number)

    def _apply(self) -> None:
        """Let those be asked that can strike, and nobody if none can."""
        live = [one for one in self._rules.values() if not one.is_spent]
        self._asked = _by_key(one for one in live if not one.rule.is_of_streams)
        self._streams.asked = _by_key(one for one in live if one.rule.is_of_streams)
        self._mutes = [one for one in live if one.rule.action is Action.MUTE]
        kinds = {one.rule.is_of_events for one in live}
        self._server.set_faults(self if False in kinds else None)
        self._dispatch.event_faults = self if True in kinds else None

    # Striking ------------------------------------------------------------------------------------

    def of_call(self, client: Client, procedure: Procedure[Any, Any], args: Any) -> Fault | None:
        """See `rpc.server.faults.Faults`."""
        one = self._decide(client, procedure, partial(guest_of, client, procedure, args))
        return None if one is None else _fault(one, client)

    def opens(self, client: Client, procedure: Procedure[Any, Any], args: Any, serial: int) -> None:
        """See `rpc.server.faults.Faults`."""
        if procedure.key in self._streams.asked:
            self._streams.note(client, procedure.key, serial, guest_of(client, procedure, args))

    def of_packet(self, client: Client, key: bytes, serial: int) -> Fault | None:
        """See `rpc.server.faults.Faults`."""
        for one in self._streams.asked.get(key, ()):
            if self._streams.matches(one.rule, client, key, serial) and one.strikes_now():
                self._struck(one, client, serial=serial)
                return _fault(one, client)
        return None

    def mutes(self, client: Client) -> bool:
        """See `rpc.server.faults.Faults`."""
        for one in self._mutes:
            if one.rule.client in (0, client.id) and one.strikes_now():
                self._struck(one, client)
                return True
        return False

    def deliver(
        self, session: Session, procedure: Procedure[Any, None], event: Event, data: bytes
    ) -> None:
        """See `dispatch.subscriptions.EventFaults`."""
        client = session.client
        one = self._decide(client, procedure, partial(_subject, event))
        if one is None:
            client.write_event(data)
        elif one.rule.action is Action.REPEAT_EVENT:
            client.write_event(data + data)
        elif one.rule.action is Action.DELAY_EVENT:
            self._late.send(client, data, one.rule.delay / 1000)

    def send_late_events(self) -> None:
        """Send the events that are late now: the program ends."""
        self._late.send_all()

    def _decide(
        self, client: Client, procedure: Procedure[Any, Any], find_guest: Callable[[], str]
    ) -> ActiveRule | None:
        """The rule that strikes a call or an event; the guest is looked for if a rule wants it."""
        guest: str | None = None
        for one in self._asked.get(procedure.key, ()):
            rule = one.rule
            if rule.client not in (0, client.id):
                continue
            if rule.guest:
                guest = find_guest() if guest is None else guest
                if not guest or not fnmatchcase(guest, rule.guest):
                    continue
            if one.strikes_now():
                self._struck(one, client, procedure=procedure.name, guest=guest)
                return one
        return None

    def _struck(self, one: ActiveRule, client: Client, **fields: object) -> None:
        _log.info(
            "fault struck",
            rule=one.id,
            action=one.rule.action.value,
            strike=one.strikes,
            server=self._server.name,
            client=client.id,
            **{name: value for name, value in fields.items() if value},
        )
        if one.is_spent:
            self._apply()


def _by_key(rules: Iterable[ActiveRule]) -> dict[bytes, list[ActiveRule]]:
    asked: dict[bytes, list[ActiveRule]] = {}
    for one in rules:
        for key in one.keys:
            asked.setdefault(key, []).append(one)
    return asked


def _fault(one: ActiveRule, client: Client) -> Fault:
    rule = one.rule
    wait = None
    if rule.action is Action.HOLD:
        wait = one.hold
    elif rule.delay:
        wait = partial(one.hold, rule.delay / 1000)
    error = None
    if rule.action in (Action.ERROR, Action.STREAM_ERROR):
        domain = _domain(client) if rule.domain == DRIVER else rule.domain
        error = RpcError(rule.code, rule.text or phrase(rule.code), domain=domain)
    ending = _ENDINGS.get(rule.action, Ending.ANSWERED)
    return Fault(f"fault rule {one.id}: {rule.action}", wait, error, ending, rule.size)


def _subject(event: Event) -> str:
    """The name of the domain that an event is about; empty for another object."""
    return event.subject.name if event.family is Family.DOMAIN else ""


def _domain(client: Client) -> int:
    """The domain of the driver that a client has opened; of the RPC before."""
    session = SESSION.get(client)
    return RpcError(0, "").domain if session is None else session.host.flavour.domain
