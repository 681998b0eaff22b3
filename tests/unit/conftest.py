"""Fixtures of the unit tests: a daemon inside the test's loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop

from tests.unit.house import House, MakeHouse, open_house


@pytest.fixture
async def make_house() -> AsyncIterator[MakeHouse]:
    """Opens any number of daemons for one test: `await make_house(max_workers=1)`."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(**options: Any) -> House:
            return await stack.enter_async_context(open_house(**options))

        yield make


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """One daemon with the usual options."""
    async with open_house() as one:
        yield one


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The RPC core is tested on asyncio's loop and on uvloop, where daemons run; the rest on one."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.name.startswith(("test_server_", "test_client_")):
        loops["uvloop"] = uvloop.new_event_loop
    return loops
