"""Faults: calls that are made to fail on command, and the one place where they are.

A server that has `Faults` asks them about each call that can be made, after its arguments were read. A
call with a fault becomes a `FaultedCall`, which takes a worker. Without faults nothing is asked: see
`Server.set_faults`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Protocol

from aiovirt.rpc.server import replies
from aiovirt.rpc.server.call import Call
from aiovirt.rpc.transport.outgoing import discard
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.records import frozen

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client
    from aiovirt.rpc.server.handlers import Binding
    from aiovirt.rpc.wire.program import Procedure


class Ending(Enum):
    """The end of a call."""

    ANSWERED = auto()  # as ever
    DROPPED = auto()  # its reply is not sent
    CUT = auto()  # a part of its reply is sent, then the connection is closed
    CLOSED_BEFORE = auto()  # the connection is closed, and the work is not done
    CLOSED_AFTER = auto()  # the work is done, then the connection is closed without a reply


@frozen
class Fault:
    """The fault of one call.

    Attributes:
        rule: what the log says of a connection that it closes.
        wait: called when the call has a worker, and awaited before anything else is done. It is
            cancelled when nothing more comes from the client, and the work is done then.
        error: the answer, instead of the work.
        ending: what becomes of the call then.
        cut: bytes of the reply that are sent if it is cut; 0 for half of them.
    """

    rule: str
    wait: Callable[[], Awaitable[None]] | None = None
    error: RpcError | None = None
    ending: Ending = Ending.ANSWERED
    cut: int = 0


class Faults(Protocol):
    """Something that makes calls fail."""

    def of_call(self, client: Client, procedure: Procedure[Any, Any], args: Any) -> Fault | None:
        """Return the fault of a call that is to be made, or None.

        Args:
            client: where it came from.
            procedure: what is called.
            args: what the table says of its arguments.
        """

    def opens(self, client: Client, procedure: Procedure[Any, Any], args: Any, serial: int) -> None:
        """Note a call that opens a stream if it succeeds; for `of_packet`.

        Args:
            client: where it came from.
            procedure: what is called.
            args: what the table says of its arguments.
            serial: of the call.
        """

    def of_packet(self, client: Client, key: bytes, serial: int) -> Fault | None:
        """Return the fault of a packet with data of an open stream, or None.

        Args:
            client: whose stream it is.
            key: of the procedure that opened the stream.
            serial: of the call that opened it.
        """

    def mutes(self, client: Client) -> bool:
        """Whether the PING that came from a client is not answered."""


class FaultedCall(Call):
    """A call with a fault."""

    __slots__ = ("_fault", "_waits")

    def __init__(
        self,
        client: Client,
        binding: Binding,
        serial: int,
        args: Any,
        size: int,
        started: float,
        fault: Fault,
    ) -> None:
        super().__init__(client, binding, serial, args, size, started)
        self._fault = fault
        self._waits = False

    def start(self) -> None:
        """See `Call`."""
        if self._fault.wait is not None:
            self._task = asyncio.get_running_loop().create_task(self._start_later(self._fault.wait))
        elif not self._is_without_work():
            super().start()

    async def _start_later(self, wait: Callable[[], Awaitable[None]]) -> None:
        self._waits = True
        try:
            if not self.client.input_over:
                await wait()
        except asyncio.CancelledError:
            if self.is_over:
                return  # `abandon` or `abort` has done the rest
            task = self._task
            if self._waits or task is None:
                raise
            task.uncancel()  # nothing more comes from the client
        self._waits = False
        if self._is_without_work():
            return
        if self.binding.inline:
            args = self._taken_args()
            self._finish(replies.run_inline(self.client, self.binding, self.serial, args))
        else:
            await self._run()

    def input_ended(self) -> None:
        """See `Call`: it does not keep its worker from others for a client that may be gone."""
        if self._waits and self._task is not None:
            self._waits = False
            self._task.cancel()

    def _is_without_work(self) -> bool:
        """End the call if its work is not to be done; whether that is so."""
        fault = self._fault
        if fault.ending is Ending.CLOSED_BEFORE:
            self.client.abort(fault.rule)
            return True
        if fault.error is None:
            return False
        key = self.binding.procedure.key
        self._close_descriptors()
        self._finish(replies.error_reply(self.client, key, self.serial, fault.error))
        return True

    def _finish(self, reply: bytes) -> None:
        fault = self._fault
        if fault.ending is Ending.ANSWERED or self.is_over:
            super()._finish(reply)
            return
        discard(reply)
        sent = b""
        if fault.ending is Ending.CUT:
            sent = bytes(reply[: fault.cut or len(reply) // 2])
        if isinstance(reply, replies.FrameWithStream):
            # It begins all the same: at its end it gives back what the handler has taken for it.
            sent = replies.FrameWithStream.of(sent, reply.stream)
        elif fault.ending is Ending.CLOSED_AFTER:
            self.client.abort(fault.rule)
            return
        super()._finish(sent)
        if fault.ending is Ending.CUT:
            self.client.leave(fault.rule)
        elif fault.ending is Ending.CLOSED_AFTER:
            self.client.abort(fault.rule)

    def abort(self, error: RpcError) -> None:
        """See `Call`: the daemon ends or restarts, and says so."""
        self._fault = Fault(self._fault.rule)
        super().abort(error)
