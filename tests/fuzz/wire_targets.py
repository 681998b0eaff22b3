"""The framer, and the decoders of everything that a message can carry."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Annotated, Any

from aiovirt.rpc.wire import typedparams, xdr
from aiovirt.rpc.wire.errors import RemoteError, RpcError
from aiovirt.rpc.wire.framing import Framer
from aiovirt.rpc.wire.message import MIN_FRAME, FramingError, Message, Status, Type, frame
from aiovirt.rpc.wire.program import Program
from aiovirt.rpc.wire.stream import Hole, HolePayload, hole_packet, parse_hole
from tests.fuzz.encodings import examples
from tests.fuzz.engine import blind
from tests.fuzz.mutation import WORDS, change_body, change_frames, split_frames
from tests.fuzz.target import Target, expect
from tests.property.wire_values import programs

#: Stands around what is decoded: a decoder that reads beyond its end reads this.
_FENCE = b"\0\0\0\1" * 16


def check_decoder(cls: type, data: bytes) -> Any:
    """Decode `data` as a `cls`; the value, or None when it is none. Raises for a broken promise."""
    decode = xdr.decoder_of(cls)
    fenced = bytearray(_FENCE + data + _FENCE)
    start = len(_FENCE)
    try:
        value, pos = decode(fenced, start, start + len(data))
    except xdr.XdrError:
        return None
    size = pos - start
    expect(0 <= size <= len(data), "a decoder reads no further than its end")
    if value is None:
        return None
    canonical = xdr.encode(value)
    expect(len(canonical) == size, "a value takes as much room as it was read from")
    if canonical != data[:size]:
        # Only padding, truth and presence have more than one spelling.
        different = {new for new, old in zip(canonical, data, strict=False) if new != old}
        expect(different <= {0, 1}, "bytes that mean something come back as they were")
        again, _ = decode(canonical, 0, size)
        expect(xdr.encode(again) == canonical, "a canonical encoding is its own")
    if size:
        try:
            decode(data, 0, size - 1)
        except xdr.XdrError:
            pass
        else:
            expect(False, "an encoding without its last byte is none")
    return value


# Program tables ------------------------------------------------------------------------------------


def decoder_target(program: Program) -> Target:
    """Arguments and results of one program: a procedure's number, 0 or 1, and the payload."""
    types = {
        struct.pack(">II", procedure.number, which): cls
        for procedure in program
        for which, cls in enumerate((procedure.args, procedure.result))
    }
    heads = list(types)

    def check(data: bytes) -> None:
        cls = types.get(data[:8])
        if cls is not None:
            check_decoder(cls, data[8:])

    def seeds() -> Iterator[bytes]:
        for head, cls in types.items():
            for example in examples(cls):
                yield head + example

    def mutate(data: bytes, limit: int, random: Random) -> bytes:
        head, body = data[:8], data[8:]
        if head not in types or random.random() < 0.05:
            head = random.choice(heads)
        return head + change_body(body, limit - 8, random, blind)

    kinds = len({cls for cls in types.values() if cls is not xdr.Void})
    name = f"decode-{program.name.replace(' ', '-')}"
    return Target(name, check, seeds, share=min(4 + 2 * kinds, 60), words=WORDS, mutate=mutate)


def decoder_targets() -> list[Target]:
    """One for every program there is."""
    return [decoder_target(program) for program in programs()]


# What has no program -------------------------------------------------------------------------------


def _body(data: bytes, limit: int, random: Random) -> bytes:
    return change_body(data, limit, random, blind)


def _check_error(data: bytes) -> None:
    found = check_decoder(RemoteError, data)
    if found is None:
        return
    error = RpcError.from_wire(found)
    sent = error.to_wire()
    expect(
        (sent.code, sent.domain, sent.level) == (found.code, found.domain, found.level), "numbers"
    )
    back = RpcError.from_wire(xdr.decode(RemoteError, xdr.encode(sent)))
    expect(str(back) == sent.message, "an error says the same at the other end")


def error_target() -> Target:
    """The payload of an error reply."""
    return Target(
        "decode-error", _check_error, lambda: examples(RemoteError), 30, WORDS, mutate=_body
    )


@xdr.struct
class _Params:
    params: Annotated[list[typedparams.TypedParam], xdr.Array(typedparams.TypedParam, 1024)]


