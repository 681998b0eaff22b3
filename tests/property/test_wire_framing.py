"""A byte stream, however it is cut, gives the same messages; a bad length ends it."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiovirt.rpc.wire.framing import Framer, announced_descriptors
from aiovirt.rpc.wire.message import (
    MAX_FDS,
    MAX_FRAME,
    MIN_FRAME,
    FramingError,
    Message,
    Status,
    Type,
    frame,
)

UINTS = st.integers(0, (1 << 32) - 1)
INTS = st.integers(-(1 << 31), (1 << 31) - 1)
WITH_FDS = (Type.CALL_WITH_FDS, Type.REPLY_WITH_FDS)
PLAIN = st.builds(
    Message,
    program=UINTS,
    version=UINTS,
    procedure=INTS,
    type=(st.sampled_from(Type) | INTS).filter(lambda kind: kind not in WITH_FDS),
    serial=UINTS,
    status=st.sampled_from(Status) | INTS,
    payload=st.binary(max_size=60),
)
WITH_DESCRIPTORS = st.builds(
    lambda kind, count, serial, rest: Message(
        1, 2, 3, kind, serial, payload=count.to_bytes(4, "big") + rest
    ),
    st.sampled_from(WITH_FDS),
    st.integers(0, MAX_FDS),
    UINTS,
    st.binary(max_size=20),
)
MESSAGES = PLAIN | WITH_DESCRIPTORS
STREAMS = st.lists(MESSAGES, max_size=6)
BAD_LENGTHS = st.integers(0, MIN_FRAME - 1) | st.integers(MAX_FRAME + 1, (1 << 32) - 1)


def on_the_wire(messages: list[Message]) -> bytes:
    """The stream of some messages: each is followed by the bytes of its descriptors."""
    return b"".join(message.pack() + b"\xff" * message.descriptors for message in messages)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at these places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@given(MESSAGES)
def test_a_message_is_the_same_again(message: Message) -> None:
    packed = message.pack()
    assert len(packed) == MIN_FRAME + len(message.payload)
    assert int.from_bytes(packed[:4], "big") == len(packed)
    assert Message.unpack(packed) == message


@given(STREAMS, st.lists(st.integers(0, 1000), max_size=12))
def test_any_cut_gives_the_same_messages(messages: list[Message], cuts: list[int]) -> None:
    framer = Framer()
    stream = on_the_wire(messages)
    got = [message for piece in pieces(stream, cuts) for message in framer.feed(piece)]
    assert got == messages
    assert framer.pending == 0


@given(STREAMS)
def test_every_byte_alone_gives_the_same_messages(messages: list[Message]) -> None:
    framer = Framer()
    stream = on_the_wire(messages)
    got: list[Message] = []
    for at, byte in enumerate(stream):
        got += framer.feed(bytes([byte]))
        whole = len(on_the_wire(got))
        assert framer.pending == at + 1 - whole
    assert got == messages


@given(STREAMS, BAD_LENGTHS, st.lists(st.integers(0, 1000), max_size=6), st.binary(max_size=40))
def test_a_bad_length_gives_what_came_before_it_and_then_only_errors(
    messages: list[Message], length: int, cuts: list[int], rest: bytes
) -> None:
    framer = Framer()
    stream = on_the_wire(messages) + length.to_bytes(4, "big") + rest
    got: list[Message] = []
    failed = False
    for piece in [*pieces(stream, cuts), b""]:
        try:
            got += framer.feed(piece)
            assert not failed, "it went on behind a bad length"
        except FramingError:
            failed = True
    assert failed
    assert got == messages
    with pytest.raises(FramingError):
        framer.feed(on_the_wire(messages))


@given(st.binary(max_size=300))
def test_any_bytes_are_messages_or_a_framing_error(data: bytes) -> None:
    framer = Framer()
    try:
        taken = len(on_the_wire(framer.feed(data)))
        assert taken + framer.pending <= len(data)  # less only behind a bad length
    except FramingError:
        assert framer.pending == 0


@given(WITH_DESCRIPTORS, st.integers(0, 100))
def test_a_message_comes_with_the_last_byte_of_its_descriptors(message: Message, cut: int) -> None:
    framer = Framer()
    stream = on_the_wire([message])
    cut = min(cut, len(stream) - 1)
    assert framer.feed(stream[:cut]) == []
    assert framer.tail == stream[:cut]
    assert framer.feed(stream[cut:]) == [message]
    assert message.descriptors == int.from_bytes(message.payload[:4], "big")
    assert announced_descriptors(stream * 3) == 3 * message.descriptors


@pytest.mark.parametrize("kind", WITH_FDS)
@pytest.mark.parametrize("payload", [b"", b"\0\0\0", b"\0\0\0\x21", b"\xff" * 9])
def test_a_count_of_descriptors_that_cannot_be_ends_it(kind: int, payload: bytes) -> None:
    framer = Framer()
    bad = frame(bytes(12), kind, 1, 0, payload)
    good = frame(bytes(12), Type.CALL, 1, 0, b"")
    assert framer.feed(good + bad) == [Message.unpack(good)]
    assert framer.pending == 0
    for _ in range(2):
        with pytest.raises(FramingError, match="descriptors"):
            framer.feed(good)
    assert announced_descriptors(good + bad) == 0


def test_the_longest_frame_can_be_changed_while_it_runs() -> None:
    framer = Framer(100)
    good = frame(bytes(12), Type.CALL, 1, 0, bytes(72))
    assert len(framer.feed(good)) == 1
    framer.maximum = MAX_FRAME
    long = frame(bytes(12), Type.CALL, 1, 0, bytes(73))
    assert len(framer.feed(long)) == 1
    framer.maximum = 100
    with pytest.raises(FramingError, match="28 to 100 are allowed"):
        framer.feed(long[:4])


@given(st.binary(max_size=100))
def test_unpack_takes_exactly_one_frame(data: bytes) -> None:
    try:
        assert Message.unpack(data).pack() == data
    except FramingError:
        assert len(data) < MIN_FRAME or int.from_bytes(data[:4], "big") != len(data)


@pytest.mark.parametrize("length", [MIN_FRAME, MAX_FRAME, MAX_FRAME + 1, 0xFFFFFFFF])
def test_a_length_allocates_nothing(length: int) -> None:
    framer = Framer()
    tracemalloc.start()
    try:
        if length <= MAX_FRAME:
            assert framer.feed(length.to_bytes(4, "big")) == []
        else:
            with pytest.raises(FramingError):
                framer.feed(length.to_bytes(4, "big"))
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()


def test_a_message_too_large_to_send_is_refused() -> None:
    assert len(Message(1, 2, 3, payload=bytes(MAX_FRAME - MIN_FRAME)).pack()) == MAX_FRAME
    with pytest.raises(FramingError):
        Message(1, 2, 3, payload=bytes(MAX_FRAME - MIN_FRAME + 1)).pack()


@given(MESSAGES)
def test_a_message_can_be_read_by_people(message: Message) -> None:
    text = str(message)
    assert f"0x{message.program:08x}" in text
    assert f"serial {message.serial}" in text
