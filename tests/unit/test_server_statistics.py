"""What a daemon tells of its servers, procedures, calls and clients, and how virtadm shows it."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from aiovirt.admin import dispatch as admin_program
from aiovirt.admin.cli.commands import command_table
from aiovirt.admin.cli.parser import LineWords, parse
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.terminal import Terminal
from aiovirt.admin.client import Connection, connect
from aiovirt.admin.extension import dispatch as extension_program
from aiovirt.admin.extension.protocol import statistics as protocol
from aiovirt.admin.extension.protocol.statistics import CallPlace
from aiovirt.admin.protocol import ServerRef
from aiovirt.admin.statistics import quantile
from aiovirt.rpc.server import Client, Counts, ServerOptions, hot_path
from aiovirt.rpc.server.counts import BOUNDS, CODES_MAX, OTHER, UNANSWERED, Tally
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.unit.house import (
    ECHO,
    ECHO_URGENT,
    HOOK,
    HOOK_LATER,
    LARGE,
    UNBOUND,
    WAIT,
    WAIT_URGENT,
    House,
    MakeHouse,
    Number,
    Text,
    call,
    eventually,
)


def administered(house: House, *, extended: bool = True) -> str:
    """Give a house an admin server, without the extension program as libvirt's; returns its URI."""
    admin = house.daemon.add_server(ServerOptions("admin"))
    admin.add_program(admin_program.handlers(house.daemon))
    if extended:
        admin.add_program(extension_program.handlers(house.daemon))
    admin.listen_unix(f"{house.path}-admin")
    admin.start()
    return f"virtd:///session?socket={house.path}-admin"


@pytest.fixture
async def uri(house: House) -> str:
    return administered(house)


@pytest.fixture
async def admin(uri: str) -> AsyncIterator[Connection]:
    async with connect(uri) as connection:
        yield connection


async def shown(uri: str, line: str, *, as_json: bool = False) -> str:
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal("virtadm", out=out, err=err)
    terminal.json = as_json
    table = command_table()
    session = AdminSession(table, terminal, uri)
    try:
        await session.run(parse(LineWords(line), table))
    finally:
        await session.close()
    return out.getvalue() + err.getvalue()


def counts_of(record: protocol.CallCounts) -> Counts:
    return Counts(record.calls, record.errors, record.bytes_in, record.bytes_out)


