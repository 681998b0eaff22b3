"""Opening and closing a session, and what may be done without one."""

from __future__ import annotations

from tests.conformance.case import CLOSED, Step, call, case, ok, one, refused
from tests.conformance.catalogue.values import GET_VERSION, GOOD_ARGUMENTS, NO_FLAGS, a_version
from tests.conformance.wire import PING, u32

_SERVED = ok(result=a_version)
_OPEN = call(1, NO_FLAGS)
_CLOSE = call(2)

CASES = (
    one("open", _OPEN, ok()),
    one("open-flags-1", call(1, u32(1)), refused(8, 62)),
    one("open-flags-all", call(1, u32(2**32 - 1)), refused(8, 62)),
    case("open-after-a-refusal", Step(call(1, u32(1)), refused(8, 62)), Step(_OPEN, ok())),
    case("open-twice", Step(_OPEN, ok()), Step(_OPEN, ok())),
    case("open-with-trailing-bytes", Step(call(1, NO_FLAGS, b"abcdefgh"), ok())),
    one("version-before-open", GET_VERSION, _SERVED),
    one("list-before-open", call(4, GOOD_ARGUMENTS[4]), ok(None)),
    case("close-ends-the-connection", Step(_OPEN, ok()), Step(_CLOSE, ok()), Step(PING, CLOSED)),
    case("close-without-open", Step(_CLOSE, ok()), Step(GET_VERSION, CLOSED)),
    case("close-with-trailing-bytes", Step(call(2, b"abcd"), ok()), Step(GET_VERSION, CLOSED)),
    case("close-then-open", Step(_CLOSE, ok()), Step(_OPEN, CLOSED)),
    case(
        "calls-before-close-in-one-write",
        Step(_OPEN.but(serial=1), ok()),
        Step(GET_VERSION.but(serial=2), _SERVED),
        Step(_CLOSE.but(serial=3), ok()),
        Step(b"", CLOSED),
        together=True,
    ),
    case(
        "replies-in-the-order-of-calls",
        Step(_OPEN.but(serial=1), ok()),
        *[Step(GET_VERSION.but(serial=serial), _SERVED) for serial in range(2, 30)],
        together=True,
    ),
)
