"""The state that a program keeps for each client; it ends together with the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client

T = TypeVar("T")

#: The state of a client without any: shared by all such clients, and never written to.
NO_STATE: Final[dict[ClientState[Any], Any]] = {}


class ClientState(Generic[T]):
    """A place on every client for one thing that a program knows of it.

    It is declared once, as a constant; `name` is for people who read a debugger's output. The value goes
    with the client, after the functions in `Server.on_client_gone` have been called.

        _SESSION: Final = ClientState[LockSession]("lockd session")
        _SESSION.set(client, LockSession(pid))
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<ClientState {self.name}>"

    def get(self, client: Client) -> T | None:
        """Return the value for `client`, or None."""
        found: T | None = client.state.get(self)  # no cast: locks are taken through here
        return found

    def set(self, client: Client, value: T) -> T:
        """Keep `value` for `client`, in the place of any earlier one, and return it."""
        if client.state is NO_STATE:
            client.state = {}
        client.state[self] = value
        return value

    def pop(self, client: Client) -> T | None:
        """Forget the value for `client`, and return it, or None."""
        found: T | None = client.state.pop(self, None)
        return found
