"""Limits on calls and on clients: what waits, what goes on, and that nothing piles up in memory."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from aiovirt.rpc.server.read_ahead import READ_AHEAD
from aiovirt.rpc.transport.outgoing import WRITE_HIGH
from aiovirt.rpc.transport.passage import READ_SIZE
from aiovirt.rpc.transport.pauses import PAUSE_LIMIT, PAUSE_WRITE
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.keepalive import PING, PING_FRAME, PONG, PONG_FRAME
from aiovirt.rpc.wire.message import Message, Status, Type, frame
from tests.unit.house import (
    ECHO,
    HOOK,
    LARGE,
    WAIT,
    House,
    MakeHouse,
    Number,
    Text,
    Wire,
    call,
    eventually,
    result,
)

#: What the kernel holds of a UNIX connection in one direction, generously.
KERNEL_HOLDS = 1 << 20


def waits(*numbers: int) -> bytes:
    return b"".join(call(WAIT, Number(n), n) for n in numbers)


async def fill(wire: Wire, data: bytes, client: object) -> None:
    """Send `data` over and over until nothing more is taken: the server has stopped reading."""
    sent = 0
    while True:
        try:
            sent += wire.sock.send(data[sent % len(data) :])
        except BlockingIOError:
            if getattr(client, "_paused"):  # noqa: B009  # private: the very thing that is claimed
                with pytest.raises(BlockingIOError):
                    wire.sock.send(data)
                return
            await asyncio.sleep(0)
        assert sent < 100 * KERNEL_HOLDS, "it reads on for ever"


class TestRequestLimit:
    async def test_calls_over_the_limit_start_as_replies_leave(self, make_house: MakeHouse) -> None:
        house = await make_house(max_client_requests=2)
        wire, client = await house.seat()
        await wire.send(waits(1, 2, 3, 4))
        await wire.ping()
        assert (house.stage.started, client.in_flight) == ([1, 2], 2)
        house.stage.release(2)
        assert (await wire.receive()).serial == 2
        await eventually(lambda: house.stage.started == [1, 2, 3])
        await wire.ping()
        assert house.stage.started == [1, 2, 3]
        house.stage.release(1, 3, 4)
        assert sorted(reply.serial for reply in await wire.replies(3)) == [1, 3, 4]
        assert client.in_flight == 0

    async def test_plain_functions_wait_their_turn_behind_parked_calls(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(max_client_requests=1)
        wire = await house.wire()
        await wire.send(waits(1), call(HOOK, Number(7), 7), call(HOOK, Number(8), 8))
        await wire.ping()
        assert house.stage.started == [1]
        house.stage.release(1)
        assert [reply.serial for reply in await wire.replies(3)] == [1, 7, 8]

    async def test_one_client_at_its_limit_does_not_hold_up_another(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(max_client_requests=1)
        greedy, modest = await house.wire(), await house.wire()
        await greedy.send(waits(1, 2, 3))
        await greedy.ping()
        await modest.send(call(ECHO, Text("quick"), 4))
        assert result(ECHO, await modest.receive()).text == "quick"

    async def test_every_ping_among_parked_calls_is_answered_once(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(max_client_requests=1)
        wire = await house.wire()
        await wire.send(waits(1), PING_FRAME, waits(2), PING_FRAME, waits(3), PING_FRAME)
        assert [one.procedure for one in await wire.replies(3)] == [PONG.number] * 3
        await wire.ping()
        house.stage.release(1, 2, 3)
        assert [one.serial for one in await wire.replies(3)] == [1, 2, 3]
        await wire.ping()

    async def test_pings_at_the_limit_are_answered_however_their_bytes_arrive(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(max_client_requests=1)
        long_ping = frame(PING.key, Type.MESSAGE, 0, Status.OK, b"a payload nobody needs")
        stream = waits(2) + long_ping + waits(3) + PING_FRAME
        for cut in range(1, len(stream)):
            wire, client = await house.seat()
            await wire.send(waits(1))
            await eventually(lambda client=client: client.in_flight == 1)
            for half in (stream[:cut], stream[cut:]):
                client.received(bytearray(half), len(half))
            house.stage.release(1, 2, 3)
            answers = await wire.replies(5)
            assert [one.serial for one in answers if one.serial] == [1, 2, 3]
            await wire.ping()
            wire.close()

    async def test_a_ping_that_completes_at_the_limit_does_not_hold_up_what_follows(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(max_client_requests=1)
        wire, client = await house.seat()
        long_ping = frame(PING.key, Type.MESSAGE, 0, Status.OK, b"x" * 100)
        await wire.send(waits(1), long_ping[:40])
        await eventually(lambda: client._tail is not None)
        await wire.send(long_ping[40:], call(ECHO, Text(""), 2))
        assert (await wire.receive()).procedure == PONG.number
        house.stage.release(1)
        assert [reply.serial for reply in await wire.replies(2)] == [1, 2]

    async def test_pings_behind_a_parked_call_with_descriptors_are_answered(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(max_client_requests=1)
        wire = await house.wire()
        payload = (5).to_bytes(4, "big") + xdr.encode(Number(2))
        parked = call(WAIT, serial=2, kind=Type.CALL_WITH_FDS, payload=payload)
        await wire.send(waits(1), parked, b"12345", PING_FRAME, call(ECHO, Text(""), 3))
        assert (await wire.receive()).procedure == PONG.number
        house.stage.release(1, 2)
        assert [reply.serial for reply in await wire.replies(3)] == [1, 2, 3]

    async def test_a_flood_at_the_limit_stops_being_read_and_nothing_of_it_is_lost(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(max_client_requests=1)
        wire, client = await house.seat()
        await wire.send(waits(0))
        await eventually(lambda: client.in_flight == 1)
        flood = [call(HOOK, Number(n), n) for n in range(1, 40_000)]
        sending = asyncio.create_task(wire.send(*flood))
        await eventually(lambda: client._paused & PAUSE_LIMIT)
        assert client._tail is not None
        assert READ_AHEAD <= len(client._tail) < READ_AHEAD + READ_SIZE
        assert not sending.done()
        house.stage.release(0)
        replies = await wire.replies(40_000)
        assert [reply.serial for reply in replies] == list(range(40_000))
        await sending

    async def test_a_huge_frame_announced_at_the_limit_does_not_lock_the_client_up(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(max_client_requests=1)
        wire, client = await house.seat()
        large = Text("x" * 2_000_000)
        sending = asyncio.create_task(wire.send(waits(1), call(ECHO, large, 2)))
        await eventually(lambda: client._paused & PAUSE_LIMIT)
        house.stage.release(1)
        first, second = await wire.replies(2)
        assert (first.serial, result(ECHO, second)) == (1, large)
        await sending

    async def test_raising_the_limit_lets_parked_calls_go(self, make_house: MakeHouse) -> None:
        house = await make_house(max_client_requests=1)
        wire = await house.wire()
        await wire.send(waits(1, 2, 3, 4))
        await wire.ping()
        house.server.max_client_requests = 3
        await eventually(lambda: house.stage.started == [1, 2, 3])
        await wire.ping()
        assert house.stage.started == [1, 2, 3]
        house.server.max_client_requests = 1
        house.stage.release(1, 2)
        await wire.replies(2)
        await wire.ping()
        assert house.stage.started == [1, 2, 3]
        house.stage.release(3)
        await eventually(lambda: house.stage.started == [1, 2, 3, 4])

    async def test_a_limit_below_one_is_refused(self, house: House) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            house.server.max_client_requests = 0
        assert house.server.max_client_requests == 5

    async def test_a_bad_length_behind_parked_calls_ends_the_connection_in_its_turn(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(max_client_requests=1)
        wire = await house.wire()
        await wire.send(waits(1), waits(2), b"\0\0\0\1 rubbish, and enough of it for a header")
        await eventually(lambda: house.stage.started == [1])
        house.stage.release(1, 2)
        assert [reply.serial for reply in await wire.ended()][:1] == [1]

    async def test_a_client_we_do_not_read_is_not_taken_for_dead(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(max_client_requests=1)
        wire, client = await house.seat()
        await wire.send(waits(0))
        sending = asyncio.create_task(wire.send(call(HOOK, Number(1), 1) * 40_000))
        await eventually(lambda: client._paused & PAUSE_LIMIT)
        assert client.heard()
        assert client.heard()
        sending.cancel()


class TestSlowReaders:
    async def test_what_a_client_does_not_read_is_bounded_and_comes_when_it_reads(
        self, house: House
    ) -> None:
        wire, client = await house.seat()
        size = 20_000
        calls = [call(LARGE, Number(size), n) for n in range(1, 4001)]
        sending = asyncio.create_task(wire.send(*calls))
        await eventually(lambda: client._paused & PAUSE_WRITE)
        await (await house.wire()).ping()
        assert client.unsent < 2 * WRITE_HIGH + size
        assert client._tail is None or len(client._tail) <= READ_SIZE
        replies = await wire.replies(4000)
        assert [reply.serial for reply in replies] == list(range(1, 4001))
        assert {len(result(LARGE, reply).text) for reply in replies} == {size}
        await sending
        await eventually(lambda: not client._paused)
        assert (client.unsent, client._tail) == (0, None)

    @pytest.mark.parametrize(
        "flood",
        [
            Message(1, 2, 3).pack(),
            call(ECHO, payload=b""),
            call(ECHO, Text("y" * 100)),
            PING_FRAME,
        ],
        ids=["refusals", "undecodable", "echoes", "pings"],
    )
    async def test_a_flood_whose_answers_are_not_read_stops_being_read(
        self, house: House, flood: bytes
    ) -> None:
        wire, client = await house.seat()
        await fill(wire, flood * 1000, client)
        # Each byte of one read may have been answered by some more, and then reading stopped.
        assert client.unsent < 20 * READ_SIZE
        await (await house.wire()).ping()

    async def test_a_slow_reader_that_goes_leaves_nothing_behind(self, house: House) -> None:
        wire, client = await house.seat()
        await wire.send(call(LARGE, Number(3_000_000)), waits(1))
        await eventually(lambda: client.unsent)
        wire.close()
        await eventually(lambda: not client.unsent)
        house.stage.release(1)
        await eventually(lambda: client.closed)
        assert (client.unsent, client._tail, len(house.server.registry)) == (0, None, 0)


class TestClientLimits:
    async def test_at_the_limit_newcomers_wait_until_somebody_goes(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(max_clients=2, max_anonymous_clients=2)
        first, second = await house.wire(), await house.wire()
        await first.ping()
        await second.ping()
        third = await house.wire()
        await third.send(PING_FRAME)
        await first.ping()
        await second.ping()
        assert (len(house.server.registry), house.service._listening) == (2, False)
        first.close()
        assert (await third.receive()).procedure == PONG.number
        await second.ping()

    async def test_lowering_the_limit_cuts_nobody_off(self, house: House) -> None:
        wires = [await house.wire() for _ in range(4)]
        for wire in wires:
            await wire.ping()
        house.server.registry.set(max_clients=1, max_anonymous_clients=0)
        late = await house.wire()
        await late.send(PING_FRAME)
        for wire in wires:
            await wire.ping()
        assert len(house.server.registry) == 4
        for wire in wires:
            wire.close()
        assert (await late.receive()).procedure == PONG.number

    async def test_raising_the_limit_lets_in_who_waits(self, make_house: MakeHouse) -> None:
        house = await make_house(max_clients=0, max_anonymous_clients=0)
        wires = [await house.wire() for _ in range(3)]
        for wire in wires:
            await wire.send(PING_FRAME)
        assert len(house.server.registry) == 0
        house.server.registry.set(max_clients=2)
        for wire in wires[:2]:
            assert (await wire.receive()).procedure == PONG.number
        assert len(house.server.registry) == 2
        house.server.registry.set(max_clients=3)
        assert (await wires[2].receive()).procedure == PONG.number

    async def test_the_anonymous_limit_counts_only_the_unauthenticated(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(max_clients=10, max_anonymous_clients=1)
        registry = house.server.registry
        wire, client = await house.seat()
        registry.remove(client)
        client.authenticated = False
        registry.add(client)
        assert (registry.anonymous, registry.has_room) == (1, False)
        late = await house.wire()
        await late.send(PING_FRAME)
        await wire.ping()
        registry.authenticated(client)
        registry.authenticated(client)
        assert registry.anonymous == 0
        assert (await late.receive()).procedure == PONG.number

    async def test_authentication_that_comes_after_the_end_changes_no_count(
        self, house: House
    ) -> None:
        registry = house.server.registry
        _, client = await house.seat()
        registry.remove(client)
        client.authenticated = False
        registry.add(client)
        client.abort()
        assert registry.anonymous == 0
        registry.authenticated(client)
        assert registry.anonymous == 0

    async def test_more_anonymous_than_clients_is_refused_and_changes_nothing(
        self, house: House
    ) -> None:
        registry = house.server.registry
        for change in (
            {"max_clients": 10, "max_anonymous_clients": 11},
            {"max_clients": 19},
            {"max_anonymous_clients": 5001},
        ):
            with pytest.raises(RpcError):
                registry.set(**change)
            assert (registry.max_clients, registry.max_anonymous_clients) == (5000, 20)
        registry.set(max_clients=0xFFFFFFFF, max_anonymous_clients=0xFFFFFFFF)
        assert registry.has_room

    async def test_a_crowd_that_comes_at_once_is_let_in_whole(self, house: House) -> None:
        wires = [await house.wire() for _ in range(300)]
        await eventually(lambda: len(house.server.registry) == 300)
        await wires[-1].ping()


def test_out_of_descriptors_accepting_pauses_and_goes_on(tmp_path: Path) -> None:
    """In a process of its own, whose descriptors can be taken away."""
    script = """
        import asyncio, os, resource, socket, sys
        sys.path.insert(0, {folder!r})
        from house import House, eventually, PING_FRAME
        import aiovirt.rpc.server.service as service
        service._RETRY_AFTER = 0.01

        async def main():
            house = House({path!r})
            await house.open()
            inside = await house.wire()
            await inside.ping()
            waiting = await house.wire()
            highest = max(map(int, os.listdir("/proc/self/fd")))
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, highest + 1))
            hoard = []
            try:
                while True:
                    hoard.append(os.dup(0))
            except OSError:
                pass
            await eventually(lambda: house.service._retry is not None, "out of descriptors")
            assert not house.service._listening
            await inside.ping()
            await eventually(lambda: house.service._retry is None, "tried again")
            await inside.ping()
            for descriptor in hoard:
                os.close(descriptor)
            await waiting.ping()
            assert len(house.server.registry) == 2
            await house.close()
            print("lived")

        asyncio.run(main())
    """
    unit = Path(__file__).parent
    source = textwrap.dedent(script).format(folder=str(unit), path=str(tmp_path / "sock"))
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=unit.parent.parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == "lived\n", done.stderr


async def test_a_pong_is_no_call(house: House) -> None:
    wire, client = await house.seat()
    await wire.send(PONG_FRAME * 10)
    await wire.ping()
    assert (client.in_flight, house.server.calls_served) == (0, 0)
