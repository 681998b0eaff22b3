"""What every test may use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from tests import harness

# In CI the same examples every time: what a random one finds belongs to whoever looks for it.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")

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
