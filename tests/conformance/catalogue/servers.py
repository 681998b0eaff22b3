"""The servers of a daemon: listing them, looking them up, TLS files, and the daemon's timeout."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.case import Case, Step, call, case, ok, one, refused
from tests.conformance.catalogue.values import ADMIN_SERVER, BAD_FLAGS, NO_FLAGS, NO_SERVER
from tests.conformance.wire import Reader, string, u32

_NO_SERVER = refused(95, 7)
_FLAGS = refused(8, 62)
_NO_TLS = refused(1, 7)
_TIMEOUT_MAX = (2**31 - 1) // 1000


def _listed(*names: str, count: int) -> Callable[[Reader], bool]:
    def judge(read: Reader) -> bool:
        found = {read.string() for _ in range(read.u32())}
        return found == set(names) and read.u32() == count

    return judge


def _lookup(name: str, text: str | bytes) -> Case:
    return one(f"lookup-{name}", call(5, string(text), NO_FLAGS), _NO_SERVER)


def _timeout(seconds: int) -> Case:
    off = (call(19, u32(0), NO_FLAGS),)
    return one(f"timeout-{seconds}", call(19, u32(seconds), NO_FLAGS), ok(), undo=off)


def cases(main: str) -> tuple[Case, ...]:
    """For a daemon whose own server is called `main`."""
    everything = ok(result=_listed("admin", main, count=2))
    return (
        one("list-count-only", call(4, u32(0), NO_FLAGS), ok(result=_listed(count=2))),
        *(
            one(f"list-room-for-{room}", call(4, u32(room), NO_FLAGS), everything)
            for room in (1, 2, 16384, 16385, 2**32 - 1)
        ),
        one("list-flags", call(4, u32(1), BAD_FLAGS), _FLAGS),
        one("lookup-admin", call(5, ADMIN_SERVER, NO_FLAGS), ok(ADMIN_SERVER)),
        one("lookup-main", call(5, string(main), NO_FLAGS), ok(string(main))),
        _lookup("unknown", "nobody"),
        _lookup("empty", ""),
        _lookup("other-case", "ADMIN"),
        _lookup("with-a-blank", "admin "),
        _lookup("prefix", "adm"),
        # virCheckFlags is given the flags themselves here, so that all are right.
        one("lookup-flags-are-ignored", call(5, ADMIN_SERVER, u32(77)), ok(ADMIN_SERVER)),
        one("lookup-unknown-with-flags", call(5, NO_SERVER, BAD_FLAGS), _NO_SERVER),
        one("tls-without-tls", call(18, ADMIN_SERVER, NO_FLAGS), _NO_TLS),
        one("tls-without-tls-main", call(18, string(main), NO_FLAGS), _NO_TLS),
        one("tls-flags", call(18, ADMIN_SERVER, BAD_FLAGS), _FLAGS),
        one("tls-unknown-server", call(18, NO_SERVER, NO_FLAGS), _NO_SERVER),
        one("tls-empty-server", call(18, string(""), NO_FLAGS), _NO_SERVER),
        one("tls-unknown-server-with-flags", call(18, NO_SERVER, BAD_FLAGS), _NO_SERVER),
        *map(_timeout, (1000, 86400, _TIMEOUT_MAX)),
        one("timeout-off-when-off", call(19, u32(0), NO_FLAGS), ok()),
        one("timeout-flags", call(19, u32(1000), BAD_FLAGS), _FLAGS),
        case(
            "timeout-set-twice-then-off",
            Step(call(19, u32(1000), NO_FLAGS), ok()),
            Step(call(19, u32(2000), NO_FLAGS), ok()),
            Step(call(19, u32(0), NO_FLAGS), ok()),
        ),
    )
