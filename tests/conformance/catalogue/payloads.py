"""Arguments: too short, too long, and values that XDR or the protocol does not allow."""

from __future__ import annotations

from tests.conformance.case import ANY, CLOSED, RPC, Case, Outcome, call, ok, one, refused
from tests.conformance.catalogue.values import (
    ADMIN_SERVER,
    GOOD_ARGUMENTS,
    NO_FLAGS,
    a_version,
    set_workers,
    text,
)
from tests.conformance.differences import Difference
from tests.conformance.wire import (
    BOOLEAN,
    INT,
    UINT,
    Frame,
    optional,
    param,
    params,
    string,
    u32,
)

_STRING_MAX = 4194304
_NO_SERVER = refused(95, 7)
_UNKNOWN_FIELD = refused(74, 0)


def _short(procedure: int) -> Case:
    return one(f"procedure-{procedure}-short", call(procedure, GOOD_ARGUMENTS[procedure][:-4]), RPC)


def _cut(procedure: int) -> Case:
    frame = call(procedure, GOOD_ARGUMENTS[procedure][:-1])
    return one(f"procedure-{procedure}-cut-by-a-byte", frame, RPC)


def _empty(procedure: int) -> Case:
    return one(f"procedure-{procedure}-without-arguments", call(procedure), RPC)


def _lookup(name: bytes, flags: bytes = NO_FLAGS) -> Frame:
    return call(5, name, flags)


def _named(name: str, raw: bytes, outcome: Outcome) -> Case:
    return one(f"string-{name}", _lookup(raw), outcome)


CASES = (
    *map(_short, GOOD_ARGUMENTS),
    *map(_cut, GOOD_ARGUMENTS),
    *map(_empty, GOOD_ARGUMENTS),
    one("trailing-byte", call(5, ADMIN_SERVER, NO_FLAGS, b"x"), ANY),
    one("trailing-4-bytes", call(5, ADMIN_SERVER, NO_FLAGS, b"abcd"), ANY),
    one("trailing-kilobytes", call(5, ADMIN_SERVER, NO_FLAGS, bytes(5000)), ANY),
    one("trailing-where-there-are-no-arguments", call(3, b"abcd"), ok(result=a_version)),
    one(
        "string-at-the-maximum",
        _lookup(string(b"x" * _STRING_MAX)),
        CLOSED,
        ours=_NO_SERVER,
        why=Difference.LONG_TEXT_SHORTENED,
    ),
    _named("a-quarter-of-the-maximum", string(b"x" * (_STRING_MAX // 4)), _NO_SERVER),
    _named("over-the-maximum", string(b"x" * (_STRING_MAX + 1)), RPC),
    _named("over-the-maximum-in-word-only", string(b"x" * 8, length=_STRING_MAX + 1), RPC),
    _named("longer-than-the-frame", string(b"x" * 8, length=100), RPC),
    _named("longer-than-memory", string(b"x" * 8, length=2**32 - 1), RPC),
    _named("one-byte-longer-than-the-frame", string(b"x" * 8, length=13), RPC),
    _named("padding-not-zero", string("admin", padding=b"\xff"), ANY),
    _named("not-utf-8", string(b"\xff\xfe\x80"), _NO_SERVER),
    _named("of-newlines-and-controls", string(b"\n\r\t\x01\x7f"), _NO_SERVER),
    _named("with-format-directives", string("%s%n%d{0}"), _NO_SERVER),
    _named("empty", string(""), _NO_SERVER),
    one(
        "string-nul-inside",
        _lookup(string(b"admin\0x")),
        ANY,
        ours=RPC,
        why=Difference.NUL_REFUSED,
    ),
    one(
        "string-nul-at-the-end",
        _lookup(string(b"admin\0")),
        ANY,
        ours=RPC,
        why=Difference.NUL_REFUSED,
    ),
    one(
        "string-nul-only",
        _lookup(string(b"\0")),
        _NO_SERVER,
        ours=RPC,
        why=Difference.NUL_REFUSED,
    ),
    one(
        "field-name-nul-inside",
        call(7, set_workers(param(b"prioWorkers\0x", 0))),
        ANY,
        ours=RPC,
        why=Difference.NUL_REFUSED,
    ),
    one(
        "optional-string-nul-inside",
        call(17, text(b"1:x\0 2:y")),
        ANY,
        ours=RPC,
        why=Difference.NUL_REFUSED,
        undo=(call(17, text(None)),),
    ),
    one("optional-flag-2", call(17, u32(2) + string(""), NO_FLAGS), ok()),
    one("optional-flag-minus-1", call(17, u32(-1) + string(""), NO_FLAGS), ok()),
    one("optional-flag-without-value", call(17, u32(1)), RPC),
    one("optional-absent-with-value", call(17, u32(0) + string("zz") + NO_FLAGS), refused(8, 62)),
    one(
        "optional-string-too-long",
        call(17, optional(string(b"x" * (_STRING_MAX + 1))), NO_FLAGS),
        RPC,
    ),
    one("params-32", call(7, set_workers(*[param("bogus", 1)] * 32)), _UNKNOWN_FIELD),
    one("params-33", call(7, set_workers(*[param("bogus", 1)] * 33)), RPC),
    one("params-33-limits", call(13, set_workers(*[param("bogus", 1)] * 33)), RPC),
    one("params-count-huge", call(7, ADMIN_SERVER, u32(2**32 - 1), NO_FLAGS), RPC),
    one("params-count-more-than-come", call(7, ADMIN_SERVER, u32(2), param("bogus", 1)), RPC),
    one("params-kind-0", call(7, set_workers(param("maxWorkers", 5, 0))), RPC),
    one("params-kind-8", call(7, set_workers(param("maxWorkers", 5, 8))), RPC),
    one("params-kind-minus-1", call(7, set_workers(param("maxWorkers", 5, -1))), RPC),
    one(
        "params-string-too-long",
        call(7, ADMIN_SERVER, u32(1), string("s"), u32(7), u32(2**31)),
        RPC,
    ),
    one("params-name-79", call(7, set_workers(param("m" * 79, 1))), _UNKNOWN_FIELD),
    one("params-name-80", call(7, set_workers(param("m" * 80, 1))), refused(1, 0)),
    one("params-name-empty", call(7, set_workers(param("", 1))), _UNKNOWN_FIELD),
    one("params-boolean-2", call(7, set_workers(param("maxWorkers", 2, BOOLEAN))), refused(8, 0)),
    one("params-int-for-uint", call(7, set_workers(param("maxWorkers", 5, INT))), refused(8, 0)),
    one("params-cut-in-value", call(7, ADMIN_SERVER, u32(1), string("maxWorkers"), u32(UINT)), RPC),
    one("params-with-server-cut", call(7, string(b"adm", length=400), params()), RPC),
)
