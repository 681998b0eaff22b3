"""What a guest's starter does with logd."""

from __future__ import annotations

from aiovirt.daemons.logd import protocol as logs
from aiovirt.rpc.client import connect_unix

GUEST = logs.Domain(b"\7" * 16, "guest")


async def open_log(socket: str, path: str) -> int:
    """Open a log with logd: the descriptor to write to."""
    async with connect_unix(socket) as connection:
        _, (pipe,) = await connection.call_for_descriptors(
            logs.DOMAIN_OPEN_LOG_FILE, logs.OpenArgs("test", GUEST, path, 0)
        )
    return pipe
