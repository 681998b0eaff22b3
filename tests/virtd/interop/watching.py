"""Runs the commands of virsh that wait for events beside the other commands of a story.

Such a command does not say when it listens. So objects that belong to no story are defined and undefined
until it has told of one, and at the end others are, whose event comes after all events of the story.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

#: Objects that exist for a moment, by the command that defines them.
_DOCUMENTS: Final = {
    "define": "<domain type='{driver}'><name>{name}</name><memory>4096</memory>"
    "<os><type arch='x86_64'>hvm</type></os></domain>",
    "net-define": "<network><name>{name}</name><bridge name='{name}'/></network>",
    "pool-define": "<pool type='dir'><name>{name}</name><target><path>/{name}</path></target></pool>",
}
_FIRST: Final = "poke-first"
_LAST: Final = "poke-last"

#: Tries to be heard, each of which waits a second for an event.
_TRIES: Final = 30

Run = Callable[[str], Awaitable[object]]


class Watcher:
    """One command that waits for events, as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []

    @classmethod
    async def start(cls, command: list[str], environment: dict[str, str]) -> Watcher:
        """Start it; `stdbuf` lets every line out at once."""
        process = await asyncio.create_subprocess_exec(
            *("stdbuf", "-oL", *command),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return cls(process)

    async def until(self, name: str) -> None:
        """Read lines until one tells that the object of this name is undefined."""
        assert self._process.stdout is not None
        while line := (await self._process.stdout.readline()).decode():
            self._lines.append(line)
            if name in line and "Undefined" in line:
                return
        raise EOFError("".join(self._lines))

    async def end(self) -> str:
        """End it as a user does, and return the events of the story."""
        self._process.send_signal(signal.SIGINT)
        await self._process.communicate()
        return "".join(line for line in self._lines if "poke-" not in line)


async def listening(watchers: list[Watcher], run: Run, folder: Path, driver: str) -> None:
    """Return when all commands listen. Raises TimeoutError, or EOFError when one has ended."""
    poke = _poke(_FIRST, folder, driver)
    for watcher in watchers:
        for _ in range(_TRIES):
            await run(poke)
            try:
                await asyncio.wait_for(watcher.until(_FIRST), 1)
                break
            except TimeoutError:
                continue
        else:
            raise TimeoutError("a command that waits for events has told of none")


async def heard(watchers: list[Watcher], run: Run, folder: Path, driver: str) -> list[str]:
    """End the commands, and return what each has told of the story."""
    await run(_poke(_LAST, folder, driver))
    for watcher in watchers:
        await watcher.until(_LAST)
    return [await watcher.end() for watcher in watchers]


def _poke(name: str, folder: Path, driver: str) -> str:
    commands = []
    for command, text in _DOCUMENTS.items():
        path = folder / f"{name}-{command}.xml"
        path.write_text(text.format(name=name, driver=driver))
        commands += [f"{command} {path}", f"{command.replace('define', 'undefine')} {name}"]
    return "; ".join(commands)
