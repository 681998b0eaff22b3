"""Binding a program's procedures to the functions that serve them.

A handler is a plain function when it cannot block: it runs at once, on the loop. It is a coroutine
function when it may wait: it then takes a worker. That distinction is the whole scheduling model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aiovirt.rpc.wire.message import MAX_FDS
from aiovirt.rpc.wire.program import Procedure, Program

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client
    from aiovirt.rpc.server.streams import Stream

ArgsT = TypeVar("ArgsT")
ResultT = TypeVar("ResultT")


class WithFds(Generic[ResultT]):
    """A result that goes out with descriptors, from the handler of a procedure with `reply_fds`.

    result: what the table says; descriptors: at most 32, each sent as one byte behind the reply. They
    belong to the reply from now on: it closes them when they are sent, or cannot be.
    """

    __slots__ = ("descriptors", "result")

    def __init__(self, result: ResultT, descriptors: Sequence[int]) -> None:
        if len(descriptors) > MAX_FDS:
            raise ValueError(f"a reply carries {MAX_FDS} descriptors, not {len(descriptors)}")
        self.result = result
        self.descriptors = tuple(descriptors)


class WithStream(Generic[ResultT]):
    """A result behind which a stream begins, from the handler of a procedure with `stream`.

    result: what the table says, sent first. serve: called with the stream; it runs as a task of its own
    and holds no worker. When it returns, the stream ends in good order; what it raises ends the stream
    with that error. It is cancelled when the client aborts or goes, and, unless it `receives`, when
    the client finishes.
    """

    __slots__ = ("receives", "result", "serve")

    def __init__(
        self,
        result: ResultT,
        serve: Callable[[Stream], Coroutine[Any, Any, None]],
        *,
        receives: bool = False,
    ) -> None:
        self.result = result
        self.serve = serve
        self.receives = receives


class Binding:
    """One procedure with its handler, flattened for the dispatcher."""

    __slots__ = (
        "decode",
        "direct",
        "encode",
        "handler",
        "inline",
        "needs_auth",
        "priority",
        "procedure",
        "reads",
    )

    def __init__(self, procedure: Procedure[Any, Any], handler: Callable[..., Any]) -> None:
        self.procedure = procedure
        self.handler = handler
        self.inline = not inspect.iscoroutinefunction(handler)
        # Whether it is fit for the hot path.
        self.direct = self.inline and not procedure.reply_fds and not procedure.stream
        self.priority = procedure.priority
        self.needs_auth = procedure.needs_auth
        self.reads = procedure.reads
        self.decode = procedure.decode_args
        self.encode = procedure.encode_result


class Handlers:
    """The handlers of one program, ready to be added to a server.

    handlers = Handlers(ADMIN)
    handlers.bind(CONNECT_OPEN, connect_open)
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._bindings: dict[bytes, Binding] = {}

    def bind(
        self,
        procedure: Procedure[ArgsT, ResultT],
        handler: Callable[[Client, ArgsT], ResultT]
        | Callable[[Client, ArgsT], Coroutine[Any, Any, ResultT]]
        | Callable[[Client, ArgsT], WithFds[ResultT]]
        | Callable[[Client, ArgsT], Coroutine[Any, Any, WithFds[ResultT]]]
        | Callable[[Client, ArgsT], WithStream[ResultT]]
        | Callable[[Client, ArgsT], Coroutine[Any, Any, WithStream[ResultT]]],
    ) -> None:
        """Serve `procedure` by `handler(client, args)`.

        A handler raises RpcError to refuse; one whose procedure has `reply_fds` returns WithFds, one
        whose procedure has `stream` WithStream.
        Raises ValueError for another program's procedure or one that is bound already.
        """
        if procedure.program is not self.program:
            raise ValueError(f"{procedure!r} does not belong to {self.program!r}")
        if procedure.key in self._bindings:
            raise ValueError(f"{procedure!r} has a handler already")
        self._bindings[procedure.key] = Binding(procedure, handler)

    def __iter__(self) -> Iterator[tuple[bytes, Binding]]:
        return iter(self._bindings.items())
