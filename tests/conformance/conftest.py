"""The daemons under judgement: one of each kind for the whole run, started when first needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests import harness
from tests.conformance.peers import PEERS, Daemons


@pytest.fixture(scope="session")
def daemons() -> Iterator[Daemons]:
    """The shared daemon of a name.

    One that has ended, or has logged a traceback, fails whoever sees it first.
    """
    with contextlib.ExitStack() as stack:
        started: dict[str, harness.RunningDaemon] = {}

        def get(name: str) -> harness.RunningDaemon:
            daemon = started.get(name)
            if daemon is None:
                daemon = stack.enter_context(harness.running(name, PEERS[name]))
                started[name] = daemon
            elif not daemon.alive:
                del started[name]
                pytest.fail(f"{name} ended during an earlier case:\n{_end_of_log(daemon)}")
            return daemon

        yield get
        for daemon in started.values():
            assert daemon.alive, f"{daemon.name} ended:\n{_end_of_log(daemon)}"
            assert "Traceback" not in daemon.log.read_text(errors="replace"), _end_of_log(daemon)


def _end_of_log(daemon: harness.RunningDaemon) -> str:
    return daemon.log.read_text(errors="replace")[-4000:]


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest, daemons: Daemons) -> harness.RunningDaemon:
    """Each of the shared daemons in turn."""
    return daemons(request.param)
