"""Descriptors that come with calls."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from aiovirt.rpc.server import CallWithFds, Client, Handlers, serves
from aiovirt.rpc.server.restart import DaemonState, restore, save
from aiovirt.rpc.server.restart_buffers import OutgoingBuffers
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.message import Message, Status, Type, frame
from aiovirt.rpc.wire.program import Procedure, Program
from tests.unit.house import ECHO, House, Number, Text, Wire, call, eventually, failure, result


@xdr.struct
class Flagged:
    """A number with flags."""

    value: xdr.UInt
    flags: xdr.UInt


TAKER = Program("taker", 0x7E577E61, 1)
COUNT = TAKER.procedure(1, "COUNT", Number, Text, call_fds=True)
COUNT_LATER = TAKER.procedure(2, "COUNT_LATER", Number, Text, call_fds=True)
COUNT_FLAGGED = TAKER.procedure(3, "COUNT_FLAGGED", Flagged, Text, call_fds=True, flags=0)
UNSERVED = TAKER.procedure(4, "UNSERVED", Number, Text, call_fds=True)


class TakerDispatch:
    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.waiting = 0

    @serves(COUNT)
    def count(self, client: Client, call: CallWithFds[Number]) -> Text:
        return self._read(call)

    @serves(COUNT_LATER)
    async def count_later(self, client: Client, call: CallWithFds[Number]) -> Text:
        self.waiting += 1
        try:
            await self.gate.wait()
        finally:
            text = self._read(call)
        return text

    @serves(COUNT_FLAGGED)
    def count_flagged(self, client: Client, call: CallWithFds[Flagged]) -> Text:
        return self._read(call)

    def _read(self, call: CallWithFds[Number] | CallWithFds[Flagged]) -> Text:
        texts = [os.read(descriptor, 100).decode() for descriptor in call.descriptors]
        inheritable = any(map(os.get_inheritable, call.descriptors))
        call.close()
        return Text(f"{call.args.value}:{','.join(texts)}" + "!" * inheritable)


@pytest.fixture
async def taker(house: House) -> AsyncIterator[TakerDispatch]:
    dispatch = TakerDispatch()
    house.server.add_program(Handlers.of(dispatch))
    yield dispatch
    dispatch.gate.set()


@contextmanager
def no_descriptor_is_left_open() -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) <= before


def with_fds(
    procedure: Procedure[xdr.Any, xdr.Any], value: int, count: int, serial: int = 1, flags: int = 0
) -> bytes:
    args = Flagged(value, flags) if procedure is COUNT_FLAGGED else Number(value)
    payload = count.to_bytes(4, "big") + xdr.encode(args)
    return frame(procedure.key, Type.CALL_WITH_FDS, serial, Status.OK, payload)


async def send(wire: Wire, data: bytes, texts: list[str]) -> None:
    """Send a call, then each descriptor with a byte of its own, as libvirt does."""
    await wire.send(data)
    for text in texts:
        out, into = os.pipe()
        os.write(into, text.encode())
        os.close(into)
        socket.send_fds(wire.sock, [b"\0"], [out])
        os.close(out)


@pytest.mark.parametrize("procedure", [COUNT, COUNT_LATER, COUNT_FLAGGED])
async def test_a_handler_gets_the_descriptors_in_their_order(
    house: House, taker: TakerDispatch, procedure: Procedure[xdr.Any, xdr.Any]
) -> None:
    taker.gate.set()
    wire = await house.wire()
    await wire.ping()
    with no_descriptor_is_left_open():
        for serial in (1, 2):
            await send(wire, with_fds(procedure, serial, 3, serial), ["a", "b", "c"])
        assert [result(procedure, one).text for one in await wire.replies(2)] == [
            "1:a,b,c",
            "2:a,b,c",
        ]


async def test_a_call_may_come_without_any(house: House, taker: TakerDispatch) -> None:
    wire = await house.wire()
    await wire.send(with_fds(COUNT, 1, 0), call(COUNT, Number(2), 2))
    assert [result(COUNT, one).text for one in await wire.replies(2)] == ["1:", "2:"]


async def test_a_call_waits_until_all_of_its_descriptors_are_there(
    house: House, taker: TakerDispatch
) -> None:
    wire, client = await house.seat()
    await send(wire, with_fds(COUNT, 1, 2), ["a"])
    await eventually(lambda: len(client.waiting_descriptors) == 1)
    assert house.server.counts() == {}
    await send(wire, b"", ["b"])
    assert result(COUNT, await wire.receive()).text == "1:a,b"


@pytest.mark.parametrize("what", ["refused", "undecodable", "unserved", "unwanted", "unknown"])
async def test_every_other_path_closes_them(house: House, taker: TakerDispatch, what: str) -> None:
    wire = await house.wire()
    await wire.ping()
    data = {
        "refused": with_fds(COUNT_FLAGGED, 1, 2, flags=1),
        "undecodable": frame(COUNT.key, Type.CALL_WITH_FDS, 1, 0, b"\0\0\0\2"),
        "unserved": with_fds(UNSERVED, 1, 2),
        "unwanted": frame(ECHO.key, Type.CALL_WITH_FDS, 1, 0, b"\0\0\0\2" + xdr.encode(Text("x"))),
        "unknown": Message(TAKER.number, 1, 99, Type.CALL_WITH_FDS, 1, 0, b"\0\0\0\2").pack(),
    }[what]
    with no_descriptor_is_left_open():
        await send(wire, data, ["a", "b"])
        reply = await wire.receive()
        await wire.ping()
    assert (reply.status == Status.OK) is (what == "unwanted")


async def test_a_call_that_waits_when_its_client_goes_closes_them(
    house: House, taker: TakerDispatch
) -> None:
    house.server.workers.set(minimum=1, maximum=1)
    wire, client = await house.seat()
    with no_descriptor_is_left_open():
        await send(wire, with_fds(COUNT_LATER, 1, 1, 1), ["a"])
        await send(wire, with_fds(COUNT_LATER, 2, 2, 2), ["b", "c"])
        await eventually(lambda: taker.waiting == 1 and house.server.workers.queue_depth == 1)
        client.abort()
        await eventually(lambda: house.server.workers.stats().free == 1)
        await asyncio.sleep(0)
        os.close(os.dup(wire.sock.fileno()))


async def test_a_call_that_is_aborted_before_it_ran_closes_them(
    house: House, taker: TakerDispatch
) -> None:
    house.server.workers.set(minimum=1, maximum=1)
    wire, _client = await house.seat()
    await send(wire, with_fds(COUNT_LATER, 1, 1, 1), ["a"])
    await eventually(lambda: taker.waiting == 1)
    with no_descriptor_is_left_open():
        await send(wire, with_fds(COUNT_LATER, 2, 2, 2), ["b", "c"])
        await eventually(lambda: house.server.workers.queue_depth == 1)
        house.server.abort_calls(RpcError(ErrorCode.OPERATION_ABORTED, "enough"))
        codes = [failure(one).code for one in await wire.replies(2)]
    assert codes == [ErrorCode.OPERATION_ABORTED] * 2


async def test_descriptors_that_were_announced_and_did_not_come_end_the_connection(
    house: House, taker: TakerDispatch
) -> None:
    wire = await house.wire()
    await wire.send(with_fds(COUNT, 1, 1), b"\0")
    assert await wire.ended() == []


async def test_a_server_without_such_a_procedure_does_not_look_for_them(house: House) -> None:
    _, client = await house.seat()
    assert not client.accepts_descriptors


async def test_descriptors_that_wait_survive_a_restart(
    house: House, taker: TakerDispatch, make_house: xdr.Any
) -> None:
    wire, client = await house.seat()
    await send(wire, with_fds(COUNT, 1, 2), ["a"])
    await eventually(lambda: len(client.waiting_descriptors) == 1)
    document: DaemonState = save(house.daemon, os.dup, OutgoingBuffers(rehearsal=False))
    client.abort()
    heir = await make_house()
    heir.server.add_program(Handlers.of(TakerDispatch()))
    restore(heir.daemon, document)
    await send(wire, b"", ["b"])
    assert result(COUNT, await wire.receive()).text == "1:a,b"


async def test_bytes_that_an_earlier_version_still_wanted_to_skip_are_skipped(
    house: House, make_house: xdr.Any
) -> None:
    wire, client = await house.seat()
    document: DaemonState = save(house.daemon, os.dup, OutgoingBuffers(rehearsal=False))
    document.servers[0].clients[0].skip = 2
    client.abort()
    heir = await make_house()
    restore(heir.daemon, document)
    await wire.send(b"\0")
    await wire.send(b"\0" + call(ECHO, Text("next")))
    assert result(ECHO, await wire.receive()) == Text("next")
