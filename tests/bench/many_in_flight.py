"""One admin connection of `rpc.client` with many calls under way, in a process of its own.

    python -m tests.bench.many_in_flight PATH IN_FLIGHT SECONDS

Prints calls of CONNECT_GET_LIB_VERSION per second.
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop

from aiovirt.admin.protocol import CONNECT_GET_LIB_VERSION, CONNECT_OPEN, FlagsArgs
from aiovirt.rpc.client import Connection, connect_unix


async def _measure(path: str, in_flight: int, seconds: float) -> float:
    async with connect_unix(path) as connection:
        await connection.call(CONNECT_OPEN, FlagsArgs(0))
        begin = time.monotonic()
        end = begin + seconds
        counts = await asyncio.gather(*(_one_by_one(connection, end) for _ in range(in_flight)))
        return sum(counts) / (time.monotonic() - begin)


async def _one_by_one(connection: Connection, end: float) -> int:
    count = 0
    while time.monotonic() < end:
        await connection.call(CONNECT_GET_LIB_VERSION, None)
        count += 1
    return count


if __name__ == "__main__":
    print(f"{uvloop.run(_measure(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))):.1f}")
