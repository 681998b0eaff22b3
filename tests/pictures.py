"""The pictures in the documents, made from running daemons.

python -m tests.pictures            # docs/top.svg
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from typing import Any, Final

from aiovirt.admin.top.app import TopApp
from aiovirt.admin.watch.watched import Watched
from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client import open_driver
from aiovirt.rpc.client import Connection, connect_unix
from tests import harness

#: Columns and lines of the terminal.
_SIZE: Final = (148, 42)
_CLIENTS: Final = 5
_SECONDS: Final = 4.0


async def work(connection: Connection, pause: float) -> None:
    """Call virtd again and again."""
    await open_driver(connection, "test:///default")
    calls: tuple[Any, ...] = (protocol.CONNECT_GET_LIB_VERSION, protocol.CONNECT_GET_URI)
    while True:
        for procedure in calls:
            await connection.call(procedure, None)
            await asyncio.sleep(pause)


async def work_for_all(socket: str) -> None:
    """Be all the clients, in a process that is not the one of the picture."""
    clients = [await connect_unix(socket) for _ in range(_CLIENTS)]
    await asyncio.gather(
        *(work(client, 0.02 * (number + 1)) for number, client in enumerate(clients))
    )


async def take_picture_of_top() -> str:
    """Run `virtadm top` on busy daemons for a few seconds, and return the screen as SVG."""
    async with contextlib.AsyncExitStack() as stack:
        watched = []
        for name in ("virtd", "logd", "virtlogd"):
            settings = {"log_level": 2} if name == "virtd" else None
            daemon = stack.enter_context(harness.running(name, settings))
            watched.append(Watched(daemon.uri))
            watched[-1].name = f"{name}:///system"  # in place of the temporary folder's path
            if name == "virtd":
                command = [sys.executable, "-m", "tests.pictures", daemon.socket]
                worker = await asyncio.create_subprocess_exec(*command, cwd=harness.ROOT)
                stack.callback(worker.terminate)
        app = TopApp(watched, 1.0)
        async with app.run_test(size=_SIZE) as pilot:
            await pilot.pause(_SECONDS)
            return app.export_screenshot(title="virtadm top")


def main() -> None:
    """Write the pictures into docs/; with the path of a socket, be its clients."""
    if len(sys.argv) > 1:
        asyncio.run(work_for_all(sys.argv[1]))
    svg = asyncio.run(take_picture_of_top())
    # A picture must not load fonts from elsewhere.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    path = harness.ROOT / "docs" / "top.svg"
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
