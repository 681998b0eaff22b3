"""Attacks by connecting: many, slowly, or all the time."""

from __future__ import annotations

import itertools
import socket
from typing import Final

from aiovirt.daemons.virtd.constants.connect import Feature
from aiovirt.daemons.virtd.protocol import CONNECT_SUPPORTS_FEATURE, ConnectSupportsFeatureArgs
from aiovirt.rpc.wire.message import Status, Type, frame
from tests.attacks.target import Attack, Crowd, Tally, Target, receive_frame

_PAUSE: Final = 0.05


def slow_loris(target: Target, tally: Tally, size: int) -> Attack:
    """`size` connections, each of which sends a byte of a frame that never ends every second."""
    data = target.announce()
    with Crowd(target, tally, size) as crowd:
        said = [0] * size
        # The beginning byte by byte, too, but at once: else it would take half a minute.
        for number in range(size):
            said[number] += sum(crowd.say(number, data[i : i + 1]) for i in range(6))
        yield 0
        turn = itertools.cycle(range(size))
        while True:
            for number in itertools.islice(turn, max(1, int(size * _PAUSE))):
                byte = data[said[number] : said[number] + 1] or b"\0"
                said[number] += crowd.say(number, byte)
            yield _PAUSE


def silent(target: Target, tally: Tally, size: int) -> Attack:
    """`size` connections that say nothing."""
    with Crowd(target, tally, size):
        while True:
            yield 1


def vanished(target: Target, tally: Tally, size: int) -> Attack:
    """`size` clients that have said they answer keepalives, and never do: as if they were gone."""
    features = CONNECT_SUPPORTS_FEATURE
    payload = features.encode_args(ConnectSupportsFeatureArgs(Feature.PROGRAM_KEEPALIVE))
    call = frame(features.key, Type.CALL, 1, Status.OK, payload)
    links: list[socket.socket] = []
    try:
        for _ in range(size):
            links.append(target.connect())
            links[-1].sendall(call)
            receive_frame(links[-1])
            tally["connected"] += 1
        while True:
            yield 1
    finally:
        for link in links:
            link.close()


def coming_and_going(target: Target, tally: Tally, size: int) -> Attack:
    """`size` connections a second, opened and closed at once; 0: as many as can be."""
    batch = size // 100 or 100
    while True:
        for _ in range(batch):
            target.connect().close()
            tally["connected"] += 1
        yield 0.01 if size else 0
