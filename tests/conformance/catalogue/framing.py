"""Frames: where one ends, what length is legal, and in which pieces it comes."""

from __future__ import annotations

from tests.conformance.case import CLOSED, RPC, Case, Step, call, case, ok, one
from tests.conformance.catalogue.values import GET_VERSION, a_version
from tests.conformance.wire import MAX_LENGTH, MIN_LENGTH, Frame, u32

_SERVED = ok(result=a_version)


def _length(number: int) -> Case:
    return one(f"length-{number}", u32(number) + bytes(32), CLOSED)


def _pieces(size: int) -> Case:
    steps = [Step(GET_VERSION.but(serial=serial), _SERVED) for serial in (1, 2, 3)]
    return case(f"pieces-of-{size}", *steps, piece=size, together=True)


def _burst(count: int) -> Case:
    steps = [Step(GET_VERSION.but(serial=serial), _SERVED) for serial in range(count)]
    return case(f"burst-of-{count}", *steps, together=True, any_order=True)


def _in_full(length: int) -> Frame:
    return call(3, bytes(length - MIN_LENGTH))


CASES = (
    *map(_length, (0, 1, 3, 4, 5, 8, 16, 20, 24, 26, 27)),
    _length(MAX_LENGTH + 1),
    _length(2**31 - 1),
    _length(2**31),
    _length(2**32 - 1),
    one("length-28-serves", GET_VERSION, _SERVED),
    one("length-max-serves", _in_full(MAX_LENGTH), _SERVED),
    one("length-max-plus-1-in-full", _in_full(MAX_LENGTH + 1), CLOSED),
    *map(_pieces, (1, 2, 3, 4, 5, 7, 24, 27, 28, 29, 31)),
    *map(_burst, (2, 5, 6, 64)),
    one("text-of-another-protocol", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", CLOSED),
    one("tls-hello", bytes.fromhex("16030100c8010000c40303") + bytes(64), CLOSED),
    case(
        "bad-length-after-a-good-call",
        Step(GET_VERSION, _SERVED),
        Step(u32(27) + bytes(64), CLOSED),
    ),
    case(
        "bad-length-after-an-error",
        Step(call(99), RPC),
        Step(u32(0), CLOSED),
    ),
    case(
        "length-and-rest-apart",
        Step(GET_VERSION, _SERVED),
        Step(GET_VERSION.but(serial=8), _SERVED),
        piece=4,
    ),
)