class TestServers:
    @pytest.mark.parametrize("workers", [1, 5])
    async def test_under_load_the_counts_of_clients_procedures_and_servers_add_up(
        self, make_house: MakeHouse, workers: int
    ) -> None:
        house = await make_house(max_workers=workers, min_workers=1)
        house.stage.hook = lambda client, number: _refuse(number) if number % 7 == 0 else None

        async def load(seed: int) -> Counter[str]:
            wire = await house.wire()
            procedures = [ECHO, HOOK, HOOK_LATER, UNBOUND, LARGE, HOOK, HOOK]
            frames = []
            sent: Counter[str] = Counter()
            for n in range(seed, seed + 200):
                procedure = procedures[(n * n // 3) % len(procedures)]
                args = {ECHO: Text("x" * (n % 50)), UNBOUND: None}.get(procedure, Number(n))
                frames.append(call(procedure, args, n))
                sent[procedure.name] += 1
            reader = asyncio.create_task(wire.replies(len(frames)))
            for at in range(0, len(frames), 23):
                await wire.send(*frames[at : at + 23])
            replies = await reader
            sent["errors"] = sum(reply.status for reply in replies)
            sent["in"] = sum(map(len, frames))
            sent["out"] = sum(len(reply.pack()) for reply in replies)
            return sent

        done = await asyncio.gather(*(load(1000 * n + 1) for n in range(8)))
        sent = sum(done, Counter())
        await eventually(lambda: house.server.in_flight == 0)
        async with connect(administered(house)) as admin:
            answer = await admin.statistics.servers()
            procedures = (await admin.statistics.procedures("main")).procedures
            clients = await admin.statistics.clients("main")
        main = next(one for one in answer.servers if one.name == "main")
        total = Counts(1600, sent["errors"], sent["in"], sent["out"])
        assert counts_of(main.total) == total
        assert sum((counts_of(one.total) for one in clients), Counts(0, 0, 0, 0)) == total
        assert sum((counts_of(one.total) for one in procedures), Counts(0, 0, 0, 0)) == total
        for one in procedures:
            assert one.total.calls == sent[one.name] == sum(one.durations.buckets)
            assert sum(code.count for code in one.codes) == one.total.errors
        assert main.durations.count == sum(main.durations.buckets) == 1600
        assert main.durations.microseconds > 0

    async def test_a_server_says_what_it_is_doing(self, house: House, admin: Connection) -> None:
        house.server.workers.set(minimum=1, maximum=1)
        wire = await house.wire()
        await wire.send(call(WAIT, Number(1), 1), call(WAIT, Number(2), 2))
        await eventually(lambda: house.server.workers.queue_depth == 1)
        main = (await admin.statistics.servers()).servers[1]
        assert (main.name, main.clients, main.in_flight, main.queued) == ("main", 1, 2, 1)
        assert (main.workers, main.free_workers, main.waits.count) == (1, 0, 0)
        house.stage.release(1, 2)
        await wire.replies(2)
        main = (await admin.statistics.servers()).servers[1]
        assert (main.in_flight, main.queued, main.waits.count) == (0, 0, 1)
        assert main.waits.microseconds > 0

    async def test_unknown_procedures_are_counted_apart_and_in_the_total(
        self, house: House, admin: Connection
    ) -> None:
        wire = await house.wire()
        frame = bytearray(call(ECHO, Text("x")))
        frame[4:8] = b"\x12\x34\x56\x78"
        await wire.send(bytes(frame))
        await wire.replies(1)
        main = (await admin.statistics.servers()).servers[1]
        assert counts_of(main.unknown) == counts_of(main.total)
        assert main.total.errors == 1


class TestProcedures:
    async def test_errors_are_counted_by_code(self, house: House, admin: Connection) -> None:
        def hook(client: Client, number: int) -> None:
            if number:
                raise RpcError(number, "no")

        house.stage.hook = hook
        wire = await house.wire()
        numbers = [38, 38, 0, 29, 38]
        for procedure in (HOOK, HOOK_LATER):
            await wire.send(*(call(procedure, Number(n), n + 1) for n in numbers))
            await wire.replies(len(numbers))
        found = {one.name: one for one in (await admin.statistics.procedures("main")).procedures}
        for name in ("HOOK", "HOOK_LATER"):
            codes = [(one.code, one.count) for one in found[name].codes]
            assert codes == [(38, 3), (29, 1)]
            assert (found[name].total.calls, found[name].total.errors) == (5, 4)

    async def test_a_client_that_went_before_its_reply_is_counted_without_a_code(
        self, house: House
    ) -> None:
        wire, client = await house.seat()
        await wire.send(call(WAIT, Number(1)))
        await eventually(lambda: house.stage.started == [1])
        client.abort()
        assert house.server.tallies()[WAIT].codes == {UNANSWERED: 1}

    def test_codes_beyond_the_bound_share_one_counter(self) -> None:
        tally = Tally()
        for code in range(1, 1001):
            tally.count_error(code)
        assert len(tally.codes) == CODES_MAX + 1
        assert tally.codes[OTHER] == 1000 - CODES_MAX
        assert sum(tally.codes.values()) == tally.errors == 1000

    @pytest.mark.parametrize(
        ("seconds", "bucket"), [(0.0, 0), (1e-4, 0), (2e-4, 1), (0.4, 7), (0.9, 8), (99.0, 10)]
    )
    async def test_a_plain_function_that_held_up_the_loop_is_seen(
        self, house: House, monkeypatch: pytest.MonkeyPatch, seconds: float, bucket: int
    ) -> None:
        clock = [0.0]
        monkeypatch.setattr(hot_path, "now", lambda: clock[0])

        def hook(client: Client, number: int) -> None:
            clock[0] += seconds

        house.stage.hook = hook
        wire = await house.wire()
        await wire.send(call(HOOK, Number(1)), call(ECHO, Text("quick")))
        await wire.replies(2)
        tallies = house.server.tallies()
        assert tallies[HOOK].buckets == tuple(int(at == bucket) for at in range(len(BOUNDS) + 1))
        assert tallies[HOOK].seconds == pytest.approx(seconds)
        assert tallies[ECHO].buckets[0] == 1

    async def test_the_calls_of_a_run_share_its_time(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = [0.0]
        monkeypatch.setattr(hot_path, "now", lambda: clock[0])

        def hook(client: Client, number: int) -> None:
            clock[0] += 0.3 if number == 1 else 0.1

        house.stage.hook = hook
        wire = await house.wire()
        await wire.send(call(HOOK, Number(1), 1), call(HOOK, Number(2), 2))
        await wire.replies(2)
        tally = house.server.tallies()[HOOK]
        assert tally.seconds == pytest.approx(0.4)
        assert tally.buckets[7] == 2


class TestCalls:
    async def test_calls_in_flight_are_seen_on_workers_and_in_the_queue(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(min_workers=1, max_workers=1, prio_workers=1)
        wire, client = await house.seat()
        await wire.send(
            call(WAIT, Number(1), 11),
            call(WAIT_URGENT, Number(2), 12),
            call(WAIT, Number(3), 13),
        )
        await eventually(lambda: house.server.workers.queue_depth == 1)
        async with connect(administered(house)) as admin:
            answer = await admin.statistics.calls("main")
            limited = await admin.statistics.calls("main", 1)
        assert [(one.serial, one.name, one.place) for one in answer.calls] == [
            (11, "WAIT", CallPlace.WORKER),
            (12, "WAIT_URGENT", CallPlace.PRIORITY_WORKER),
            (13, "WAIT", CallPlace.QUEUED),
        ]
        assert {one.client for one in answer.calls} == {client.id}
        assert answer.count == limited.count == 3
        assert [one.serial for one in limited.calls] == [11]

    async def test_a_call_that_ended_is_not_in_flight(
        self, house: House, admin: Connection
    ) -> None:
        wire = await house.wire()
        await wire.send(call(WAIT, Number(1)), call(ECHO_URGENT, Text("x"), 2))
        await wire.replies(1)
        house.stage.release(1)
        await wire.replies(1)
        assert (await admin.statistics.calls("main")).count == 0


class TestClients:
    async def test_clients_come_page_by_page(self, house: House, admin: Connection) -> None:
        seats = [await house.seat() for _ in range(5)]
        ids = [client.id for _, client in seats]
        found: list[int] = []
        while True:
            after = found[-1] if found else 0
            args = protocol.ClientsArgs(ServerRef("main"), after, 2, 0)
            answer = await admin.call(protocol.SERVER_GET_CLIENT_STATISTICS, args)
            assert len(answer.clients) <= 2
            found += [one.id for one in answer.clients]
            assert answer.left == 5 - len(found)
            if not answer.left:
                break
        assert found == ids

    async def test_a_client_has_its_own_counts_and_identity(
        self, house: House, admin: Connection
    ) -> None:
        wire, _ = await house.seat()
        await house.seat()
        one = call(ECHO, Text("hello"))
        await wire.send(one, one)
        replies = await wire.replies(2)
        busy, idle = await admin.statistics.clients("main")
        size = sum(len(reply.pack()) for reply in replies)
        assert counts_of(busy.total) == (2, 0, 2 * len(one), size)
        assert counts_of(idle.total) == (0, 0, 0, 0)
        assert busy.pid > 0
        assert busy.address == ""


class TestCommands:
    async def test_they_show_what_is_there(self, house: House, uri: str) -> None:
        house.stage.hook = lambda client, number: _refuse(7)
        wire = await house.wire()
        await wire.send(call(HOOK, Number(1), 1), call(WAIT, Number(2), 2))
        await wire.replies(1)
        await eventually(lambda: house.stage.started == [1, 2])
        assert " main     1         1       1        1 " in await shown(uri, "server-stats")
        assert "in_flight      : 1\n" in await shown(uri, "server-stats main")
        assert "test/HOOK   1       1 " in await shown(uri, "procedure-list main")
        assert "OPERATION_DENIED 1" in await shown(uri, "procedure-list --by errors")
        assert "test/WAIT" in await shown(uri, "call-list")
        assert "worker" in await shown(uri, "call-list main")

    async def test_json_has_every_number(self, house: House, uri: str) -> None:
        wire = await house.wire()
        await wire.send(call(ECHO, Text("x"), 1), call(WAIT, Number(2), 2))
        await wire.replies(1)
        await eventually(lambda: house.stage.started == [2])
        (main,) = json.loads(await shown(uri, "server-stats main", as_json=True))
        assert main["total"]["calls"] == 1
        assert main["durations"]["buckets"][-1]["up_to_us"] is None
        (echo,) = json.loads(await shown(uri, "procedure-list main", as_json=True))
        assert (echo["server"], echo["name"]) == ("main", "ECHO")
        (waiting,) = json.loads(await shown(uri, "call-list main", as_json=True))
        assert (waiting["procedure"], waiting["place"]) == ("WAIT", "worker")

    @pytest.mark.parametrize("line", ["server-stats", "procedure-list main", "call-list main"])
    async def test_one_line_names_the_program_that_a_daemon_lacks(
        self, house: House, line: str
    ) -> None:
        said = await shown(administered(house, extended=False), line)
        assert "0x06900691" in said

    @pytest.mark.parametrize("line", ["server-stats none", "procedure-list none", "call-list none"])
    async def test_a_server_that_does_not_exist_is_refused(self, uri: str, line: str) -> None:
        assert "has no server 'none'" in await shown(uri, line)

    async def test_an_unknown_order_is_refused(self, uri: str) -> None:
        assert "--by is one of calls, errors" in await shown(uri, "procedure-list --by size")


@pytest.mark.parametrize(
    ("buckets", "part", "found"),
    [
        ([0, 0, 0], 0.5, None),
        ([10, 0, 0], 0.5, 50.0),
        ([0, 10, 0], 0.5, 300.0),
        ([0, 0, 3], 1, 500),
    ],
)
def test_a_quantile_is_estimated_within_its_bucket(
    buckets: list[int], part: float, found: float | None
) -> None:
    durations = protocol.DurationCounts(sum(buckets), 0, buckets)
    assert quantile(durations, [100, 500], part) == found


def _refuse(number: int) -> None:
    raise RpcError(ErrorCode.OPERATION_DENIED, f"not {number}")
