"""A client that keeps the rules while others do not: its calls have to be answered."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from aiovirt.rpc.wire.message import MIN_FRAME, Message, Status, Type
from tests.attacks.target import Target, receive_frame


class Bystander:
    """One connection, one call at a time."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._serial = 0
        self._link = target.connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._link.close()

    def ask(self) -> float:
        """The seconds until the answer came. Raises AssertionError when it is none, TimeoutError."""
        self._serial += 1
        call = self._target.call(self._serial)
        begin = time.perf_counter()
        self._link.sendall(call)
        data = receive_frame(self._link)
        taken = time.perf_counter() - begin
        assert len(data) > MIN_FRAME, "the connection was closed"
        reply = Message.unpack(data)
        assert (reply.type, reply.serial, reply.status) == (Type.REPLY, self._serial, Status.OK)
        return taken
