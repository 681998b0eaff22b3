"""What makes a daemon this daemon and not another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.instance import Start
    from aiovirt.daemons.runtime.settings.declaration import Value
    from aiovirt.rpc.security.identity import PeerIdentity
    from aiovirt.rpc.server import Daemon, Server
    from aiovirt.rpc.server.restart import Keep


class Own(Protocol):
    """What a daemon has of its own, beside servers.

    state_type: the msgspec type of what `save` writes down and `restore` reads at a restart.
    """

    @property
    def state_type(self) -> type: ...

    def start(self) -> None:
        """Begin, before the first client comes; not after a restart. Raises OSError, ValueError."""

    def apply(self, changes: Mapping[str, Value]) -> None:
        """Take changed settings: those that are declared as `Live("own", ...)`."""

    async def pause(self) -> None:
        """Stop, so that what there is can be written down. Raises TimeoutError; then it goes on."""

    def resume(self) -> None:
        """The counterpart of `pause`."""

    def save(self, keep: Keep) -> object:
        """Write everything down. keep: called with each descriptor that has to survive."""

    def restore(self, state: Any) -> None:
        """Go on from what an earlier program wrote down."""


def no_programs(daemon: Daemon, main: Server, admin: Server, start: Start) -> Own | None:
    """A daemon that serves nothing of its own yet; its admin server works all the same."""
    return None


@dataclass(frozen=True, slots=True)
class DaemonKind:
    """The declaration of one daemon, in its package's `__init__`.

    `name` names the process, its server, its sockets, its files and its settings; `title` describes
    it in `--help`. `programs(daemon, main, admin, start)` adds to the daemon's own server what it
    serves, and to the admin server what administers that; it is called once, before any socket
    exists, and may import what it needs. `admit` decides who may connect to its own UNIX
    socket; None leaves that to the socket's permissions.
    """

    name: str
    title: str
    programs: Callable[[Daemon, Server, Server, Start], Own | None] = no_programs
    admit: Callable[[PeerIdentity], bool] | None = None
