"""Rules of faults: what they match, when they strike, and what our own client sees."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.faults.rules import Action, Rule, RuleError, check
from aiovirt.daemons.virtd.faults.striking import FaultRules
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from tests.unit.house import eventually
from tests.virtd.conftest import DOMAIN, Client, MakeVirtd, Virtd

STATE = protocol.DOMAIN_GET_STATE
HOSTNAME = protocol.CONNECT_GET_HOSTNAME
ERROR = Rule(Action.ERROR, code=ErrorCode.NO_MEMORY)


@dataclass
class Stand:
    """A virtd with rules. rules: its rules."""

    virtd: Virtd
    rules: FaultRules

    async def hits(self, client: Client, calls: int, procedure: Any = HOSTNAME) -> list[bool]:
        """Make calls in a row: which of them failed."""
        found = []
        for _ in range(calls):
            try:
                await client.call(procedure)
            except RpcError:
                found.append(True)
            else:
                found.append(False)
        return found


@pytest.fixture
async def stand(make_virtd: MakeVirtd) -> Stand:
    virtd = await make_virtd()
    return Stand(virtd, FaultRules(virtd.server, virtd.dispatch))


def rule(base: Rule = ERROR, **fields: Any) -> Rule:
    """An error for CONNECT_GET_HOSTNAME, unless told otherwise."""
    return msgspec.structs.replace(base, **{"procedure": "CONNECT_GET_HOSTNAME", **fields})


async def test_an_error_has_its_code_text_and_domain(stand: Stand) -> None:
    client = await stand.virtd.connect("qemu:///system")
    stand.rules.add(rule(text="all of it is used", domain=ErrorDomain.CPU))
    error = await client.refused(HOSTNAME)
    assert (error.code, error.domain) == (ErrorCode.NO_MEMORY, ErrorDomain.CPU)
    assert error.message == "all of it is used"


async def test_an_error_without_text_and_domain_is_libvirts_in_the_name_of_the_driver(
    stand: Stand,
) -> None:
    client = await stand.virtd.connect("qemu:///system")
    stand.rules.add(rule())
    error = await client.refused(HOSTNAME)
    assert (error.message, error.domain) == ("out of memory", ErrorDomain.QEMU)


async def test_a_rule_strikes_as_often_as_it_may_and_calls_are_fast_again(stand: Stand) -> None:
    client = await stand.virtd.connect()
    number = stand.rules.add(rule(times=2))
    assert await stand.hits(client, 3) == [True, True, False]
    found = stand.rules.get(number)
    assert found is not None
    assert (found.seen, found.strikes) == (2, 2)
    assert stand.virtd.server.faults is None


async def test_a_rule_strikes_every_third(stand: Stand) -> None:
    client = await stand.virtd.connect()
    stand.rules.add(rule(every=3, times=2))
    assert await stand.hits(client, 9) == [False, False, True, False, False, True] + [False] * 3


async def test_a_probability_strikes_the_same_calls_for_the_same_seed(stand: Stand) -> None:
    client = await stand.virtd.connect()
    runs = []
    for seed in (1, 1, 2):
        stand.rules.add(rule(probability=0.5, seed=seed))
        runs.append(await stand.hits(client, 40))
        stand.rules.clear()
    assert runs[0] == runs[1] != runs[2]
    assert 8 < sum(runs[0]) < 32


async def test_a_rule_is_for_the_guest_that_a_call_names(stand: Stand) -> None:
    client = await stand.virtd.connect()
    web, mail = await client.define("web-1"), await client.define("mail")
    stand.rules.add(Rule(Action.ERROR, "DOMAIN_*", guest="web-*", code=ErrorCode.NO_MEMORY))
    memory = ErrorCode.NO_MEMORY
    flags = protocol.DomainFlagsArgs
    assert (await client.refused(STATE, flags(web, 0))).code == memory
    by_name = protocol.NameArgs("web-2")
    assert (await client.refused(protocol.DOMAIN_LOOKUP_BY_NAME, by_name)).code == memory
    by_uuid = protocol.UuidArgs(web.uuid)
    assert (await client.refused(protocol.DOMAIN_LOOKUP_BY_UUID, by_uuid)).code == memory
    with pytest.raises(RpcError, match="out of memory"):
        await client.define("web-3")
    assert await client.state(mail) == (5, 0)
    await client.define("mail-2")


async def test_a_rule_is_for_one_client(stand: Stand) -> None:
    first, second = await stand.virtd.connect(), await stand.virtd.connect()
    ids = sorted(one.id for one in stand.virtd.server.registry)
    stand.rules.add(rule(client=ids[1]))
    assert await stand.hits(first, 2) == [False, False]
    assert await stand.hits(second, 2) == [True, True]


async def test_the_first_rule_that_strikes_decides(stand: Stand) -> None:
    client = await stand.virtd.connect()
    stand.rules.add(rule(times=1))
    second = stand.rules.add(rule(code=ErrorCode.NO_DOMAIN))
    codes = [(await client.refused(HOSTNAME)).code for _ in range(2)]
    assert codes == [ErrorCode.NO_MEMORY, ErrorCode.NO_DOMAIN]
    found = stand.rules.get(second)
    assert found is not None
    assert found.seen == 1


async def test_a_held_call_goes_on_when_its_rule_is_removed(stand: Stand) -> None:
    client = await stand.virtd.connect()
    number = stand.rules.add(Rule(Action.HOLD, "CONNECT_GET_HOSTNAME"))
    found = stand.rules.get(number)
    assert found is not None
    waiting = asyncio.create_task(client.call(HOSTNAME))
    await found.wait_for(1)
    assert (await client.call(protocol.CONNECT_GET_TYPE)).type == "TEST"
    assert found.held == 1
    stand.rules.remove(number)
    assert (await waiting).hostname


@pytest.mark.parametrize(
    "action", [Action.CUT, Action.CLOSE_BEFORE, Action.CLOSE_AFTER], ids=lambda one: str(one)
)
async def test_a_connection_that_is_closed_fails_its_calls(stand: Stand, action: Action) -> None:
    client = await stand.virtd.connect()
    stand.rules.add(Rule(action, "CONNECT_GET_HOSTNAME"))
    with pytest.raises(ConnectionError):
        await client.call(HOSTNAME)
    assert len(stand.virtd.server.registry) == 0


@pytest.mark.parametrize("answered", [False, True])
async def test_a_client_whose_pings_have_no_answer_gives_up(stand: Stand, answered: bool) -> None:
    client = await stand.virtd.connect()
    stand.rules.add(Rule(Action.DROP, "CONNECT_GET_HOSTNAME"))
    muted = stand.rules.add(Rule(Action.MUTE, times=3 if answered else 0))
    client.rpc.start_keepalive(0.02, 5)
    waiting = asyncio.create_task(client.call(HOSTNAME))
    if not answered:
        with pytest.raises(ConnectionError, match="no sign of life"):
            await waiting
        return
    found = stand.rules.get(muted)
    assert found is not None
    await found.wait_for(3)
    assert (await client.call(protocol.CONNECT_GET_TYPE)).type == "TEST"
    waiting.cancel()


async def test_a_rule_for_pings_leaves_calls_to_the_rules_after_it(stand: Stand) -> None:
    client = await stand.virtd.connect()
    muted = stand.rules.get(stand.rules.add(Rule(Action.MUTE, times=1)))
    stand.rules.add(rule(times=2))
    assert await stand.hits(client, 3) == [True, True, False]
    assert muted is not None
    assert (muted.seen, muted.strikes) == (0, 0)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (Rule(Action.ERROR, "NO_SUCH_*", code=1), "'NO_SUCH_*' is not the name or glob"),
        (Rule(Action.DROP, "DOMAIN_EVENT_LIFECYCLE"), "not the name or glob of a procedure"),
        (Rule(Action.LOSE_EVENT, "DOMAIN_CREATE"), "not the name or glob of an event"),
        (Rule(Action.ERROR), "needs the code of an error"),
        (Rule(Action.DELAY), "needs a delay"),
        (Rule(Action.HOLD, delay=5), "has no delay"),
        (Rule(Action.DROP, code=1), "has no code, text"),
        (Rule(Action.DROP, text="x"), "has no code, text and domain"),
        (Rule(Action.DROP, size=4), "has no number of bytes"),
        (Rule(Action.MUTE, "DOMAIN_*"), "has no procedure"),
        (rule(every=0), "'every' is from 1"),
        (rule(probability=1.5), "not 1.5"),
        (rule(probability=float("nan")), "not nan"),
        (rule(delay=-1), "not -1"),
        (rule(guest="x" * 257), "'guest' is a name or a glob of at most 256 bytes"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(wrong: Rule, reason: str) -> None:
    with pytest.raises(RuleError) as caught:
        check(wrong)
    assert reason in str(caught.value)


# Events -----------------------------------------------------------------------------------------------

LIFECYCLE = "DOMAIN_EVENT_CALLBACK_LIFECYCLE"


class Listener:
    """A client that wants the life of all domains. names: of the domains it was told of, in order."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def listen(self, client: Client) -> None:
        client.rpc.on_event(protocol.DOMAIN_EVENT_CALLBACK_LIFECYCLE, self._told)
        args = protocol.ConnectDomainEventCallbackRegisterAnyArgs(0, None)
        await client.call(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, args)

    def _told(self, event: Any) -> None:
        self.names.append(event.msg.dom.name)


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (Rule(Action.LOSE_EVENT, LIFECYCLE, guest="a"), ["b", "c"]),
        (Rule(Action.LOSE_EVENT, times=1), ["b", "c"]),
        (Rule(Action.REPEAT_EVENT, LIFECYCLE, guest="b"), ["a", "b", "b", "c"]),
        (Rule(Action.DELAY_EVENT, LIFECYCLE, guest="a", delay=500), ["b", "c", "a"]),
        (Rule(Action.LOSE_EVENT, "DOMAIN_EVENT_CALLBACK_REBOOT"), ["a", "b", "c"]),
    ],
)
async def test_events_are_lost_repeated_or_late(stand: Stand, lost: Rule, told: list[str]) -> None:
    listener = Listener()
    await listener.listen(await stand.virtd.connect())
    stand.rules.add(lost)
    client = await stand.virtd.connect()
    for name in "abc":
        await client.define(name)
    await eventually(lambda: len(listener.names) >= len(told))
    assert listener.names == told


