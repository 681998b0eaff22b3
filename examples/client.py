"""Ask a daemon of libvirt's or ours for its version and its servers, over its admin socket.

python examples/client.py /run/libvirt/virtqemud-admin-sock
"""

import asyncio
import sys

from aiovirt.admin.protocol import (
    CONNECT_GET_LIB_VERSION,
    CONNECT_LIST_SERVERS,
    CONNECT_OPEN,
    FlagsArgs,
    ListServersArgs,
)
from aiovirt.rpc.client import connect_unix


async def main(path: str) -> None:
    async with connect_unix(path, timeout=10) as connection:
        await connection.call(CONNECT_OPEN, FlagsArgs(flags=0))
        version, servers = await asyncio.gather(
            connection.call(CONNECT_GET_LIB_VERSION, None),
            connection.call(CONNECT_LIST_SERVERS, ListServersArgs(need_results=1, flags=0)),
        )
        print(f"libvirt {version.version}, servers:", *(ref.name for ref in servers.servers))


asyncio.run(main(sys.argv[1]))
