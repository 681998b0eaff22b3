"""Somebody who watches a daemon, until it is terminated; says "watching" when that has begun.

    python -m tests.bench.watcher PATH statistics
    python -m tests.bench.watcher PATH follow FILTERS

`statistics` asks once a second for everything that there is; `follow` follows the log at debug level.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

from aiovirt.admin.client import Connection, connect
from tests import harness


async def _statistics(connection: Connection) -> None:
    statistics = connection.statistics
    while True:
        answer = await statistics.servers()
        for server in answer.servers:
            await statistics.procedures(server.name)
            await statistics.calls(server.name)
            await statistics.clients(server.name)
        print("watching", flush=True)
        await asyncio.sleep(1)


async def _follow(connection: Connection, filters: str) -> None:
    async with connection.logs.follow(level="debug", filters=filters) as followed:
        print("watching", flush=True)
        async for _ in followed.batches():
            pass


async def _watch(path: str, what: str, filters: str = "") -> None:
    async with connect(harness.admin_uri(path)) as connection:
        if what == "statistics":
            await _statistics(connection)
        else:
            await _follow(connection, filters)


if __name__ == "__main__":
    uvloop.run(_watch(*sys.argv[1:]))
