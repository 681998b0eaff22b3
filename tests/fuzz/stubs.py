"""Handlers for every program: they do nothing, in each of the ways in which a handler can be written."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

from aiovirt.rpc.server import Client, Handlers
from aiovirt.rpc.server.handlers import CallWithFds, WithFds, WithStream
from aiovirt.rpc.server.streams import Stream
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.keepalive import KEEPALIVE
from aiovirt.rpc.wire.program import Procedure, Program
from tests.property.wire_values import full, programs


@xdr.struct
class Amount:
    """How much of something."""

    value: xdr.UInt


#: What no other program has: streams in both directions, calls that wait, replies of any size.
FUZZ: Final = Program("fuzz", 0x46555A5A, 1)
SEND: Final = FUZZ.procedure(1, "SEND", Amount, Amount, stream=True)
TAKE: Final = FUZZ.procedure(2, "TAKE", Amount, Amount, stream=True)
WAIT: Final = FUZZ.procedure(3, "WAIT", Amount, Amount)
WAIT_URGENT: Final = FUZZ.procedure(4, "WAIT_URGENT", Amount, Amount, priority=True)
DESCRIPTORS: Final = FUZZ.procedure(5, "DESCRIPTORS", Amount, Amount, reply_fds=True)
OPEN: Final = FUZZ.procedure(6, "OPEN", Amount, Amount, needs_auth=False)
REFUSE: Final = FUZZ.procedure(7, "REFUSE", Amount, Amount)
GOOD_BYE: Final = FUZZ.procedure(8, "GOOD_BYE", Amount, Amount)
GIVEN: Final = FUZZ.procedure(9, "GIVEN", Amount, Amount, call_fds=True)
GIVEN_LATER: Final = FUZZ.procedure(10, "GIVEN_LATER", Amount, Amount, call_fds=True)

#: The most bytes that SEND's stream sends: more than a client may leave unread.
_SENT_MAX: Final = 40_000


class Stubs:
    """Handlers of all programs. gate: what waiting calls wait for."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self._null = os.open(os.devnull, os.O_RDONLY)

    def all(self) -> list[Handlers]:
        """One for each program but keepalive, which every connection answers itself."""
        return [
            self._own(),
            *(self._bound(program) for program in programs() if program is not KEEPALIVE),
        ]

    def _bound(self, program: Program) -> Handlers:
        bound = Handlers(program)
        for procedure in program:
            if not procedure.event:
                bound.bind(procedure, self._handler(procedure))
                _ = procedure.decode_args, procedure.encode_result  # compiled now: not a growth
        return bound

    def _handler(self, procedure: Procedure[Any, Any]) -> Callable[[Client, Any], Any]:
        result = full(procedure.result)
        if procedure.stream:
            return lambda client, args: WithStream(result, self._send)
        if procedure.reply_fds:
            return lambda client, args: WithFds(result, [os.dup(self._null)])
        if procedure.number % 3:
            return lambda client, args: result

        async def later(client: Client, args: Any) -> Any:
            await asyncio.sleep(0)
            return result

        return later

    def _own(self) -> Handlers:
        bound = Handlers(FUZZ)
        bound.bind(SEND, lambda client, args: WithStream(args, self._sender(args.value)))
        bound.bind(TAKE, lambda client, args: WithStream(args, self._take, receives=True))
        bound.bind(WAIT, self._wait)
        bound.bind(WAIT_URGENT, self._wait)
        bound.bind(DESCRIPTORS, self._descriptors)
        bound.bind(OPEN, lambda client, args: args)
        bound.bind(REFUSE, self._refuse)
        bound.bind(GOOD_BYE, self._good_bye)
        bound.bind(GIVEN, self._given)
        bound.bind(GIVEN_LATER, self._given_later)
        return bound

    async def _wait(self, client: Client, args: Amount) -> Amount:
        await self.gate.wait()
        return args

    async def _descriptors(self, client: Client, args: Amount) -> WithFds[Amount]:
        return WithFds(args, [os.dup(self._null) for _ in range(args.value % 33)])

    def _given(self, client: Client, call: CallWithFds[Amount]) -> Amount:
        for descriptor in call.descriptors:
            os.fstat(descriptor)
        call.close()
        return call.args

    async def _given_later(self, client: Client, call: CallWithFds[Amount]) -> Amount:
        try:
            await self.gate.wait()
        finally:
            self._given(client, call)
        return call.args

    def _refuse(self, client: Client, args: Amount) -> Amount:
        raise RpcError(args.value & 0x7FFFFFFF, "no\0", domain=args.value % 70)

    def _good_bye(self, client: Client, args: Amount) -> Amount:
        client.close_after_reply()
        return args

    def _sender(self, size: int) -> Callable[[Stream], Any]:
        async def serve(stream: Stream) -> None:
            if size % 7 == 6:
                raise RpcError(ErrorCode.OPERATION_FAILED, "this stream ends badly")
            if size % 7 == 5:
                await stream.send_hole(size)
            await stream.send(bytes(size % _SENT_MAX))

        return serve

    async def _send(self, stream: Stream) -> None:
        await stream.send(b"some data")
        await self.gate.wait()

    async def _take(self, stream: Stream) -> None:
        while await stream.receive() is not None:
            pass
