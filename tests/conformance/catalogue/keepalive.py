"""Keepalive: a ping is answered whatever else goes on."""

from __future__ import annotations

from tests.conformance.case import DROPPED, PONGED, RPC, Step, call, case, ok, one
from tests.conformance.catalogue.values import GET_VERSION, a_version
from tests.conformance.wire import (
    CALL,
    CALL_WITH_FDS,
    ERROR,
    PING,
    PONG,
    REPLY,
    REPLY_WITH_FDS,
    STREAM,
    STREAM_HOLE,
    u32,
)

_SERVED = ok(result=a_version)

CASES = (
    one("ping", PING, PONGED),
    one("ping-with-a-serial", PING.but(serial=9), PONGED),
    one("ping-with-a-payload", PING.but(payload=b"abcd"), PONGED),
    one("ping-with-a-long-payload", PING.but(payload=bytes(100_000)), PONGED),
    one("ping-with-status-error", PING.but(status=ERROR), PONGED),
    one("ping-as-call", PING.but(type=CALL), RPC),
    one("ping-as-call-with-fds", PING.but(type=CALL_WITH_FDS, payload=u32(0)), RPC),
    one("ping-as-reply", PING.but(type=REPLY), DROPPED),
    one("ping-as-stream", PING.but(type=STREAM), DROPPED),
    one("ping-as-reply-with-fds", PING.but(type=REPLY_WITH_FDS, payload=u32(0)), DROPPED),
    one("ping-as-stream-hole", PING.but(type=STREAM_HOLE), DROPPED),
    one("ping-of-version-0", PING.but(version=0), DROPPED),
    one("ping-of-version-2", PING.but(version=2), DROPPED),
    one("call-of-version-2", PING.but(version=2, type=CALL), RPC),
    one("pong-unasked", PONG, DROPPED),
    one("pong-unasked-as-call", PONG.but(type=CALL), RPC),
    one("procedure-0", PING.but(procedure=0), DROPPED),
    one("procedure-3", PING.but(procedure=3), DROPPED),
    one("procedure-minus-1", PING.but(procedure=-1), DROPPED),
    case("pings-one-after-the-other", *[Step(PING, PONGED)] * 30),
    case("pings-in-one-write", *[Step(PING, PONGED)] * 50, together=True),
    case("pings-byte-by-byte", *[Step(PING, PONGED)] * 3, together=True, piece=1),
    case("pongs-in-one-write", *[Step(PONG, DROPPED)] * 50, together=True),
    case(
        "ping-between-calls",
        Step(GET_VERSION.but(serial=1), _SERVED),
        Step(PING, PONGED),
        Step(GET_VERSION.but(serial=2), _SERVED),
        Step(PING, PONGED),
    ),
    case(
        "ping-between-calls-in-one-write",
        Step(GET_VERSION.but(serial=1), _SERVED),
        Step(PING, PONGED),
        Step(GET_VERSION.but(serial=2), _SERVED),
        Step(PING, PONGED),
        Step(GET_VERSION.but(serial=3), _SERVED),
        together=True,
        any_order=True,
    ),
    case(
        "ping-after-refusals",
        Step(call(99), RPC),
        Step(PING, PONGED),
        Step(GET_VERSION.but(version=2), RPC),
        Step(PING, PONGED),
    ),
    case(
        "ping-before-and-after-open",
        Step(PING, PONGED),
        Step(call(1, u32(0)), ok()),
        Step(PING, PONGED),
    ),
)
