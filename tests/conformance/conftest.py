"""The daemons under judgement: one of each kind for the whole run, started when first needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import pytest

from tests import harness
from tests.conformance.peers import LOCK_PEERS, LOG_PEERS, PEERS, Daemons


@contextlib.contextmanager
def _shared(peers: Mapping[str, harness.Settings]) -> Iterator[Daemons]:
    """The shared daemon of a name.

    One that has ended, or has logged a traceback, fails whoever sees it first.
    """
    with contextlib.ExitStack() as stack:
        started: dict[str, harness.RunningDaemon] = {}

        def get(name: str) -> harness.RunningDaemon:
            daemon = started.get(name)
            if daemon is None:
                daemon = stack.enter_context(harness.running(name, peers[name]))
                started[name] = daemon
            elif not daemon.alive:
                del started[name]
                pytest.fail(f"{name} ended during an earlier case:\n{_end_of_log(daemon)}")
            return daemon

        yield get
        for daemon in started.values():
            assert daemon.alive, f"{daemon.name} ended:\n{_end_of_log(daemon)}"
            assert "Traceback" not in daemon.log.read_text(errors="replace"), _end_of_log(daemon)


def pytest_report_header() -> list[str]:
    """Which libvirt is judged."""
    return [
        f"{name} {harness.libvirt_version_text(name)}: {path}"
        for name in harness.REAL
        if (path := harness.find(name)) is not None
    ]


@pytest.fixture(scope="session")
def daemons() -> Iterator[Daemons]:
    """Those whose administration is judged."""
    with _shared(PEERS) as get:
        yield get


@pytest.fixture(scope="session")
def lock_daemons() -> Iterator[Daemons]:
    """Those that keep locks."""
    with _shared(LOCK_PEERS) as get:
        yield get


@pytest.fixture(scope="session")
def log_daemons() -> Iterator[Daemons]:
    """Those that keep logs."""
    with _shared(LOG_PEERS) as get:
        yield get


def _end_of_log(daemon: harness.RunningDaemon) -> str:
    return daemon.log.read_text(errors="replace")[-4000:]


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest, daemons: Daemons) -> harness.RunningDaemon:
    """Each of the shared daemons in turn."""
    return daemons(request.param)
