"""The commands of virtadm for faults, on a daemon of its own, and what SIGUSR1 keeps of the rules."""

from __future__ import annotations

import asyncio
import io
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.admin.cli.commands import command_table
from aiovirt.admin.cli.failure import CommandFailed
from aiovirt.admin.cli.parser import LineWords, parse
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.terminal import Terminal
from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.faults.client import Action, FaultAdmin, Rule, RuleInfo
from aiovirt.daemons.virtd.faults.rules import RuleError
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.virtd.test_ephemeral import Ephemeral, ephemeral


@pytest.fixture(scope="module")
def daemon() -> Iterator[Ephemeral]:
    """One for all tests of this file."""
    with ephemeral("-f", "/dev/null") as made:
        yield made


@pytest.fixture
async def virtadm(daemon: Ephemeral) -> Any:
    """Runs a command of virtadm, which may raise CommandFailed. The rules are gone afterwards."""

    async def run(line: str, *, as_json: bool = False) -> str:
        out, error = io.StringIO(), io.StringIO()
        terminal = Terminal("virtadm", out=out, err=error)
        terminal.json = as_json
        table = command_table()
        session = AdminSession(table, terminal, daemon.told["admin"])
        try:
            await session.reconnect()
            if not await session.run(parse(LineWords(line), table)):
                raise CommandFailed(error.getvalue())
        finally:
            await session.close()
        return out.getvalue()

    yield run
    await run("fault-clear")


async def test_rules_are_added_listed_with_their_strikes_and_removed(
    virtadm: Any, daemon: Ephemeral
) -> None:
    added = await virtadm(
        "fault-add error --procedure domain_lookup_by_* --guest te?t --code no_memory --times 3"
    )
    number = int(added.split()[1])
    assert added.startswith(f"Rule {number} added")
    async with daemon.host() as host:
        with pytest.raises(RpcError, match="out of memory"):
            await host.call(protocol.DOMAIN_LOOKUP_BY_NAME, protocol.NameArgs("test"))
    words = (await virtadm("fault-list")).splitlines()[2].split()
    assert words == [
        *(str(number), "error", "NO_MEMORY", "domain_lookup_by_*", "on", "te?t"),
        *("3", "times", "1", "1", "0"),
    ]
    (told,) = json.loads(await virtadm("fault-list", as_json=True))
    assert (told["action"], told["code"], told["strikes"]) == ("error", 2, 1)
    await virtadm(f"fault-remove {number}")
    assert json.loads(await virtadm("fault-list", as_json=True)) == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("fault-add explode", "'explode' is not an action; there are error, delay,"),
        ("fault-add error", "'error' needs the code of an error, as NO_DOMAIN"),
        ("fault-add error --code NO_SUCH", "'NO_SUCH' is not an error code: a number, or a name"),
        ("fault-add delay --delay 5 --procedure no", "'no' is not the name or glob of a procedure"),
        ("fault-remove 4000000000", "rule 4000000000 does not exist"),
        ("fault-event test explode", "'explode' is not an event of a guest; there are crash,"),
        ("fault-event test crash how", "'how' is not a value: KEY=VALUE, each key once"),
        ("fault-event nobody crash", "Domain not found: 'nobody'"),
        ("fault-event test crash --host xen", "'xen' is not a host; there are test, qemu"),
        ("fault-script /nonexistent/scenario", "No such file or directory"),
    ],
)
async def test_a_command_that_cannot_be_done_says_why(virtadm: Any, line: str, reason: str) -> None:
    with pytest.raises(CommandFailed, match=re.escape(reason)):
        await virtadm(line)


async def test_an_event_is_injected(virtadm: Any, daemon: Ephemeral) -> None:
    assert "injected into domain 'test'" in await virtadm("fault-event test suspend")
    async with daemon.host() as host:
        found = await host.call(protocol.DOMAIN_LOOKUP_BY_NAME, protocol.NameArgs("test"))
        args = protocol.DomainFlagsArgs(found.dom, 0)
        assert (await host.call(protocol.DOMAIN_GET_STATE, args)).state == 3
    await virtadm("fault-event test resume")


async def test_rules_and_their_counts_survive_a_restart_in_place_and_strikes_are_logged() -> None:
    with ephemeral("-v", stderr=subprocess.PIPE) as daemon:
        async with (
            daemon.host() as host,
            admin_client.connect(daemon.told["admin"]) as connection,
        ):
            faults = FaultAdmin(connection)
            rule = Rule(Action.ERROR, "CONNECT_GET_HOSTNAME", code=ErrorCode.NO_MEMORY, times=2)
            number = await faults.add(rule)
            with pytest.raises(RpcError, match="out of memory"):
                await host.call(protocol.CONNECT_GET_HOSTNAME, None)
            daemon.process.send_signal(signal.SIGUSR1)
            struck = await asyncio.to_thread(_lines_until, daemon, "took over")
            assert any(f"fault struck rule={number} action=error strike=1" in one for one in struck)
            assert await faults.list() == [RuleInfo(number, rule, 1, 1, 0)]
            with pytest.raises(RpcError, match="out of memory"):
                await host.call(protocol.CONNECT_GET_HOSTNAME, None)
            await host.call(protocol.CONNECT_GET_HOSTNAME, None)
            assert await faults.add(rule) == number + 1


def _lines_until(daemon: Ephemeral, word: str) -> list[str]:
    """The lines of its log until one has a word."""
    lines: list[str] = []
    assert daemon.process.stderr is not None
    for line in daemon.process.stderr:
        lines.append(line.decode())
        if word in lines[-1]:
            break
    return lines


@pytest.mark.parametrize("action", [Action.HOLD, Action.DELAY])
async def test_a_daemon_that_ends_lets_calls_go_that_rules_hold(action: Action) -> None:
    with ephemeral() as daemon:
        async with (
            daemon.host() as host,
            admin_client.connect(daemon.told["admin"]) as connection,
        ):
            faults = FaultAdmin(connection)
            delay = 3_600_000 if action is Action.DELAY else 0
            rule = await faults.add(Rule(action, "CONNECT_GET_HOSTNAME", delay=delay, times=1))
            held = asyncio.create_task(host.call(protocol.CONNECT_GET_HOSTNAME, None))
            await faults.wait(rule)
            waiting = asyncio.create_task(faults.wait(rule, 2))
            await asyncio.sleep(0)
            await faults.list()  # after it, on the same connection
            daemon.process.send_signal(signal.SIGTERM)
            assert (await held).hostname
            with pytest.raises(RpcError) as caught:
                await waiting
            assert caught.value.code == ErrorCode.OPERATION_ABORTED
        assert await asyncio.to_thread(daemon.process.wait, 30) == 0


@pytest.mark.parametrize(
    "rule",
    [
        Rule(Action.ERROR, code=2**31),
        Rule(Action.ERROR, code=1, domain=2**31),
        Rule(Action.ERROR, code=1, text="x" * 4097),
        Rule(Action.ERROR, code=1, text="a\0b"),
        Rule(Action.DROP, times=-1),
        Rule(Action.DROP, seed=2**32),
    ],
)
async def test_a_rule_that_does_not_fit_into_a_message_is_refused_in_its_own_words(
    daemon: Ephemeral, rule: Rule
) -> None:
    async with admin_client.connect(daemon.told["admin"]) as connection:
        with pytest.raises(RuleError, match=r"up to|at most|is from"):
            await FaultAdmin(connection).add(rule)
