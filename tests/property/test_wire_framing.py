"""A byte stream, however it is cut, gives the same messages; a bad length ends it."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiovirt.rpc.wire.message import (
    MAX_FRAME,
    MIN_FRAME,
    Framer,
    FramingError,
    Message,
    Status,
    Type,
)

UINTS = st.integers(0, (1 << 32) - 1)
INTS = st.integers(-(1 << 31), (1 << 31) - 1)
MESSAGES = st.builds(
    Message,
    program=UINTS,
    version=UINTS,
    procedure=INTS,
    type=st.sampled_from(Type) | INTS,
    serial=UINTS,
    status=st.sampled_from(Status) | INTS,
    payload=st.binary(max_size=60),
)
STREAMS = st.lists(MESSAGES, max_size=6)
BAD_LENGTHS = st.integers(0, MIN_FRAME - 1) | st.integers(MAX_FRAME + 1, (1 << 32) - 1)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at these places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@given(MESSAGES)
def test_a_message_is_the_same_again(message: Message) -> None:
    frame = message.pack()
    assert len(frame) == MIN_FRAME + len(message.payload)
    assert int.from_bytes(frame[:4], "big") == len(frame)
    assert Message.unpack(frame) == message


@given(STREAMS, st.lists(st.integers(0, 1000), max_size=12))
def test_any_cut_gives_the_same_messages(messages: list[Message], cuts: list[int]) -> None:
    framer = Framer()
    stream = b"".join(message.pack() for message in messages)
    got = [message for piece in pieces(stream, cuts) for message in framer.feed(piece)]
    assert got == messages
    assert framer.pending == 0


@given(STREAMS)
def test_every_byte_alone_gives_the_same_messages(messages: list[Message]) -> None:
    framer = Framer()
    stream = b"".join(message.pack() for message in messages)
    got: list[Message] = []
    for at, byte in enumerate(stream):
        got += framer.feed(bytes([byte]))
        whole = sum(len(message.pack()) for message in got)
        assert framer.pending == at + 1 - whole
    assert got == messages


@given(STREAMS, BAD_LENGTHS, st.lists(st.integers(0, 1000), max_size=6), st.binary(max_size=40))
def test_a_bad_length_gives_what_came_before_it_and_then_only_errors(
    messages: list[Message], length: int, cuts: list[int], rest: bytes
) -> None:
    framer = Framer()
    stream = b"".join(message.pack() for message in messages) + length.to_bytes(4, "big") + rest
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
        framer.feed(b"".join(message.pack() for message in messages))


@given(st.binary(max_size=300))
def test_any_bytes_are_messages_or_a_framing_error(data: bytes) -> None:
    framer = Framer()
    try:
        taken = sum(len(message.pack()) for message in framer.feed(data))
        assert taken + framer.pending <= len(data)  # less only behind a bad length
    except FramingError:
        assert framer.pending == 0


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
