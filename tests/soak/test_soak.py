"""A crowd of clients, most of which misbehave, and what is left of them when they are gone.

`make test` lets them in for ten seconds, `make soak` for a minute; AIOVIRT_SOAK_SECONDS says so.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiovirt.admin import client as admin
from aiovirt.rpc.wire.errors import ErrorCode
from tests import harness
from tests.conftest import StartDaemon
from tests.soak import behaviours, process

T = TypeVar("T")

SECONDS: Final = float(os.environ.get("AIOVIRT_SOAK_SECONDS", "10"))
CROWD: Final = 60
"""Clients at a time. More than virtd's own socket admits, so that its limit is at work too."""

LIMITS: Final[harness.Settings] = {"max_clients": 20, "max_anonymous_clients": 0}

GROWTH: Final = 2 * 1024 * 1024
"""Bytes by which the second half may leave the daemon larger than the first. Frames of 30 MB come and
go, and what the allocator keeps of them differs by 1 MB from half to half; in a minute so many
thousand clients come that 300 bytes lost with each one are seen above that."""


async def test_a_crowd_that_misbehaves_leaves_nothing_behind_and_nobody_waits(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon("virtd", LIMITS)
    async with admin.connect(daemon.uri) as observer:
        before = await _descriptors(daemon.pid)
        sizes = []
        for half in range(2):
            await _crowd(daemon, half)
            clients = await _settled(observer, lambda: _clients(observer), {"virtd": 0, "admin": 1})
            assert clients == {"virtd": 0, "admin": 1}, "clients are left over"
            after = await _settled(observer, lambda: _descriptors(daemon.pid), before)
            assert after == before, "descriptors are left over"
            sizes.append(process.resident(daemon.pid))
        assert sizes[1] - sizes[0] <= GROWTH, f"memory after each half: {sizes}"
    assert daemon.kill() == 0
    log = daemon.log.read_text()
    assert " mistake" not in log, log
    assert "Traceback" not in log, log


async def _crowd(daemon: harness.RunningDaemon, seed: int) -> None:
    """Let them in for half of the time; returns when all have left."""
    end = time.monotonic() + SECONDS / 2
    async with asyncio.TaskGroup() as group:
        for number in range(CROWD):
            chance = random.Random(seed * CROWD + number)
            group.create_task(_lives(daemon, chance, end))
        group.create_task(_prober(daemon, end))


async def _lives(daemon: harness.RunningDaemon, chance: random.Random, end: float) -> None:
    """One client after another until the time is over."""
    while time.monotonic() < end:
        if chance.random() < 0.7:
            await chance.choice(behaviours.ADMIN)(daemon.admin_socket, chance)
        else:
            await chance.choice(behaviours.MAIN)(daemon.socket, chance)


async def _prober(daemon: harness.RunningDaemon, end: float) -> None:
    """Somebody with a question, on a connection that stays and on new ones: always answered."""
    async with admin.connect(daemon.uri) as staying:
        while time.monotonic() < end:
            async with asyncio.timeout(behaviours.PATIENCE):
                await staying.list_servers()
                async with admin.connect(daemon.uri) as fresh:
                    for server in await fresh.list_servers():
                        for client in itertools.islice(await server.list_clients(), 3):
                            await _look_at(client, server.name)


async def _look_at(client: admin.Client, server: str) -> None:
    """Ask who a client is, and throw out those of virtd's own server. Any may be gone by now."""
    try:
        await client.get_info()
        if server == "virtd":
            await client.close()
    except admin.RpcError as error:
        if error.code != ErrorCode.NO_CLIENT:
            raise


async def _clients(observer: admin.Connection) -> dict[str, int]:
    """How many clients each server has."""
    return {
        server.name: len(await server.list_clients()) for server in await observer.list_servers()
    }


async def _descriptors(pid: int) -> list[str]:
    """The descriptors of a daemon, but for those in reserve, which go when it has loaded everything."""
    return [one for one in process.descriptors(pid) if one != "/dev/null"]


async def _settled(observer: admin.Connection, ask: Callable[[], Awaitable[T]], wanted: T) -> T:
    """The answer as soon as it is the wanted one, or as it is when patience ends.

    The daemon learns that somebody has left only when its loop comes round to it, and each call of
    the observer's is one more turn of that loop.
    """
    end = time.monotonic() + behaviours.PATIENCE
    while (answer := await ask()) != wanted and time.monotonic() < end:
        await observer.lib_version()
    return answer
