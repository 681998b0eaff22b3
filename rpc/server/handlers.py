"""Binding a program's procedures to the functions that serve them.

A handler is a plain function when it cannot block: it runs at once, on the loop. It is a coroutine
function when it may wait: it then takes a worker. That distinction is the whole scheduling model.

    class GreeterDispatch:
        @serves(protocol.GREET)
        def greet(self, client: Client, args: protocol.GreetArgs) -> protocol.GreetRet:
            return protocol.GreetRet(f"hello {args.name}")

    server.add_program(Handlers.of(GreeterDispatch()))

The flags of a call are checked before its handler runs, by the mask in the table. A handler that must
look at something else first says so, and checks them itself: `@serves(X, checks_flags=True)` and
`check_flags(X, args.flags)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar, overload

from aiovirt.rpc.server.answering import Answer, compile_answer
from aiovirt.rpc.server.counts import Tally
from aiovirt.rpc.server.refusals import check_flags
from aiovirt.rpc.transport.descriptors import close_all
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.message import MAX_FDS
from aiovirt.rpc.wire.program import Procedure, Program

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client
    from aiovirt.rpc.server.streams import Stream

ArgsT = TypeVar("ArgsT")
ResultT = TypeVar("ResultT")
SelfT = TypeVar("SelfT")

#: What `serves` leaves on a function.
_MARK: Final = "__serves__"


class WithFds(Generic[ResultT]):
    """A result that goes out with descriptors, from the handler of a procedure with `reply_fds`.

    result: what the table says; descriptors: at most 32, each sent as one byte after the reply. They
    belong to the reply from now on: it closes them when they are sent, or cannot be.
    """

    __slots__ = ("descriptors", "result")

    def __init__(self, result: ResultT, descriptors: Sequence[int]) -> None:
        if len(descriptors) > MAX_FDS:
            raise ValueError(f"a reply carries {MAX_FDS} descriptors, not {len(descriptors)}")
        self.result = result
        self.descriptors = tuple(descriptors)


class CallWithFds(Generic[ArgsT]):
    """Arguments that came with descriptors, for the handler of a procedure with `call_fds`.

    args: what the table says; descriptors: at most 32, perhaps none. They belong to the handler from
    now on, which closes those that it does not keep.
    """

    __slots__ = ("args", "descriptors")

    def __init__(self, args: ArgsT, descriptors: Sequence[int]) -> None:
        self.args = args
        self.descriptors = tuple(descriptors)

    def close(self) -> None:
        """Close all of the descriptors."""
        close_all(self.descriptors)
        self.descriptors = ()


class WithStream(Generic[ResultT]):
    """A result after which a stream begins, from the handler of a procedure with `stream`.

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


# Where a handler is written --------------------------------------------------------------------------


def serves(
    procedure: Procedure[ArgsT, ResultT], *, checks_flags: bool = False, repeats: bool = False
) -> _Serves[ArgsT, ResultT]:
    """Say of a method that it serves `procedure`.

    The method takes the client and what the table says of the arguments, and returns what the table
    says of the result; the types are checked against each other. It raises RpcError to refuse. One
    whose procedure has `reply_fds` returns WithFds, one whose procedure has `stream` WithStream; one
    whose procedure has `call_fds` takes CallWithFds.

    Args:
        procedure: what it serves. A method may serve several: decorate it several times.
        checks_flags: the method calls `check_flags` itself, since it looks at something else first.
        repeats: the same arguments come again and again. They are decoded once, so the method must
            not change them.
    """
    return _Serves(_Mark(procedure, checks_flags, repeats))


class _Mark(NamedTuple):
    procedure: Procedure[Any, Any]
    checks_flags: bool
    repeats: bool


