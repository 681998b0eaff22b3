"""`virtadm top` in a terminal of its own, on daemons of ours and of libvirt, used as a person would."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pyte

from aiovirt.admin.client import connect
from aiovirt.rpc.client import connect_unix
from tests import harness
from tests.conftest import StartDaemon
from tests.harness import PATIENCE

COLUMNS, LINES = 140, 44


class Terminal:
    """A terminal with a program in it; `screen` is what a person sees now."""

    def __init__(self, master: int, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.printed = b""
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._master = master
        self._more = asyncio.Event()
        os.set_blocking(master, False)
        asyncio.get_running_loop().add_reader(master, self._read)

    @property
    def screen(self) -> str:
        return "\n".join(self._screen.display)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    async def shows(self, *texts: str) -> None:
        """Wait until all these texts are on the screen."""
        await self.until(lambda: all(text in self.screen for text in texts), texts)

    async def no_longer_shows(self, text: str) -> None:
        """Wait until the text is gone from the screen."""
        await self.until(lambda: text not in self.screen, f"a screen without {text!r}")

    async def until(self, thing: Callable[[], Any], what: object) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not thing():
                    self._more.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.1):
                            await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"never came: {what}\n{self.screen}") from None

    async def ended(self) -> int:
        """Wait for the program's end; its status."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.process.wait()
        except TimeoutError:
            raise AssertionError(f"it did not end\n{self.screen}") from None

    def resize(self, columns: int, lines: int) -> None:
        set_size(self._master, columns, lines)
        self._screen.resize(lines, columns)
        self.process.send_signal(signal.SIGWINCH)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: the program has ended
            self.printed += (more := os.read(self._master, 1 << 16))
            self._stream.feed(more)
        self._more.set()


def set_size(descriptor: int, columns: int, lines: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@contextlib.asynccontextmanager
async def top(home: Path, *words: str, **environment: str) -> AsyncIterator[Terminal]:
    """Run `virtadm WORDS top` in a terminal of its own."""
    master, slave = pty.openpty()
    set_size(slave, COLUMNS, LINES)
    before = termios.tcgetattr(slave)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "aiovirt.admin.cli",
        *words,
        "top",
        "--interval",
        "0.2",
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(harness.ROOT),
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm-256color",
            **environment,
        },
    )
    terminal = Terminal(master, process)
    try:
        yield terminal
        assert await terminal.ended() == 0
        assert termios.tcgetattr(slave) == before, "the terminal is not as it was"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        terminal.close()
        os.close(slave)


async def test_top_shows_disconnects_and_resizes(start_daemon: StartDaemon, tmp_path: Path) -> None:
    logd = start_daemon("logd")
    uri = logd.uri.replace("libvirtd:", "logd:", 1)
    victim = await connect_unix(logd.socket)
    async with connect(uri) as conn:
        server = await conn.lookup_server("logd")
        async with top(tmp_path, "-c", uri) as terminal:
            await terminal.shows("Daemons", "Servers", "Clients", "Procedures by mean time", "logd")
            await terminal.shows("(admin)")  # procedures that it called itself
            terminal.type("\x1b[B" * 5)  # down, to the last client: the only one of server logd
            terminal.type("d")
            await terminal.shows("Disconnect client 1 (")
            terminal.type("y")
            await terminal.shows("of server logd disconnected")
            async with asyncio.timeout(PATIENCE):
                await victim.wait_closed()

            terminal.type("w")
            await terminal.shows("Workers of server admin.")
            terminal.type("3\r")
            await terminal.shows("worker pool of server admin resized")
            pool = await (await conn.lookup_server("admin")).get_threadpool_parameters()
            assert pool.min_workers == 3
            assert (await server.get_threadpool_parameters()).min_workers == 5
            terminal.type("q")
    await victim.close()


async def test_top_shows_what_a_daemon_of_libvirt_knows_and_says_what_it_lacks(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    virtlogd = start_daemon("virtlogd")
    async with top(tmp_path, "-c", virtlogd.uri, NO_COLOR="1") as terminal:
        await terminal.shows("virtlogd", "1/5000", "no statistics: only daemons of aiovirt have")
        await terminal.shows("no logs: only daemons of aiovirt have the admin extension")
        colors = rb"\x1b\[(?:[0-9]+;)*(?:[349][0-9]|10[0-7])(?:;[0-9]+)*m"
        assert not re.search(colors, terminal.printed)
        assert re.search(rb"\x1b\[(?:[0-9]+;)*7m", terminal.printed), "the cursor is seen"
        terminal.type("w")
        await terminal.shows("Workers of server")
        terminal.type("99999999999\r")
        await terminal.shows("min takes a number of workers, not '99999999999'")
        terminal.type("\x1b")
        await terminal.no_longer_shows("Workers of server")
        terminal.resize(80, 24)
        terminal.type("v")
        await terminal.shows("Calls in flight")
        terminal.process.send_signal(signal.SIGTERM)


async def test_top_finds_a_daemon_again_that_was_restarted(tmp_path: Path) -> None:
    with harness.running("lockd") as first:
        uri = first.uri.replace("libvirtd:", "lockd:", 1)
        async with top(tmp_path, "-c", uri) as terminal:
            await terminal.shows("1/5000")
            terminal.type("r")
            first.kill()
            await terminal.shows("down", "Failed to connect socket")
            terminal.type("r")
            second = harness.start("lockd", first.folder)
            try:
                await terminal.shows("1/5000")
                terminal.type("\x03")
                await terminal.ended()
            finally:
                second.kill()
