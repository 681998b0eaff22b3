"""The calls of the log manager program, as somebody makes them in a scenario, and what guests write.

Source: libvirt's src/logging/log_protocol.x.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from tests.conformance.acts import Do, See
from tests.conformance.case import Answer, ok, refused
from tests.conformance.differences import Difference
from tests.conformance.judge import PATIENCE
from tests.conformance.scenario import Act, Argument, Ask, Outcomes, Scene
from tests.conformance.wire import REPLY_WITH_FDS, string, u32, u64

LOG_MANAGER = 0x87539319
TRUNCATE = 1
DATA_MAX = 4194304
NO_INODE = 2**62
"""Which no file has."""

OPEN_ALREADY = refused(38, 63)
NOT_OPEN = refused(1, 63)
BAD_FLAGS = refused(8, 63)
SYSTEM = refused(38, 0)
TOO_MUCH = refused(1, 7)
APPENDED = ok(u32(0))

UUID = bytes(range(16))

LOG = "{dir}/log"


def _position(scene: Scene, name: str, offset: int) -> bytes:
    return u64(scene.path(name).stat().st_ino) + u64(offset)


def at(name: str, offset: int) -> Callable[[Scene], Answer]:
    """A position: this file, and bytes from its start."""
    return lambda scene: ok(_position(scene, name, offset))


def opened(name: str, offset: int) -> Callable[[Scene], Answer]:
    """The same with a descriptor."""
    return lambda scene: Answer(REPLY_WITH_FDS, 0, _position(scene, name, offset))


def gives(data: bytes) -> Answer:
    """What was read."""
    return ok(string(data))


@dataclass(frozen=True)
class Client:
    """Somebody with a connection: his calls, by their names."""

    name: str

    def call(
        self,
        procedure: int,
        *arguments: Argument,
        outcome: Outcomes,
        eventually: bool = False,
        version: int = 1,
        keep: str = "",
    ) -> Ask:
        """Any call at all."""
        return Ask(self.name, LOG_MANAGER, procedure, arguments, outcome, eventually, version, keep)

    def open(
        self,
        path: Argument,
        outcome: Outcomes,
        *,
        flags: int = 0,
        driver: str = "test",
        guest: str = "guest",
        pipe: str = "pipe",
        eventually: bool = False,
    ) -> Ask:
        """DOMAIN_OPEN_LOG_FILE; what comes with the answer is called `pipe` from then on."""
        arguments = driver, UUID, guest, path, u32(flags)
        return self.call(1, *arguments, outcome=outcome, eventually=eventually, keep=pipe)

    def position(
        self, path: Argument, outcome: Outcomes, *, flags: int = 0, eventually: bool = False
    ) -> Ask:
        """DOMAIN_GET_LOG_FILE_POSITION."""
        return self.call(2, path, u32(flags), outcome=outcome, eventually=eventually)

    def read(
        self,
        path: Argument,
        outcome: Outcomes,
        *,
        of: str | int = "log",
        offset: int = 0,
        maxlen: int = DATA_MAX,
        flags: int = 0,
    ) -> Ask:
        """DOMAIN_READ_LOG_FILE, from `offset` in the file `of`: its name, or the inode itself."""

        def start(scene: Scene) -> bytes:
            return u64(of) + u64(offset) if isinstance(of, int) else _position(scene, of, offset)

        return self.call(3, path, start, u64(maxlen), u32(flags), outcome=outcome)

    def append(
        self,
        path: Argument,
        message: bytes,
        outcome: Outcomes = APPENDED,
        *,
        flags: int = 0,
        driver: str = "test",
        guest: str = "guest",
    ) -> Ask:
        """DOMAIN_APPEND_LOG_FILE."""
        arguments = driver, UUID, guest, path, string(message), u32(flags)
        return self.call(4, *arguments, outcome=outcome)


def write(data: bytes, pipe: str = "pipe") -> Do:
    """A guest writes."""

    def happens(scene: Scene) -> None:
        left = data
        while left:
            left = left[os.write(scene.descriptors[pipe], left) :]

    return Do(happens)


def let_go(pipe: str = "pipe") -> Do:
    """A guest closes its end."""
    return Do(lambda scene: os.close(scene.descriptors.pop(pipe)))


def share(other: str, pipe: str = "pipe") -> Do:
    """A second guest gets the first one's end."""

    def happens(scene: Scene) -> None:
        scene.descriptors[other] = os.dup(scene.descriptors[pipe])

    return Do(happens)


def holds(
    name: str, data: bytes, *, eventually: bool = False, why: Difference | None = None
) -> See:
    """A file has this, and nothing else. why: the reason that it has not, at libvirt."""
    return See(
        f"{name} has {len(data)} bytes: {data[:20]!r}",
        lambda scene: scene.path(name).read_bytes() == data,
        eventually,
        why,
    )


def make_fifo(name: str, *, read: bool = False) -> Do:
    """A FIFO is made, and if `read` opened for reading."""

    def happens(scene: Scene) -> None:
        path = scene.path(name)
        os.mkfifo(path)
        if read:
            scene.descriptors[f"reader of {name}"] = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    return Do(happens)


@dataclass(frozen=True)
class Meet(Act):
    """A FIFO is opened for reading or writing, and somebody else opens it the other way round."""

    name: str
    reading: bool

    def play(self, scene: Scene) -> str | None:
        script = 'exec < "$1"' if self.reading else 'exec > "$1"'
        command = ["sh", "-c", script, "sh", str(scene.path(self.name))]
        try:
            subprocess.run(command, timeout=PATIENCE, check=True)
        except subprocess.TimeoutExpired:
            return f"nobody opened {self.name}"
        return None
