"""A lockd in this process, and holders of its locks in processes of their own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiovirt.admin import dispatch as admin_dispatch
from aiovirt.daemons.lockd.admin_dispatch import LockAdminDispatch
from aiovirt.daemons.lockd.dispatch import LockSpaceDispatch
from aiovirt.daemons.lockd.protocol import (
    ACQUIRE_RESOURCE,
    REGISTER,
    Owner,
    RegisterArgs,
    ResourceArgs,
)
from aiovirt.rpc.client import Connection, connect_unix
from aiovirt.rpc.server import Daemon, ServerOptions

HOLDER = """
import os, signal, socket, sys
sys.path.insert(0, sys.argv[3])
from aiovirt.daemons.lockd.protocol import *
from aiovirt.rpc.wire.message import Message
from aiovirt.rpc.wire import xdr
if len(sys.argv) > 4:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
owner = Owner(bytes(16), "guest", 1, os.getpid())
for at, (procedure, args) in enumerate((
    (REGISTER, RegisterArgs(owner, 0)),
    (ACQUIRE_RESOURCE, ResourceArgs("", sys.argv[2], 0)),
)):
    call = Message(LOCK_SPACE.number, 1, procedure.number, 0, at, 0, xdr.encode(args))
    link.sendall(call.pack())
    assert len(link.recv(28)) == 28
print("holding", flush=True)
sys.stdin.readline()
link.close()
signal.pause()
"""

_ROOT = str(Path(__file__).parents[2])


class LockHouse:
    """A daemon with the programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemon = Daemon("lockd")
        self.server = self.daemon.add_server(ServerOptions("lockd"))
        self.service = LockSpaceDispatch(self.daemon)
        self.service.serve_on(self.server)
        self.socket = str(folder / "sock")
        self.server.listen_unix(self.socket)
        admin = self.daemon.add_server(ServerOptions("admin"))
        admin.add_program(admin_dispatch.handlers(self.daemon))
        LockAdminDispatch(self.service).serve_on(admin)
        admin.listen_unix(str(folder / "lockd-admin-sock"))
        self.uri = f"lockd:///system?socket={folder}/lockd-admin-sock"

    def disk(self, name: str = "disk") -> str:
        """A file that can be locked."""
        path = self.folder / name
        path.touch()
        return str(path)

    async def connect(self, owner: Owner) -> Connection:
        """A connection that acts for an owner."""
        connection = await connect_unix(self.socket)
        await connection.call(REGISTER, RegisterArgs(owner, 0))
        return connection

    async def acquire(
        self, connection: Connection, name: str, flags: int = 0, space: str = ""
    ) -> None:
        await connection.call(ACQUIRE_RESOURCE, ResourceArgs(space, name, flags))

    async def holder(self, disk: str, *extra: str) -> asyncio.subprocess.Process:
        """A process that holds a lock. extra: whether it heeds no SIGTERM."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            HOLDER,
            self.socket,
            disk,
            _ROOT,
            *extra,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"holding\n"
        return process


@asynccontextmanager
async def open_lock_house(
    folder: Path, kind: type[LockHouse] = LockHouse
) -> AsyncIterator[LockHouse]:
    """Run one."""
    house = kind(folder)
    ready = asyncio.Event()
    serving = asyncio.create_task(house.daemon.serve(ready.set))
    await ready.wait()
    yield house
    house.daemon.shutdown()
    await serving