async def test_a_late_event_is_told_before_the_program_ends(stand: Stand) -> None:
    listener = Listener()
    await listener.listen(await stand.virtd.connect())
    stand.rules.add(Rule(Action.DELAY_EVENT, LIFECYCLE, delay=3_600_000))
    await (await stand.virtd.connect()).define("a")
    await eventually(lambda: next(iter(stand.rules)).strikes == 1)
    stand.rules.send_late_events()
    await eventually(lambda: listener.names == ["a"])


@pytest.mark.parametrize("action", [Action.CUT, Action.CLOSE_AFTER])
async def test_a_console_is_free_again_after_a_connection_that_was_closed_at_its_opening(
    stand: Stand, action: Action
) -> None:
    client = await stand.virtd.connect("qemu:///system")
    console = "<console type='pty'/></devices>"
    text = DOMAIN.format(title="kvm", name="web").replace("</devices>", console)
    ref = (await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))).dom
    await client.start(ref)
    stand.rules.add(Rule(action, "DOMAIN_OPEN_CONSOLE", times=1))
    args = protocol.DomainOpenConsoleArgs(ref, None, 0)
    with pytest.raises(ConnectionError):
        await client.rpc.open_stream(protocol.DOMAIN_OPEN_CONSOLE, args)
    await eventually(lambda: len(stand.virtd.server.registry) == 0)
    again = await stand.virtd.connect("qemu:///system")
    stream = await again.rpc.open_stream(protocol.DOMAIN_OPEN_CONSOLE, args)
    assert await stream.receive()
