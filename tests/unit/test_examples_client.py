"""The example of a client runs, and prints what a daemon says."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.unit.house import PATIENCE
from tests.unit.scripted_daemon import scripted_daemon

EXAMPLE = Path(__file__).parents[2] / "examples" / "client.py"


async def test_the_example_prints_the_version_and_the_servers() -> None:
    async with scripted_daemon() as daemon, asyncio.timeout(PATIENCE):
        process = await asyncio.create_subprocess_exec(
            sys.executable, EXAMPLE, daemon.path, stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate()
    assert printed.decode() == "libvirt 9001002, servers: admin main\n"
    assert process.returncode == 0