_ALLOWED = {"minWorkers": typedparams.ParamType.UINT, "text": typedparams.ParamType.STRING}


def _check_params(data: bytes) -> None:
    found = check_decoder(_Params, data)
    if found is None:
        return
    names = {param.field for param in found.params}
    expect(set(typedparams.to_dict(found.params)) == names, "every name is in the dictionary")
    check: Callable[[], Any]
    for check in (
        lambda: typedparams.check_names(found.params),
        lambda: typedparams.validate(found.params, _ALLOWED),
    ):
        try:
            check()
        except RpcError as error:
            xdr.encode(error.to_wire())


def _params_seeds() -> Iterator[bytes]:
    contents: tuple[int | float | bool | str, ...] = (1, 2, 3, 4, 5.0, True, "text")
    made = [
        typedparams.TypedParam("x", typedparams.ParamValue(kind, content))
        for kind, content in zip(typedparams.ParamType, contents, strict=True)
    ]
    yield xdr.encode(_Params(made))
    yield xdr.encode(_Params([typedparams.uint("minWorkers", 3), typedparams.string("text", "x")]))
    yield from (xdr.encode(_Params([one])) for one in made)


def params_target() -> Target:
    """A list of typed parameters, and what is asked of it."""
    return Target("typed-parameters", _check_params, _params_seeds, 40, WORDS, mutate=_body)


def _check_hole(data: bytes) -> None:
    check_decoder(HolePayload, data)
    try:
        hole = parse_hole(data)
    except xdr.XdrError:
        return
    expect(parse_hole(hole_packet(bytes(12), 1, hole.length)[MIN_FRAME:]) == hole, "the same hole")


def hole_target() -> Target:
    """The payload of a hole in a stream."""
    holes = (Hole(1), Hole((1 << 63) - 1), Hole(512))
    return Target(
        "stream-hole",
        _check_hole,
        lambda: [hole_packet(bytes(12), 1, hole.length)[MIN_FRAME:] for hole in holes],
        6,
        WORDS,
        mutate=_body,
        max_len=64,
    )


# The framer ----------------------------------------------------------------------------------------


def _check_framer(data: bytes) -> None:
    """The first byte says how the rest is cut: however it is, the same messages come out."""
    step, stream = data[0] if data else 0, data[1:]
    whole, broken = _feed([stream])
    if step:
        step = max(step, len(stream) // 24)
        pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
        expect(_feed(pieces) == (whole, broken), "messages do not depend on how a stream is cut")
    pos = 0
    for message in whole:
        packed = message.pack()
        expect(stream.startswith(packed, pos), "messages are what the stream says")
        pos += len(packed) + message.descriptors
        str(message)
    expect(pos <= len(stream), "a message is given out when its descriptors are there")
    try:
        message = Message.unpack(stream)
    except FramingError:
        return
    expect(message.pack() == stream, "a message packs to the bytes it came from")


def _feed(pieces: list[bytes]) -> tuple[list[Message], bool]:
    framer = Framer()
    messages: list[Message] = []
    size = 0
    for piece in pieces:
        try:
            messages += framer.feed(piece)
        except FramingError:
            return messages, True
        size += len(piece)
        expect(framer.pending <= size, "a framer holds no more than it was given")
    try:
        framer.feed(b"")
    except FramingError:
        return messages, True
    return messages, False


def _framer_frames() -> list[bytes]:
    key = bytes(range(12))
    return [
        frame(key, kind, serial, status, payload)
        for kind in Type
        for status in Status
        for serial, payload in ((1, b""), (0xFFFFFFFF, b"payload."))
    ]


def framer_target() -> Target:
    """A stream of frames."""
    pool = _framer_frames()

    def seeds() -> Iterator[bytes]:
        yield from (b"\0" + one for one in pool)
        yield b"\7" + b"".join(pool[::3])

    def mutate(data: bytes, limit: int, random: Random) -> bytes:
        head = data[:1] or b"\0"
        if random.random() < 0.1:
            head = bytes([random.randrange(64)])
        frames = change_frames(split_frames(data[1:]), pool, limit, random, blind)
        return (head + b"".join(frames))[:limit]

    return Target("framer", _check_framer, seeds, 30, WORDS, mutate, max_len=512)
