"""What every test may use."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests import harness

StartDaemon = Callable[..., harness.RunningDaemon]


@pytest.fixture
def start_daemon() -> Iterator[StartDaemon]:
    """Starts any number of daemons for one test: `start_daemon("logd", {"max_clients": 3})`."""
    with contextlib.ExitStack() as stack:

        def begin(
            name: str, settings: harness.Settings | None = None, *arguments: str
        ) -> harness.RunningDaemon:
            return stack.enter_context(harness.running(name, settings, arguments))

        yield begin
