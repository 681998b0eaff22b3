"""A call that did not end at once: it waits for a worker, or holds one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiovirt.rpc.server import counts, replies
from aiovirt.rpc.server.handlers import CallWithFds
from aiovirt.rpc.server.workers import NOWHERE
from aiovirt.rpc.transport.outgoing import discard
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client
    from aiovirt.rpc.server.handlers import Binding


class Call:
    """One call of one client between its arrival and its reply.

    args: what the table says, or CallWithFds, whose descriptors are closed here unless the handler
    begins; size: the bytes of the call; started: when it came, by
    the clock `counts.now`.
    """

    __slots__ = (
        "_args",
        "_over",
        "_size",
        "_task",
        "binding",
        "client",
        "place",
        "priority",
        "serial",
        "started",
    )

    def __init__(
        self, client: Client, binding: Binding, serial: int, args: Any, size: int, started: float
    ) -> None:
        self.client = client
        self.binding = binding
        self.serial = serial
        self.priority = binding.priority
        self.place = NOWHERE
        self._args = args
        self._size = size
        self.started = started
        self._task: asyncio.Task[None] | None = None
        self._over = False  # it is answered, or nobody is left to be answered

    def start(self) -> None:
        """Run it, since a worker is free for it (the pool calls this)."""
        if self.binding.inline:
            args = self._taken_args()
            self._finish(replies.run_inline(self.client, self.binding, self.serial, args))
        else:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def _taken_args(self) -> Any:
        """The arguments, which are the handler's from now on."""
        args, self._args = self._args, None
        return args

    async def _run(self) -> None:
        client = self.client
        try:
            result = await self.binding.handler(client, self._taken_args())
            reply = replies.reply(self.binding, self.serial, result)
        except asyncio.CancelledError:
            if self._over:
                return  # `abandon` or `abort` has done the rest
            error = RpcError(ErrorCode.OPERATION_ABORTED, "the call was cancelled while it ran")
            reply = replies.error_reply(client, self.binding.procedure.key, self.serial, error)
        except Exception as error:
            reply = replies.failure_reply(client, self.binding, self.serial, error)
        self._finish(reply)

    def _finish(self, reply: bytes) -> None:
        if self._over:
            discard(reply)
            return
        self._over = True
        client = self.client
        key = self.binding.procedure.key
        counts.answered(client, key, self.serial, self._size, reply, self.started)
        client.call_done(self, reply)
        client.server.workers.release(self)

    @property
    def is_over(self) -> bool:
        """Whether it is answered, or its client is gone."""
        return self._over

    def input_ended(self) -> None:
        """Note that nothing more comes from its client; its work is done all the same."""

    def abandon(self) -> None:
        """Free the worker at once and stop the work, without a reply: the client is gone."""
        self._over = True
        self.client.server.workers.release(self)
        if self._task is not None:
            self._task.cancel()
        self.drop()

    def drop(self) -> None:
        """End it unanswered: its client is gone."""
        self._over = True
        self._close_descriptors()
        key = self.binding.procedure.key
        counts.abandoned(self.client, key, self.serial, self._size, self.started)

    def abort(self, error: RpcError) -> None:
        """Answer with `error` now and stop the work, whether it has begun, and heeds it, or not."""
        key = self.binding.procedure.key
        self._finish(replies.error_reply(self.client, key, self.serial, error))
        if self._task is not None:
            self._task.cancel()
        self._close_descriptors()

    def _close_descriptors(self) -> None:
        """Close the descriptors of a call whose handler has not begun, and never will."""
        if isinstance(self._args, CallWithFds):
            self._taken_args().close()
