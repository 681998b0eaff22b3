"""One daemon of each kind, shared by the tests in this folder that leave it as it was."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests import harness
from tests.interop.comparison import Both, hosts

SharedDaemon = Callable[[str], harness.RunningDaemon]

ALIKE: harness.Settings = {
    "max_clients": 100,
    "max_anonymous_clients": 20,
    "min_workers": 5,
    "max_workers": 20,
    "prio_workers": 5,
}
"""Settings that libvirtd and ours then have in common, whatever their defaults."""


@pytest.fixture(scope="session")
def shared_daemon() -> Iterator[SharedDaemon]:
    """The daemon of a name, started when it is first asked for."""
    with contextlib.ExitStack() as stack:
        started: dict[str, harness.RunningDaemon] = {}

        def get(name: str) -> harness.RunningDaemon:
            if name not in started:
                settings = dict(ALIKE)
                if name in harness.OURS:
                    settings["libvirt_version"] = harness.libvirt_version_text()
                started[name] = stack.enter_context(harness.running(name, settings))
            return started[name]

        yield get
        for daemon in started.values():
            log = daemon.log.read_text(errors="replace")
            assert daemon.alive, log[-4000:]
            assert "Traceback" not in log, log[-4000:]


@pytest.fixture(params=["test:///default", "qemu:///system"])
async def both(request: pytest.FixtureRequest, shared_daemon: SharedDaemon) -> AsyncIterator[Both]:
    """A host of libvirtd and one of virtd, by the same URI, to compare the answers of."""
    if request.param == "qemu:///system" and os.geteuid() != 0:
        pytest.skip("qemu:///system needs root")
    async with hosts(shared_daemon("libvirtd"), shared_daemon("virtd"), request.param) as made:
        yield made
