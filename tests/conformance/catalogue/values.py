"""Calls and results that many cases share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.conformance.case import call
from tests.conformance.wire import Reader, optional, params, string, u32, u64

NO_FLAGS = u32(0)
BAD_FLAGS = u32(1)

ADMIN_SERVER = string("admin")
NO_SERVER = string("nobody")
NO_CLIENT_ID = 2**40

GET_VERSION = call(3)


def a_version(read: Reader) -> bool:
    """A version number: which one it is depends on the daemon."""
    return read.u64() > 0


def client(server: bytes, number: int) -> bytes:
    """A client as an argument: only the server and the id count."""
    return server + u64(number) + u64(0) + u32(0)


def set_workers(*packed: bytes, server: bytes = ADMIN_SERVER, flags: int = 0) -> bytes:
    """Arguments of the two calls that set something."""
    return server + params(*packed) + u32(flags)


set_limits = set_workers


def text(value: str | bytes | None, flags: int = 0) -> bytes:
    """Arguments of the two calls that set logging."""
    return optional(None if value is None else string(value)) + u32(flags)


GOOD_ARGUMENTS: Mapping[int, bytes] = {
    1: NO_FLAGS,
    4: u32(0) + NO_FLAGS,
    5: ADMIN_SERVER + NO_FLAGS,
    6: ADMIN_SERVER + NO_FLAGS,
    7: ADMIN_SERVER + params() + NO_FLAGS,
    8: ADMIN_SERVER + u32(0) + NO_FLAGS,
    9: ADMIN_SERVER + u64(NO_CLIENT_ID) + NO_FLAGS,
    10: client(ADMIN_SERVER, NO_CLIENT_ID) + NO_FLAGS,
    11: client(ADMIN_SERVER, NO_CLIENT_ID) + NO_FLAGS,
    12: ADMIN_SERVER + NO_FLAGS,
    13: ADMIN_SERVER + params() + NO_FLAGS,
    14: NO_FLAGS,
    15: NO_FLAGS,
    16: text("3:stderr"),
    17: text(None),
    18: ADMIN_SERVER + NO_FLAGS,
    19: u32(0) + NO_FLAGS,
}
"""Well-formed arguments for every procedure that has any."""


def params_with(**expected: int) -> Callable[[Reader], bool]:
    """Judges typed parameters: these fields are there, unsigned, with these values."""

    def judge(read: Reader) -> bool:
        found = read.params()
        return all(found.get(field) == (2, value) for field, value in expected.items())

    return judge


def exactly_fields(**kinds: int) -> Callable[[Reader], bool]:
    """Judges typed parameters: these fields, of these kinds, in this order, and no others."""

    def judge(read: Reader) -> bool:
        return [(name, kind) for name, (kind, _) in read.params().items()] == list(kinds.items())

    return judge


def logging(expected: str | None, count: int) -> Callable[[Reader], bool]:
    """Judges what procedure 15 returns."""

    def judge(read: Reader) -> bool:
        text, number = read.optional_string(), read.u32()
        # libvirt puts a blank after each filter, the last one too.
        return (text if text is None else text.rstrip(" ")) == expected and number == count

    return judge


def outputs(expected: str, count: int) -> Callable[[Reader], bool]:
    """Judges what procedure 14 returns."""

    def judge(read: Reader) -> bool:
        text, number = read.string(), read.u32()
        return text == expected and number == count

    return judge
