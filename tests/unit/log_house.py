"""A logd in this process: its program, its administration, and a client of both."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiovirt.admin import dispatch as admin_dispatch
from aiovirt.daemons.logd import protocol
from aiovirt.daemons.logd.admin_dispatch import LogAdminDispatch
from aiovirt.daemons.logd.dispatch import LogManagerDispatch
from aiovirt.daemons.logd.protocol import Domain, Position
from aiovirt.daemons.logd.rotating import Rotation
from aiovirt.rpc.client import connect_unix
from aiovirt.rpc.server import Daemon, ServerOptions
from aiovirt.rpc.wire.program import Procedure

GUEST = Domain(b"\7" * 16, "web")


class LogHouse:
    """A daemon with the programs. Logs are rotated at 1000 bytes, and two files are kept."""

    def __init__(self, folder: Path, *, administered: bool = True) -> None:
        self.folder = folder
        self.daemon = Daemon("logd")
        self.server = self.daemon.add_server(ServerOptions("logd"))
        self.service = LogManagerDispatch(self.daemon, Rotation(1000, 2))
        self.service.serve_on(self.server)
        self.socket = str(folder / "sock")
        self.server.listen_unix(self.socket)
        admin = self.daemon.add_server(ServerOptions("admin"))
        admin.add_program(admin_dispatch.handlers(self.daemon))
        if administered:
            LogAdminDispatch(self.service).serve_on(admin)
        admin.listen_unix(str(folder / "logd-admin-sock"))
        self.uri = f"logd:///system?socket={folder}/logd-admin-sock"
        self.file = folder / "guest.log"
        self.path = str(self.file)
        self.pipes: list[int] = []

    async def call(self, procedure: Procedure[Any, Any], args: Any) -> Any:
        async with connect_unix(self.socket) as connection:
            return await connection.call(procedure, args)

    async def open(self, path: str | None = None, flags: int = 0) -> tuple[Position, int]:
        """Open a log: where it is, and the descriptor to write to."""
        args = protocol.OpenArgs("test", GUEST, path or self.path, flags)
        async with connect_unix(self.socket) as connection:
            result, (pipe,) = await connection.call_for_descriptors(
                protocol.DOMAIN_OPEN_LOG_FILE, args
            )
        self.pipes.append(pipe)
        return result.position, pipe

    def texts(self) -> list[str]:
        """What is in the log's files, from old to new."""
        texts = []
        for end in (".1", ".0", ""):
            with contextlib.suppress(FileNotFoundError):  # it may be renamed at this moment
                texts.append(Path(f"{self.path}{end}").read_text())
        return texts

    def let_go(self, pipe: int) -> None:
        """Close a pipe, as a guest that ends."""
        self.pipes.remove(pipe)
        os.close(pipe)


@asynccontextmanager
async def open_log_house(folder: Path, *, administered: bool = True) -> AsyncIterator[LogHouse]:
    """Run one. administered: with the administration program."""
    house = LogHouse(folder, administered=administered)
    ready = asyncio.Event()
    serving = asyncio.create_task(house.daemon.serve(ready.set))
    await ready.wait()
    yield house
    house.daemon.shutdown()
    await serving
    assert not house.service.logs
    for pipe in house.pipes:
        os.close(pipe)
