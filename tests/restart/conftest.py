"""Daemons that are restarted by SIGUSR1, and how to know that they were."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests import harness

if TYPE_CHECKING:
    from tests.restart import gates

SETTINGS: harness.Settings = {"log_level": 2, "log_outputs": "2:stderr", "max_clients": 5000}


class Restarted:
    """A daemon of ours in a process of its own."""

    def __init__(self, daemon: harness.RunningDaemon) -> None:
        self.daemon = daemon
        self.times = 0

    @property
    def pid(self) -> int:
        return self.daemon.pid

    @property
    def said(self) -> str:
        """Its log so far."""
        return self.daemon.log.read_text()

    def signal(self) -> None:
        os.kill(self.pid, signal.SIGUSR1)

    async def restart(self) -> None:
        """Execute the program anew and wait until it has taken over."""
        self.signal()
        self.times += 1
        await self.wait_for(lambda: self.said.count("took over") == self.times)

    async def wait_for(self, thing: Callable[[], object]) -> None:
        try:
            async with asyncio.timeout(harness.PATIENCE):
                while not thing():
                    assert self.daemon.alive, self.said[-3000:]
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"it never came; the daemon's log ends: {self.said[-3000:]}")


@pytest.fixture
def lockd() -> Iterator[Restarted]:
    with harness.running("lockd", SETTINGS) as daemon:
        yield Restarted(daemon)


@pytest.fixture
def logd() -> Iterator[Restarted]:
    with harness.running("logd", {**SETTINGS, "max_size": 20_000, "max_backups": 32}) as daemon:
        yield Restarted(daemon)


@pytest.fixture(params=harness.OURS)
def any_daemon(request: pytest.FixtureRequest) -> Iterator[Restarted]:
    with harness.running(request.param, SETTINGS) as daemon:
        yield Restarted(daemon)


@pytest.fixture
def gated() -> Iterator[gates.Start]:
    """Starts a daemon by its name, with empty files in its folder; see `tests.restart.gated`."""
    from tests.restart import gates

    with ExitStack() as stack:
        yield lambda *names, **more: stack.enter_context(gates.gated(*names, **more))
