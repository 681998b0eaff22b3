"""Headers: each number out of its range, and types that a client has no business sending."""

from __future__ import annotations

from tests import harness
from tests.conformance.case import (
    ANY,
    CLOSED,
    DROPPED,
    RPC,
    Case,
    Outcome,
    Step,
    call,
    case,
    ok,
    one,
    refused,
)
from tests.conformance.catalogue.values import GET_VERSION, a_version
from tests.conformance.differences import Difference
from tests.conformance.wire import (
    CALL_WITH_FDS,
    CONTINUE,
    ERROR,
    KEEPALIVE,
    MESSAGE,
    REPLY,
    REPLY_WITH_FDS,
    STREAM,
    STREAM_HOLE,
    u32,
)

_SERVED = ok(result=a_version)
_STRANGE = (REPLY, MESSAGE, STREAM, REPLY_WITH_FDS, STREAM_HOLE, 7, 100, -1, -(2**31), 2**31 - 1)


def _program(number: int) -> Case:
    return one(f"program-{number:#x}", GET_VERSION.but(program=number), RPC)


def _version(number: int) -> Case:
    return one(f"version-{number}", GET_VERSION.but(version=number), RPC)


def _procedure(number: int) -> Case:
    return one(f"procedure-{number}", call(number), RPC)


def _status(number: int) -> Case:
    return one(f"status-{number}", GET_VERSION.but(status=number), RPC)


def _serial(number: int) -> Case:
    return one(f"serial-{number:#x}", GET_VERSION.but(serial=number), _SERVED)


def _type(number: int) -> Case:
    return one(f"type-{number}", GET_VERSION.but(type=number), DROPPED)


def _fds(name: str, payload: bytes, outcome: Outcome, **header: int) -> Case:
    return one(f"call-with-fds-{name}", call(3, payload).but(type=CALL_WITH_FDS, **header), outcome)


CASES = (
    *map(_program, (0, 1, 0x06900691, 0x20008086, 0x87539319, 0xEA7BEEF, 2**31, 2**32 - 1)),
    *map(_version, (0, 2, 2**31, 2**32 - 1)),
    *map(_procedure, (0, 21, 99, 2**31 - 1, -1, -(2**31))),
    one(
        "procedure-20-is-newer",
        call(20, u32(2**31)),
        refused(8, 62) if harness.has_daemon_shutdown() else RPC,
        ours=refused(8, 62),
        why=Difference.SHUTDOWN,
    ),
    *map(_status, (ERROR, CONTINUE, 3, -1, 2**31 - 1)),
    *map(_serial, (0, 1, 2**31 - 1, 2**31, 2**32 - 1)),
    *map(_type, _STRANGE),
    *(
        one(f"type-{kind}-with-payload", call(3, bytes(64)).but(type=kind), DROPPED)
        for kind in _STRANGE[:5]
    ),
    *(
        one(f"type-{kind}-unknown-program", GET_VERSION.but(type=kind, program=1), DROPPED)
        for kind in _STRANGE[:6]
    ),
    *(
        one(f"type-{kind}-unknown-version", GET_VERSION.but(type=kind, version=9), DROPPED)
        for kind in (REPLY, MESSAGE, STREAM)
    ),
    *(
        one(f"type-{kind}-unknown-procedure", call(99).but(type=kind), DROPPED)
        for kind in (REPLY, MESSAGE, STREAM)
    ),
    *(
        one(f"stream-status-{status}", call(3, b"data").but(type=STREAM, status=status), DROPPED)
        for status in (ERROR, CONTINUE, 9)
    ),
    one("status-wrong-and-procedure-unknown", call(99).but(status=ERROR), RPC),
    one("status-wrong-and-program-unknown", call(3).but(status=ERROR, program=1), RPC),
    case(
        "serial-used-again",
        *[Step(GET_VERSION, _SERVED)] * 3,
    ),
    case(
        "serial-used-again-at-once",
        *[Step(GET_VERSION, _SERVED)] * 4,
        together=True,
        any_order=True,
    ),
    case(
        "serials-go-down",
        *[Step(GET_VERSION.but(serial=serial), _SERVED) for serial in (9, 5, 1)],
    ),
    case(
        "life-goes-on-after-every-refusal",
        Step(GET_VERSION.but(program=1), RPC),
        Step(GET_VERSION.but(version=2), RPC),
        Step(call(99), RPC),
        Step(GET_VERSION.but(status=ERROR), RPC),
        Step(GET_VERSION, _SERVED),
    ),
    case(
        "life-goes-on-after-every-strange-type",
        *[Step(GET_VERSION.but(type=kind), DROPPED) for kind in _STRANGE * 3],
        Step(GET_VERSION, _SERVED),
    ),
    case(
        "refusals-and-replies-in-one-write",
        Step(call(99, serial=1), RPC),
        Step(GET_VERSION.but(serial=2), _SERVED),
        Step(call(3, serial=3).but(version=3), RPC),
        Step(GET_VERSION.but(serial=4), _SERVED),
        Step(call(5, serial=5), RPC),
        together=True,
        any_order=True,
    ),
    _fds("none", u32(0), _SERVED),
    _fds("no-count", b"", CLOSED),
    _fds("short-count", b"\0\0", CLOSED),
    _fds("33", u32(33), CLOSED),
    _fds("too-many", u32(2**32 - 1), CLOSED),
    _fds("unknown-program", u32(0), RPC, program=1),
    _fds("unknown-procedure", u32(0), RPC, procedure=99),
    _fds("wrong-status", u32(0), RPC, status=ERROR),
    _fds("keepalive", u32(0), RPC, program=KEEPALIVE, procedure=1),
    one(
        "call-with-fds-arguments-follow-the-count",
        call(5, u32(0), u32(5), b"admin\0\0\0", u32(0)).but(type=CALL_WITH_FDS),
        ANY,
    ),
    one(
        "call-with-fds-that-do-not-come",
        # The byte lies behind the frame, and no descriptor comes with it.
        call(3, u32(1) + b"x").but(type=CALL_WITH_FDS, length=32),
        CLOSED,
        ours=_SERVED,
        why=Difference.DESCRIPTORS_UNSEEN,
    ),
)
