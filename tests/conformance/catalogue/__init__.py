"""The cases, by the part of the protocol that they are about."""

from __future__ import annotations

from tests.conformance.case import Case
from tests.conformance.catalogue import (
    clients,
    framing,
    headers,
    keepalive,
    limits,
    logging,
    payloads,
    servers,
    session,
    threadpool,
)


def cases(main: str) -> dict[str, Case]:
    """All cases by their full name, for a daemon whose own server is called `main`."""
    groups = {
        "framing": framing.CASES,
        "headers": headers.CASES,
        "keepalive": keepalive.CASES,
        "payloads": payloads.CASES,
        "session": session.CASES,
        "servers": servers.cases(main),
        "threadpool": threadpool.cases(main),
        "clients": clients.cases(main),
        "limits": limits.cases(main),
        "logging": logging.CASES,
    }
    found = {f"{group}/{case.name}": case for group, cases in groups.items() for case in cases}
    assert len(found) == sum(map(len, groups.values())), "two cases of one name"
    return found
