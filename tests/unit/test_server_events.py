"""What a server tells its clients unasked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aiovirt.rpc.logs import LogControl
from aiovirt.rpc.server import Client, broadcast
from aiovirt.rpc.server.events import UNREAD_MAX
from aiovirt.rpc.wire.message import Message, Status, Type
from aiovirt.rpc.wire.xdr import XdrError
from tests.unit.house import ECHO, HOOK, LARGE, NEWS, WAIT, House, Number, Text, call, eventually


def news(message: Message) -> Text:
    assert (message.program, message.version, message.procedure) == (
        NEWS.program.number,
        NEWS.program.version,
        NEWS.number,
    )
    assert (message.type, message.serial, message.status) == (Type.MESSAGE, 1, Status.OK)
    text: Text = NEWS.decode_args(message.payload, 0, len(message.payload))[0]
    return text


async def test_an_event_is_a_message_with_serial_1(house: House) -> None:
    wire, client = await house.seat()
    assert client.send_event(NEWS, Text("a guest has started"))
    assert news(await wire.receive()) == Text("a guest has started")


async def test_a_broadcast_reaches_every_client_and_is_encoded_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = []
    encode = NEWS.encode_args
    monkeypatch.setattr(NEWS, "encode_args", lambda args: encoded.append(args) or encode(args))
    seats = [await house.seat() for _ in range(5)]
    assert broadcast((client for _, client in seats), NEWS, Text("to all")) == 5
    assert [news(await wire.receive()).text for wire, _ in seats] == ["to all"] * 5
    assert len(encoded) == 1


async def test_an_event_waits_for_no_worker(house: House) -> None:
    house.server.workers.set(minimum=1, maximum=1)
    wire, client = await house.seat()
    await wire.send(call(WAIT, Number(1)))
    await eventually(lambda: house.stage.started == [1])
    client.send_event(NEWS, Text("now"))
    assert news(await wire.receive()).text == "now"


async def test_a_client_that_has_not_authenticated_gets_none(house: House) -> None:
    wire, client = await house.seat()
    client.authenticated = False
    house.server.registry.anonymous += 1
    assert not client.send_event(NEWS, Text("secret"))
    await wire.ping()


async def test_nor_does_one_that_is_gone_or_has_said_good_bye(house: House) -> None:
    wire, client = await house.seat()
    house.stage.hook = lambda one, number: (
        one.close_after_reply() or one.send_event(NEWS, Text("x"))
    )
    await wire.send(call(HOOK, Number(1)))
    assert [message.type for message in await wire.ended()] == [Type.REPLY]
    assert not client.send_event(NEWS, Text("too late"))


async def test_a_handler_may_tell_its_own_client(house: House) -> None:
    def tell(client: Client, number: int) -> None:
        client.send_event(NEWS, Text(str(number)))

    house.stage.hook = tell
    wire = await house.wire()
    await wire.send(call(HOOK, Number(5)))
    kinds = sorted(message.type for message in await wire.replies(2))
    assert kinds == [Type.REPLY, Type.MESSAGE]


async def test_a_client_that_does_not_read_is_disconnected_and_the_log_says_so(
    house: House, tmp_path: Path
) -> None:
    wire, client = await house.seat()
    _, other = await house.seat()
    control = LogControl("test", outputs=f"3:file:{tmp_path}/log", filters="")
    try:
        told = 0
        while broadcast([client], NEWS, Text("x" * 10_000)):
            told += 1
            assert client.unsent <= UNREAD_MAX
            assert told < 1000
    finally:
        control.close()
    assert client.closed
    assert told * 10_000 > UNREAD_MAX / 2
    log = (tmp_path / "log").read_text()
    assert f"server=main client={client.id} reason=" in log
    assert "it does not read its events" in log
    assert not other.closed
    await wire.ended()


async def test_a_client_that_reads_gets_any_number(house: House) -> None:
    wire, client = await house.seat()

    async def read() -> int:
        return sum([len(news(await wire.receive()).text) for _ in range(400)])

    reading = asyncio.create_task(read())
    for _ in range(400):
        assert client.send_event(NEWS, Text("x" * 10_000))
        await eventually(lambda: client.unsent < 20_000)
    assert await reading == 4_000_000


async def test_events_that_were_taken_at_once_do_not_count(house: House) -> None:
    wire, client = await house.seat()
    for _ in range(2 * UNREAD_MAX // 50_000):
        assert client.send_event(NEWS, Text("x" * 50_000))
        assert len(news(await wire.receive()).text) == 50_000


async def test_a_long_reply_that_is_still_unread_does_not_count(house: House) -> None:
    wire, client = await house.seat()
    await wire.send(call(LARGE, Number(4 * UNREAD_MAX)))
    await eventually(lambda: client.unsent > 2 * UNREAD_MAX)
    assert client.send_event(NEWS, Text("meanwhile"))
    reply, event = await wire.replies(2)
    assert (reply.type, news(event).text) == (Type.REPLY, "meanwhile")


async def test_what_is_not_an_event_is_refused(house: House) -> None:
    _, client = await house.seat()
    with pytest.raises(ValueError, match="ECHO"):
        client.send_event(ECHO, Text("x"))  # type: ignore[arg-type]  # the very thing
    with pytest.raises(XdrError):
        client.send_event(NEWS, Text(7))  # type: ignore[arg-type]  # as above
    assert not client.closed
