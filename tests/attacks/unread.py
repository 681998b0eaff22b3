"""Attacks by not reading what was asked for."""

from __future__ import annotations

import contextlib
from typing import Final

from aiovirt.admin.protocol import SERVER_LIST_CLIENTS, ListClientsArgs, ServerRef
from aiovirt.daemons.logd.admin_protocol import LOG_FOLLOW, FollowArgs, FollowFlags
from aiovirt.rpc.server.streams import STREAMS_MAX
from aiovirt.rpc.wire.message import Status, Type, frame
from tests.attacks.target import Attack, Crowd, Tally, Target, receive_frame

_PAUSE: Final = 0.01


def replies(target: Target, tally: Tally, size: int) -> Attack:
    """`size` clients that call for as long as anything goes out, and read no reply.

    On an admin socket each call is for the list of virtd's clients.
    """
    call = target.call()
    if target.admin:
        args = ListClientsArgs(ServerRef("virtd"), 1, 0)
        payload = SERVER_LIST_CLIENTS.encode_args(args)
        call = frame(SERVER_LIST_CLIENTS.key, Type.CALL, 1, Status.OK, payload)
    block = call * (65536 // len(call))
    with Crowd(target, tally, size) as crowd:
        sent = [0] * size
        while True:
            for number in range(size):
                while went := crowd.say(number, block[sent[number] :]):
                    sent[number] = (sent[number] + went) % len(block)
            yield _PAUSE


def streams(target: Target, tally: Tally, size: int) -> Attack:
    """`size` clients of logd, each of which follows a log as often as it may and reads nothing of it."""
    payload = LOG_FOLLOW.encode_args(FollowArgs(target.log, None, FollowFlags.FROM_OLDEST))
    with contextlib.ExitStack() as stack:
        for _ in range(size):
            link = stack.enter_context(target.connect())
            for serial in range(STREAMS_MAX):
                link.sendall(frame(LOG_FOLLOW.key, Type.CALL, serial, Status.OK, payload))
            # One reply shows that they have arrived; what follows is for nobody.
            tally["followed"] += receive_frame(link)[24:28] == bytes(4)
        while True:
            yield 1
