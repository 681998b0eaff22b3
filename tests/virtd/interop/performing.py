"""Runs stories by libvirt's virsh on a libvirtd and on a virtd, both at once.

libvirt's test driver begins with a new world for each virsh, and so does virtd here: each story on it
has a new server. The stories on the qemu driver share one server, as they share one libvirtd.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from difflib import unified_diff
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from aiovirt.rpc.server import serve
from tests import harness
from tests.virtd.conftest import Virtd
from tests.virtd.interop.normalizing import normalized
from tests.virtd.interop.story import HERE, BrokenStory, Invocation, Story, documents
from tests.virtd.interop.watching import Watcher, heard, listening

URIS: Final = {"test": "test+unix:///default", "qemu": "qemu+unix:///system"}

#: The network that a host of the qemu driver begins with.
_DEFAULT_NETWORK: Final = (HERE / "documents" / "default-network.xml").read_text()

#: QEMU as root, without a virtlogd and without any security driver.
_QEMU_CONF: Final = """
stdio_handler = "file"
security_driver = "none"
user = "root"
group = "root"
"""

#: Seconds that the commands of one story may take.
_PATIENCE: Final = 60.0


class Output(NamedTuple):
    """The standard output and the standard error of one invocation, normalized."""

    stdout: str
    stderr: str


class Compared(NamedTuple):
    """The answers to one invocation."""

    story: Story
    invocation: Invocation
    libvirtd: Output
    virtd: Output

    @property
    def alike(self) -> bool:
        """Whether virsh prints the same."""
        return self.libvirtd == self.virtd

    def __str__(self) -> str:
        shown = (
            line
            for real, ours in zip(self.libvirtd, self.virtd, strict=True)
            for line in list(unified_diff(real.splitlines(), ours.splitlines(), lineterm="", n=2))[
                2:
            ]
        )
        return "\n  ".join([f"{self.story}: {self.invocation.label}", *shown])


async def perform(told: Iterable[Story]) -> AsyncIterator[Compared]:
    """Run stories, and give the answers to each of their invocations.

    Raises BrokenStory for a command that virsh itself refuses, DaemonFailed from the harness.
    """
    with libvirtd() as real:
        async with _virtd() as toy:
            for story in told:
                async with AsyncExitStack() as own:
                    shared = story.driver == "qemu"
                    path = toy if shared else await own.enter_async_context(_virtd())
                    sides = await asyncio.gather(_tell(story, real), _tell(story, path))
                for answer in zip(story.invocations, *sides, strict=True):
                    if answer[0].compared:
                        yield Compared(story, *answer)


@contextmanager
def libvirtd() -> Iterator[str]:
    """A libvirtd with the network that Debian's package gives it. The value is its socket."""
    with tempfile.TemporaryDirectory(prefix="av-", ignore_cleanup_errors=True) as name:
        settings = Path(name, "etc-libvirt")
        (settings / "qemu" / "networks").mkdir(parents=True)
        (settings / "qemu" / "networks" / "default.xml").write_text(_DEFAULT_NETWORK)
        (settings / "qemu.conf").write_text(_QEMU_CONF)
        daemon = harness.start("libvirtd", Path(name))
        try:
            yield daemon.socket
        finally:
            daemon.kill()
            for file in Path(name).glob("run/libvirt/qemu/*.pid"):
                with suppress(ProcessLookupError, ValueError):
                    os.kill(int(file.read_text()), signal.SIGKILL)


@asynccontextmanager
async def _virtd() -> AsyncIterator[str]:
    """A virtd with new hosts in this process. The value is the path of its socket."""
    async with AsyncExitStack() as stack:
        path = stack.enter_context(tempfile.TemporaryDirectory(prefix="av-")) + "/sock"
        server = await stack.enter_async_context(serve(path=path))
        toy = Virtd(path, server, stack, None)
        toy.host("qemu").pace.boot = None  # libvirtd's guests have no operating system
        yield path


async def _tell(story: Story, socket: str) -> list[Output]:
    """Run one story on one daemon."""
    uri = f"{URIS[story.driver]}?socket={socket}"
    with tempfile.TemporaryDirectory(prefix="av-") as name:
        folder = Path(name)
        commands = _prepared(story, folder)
        waits = sum(one.waits for one in story.invocations)
        watchers = [
            await Watcher.start(_command(uri, one), _environment()) for one in commands[:waits]
        ]
        run = partial(_virsh, uri)
        if watchers:
            await listening(watchers, run, folder, story.driver)
        texts = await _outputs(story, uri, commands[waits:])
        if watchers:
            events = await heard(watchers, run, folder, story.driver)
            texts = [(told, "") for told in events] + texts
    names = {socket: "SOCKET", name: "DIR"}
    return [
        Output(*(normalized(text, command, names) for text in pair))
        for command, pair in zip(commands, texts, strict=True)
    ]


async def _outputs(story: Story, uri: str, commands: list[str]) -> list[tuple[str, str]]:
    """Run commands in one virsh, and return both outputs of each."""
    marked = [
        f"{command}; echo --err @@{number}; echo @@{number}"
        for number, command in enumerate(commands)
    ]
    stdout, stderr = await _virsh(uri, "; ".join(marked))
    if f"@@{len(commands) - 1}\n" not in stdout:
        raise BrokenStory(f"{story}: {stdout}{stderr}")
    count = len(commands)
    return list(zip(_parts(stdout, "@@", count), _parts(stderr, "error: @@", count), strict=True))


def _prepared(story: Story, folder: Path) -> list[str]:
    """Write the documents into a folder, and return the commands of a story with their paths."""
    folder.chmod(0o755)
    words = {word for one in story.invocations for word in one.command.split(" ")}
    for name, text in documents().items():
        if f"@{name}" in words:
            text = text.replace("@driver", story.driver).replace("@dir", str(folder))
            (folder / f"{name}.xml").write_text(text)
    return [_expanded(one.command, folder) for one in story.invocations]


def _expanded(command: str, folder: Path) -> str:
    """A command with the paths of its documents."""
    words = []
    for word in command.split(" "):
        if "@dir" in word:
            word = word.replace("@dir", str(folder))
        elif word.startswith("@"):
            word = f"{folder}/{word[1:]}.xml"
            if not Path(word).exists():
                raise BrokenStory(f"{command}: no document {word}")
        words.append(word)
    return " ".join(words)


def _parts(text: str, mark: str, count: int) -> list[str]:
    """The output of each command: what stands before its mark."""
    parts = []
    for number in range(count):
        part, _, text = text.partition(f"{mark}{number}\n")
        parts.append(part.strip("\n"))
    return parts


def _environment() -> dict[str, str]:
    return {
        **harness.libraries(),
        "PATH": os.environ["PATH"],
        "LC_ALL": "C",
        "TZ": "UTC",
        "HOME": "/dev/null",
    }


def _command(uri: str, commands: str) -> list[str]:
    return [harness.require("virsh"), "-c", uri, commands]


async def _virsh(uri: str, commands: str) -> tuple[str, str]:
    """Run virsh once. Raises BrokenStory when it does not end in time."""
    process = await asyncio.create_subprocess_exec(
        *_command(uri, commands),
        env=_environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        stdout, stderr = await asyncio.wait_for(process.communicate(), _PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise BrokenStory(f"{uri}: virsh did not end in {_PATIENCE} s: {commands}") from None
    return stdout.decode(), stderr.decode()
