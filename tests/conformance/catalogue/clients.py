"""The clients of a server.

What needs the id of a client, or more than one connection, is in test_connections.py.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.case import Case, Outcome, call, ok, one, refused
from tests.conformance.catalogue.values import (
    ADMIN_SERVER,
    BAD_FLAGS,
    NO_CLIENT_ID,
    NO_FLAGS,
    NO_SERVER,
    client,
)
from tests.conformance.wire import Reader, string, u32, u64

_NO_SERVER = refused(95, 7)
_NO_CLIENT = refused(96, 7)
# Some calls look again at what came of the look-up, and report it as their own.
_NO_SERVER_ADMIN = refused(95, 62)
_NO_CLIENT_ADMIN = refused(96, 62)
_FLAGS = refused(8, 62)


def _listed(server: str, *, entries: bool) -> Callable[[Reader], bool]:
    """Judges a list of clients: at least one (we), all on UNIX sockets, ids going up or not told."""

    def judge(read: Reader) -> bool:
        ids = []
        for _ in range(read.u32()):
            name, number, since, transport = read.string(), read.u64(), read.u64(), read.u32()
            if name != server or transport != 0 or since < 10**9:
                return False
            ids.append(number)
        count = read.u32()
        return ids == sorted(set(ids)) and (count == len(ids) > 0 if entries else not ids)

    return judge


def _nobody(read: Reader) -> bool:
    return read.u32() == 0 and read.u32() == 0


def _lookups(procedure: int, name: str) -> tuple[Case, ...]:
    """The refusals of a call that is about a client."""

    def frame(server: bytes, number: int, flags: bytes = NO_FLAGS) -> bytes:
        found = client(server, number) if procedure != 9 else server + u64(number)
        return found + flags

    def refusal(what: str, payload: bytes, outcome: Outcome) -> Case:
        return one(f"{name}-{what}", call(procedure, payload), outcome)

    no_server, no_client = (_NO_SERVER, _NO_CLIENT)
    if procedure == 10:
        no_server, no_client = (_NO_SERVER_ADMIN, _NO_CLIENT_ADMIN)
    return (
        refusal("unknown-client", frame(ADMIN_SERVER, NO_CLIENT_ID), no_client),
        refusal("client-0", frame(ADMIN_SERVER, 0), no_client),
        refusal("client-2-to-32", frame(ADMIN_SERVER, 2**32), no_client),
        refusal("client-2-to-64-less-1", frame(ADMIN_SERVER, 2**64 - 1), no_client),
        refusal("unknown-server", frame(NO_SERVER, 1), no_server),
        refusal("empty-server", frame(string(""), 1), no_server),
        refusal("unknown-server-with-flags", frame(NO_SERVER, 1, BAD_FLAGS), no_server),
        refusal(
            "unknown-client-with-flags",
            frame(ADMIN_SERVER, NO_CLIENT_ID, BAD_FLAGS),
            _FLAGS if procedure == 9 else no_client,
        ),
    )


def _lists(main: str) -> tuple[Case, ...]:
    rooms = (1, 2, 16384, 16385, 2**32 - 1)
    everyone = ok(result=_listed("admin", entries=True))
    return (
        *(
            one(f"list-room-for-{room}", call(8, ADMIN_SERVER, u32(room), NO_FLAGS), everyone)
            for room in rooms
        ),
        one(
            "list-count-only",
            call(8, ADMIN_SERVER, u32(0), NO_FLAGS),
            ok(result=_listed("admin", entries=False)),
        ),
        one("list-main-is-empty", call(8, string(main), u32(1), NO_FLAGS), ok(result=_nobody)),
        one("list-flags", call(8, ADMIN_SERVER, u32(1), BAD_FLAGS), _FLAGS),
        one("list-unknown-server", call(8, NO_SERVER, u32(1), NO_FLAGS), _NO_SERVER),
        one("list-empty-server", call(8, string(""), u32(1), NO_FLAGS), _NO_SERVER),
        one("list-unknown-server-with-flags", call(8, NO_SERVER, u32(1), BAD_FLAGS), _NO_SERVER),
    )


def cases(main: str) -> tuple[Case, ...]:
    """For a daemon whose own server is called `main` and has no clients."""
    return (
        *_lists(main),
        *_lookups(9, "lookup"),
        *_lookups(10, "info"),
        *_lookups(11, "close"),
    )
