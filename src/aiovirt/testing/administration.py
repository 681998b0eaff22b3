"""The administration of a daemon under test, by functions that return the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar

from aiovirt.testing.blocking import run_apart

if TYPE_CHECKING:
    from datetime import datetime

    from aiovirt.admin import client
    from aiovirt.daemons.virtd.admin_client import ClockInfo, WorldAdmin
    from aiovirt.daemons.virtd.faults.client import FaultAdmin, RuleInfo
    from aiovirt.daemons.virtd.faults.rules import Rule

_T = TypeVar("_T")


class Admin:
    """The admin socket of a daemon.

    uri: for `virtadm -c` and `virt-admin -c`. Errors, from every call: those of `admin.client`.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def __repr__(self) -> str:
        return f"<Admin {self.uri}>"

    def connect(self) -> client.connect:
        """Connect for asyncio: `async with virtd.admin.connect() as connection:`."""
        from aiovirt.admin.client import connect

        return connect(self.uri)

    def run(self, function: Callable[[client.Connection], Awaitable[_T]]) -> _T:
        """Call a function with a connection, and return its result when it is there.

        Without asyncio: `virtd.admin.run(lambda connection: connection.list_servers())`.

        Args:
            function: gets the connection, and returns an awaitable.
        """

        async def connected() -> _T:
            async with self.connect() as connection:
                return await function(connection)

        return run_apart(connected())


class World:
    """The worlds and clocks of a virtd. A host is "test" or "qemu"; "" is for all of them.

    Every function returns when it is done. The same for asyncio: `daemons.virtd.admin_client`.
    """

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def load(self, world: str | PathLike[str]) -> list[str]:
        """Replace the worlds of hosts, and return the names of these.

        Args:
            world: a text in XML, TOML or JSON (see docs/virtd.md), or the path of a file, as a `Path`.

        Raises:
            RpcError: the world is refused, and nothing has changed.
        """
        text = world if isinstance(world, str) else _read(world)
        return self._run(lambda worlds: worlds.load(text))

    def save(self, host: str = "") -> str:
        """Return the world of a host as a JSON document, for `load`."""
        return self._run(lambda worlds: worlds.save(host))

    def reset(self, host: str = "") -> list[str]:
        """Return a host to the world and the time that it began with; the names of the hosts."""
        return self._run(lambda worlds: worlds.reset(host))

    def clocks(self) -> list[ClockInfo]:
        """Return the clocks of all hosts."""
        return self._run(lambda worlds: worlds.clocks())

    def set_clock(
        self, host: str = "", *, now: int | datetime | None = None, rate: float | None = None
    ) -> None:
        """Change the clock of a host.

        Args:
            host: its name.
            now: the new time of day, in nanoseconds since the epoch, or as a datetime (local time
                without a timezone); None leaves it.
            rate: seconds of the host in one second, 0 to stop; None leaves it.

        Raises:
            RpcError: there is no such host, or a number is out of range.
        """
        self._run(lambda worlds: worlds.set_clock(host, now=now, rate=rate))

    def _run(self, function: Callable[[WorldAdmin], Awaitable[_T]]) -> _T:
        from aiovirt.daemons.virtd.admin_client import WorldAdmin

        return self._admin.run(lambda connection: function(WorldAdmin(connection)))


class Blocking:
    """A client module of the asyncio API, each of whose functions returns when it is done."""

    def __init__(self, admin: Admin, client: Callable[[Any], Any]) -> None:
        """Wrap it.

        Args:
            admin: of the daemon.
            client: makes the asyncio object from a connection.
        """
        self._admin = admin
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or not hasattr(self._client, name):
            raise AttributeError(
                f"{getattr(self._client, '__name__', self._client)} has no {name!r}"
            )

        def call(*arguments: Any, **named: Any) -> Any:
            return self._admin.run(
                lambda connection: getattr(self._client(connection), name)(*arguments, **named)
            )

        call.__name__ = name
        return call

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._client) if not name.startswith("_")]


class Faults:
    """Failures of a virtd on command, by functions that return when the work is done.

    The same for asyncio: `daemons.virtd.faults.client`. Errors, from every function: RpcError.
    """

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def add(self, action: str | Rule, procedure: str = "*", **fields: Any) -> int:
        """Add a rule and return its id: `virtd.faults.add("error", "DOMAIN_CREATE*", code=2, times=1)`.

        Args:
            action: its name, or a whole rule.
            procedure: the calls or events that it is for, a name or a glob.
            fields: the others of `daemons.virtd.faults.rules.Rule`; `code` and `domain` may be names of
                libvirt's, with or without prefix: "NO_MEMORY", "VIR_FROM_QEMU".

        Raises:
            ValueError: an action or a name does not exist, or a value is out of range.
            TypeError: a rule has no such field.
            RpcError: the rule contradicts itself.
        """
        from aiovirt.daemons.virtd.faults import naming
        from aiovirt.daemons.virtd.faults.rules import Action, Rule

        for key, number in (("code", naming.code), ("domain", naming.domain)):
            if isinstance(fields.get(key), str):
                fields[key] = number(fields[key])
        rule = action if isinstance(action, Rule) else Rule(Action.of(action), procedure, **fields)
        return self._run(lambda faults: faults.add(rule))

    def list(self) -> list[RuleInfo]:
        """Return the rules with their counts, in the order in which they are asked."""
        return self._run(lambda faults: faults.list())

    def remove(self, rule: int) -> None:
        """Remove a rule by its id, and let go the calls that it holds."""
        self._run(lambda faults: faults.remove(rule))

    def clear(self) -> None:
        """Remove all rules, and let go the calls that they hold."""
        self._run(lambda faults: faults.clear())

    def wait(self, rule: int, strikes: int = 1, timeout: float = 0.0) -> None:
        """Wait until a rule has struck.

        Args:
            rule: its id.
            strikes: how often it has to have struck since it was added.
            timeout: seconds to wait at most; 0 without end.

        Raises:
            RpcError: OPERATION_TIMEOUT, or there is no such rule.
        """
        self._run(lambda faults: faults.wait(rule, strikes, timeout))

    def inject(self, guest: str, event: str, host: str = "", /, **values: Any) -> None:
        """Let an event happen to a guest: `virtd.faults.inject("web", "io-error", disk="vda")`.

        Args:
            guest: the name of the domain.
            event: its name; docs/faults.md lists them.
            host: its driver; empty for the one that has the guest.
            values: of the event; `return_` for the value `return`.

        Raises:
            RpcError: the event or a value does not exist, or it cannot happen to this guest now.
        """
        self._run(lambda faults: faults.inject(guest, event, host, **values))

    def _run(self, function: Callable[[FaultAdmin], Awaitable[_T]]) -> _T:
        from aiovirt.daemons.virtd.faults.client import FaultAdmin

        return self._admin.run(lambda connection: function(FaultAdmin(connection)))


def _read(path: PathLike[str]) -> str:
    from aiovirt.daemons.virtd.host.world_file import read

    return read(str(path))
