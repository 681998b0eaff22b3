"""What a program knows of each client, kept where it ends together with the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client

T = TypeVar("T")

#: The state of a client of which nothing is known: shared by all such clients, never written to.
NO_STATE: Final[dict[ClientState[Any], Any]] = {}


class ClientState(Generic[T]):
    """A place on every client for one thing that a program knows of it.

    Declared once, as a constant; `name` is for people who read a debugger's output. What is in it goes
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
        """What is known of `client`, or None."""
        found: T | None = client.state.get(self)  # no cast: locks are taken through here
        return found

    def set(self, client: Client, value: T) -> T:
        """Keep `value` for `client`, instead of what was kept before, and return it."""
        if client.state is NO_STATE:
            client.state = {}
        client.state[self] = value
        return value

    def pop(self, client: Client) -> T | None:
        """Forget what is known of `client`, and return it, or None."""
        found: T | None = client.state.pop(self, None)
        return found
