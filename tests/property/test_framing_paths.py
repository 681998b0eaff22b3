"""The hot path of the server, written out, and the Framer take the same messages out of any bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiovirt.rpc.wire.framing import Framer
from aiovirt.rpc.wire.keepalive import PING, PING_FRAME, PONG
from aiovirt.rpc.wire.message import (
    HEADER,
    MAX_FRAME,
    FramingError,
    Message,
    Type,
    frame,
)
from tests.property.test_wire_framing import pieces
from tests.unit.house import ECHO, TEST, Text, call, open_house

#: What a client that has not authenticated may send at most.
ANONYMOUS_FRAME = 320 * 1024

SERIALS = st.integers(0, 999)
#: REPLY_WITH_FDS is left out: no client sends it, and the server takes it for a plain frame.
KINDS = st.integers(-1, 8).filter(lambda kind: kind != Type.REPLY_WITH_FDS)
LENGTHS = st.sampled_from(
    [0, 4, 27, 28, 29, 1000, ANONYMOUS_FRAME, ANONYMOUS_FRAME + 1, MAX_FRAME, MAX_FRAME + 1]
)
FRAMES = st.one_of(
    st.just(PING_FRAME),
    st.builds(lambda serial, text: call(ECHO, Text(text), serial), SERIALS, st.text("ab")),
    st.builds(
        lambda kind, serial, status, payload: frame(ECHO.key, kind, serial, status, payload),
        KINDS,
        SERIALS,
        st.integers(-1, 3),
        st.binary(max_size=40),
    ),
    st.builds(
        lambda count, sent, serial, rest: (
            frame(ECHO.key, Type.CALL_WITH_FDS, serial, 0, count.to_bytes(4, "big") + rest)
            + bytes(sent)
        ),
        st.integers(0, 40),
        st.integers(0, 40),
        SERIALS,
        st.binary(max_size=9),
    ),
    st.builds(
        lambda length, kind: HEADER.pack(length, TEST.number, TEST.version, 1, kind, 1, 0),
        LENGTHS,
        KINDS,
    ),
    st.binary(max_size=40),
)
STREAMS = st.lists(FRAMES, max_size=8)
CUTS = st.lists(st.integers(0, 1000), max_size=8)
Outcome = tuple[list[int], bool, bytes]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as one:
        yield one


def _by_the_framer(parts: list[bytes], maximum: int) -> Outcome:
    """Serials of what is answered (a PONG is -1), whether it ends, and what is kept."""
    framer = Framer(maximum)
    messages: list[Message] = []
    try:
        for part in [*parts, b""]:
            messages += framer.feed(part)
    except FramingError:
        return [_answer(message) for message in messages if _is_answered(message)], True, b""
    return [_answer(message) for message in messages if _is_answered(message)], False, framer.tail


def _is_ping(message: Message) -> bool:
    return message.type == Type.MESSAGE and message.pack()[4:16] == PING.key


def _is_answered(message: Message) -> bool:
    return message.type in (Type.CALL, Type.CALL_WITH_FDS) or _is_ping(message)


def _answer(message: Message) -> int:
    return -1 if _is_ping(message) else message.serial


async def _by_the_server(parts: list[bytes], *, authenticated: bool) -> Outcome:
    async with open_house(grace=0, max_client_requests=1000) as house:
        wire, client = await house.seat()
        client.authenticated = authenticated
        for part in parts:
            client.received(bytearray(part), len(part))
            if client.closed:
                break
        outcome = client.closed, client.unconsumed
        if not client.closed:
            client.abort()
        answers = [
            -1 if one.program == PONG.program.number and one.type == Type.MESSAGE else one.serial
            for one in await wire.ended()
        ]
        client.authenticated = True
        return answers, *outcome


@settings(max_examples=200, deadline=None)
@example(
    frames=[call(ECHO, Text("a"), 1), frame(ECHO.key, 4, 2, 0, b"\0\0\0\2")],
    cuts=[29],
    authenticated=True,
)
@given(frames=STREAMS, cuts=CUTS, authenticated=st.booleans())
def test_both_take_the_same_messages_and_end_at_the_same_place(
    runner: asyncio.Runner, frames: list[bytes], cuts: list[int], authenticated: bool
) -> None:
    parts = [part for part in pieces(b"".join(frames), cuts) if part]
    maximum = MAX_FRAME if authenticated else ANONYMOUS_FRAME
    expected, ends, kept = _by_the_framer(parts, maximum)
    answers, closed, unconsumed = runner.run(_by_the_server(parts, authenticated=authenticated))
    assert closed == ends
    assert unconsumed == kept
    # What was answered in the read that ends it may be lost with the connection.
    assert answers == expected if not ends else answers == expected[: len(answers)]
