"""A connection whose other end is ours: what both of its sides are fuzzed with.

An input is a byte of options, a byte that says how the rest is cut into pieces, and the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
from collections.abc import Callable, Coroutine, Iterator
from itertools import pairwise
from random import Random
from typing import Any, Final, Protocol

import uvloop

from tests.fuzz.engine import blind
from tests.fuzz.mutation import change_frames, split_frames
from tests.fuzz.target import Finding, Mutate, expect


class House(Protocol):
    """A server and whatever its visitors need."""

    async def visit(self, data: bytes) -> None:
        """One client, from its coming to its going. Raises Finding."""


#: Turns of the loop that a piece gets, and the most that anything may need to come to its end.
_ITERATIONS: Final = 2
_PATIENCE: Final = 400

#: What the loop could tell nobody: every one is a finding.
problems: list[object] = []


@functools.cache
def _loop(pid: int) -> asyncio.AbstractEventLoop:
    # One for each process: a loop does not survive a fork.
    loop = uvloop.new_event_loop()
    loop.set_exception_handler(lambda loop, context: problems.append(context))
    return loop


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run one input's coroutine on the loop of this process. Raises Finding."""
    problems.clear()
    _loop(os.getpid()).run_until_complete(main())
    if problems:
        raise Finding(f"nobody was told of {problems[0]!r}")


def visits(house: Callable[[], House]) -> Callable[[bytes], None]:
    """A check that visits a house with each input. Every process has its own, made on its loop."""
    built = functools.cache(lambda pid: house())

    def check(data: bytes) -> None:
        async def visit() -> None:
            await built(os.getpid()).visit(data)

        run(visit)

    return check


async def loop_iterations(count: int = _ITERATIONS) -> None:
    """Let everybody else go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(thing: Callable[[], bool], what: str) -> None:
    """Turn the loop until a thing is so. Raises Finding when it does not come."""
    for _ in range(_PATIENCE):
        if thing():
            return
        await asyncio.sleep(0)
    expect(thing(), what)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that do not block."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def pieces(data: bytes) -> Iterator[bytes]:
    """The stream of an input, cut as the input says."""
    cut, stream = data[1] if len(data) > 1 else 0, data[2:]
    random = Random(cut)
    places = sorted(random.randrange(len(stream) + 1) for _ in range(cut & 7))
    for start, end in pairwise((0, *places, len(stream))):
        if start < end:
            yield stream[start:end]


def send(sock: socket.socket, data: bytes, descriptors: list[int]) -> bool:
    """Send a piece; whether the other end still takes any."""
    try:
        if descriptors:
            socket.send_fds(sock, [data], descriptors)
        else:
            sock.send(data)
    except BlockingIOError:
        return True  # it does not read, which is its right
    except OSError:
        return False
    return True


def read(sock: socket.socket) -> bytes:
    """Everything that is there."""
    found = bytearray()
    with contextlib.suppress(OSError):
        while data := sock.recv(1 << 16):
            found += data
    return bytes(found)


def mutator(pool: list[bytes]) -> Mutate:
    """Changes an input frame by frame; new frames come from the pool."""

    def mutate(data: bytes, limit: int, random: Random) -> bytes:
        head, stream = data[:2].ljust(2, b"\0"), data[2:]
        if random.random() < 0.1:
            head = random.randbytes(2)
        frames = split_frames(stream)
        for _ in range(random.randint(1, 3)):
            frames = change_frames(frames, pool, limit, random, blind)
        return (head + b"".join(frames))[:limit]

    return mutate
