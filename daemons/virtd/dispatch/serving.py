"""How calls reach a host: the session of a client, and the decorator of the functions that serve it.

    class Lifecycle(Part):
        @answers(protocol.DOMAIN_CREATE)
        def create(self, session: Session, args: protocol.DomainArgs) -> None:
            ...

Every procedure needs an opened driver, and a driver has no procedures but its own: both are looked at
before the function is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

from aiovirt.daemons.virtd.dispatch import read_only
from aiovirt.daemons.virtd.domains import unsupported_domain
from aiovirt.rpc.server import Client, ClientState
from aiovirt.rpc.server.refusals import unsupported
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.dispatch.subscriptions import Subscriptions
    from aiovirt.daemons.virtd.host.host import Host
    from aiovirt.rpc.server import CallWithFds, Handlers, WithFds, WithStream
    from aiovirt.rpc.wire.program import Procedure

ArgsT = TypeVar("ArgsT")
ResultT = TypeVar("ResultT")
SelfT = TypeVar("SelfT")

#: What `answers` leaves on a function.
_MARK: Final = "__answers__"


class Session:
    """A client that has opened a driver.

    uri: of the driver, as libvirt writes it; host: what it opened; subscriptions: the events it wants.
    """

    __slots__ = ("client", "host", "subscriptions", "uri")

    def __init__(self, client: Client, host: Host, uri: str) -> None:
        self.client = client
        self.host = host
        self.uri = uri
        self.subscriptions: Subscriptions | None = None


#: The session of a client; a client has none before CONNECT_OPEN.
SESSION: Final = ClientState[Session]("driver session")


def opened(client: Client) -> Session:
    """Return a client's session. Raises RpcError INTERNAL_ERROR before CONNECT_OPEN."""
    found = SESSION.get(client)
    if found is None:
        raise RpcError(ErrorCode.INTERNAL_ERROR, "hypervisor connection not open")
    return found


class _Answers(Generic[ArgsT, ResultT]):
    """The decorator, with what a type checker needs to know of it."""

    def __init__(self, procedure: Procedure[ArgsT, ResultT]) -> None:
        self._procedure = procedure

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a function that fits two of them does not exist
        self, handler: Callable[[SelfT, Session, ArgsT], ResultT]
    ) -> Callable[[SelfT, Session, ArgsT], ResultT]: ...
    @overload
    def __call__(
        self, handler: Callable[[SelfT, Session, ArgsT], Coroutine[Any, Any, ResultT]]
    ) -> Callable[[SelfT, Session, ArgsT], Coroutine[Any, Any, ResultT]]: ...
    @overload
    def __call__(
        self, handler: Callable[[SelfT, Session, ArgsT], WithStream[ResultT]]
    ) -> Callable[[SelfT, Session, ArgsT], WithStream[ResultT]]: ...
    @overload
    def __call__(
        self, handler: Callable[[SelfT, Session, ArgsT], Coroutine[Any, Any, WithStream[ResultT]]]
    ) -> Callable[[SelfT, Session, ArgsT], Coroutine[Any, Any, WithStream[ResultT]]]: ...
    @overload
    def __call__(
        self, handler: Callable[[SelfT, Session, CallWithFds[ArgsT]], ResultT]
    ) -> Callable[[SelfT, Session, CallWithFds[ArgsT]], ResultT]: ...
    @overload
    def __call__(
        self, handler: Callable[[SelfT, Session, ArgsT], WithFds[ResultT]]
    ) -> Callable[[SelfT, Session, ArgsT], WithFds[ResultT]]: ...
    @overload
    def __call__(
        self, handler: Callable[[SelfT, Session, CallWithFds[ArgsT]], WithFds[ResultT]]
    ) -> Callable[[SelfT, Session, CallWithFds[ArgsT]], WithFds[ResultT]]: ...

    def __call__(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        setattr(handler, _MARK, (*getattr(handler, _MARK, ()), self._procedure))
        return handler


def answers(procedure: Procedure[ArgsT, ResultT]) -> _Answers[ArgsT, ResultT]:
    """Say of a method of a part that it serves `procedure` for clients that have opened a driver.

    The method takes the session and the arguments, and returns the result; as for `serves`, a plain
    function runs at once and a coroutine function takes a worker. A method may serve several procedures.
    """
    return _Answers(procedure)


def bind(handlers: Handlers, parts: Iterable[object]) -> None:
    """Add what the methods of the parts serve. Raises ValueError when two serve one procedure."""
    for part in parts:
        for name, procedure in _marks(type(part)):
            handlers.bind(procedure, _guarded(procedure, getattr(part, name)))


def served(parts: Iterable[type]) -> Iterator[Procedure[Any, Any]]:
    """Give the procedures that these classes serve."""
    for part in parts:
        for _, procedure in _marks(part):
            yield procedure


def _marks(cls: type) -> Iterator[tuple[str, Procedure[Any, Any]]]:
    methods = {
        name: found for owner in reversed(cls.__mro__) for name, found in vars(owner).items()
    }
    for name, method in methods.items():
        for procedure in getattr(method, _MARK, ()):
            yield name, procedure


def _guarded(procedure: Procedure[Any, Any], handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler for a client, after its session and its driver have been looked at."""
    function = procedure.function
    get = SESSION.get

    def session_of(client: Client) -> Session:
        session = get(client)
        if session is None:
            raise RpcError(ErrorCode.INTERNAL_ERROR, "hypervisor connection not open")
        functions = session.host.flavour.functions
        if functions is not None and function not in functions:
            raise unsupported(procedure, unsupported_domain(procedure))
        return session

    if inspect.iscoroutinefunction(handler):

        async def later(client: Client, args: Any) -> Any:
            return await handler(session_of(client), args)

        return later

    def at_once(client: Client, args: Any) -> Any:
        return handler(session_of(client), args)

    def limited(client: Client, args: Any) -> Any:
        if client.readonly and get(client) is not None:  # before the driver is asked
            read_only.check(procedure, args)
        return handler(session_of(client), args)

    def with_descriptors(client: Client, call: CallWithFds[Any]) -> Any:
        try:
            session = session_of(client)
        except RpcError:
            call.close()
            raise
        return handler(session, call)

    if procedure in read_only.LIMITS:
        return limited
    return with_descriptors if procedure.call_fds else at_once


def waiting(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return a handler whose calls wait for the emulators of guests (see `host.emulators`).

    Args:
        handler: a plain function, as `bind` binds it.
    """

    async def attempt(client: Client, args: Any) -> Any:
        emulators = opened(client).host.emulators
        return await emulators.attempt(partial(handler, client, args))

    return attempt
