"""Attacks with frames: too large, lying about what is in them, or very many."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from typing import Final

from aiovirt.admin.protocol import CONNECT_LOOKUP_SERVER, SERVER_SET_THREADPOOL_PARAMETERS
from aiovirt.daemons.virtd import protocol as remote
from aiovirt.rpc.wire.message import MAX_FDS, MAX_FRAME, MIN_FRAME, Status, Type, frame
from aiovirt.rpc.wire.program import Procedure
from tests.attacks.target import Attack, Crowd, Tally, Target, is_cut, receive_frame

_PIECE: Final = bytes(1 << 16)
_HUGE: Final = b"\xff\xff\xff\xff"
_MANY_FDS: Final = 253
"""The most that the kernel passes along with one message."""


def impossible_lengths(target: Target, tally: Tally, size: int) -> Attack:
    """A new connection every time, with a frame that announces `size` bytes; it has to be closed."""
    yield 0
    while True:
        with target.connect() as link, contextlib.suppress(BrokenPipeError):
            link.sendall(target.announce(size))
            tally["closed"] += is_cut(link)
            tally["announced"] += 1
        yield 0.001


def largest_held(target: Target, tally: Tally, size: int) -> Attack:
    """`size` connections, each with the longest of frames sent but for its last byte."""
    with Crowd(target, tally, size) as crowd:
        for link in crowd.links:
            link.setblocking(True)
            link.sendall(target.announce())
            for _ in range((MAX_FRAME - MIN_FRAME) // len(_PIECE)):
                link.sendall(_PIECE)
            link.sendall(bytes((MAX_FRAME - MIN_FRAME) % len(_PIECE) - 1))
        while True:
            yield 1


def largest(target: Target, tally: Tally, size: int) -> Attack:
    """`size` connections which send the longest of frames in full, again and again, 100 MB a second."""
    data = target.announce()
    with Crowd(target, tally, size) as crowd:
        sent = [0] * size
        yield 0
        while True:
            for number in range(size):
                position = sent[number]
                piece = _PIECE if position else data
                sent[number] += crowd.say(number, piece[: MAX_FRAME - position])
                if sent[number] == MAX_FRAME:
                    sent[number] = 0
                    tally["frames"] += 1
                with contextlib.suppress(BlockingIOError):
                    tally["answered"] += len(crowd.links[number].recv(1 << 16)) > 0
            yield size * len(_PIECE) / 100e6


def lying_counts(target: Target, tally: Tally, size: int) -> Attack:
    """Calls whose strings and arrays announce 4 G elements, `size` a second; each is to be refused."""
    calls = [
        frame(procedure.key, Type.CALL, 1, Status.OK, payload)
        for procedure, payload in _lies(target)
    ]
    with target.connect() as link:
        while True:
            for call in calls:
                link.sendall(call)
                reply = receive_frame(link)
                tally["refused"] += reply[24:28] == b"\0\0\0\1"
                tally["calls"] += 1
            yield len(calls) / size


def _lies(target: Target) -> list[tuple[Procedure[object, object], bytes]]:
    """Procedures and the lying arguments for them."""
    string = b"\0\0\0\4abcd"
    if target.admin:
        return [
            (CONNECT_LOOKUP_SERVER, _HUGE + b"abcd"),
            (SERVER_SET_THREADPOOL_PARAMETERS, string + _HUGE),
            # One parameter, of the type of strings, which is as long as that.
            (
                SERVER_SET_THREADPOOL_PARAMETERS,
                string + b"\0\0\0\1" + string + b"\0\0\0\7" + _HUGE,
            ),
        ]
    return [
        (remote.CONNECT_OPEN, b"\0\0\0\1" + _HUGE + b"abcd"),
        (remote.AUTH_SASL_START, _HUGE),
        (remote.AUTH_SASL_START, string + bytes(4) + _HUGE),
        (remote.AUTH_SASL_STEP, bytes(4) + _HUGE + bytes(64)),
    ]


def small_calls(target: Target, tally: Tally, size: int) -> Attack:
    """`size` clients which send calls as fast as their replies are read: hundreds under way in each."""
    block = b"".join(target.call(serial) for serial in range(2000))
    with Crowd(target, tally, size) as crowd:
        poll = select.epoll()
        numbers = {link.fileno(): number for number, link in enumerate(crowd.links)}
        for descriptor in numbers:
            poll.register(descriptor, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        sent = [0] * size
        while True:
            for descriptor, _ in poll.poll(0.1):
                number = numbers[descriptor]
                with contextlib.suppress(BlockingIOError):
                    while tally_size := len(crowd.links[number].recv(1 << 20)):
                        tally["bytes back"] += tally_size
                while went := crowd.say(number, block[sent[number] :]):
                    sent[number] = (sent[number] + went) % len(block)
            yield 0


def descriptors(target: Target, tally: Tally, size: int) -> Attack:
    """Descriptors along with every byte, `size` messages a second, and calls that announce some.

    Each call is answered; one that announces more than there may be ends its connection. A server that
    takes descriptors ends it as soon as too many wait.
    """
    passed = os.open(os.devnull, os.O_RDONLY)
    count = MAX_FDS.to_bytes(4, "big")
    data = target.call(1) + target.call(2, Type.CALL_WITH_FDS, count) + bytes(MAX_FDS)
    try:
        while True:
            with target.connect() as link:
                try:
                    for byte in data:
                        socket.send_fds(link, [bytes((byte,))], [passed] * _MANY_FDS)
                        tally["passed"] += _MANY_FDS
                        yield 1 / size
                except ConnectionError:
                    tally["cut"] += 1  # a server with procedures that take descriptors has a bound
                    continue
                tally["answered"] += [receive_frame(link)[20:24] for _ in range(2)] == [
                    b"\0\0\0\1",
                    b"\0\0\0\2",
                ]
                too_many = (MAX_FDS + 1).to_bytes(4, "big")
                link.sendall(target.call(3, Type.CALL_WITH_FDS, too_many))
                tally["closed"] += is_cut(link)
                tally["rounds"] += 1
    finally:
        os.close(passed)