class _Serves(Generic[ArgsT, ResultT]):
    """The decorator, with what a type checker needs to know of it."""

    def __init__(self, mark: _Mark) -> None:
        self._mark = mark

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a function that fits two of them does not exist
        self, handler: Callable[[SelfT, Client, ArgsT], ResultT]
    ) -> Callable[[SelfT, Client, ArgsT], ResultT]: ...
    @overload
    def __call__(
        self, handler: Callable[[SelfT, Client, ArgsT], Coroutine[Any, Any, ResultT]]
    ) -> Callable[[SelfT, Client, ArgsT], Coroutine[Any, Any, ResultT]]: ...
    @overload
    def __call__(
        self, handler: Callable[[SelfT, Client, ArgsT], WithFds[ResultT]]
    ) -> Callable[[SelfT, Client, ArgsT], WithFds[ResultT]]: ...
    @overload
    def __call__(
        self, handler: Callable[[SelfT, Client, ArgsT], Coroutine[Any, Any, WithFds[ResultT]]]
    ) -> Callable[[SelfT, Client, ArgsT], Coroutine[Any, Any, WithFds[ResultT]]]: ...
    @overload
    def __call__(
        self, handler: Callable[[SelfT, Client, ArgsT], WithStream[ResultT]]
    ) -> Callable[[SelfT, Client, ArgsT], WithStream[ResultT]]: ...
    @overload
    def __call__(
        self, handler: Callable[[SelfT, Client, ArgsT], Coroutine[Any, Any, WithStream[ResultT]]]
    ) -> Callable[[SelfT, Client, ArgsT], Coroutine[Any, Any, WithStream[ResultT]]]: ...
    @overload
    def __call__(
        self, handler: Callable[[SelfT, Client, CallWithFds[ArgsT]], ResultT]
    ) -> Callable[[SelfT, Client, CallWithFds[ArgsT]], ResultT]: ...
    @overload
    def __call__(
        self,
        handler: Callable[[SelfT, Client, CallWithFds[ArgsT]], Coroutine[Any, Any, ResultT]],
    ) -> Callable[[SelfT, Client, CallWithFds[ArgsT]], Coroutine[Any, Any, ResultT]]: ...

    def __call__(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        setattr(handler, _MARK, (*getattr(handler, _MARK, ()), self._mark))
        return handler


class Handlers:
    """The handlers of one program, ready to be added to any number of servers.

    domain_of: the domain of the error for a procedure that the table has and nobody serves.
    """

    def __init__(
        self, program: Program, domain_of: Callable[[Procedure[Any, Any]], int] | None = None
    ) -> None:
        self.program = program
        self.domain_of = domain_of or (lambda procedure: procedure.program.domain)
        self._bound: dict[Procedure[Any, Any], tuple[Callable[..., Any], bool, bool]] = {}

    @classmethod
    def of(
        cls, *dispatches: object, domain_of: Callable[[Procedure[Any, Any]], int] | None = None
    ) -> Handlers:
        """Collect the methods of `dispatches` that say what they serve.

        Inherited methods count, and so does one that overrides such a method.

        Raises:
            ValueError: two methods serve one procedure, or procedures of two programs are served, or
                none.
        """
        made: Handlers | None = None
        for dispatch in dispatches:
            for name, mark in _marks(type(dispatch)):
                if made is None:
                    made = cls(mark.procedure.program, domain_of)
                made.bind(
                    mark.procedure,
                    getattr(dispatch, name),
                    checks_flags=mark.checks_flags,
                    repeats=mark.repeats,
                )
        if made is None:
            names = ", ".join(type(dispatch).__name__ for dispatch in dispatches)
            raise ValueError(f"{names or 'nothing'}: no method is decorated with @serves")
        return made

    def bind(
        self,
        procedure: Procedure[ArgsT, ResultT],
        handler: Callable[[Client, ArgsT], ResultT]
        | Callable[[Client, ArgsT], Coroutine[Any, Any, ResultT]]
        | Callable[[Client, ArgsT], WithFds[ResultT]]
        | Callable[[Client, ArgsT], Coroutine[Any, Any, WithFds[ResultT]]]
        | Callable[[Client, ArgsT], WithStream[ResultT]]
        | Callable[[Client, ArgsT], Coroutine[Any, Any, WithStream[ResultT]]]
        | Callable[[Client, CallWithFds[ArgsT]], ResultT]
        | Callable[[Client, CallWithFds[ArgsT]], Coroutine[Any, Any, ResultT]],
        *,
        checks_flags: bool = False,
        repeats: bool = False,
    ) -> None:
        """Serve `procedure` by `handler(client, args)`, which need not be a method; see `serves`.

        Raises ValueError for another program's procedure, for an event, for one that has a handler.
        """
        if procedure.program is not self.program:
            raise ValueError(
                f"{_name(handler)} serves {procedure!r}, which does not belong to {self.program!r}"
            )
        if procedure.event:
            raise ValueError(f"{_name(handler)} serves {procedure!r}, an event: nobody calls it")
        if procedure in self._bound:
            other, *_ = self._bound[procedure]
            raise ValueError(f"{procedure!r} is served by {_name(other)} and {_name(handler)}")
        self._bound[procedure] = handler, checks_flags, repeats

    def bindings(self) -> Iterator[Binding]:
        """New bindings of all the procedures, for one server."""
        for procedure, (handler, checks_flags, repeats) in self._bound.items():
            yield Binding(procedure, handler, checks_flags=checks_flags, repeats=repeats)


def _marks(cls: type) -> Iterator[tuple[str, _Mark]]:
    """Names of methods with what they serve, from the class and those that it inherits from."""
    seen: set[tuple[str, Procedure[Any, Any]]] = set()
    for owner in cls.__mro__:
        for name, method in vars(owner).items():
            for mark in getattr(method, _MARK, ()):
                if (name, mark.procedure) not in seen:
                    seen.add((name, mark.procedure))
                    yield name, mark


def _name(handler: Callable[..., Any]) -> str:
    return getattr(handler, "__qualname__", repr(handler))


class Binding(Tally):
    """One procedure with its handler on one server, flattened for the dispatcher."""

    __slots__ = (
        "answer",
        "decode",
        "direct",
        "encode",
        "handler",
        "inline",
        "needs_auth",
        "priority",
        "procedure",
        "reads",
        "repeats",
    )

    answer: Answer
    decode: Callable[[Any, int, int], tuple[Any, int]]
    encode: Callable[[Any], bytes]

    def __init__(
        self,
        procedure: Procedure[Any, Any],
        handler: Callable[..., Any],
        *,
        checks_flags: bool = False,
        repeats: bool = False,
    ) -> None:
        super().__init__()
        self.procedure = procedure
        self.repeats = repeats
        self.priority = procedure.priority
        self.needs_auth = procedure.needs_auth
        self.reads = procedure.reads
        self.serve_with(handler)
        if procedure.flags is not None and not checks_flags:
            self.handler = _flags_checked(procedure, procedure.flags, handler)
        # Codecs are compiled by the first call: a program has hundreds of procedures.
        self.decode = self._first_decode
        self.encode = self._first_encode

    def serve_with(self, handler: Callable[..., Any]) -> None:
        """Have a function serve the procedure, from the next call on; it checks the flags itself."""
        procedure = self.procedure
        self.handler = handler
        self.inline = not inspect.iscoroutinefunction(handler)
        # Whether it is fit for the hot path.
        self.direct = self.inline and not (
            procedure.call_fds or procedure.reply_fds or procedure.stream
        )
        self.answer = self._first_answer

    def _first_answer(self, client: Any, serial: int, data: Any, pos: int, end: int) -> bytes:
        self.answer = compile_answer(self.procedure, self.handler, repeats=self.repeats)
        return self.answer(client, serial, data, pos, end)

    def _first_decode(self, data: Any, pos: int, end: int) -> tuple[Any, int]:
        self.decode = self.procedure.decode_args
        return self.decode(data, pos, end)

    def _first_encode(self, result: Any) -> bytes:
        self.encode = self.procedure.encode_result
        return self.encode(result)


def _flags_checked(
    procedure: Procedure[Any, Any], supported: int, handler: Callable[..., Any]
) -> Callable[..., Any]:
    """The handler, with the call's flags looked at before it runs."""
    if "flags" not in xdr.names_of(procedure.args):
        raise ValueError(f"{procedure!r} declares flags, but its arguments have none")
    unsupported = ~supported

    def checked(client: Client, args: Any) -> Any:
        if args.flags & unsupported:
            check_flags(procedure, args.flags)
        return handler(client, args)

    def checked_with_fds(client: Client, call: CallWithFds[Any]) -> Any:
        if call.args.flags & unsupported:
            call.close()
            check_flags(procedure, call.args.flags)
        return handler(client, call)

    return checked_with_fds if procedure.call_fds else checked
