"""The cases, by the part of the protocol that they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.conformance.case import Case
from tests.conformance.catalogue import (
    acquiring,
    clients,
    framing,
    headers,
    keepalive,
    limits,
    lockspace,
    logging,
    opening,
    payloads,
    reading,
    releasing,
    rotation,
    servers,
    session,
    threadpool,
)
from tests.conformance.scenario import Scenario


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


def lock_scenarios() -> dict[str, Scenario]:
    """All scenarios about locks by their full name."""
    return _named(
        {
            "owners": lockspace.OWNERS,
            "lockspaces": lockspace.SPACES,
            "resources": lockspace.RESOURCES,
            "acquiring": acquiring.ACQUIRING,
            "releasing": releasing.RELEASING,
            "fates": releasing.FATES,
            "calls": lockspace.CALLS,
        }
    )


def log_scenarios() -> dict[str, Scenario]:
    """All scenarios about logs by their full name."""
    return _named(
        {
            "opening": opening.OPENING,
            "positions": opening.POSITIONS,
            "rotation": rotation.ROTATION,
            "pipes": rotation.PIPES,
            "reading": reading.READING,
            "appending": reading.APPENDING,
            "calls": reading.CALLS,
        }
    )


def _named(groups: Mapping[str, Sequence[Scenario]]) -> dict[str, Scenario]:
    found = {f"{group}/{told.name}": told for group, all_ in groups.items() for told in all_}
    assert len(found) == sum(map(len, groups.values())), "two scenarios of one name"
    return found
