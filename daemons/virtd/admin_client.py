"""The client side of virtd's administration.

    async with admin.client.connect("virtd:///system") as connection:
        worlds = WorldAdmin(connection)
        text = await worlds.save()
        await worlds.set_clock(rate=60.0)
        await worlds.load(text)

Errors, from every call: those of `admin.client`; MissingProgram when the daemon is no virtd.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from aiovirt.admin.client import Connection
from aiovirt.daemons.virtd import admin_protocol as protocol
from aiovirt.daemons.virtd.admin_protocol import ClockInfo
from aiovirt.rpc.wire.program import Procedure

__all__ = ["ClockInfo", "WorldAdmin"]

_ArgsT = TypeVar("_ArgsT")
_ResultT = TypeVar("_ResultT")


_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def _nanoseconds(moment: datetime) -> int:
    return (moment.astimezone() - _EPOCH) // timedelta(microseconds=1) * 1000


class WorldAdmin:
    """The worlds and clocks of a virtd, over an admin connection that was opened by
    `admin.client.connect`. A host is named by its driver: "test" or "qemu"; an empty name is for all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def load(self, world: str) -> list[str]:
        """Replace the worlds of hosts, and return the names of these.

        Args:
            world: XML, TOML or what `save` returned, without references to files.

        Raises:
            RpcError: INVALID_ARG, or libvirt's error for a document in it.
        """
        answer = await self._call(protocol.WORLD_LOAD, protocol.LoadArgs(world, flags=0))
        return answer.hosts

    async def save(self, host: str = "") -> str:
        """Return the world of a host as a JSON document, for `load`."""
        answer = await self._call(protocol.WORLD_SAVE, protocol.HostArgs(host, flags=0))
        return answer.world

    async def reset(self, host: str = "") -> list[str]:
        """Return a host to the world that it began with. Returns the names of the hosts."""
        answer = await self._call(protocol.WORLD_RESET, protocol.HostArgs(host, flags=0))
        return answer.hosts

    async def clocks(self) -> list[ClockInfo]:
        """The clocks of all hosts."""
        return (await self._call(protocol.CLOCK_LIST, protocol.ClockListArgs(flags=0))).clocks

    async def set_clock(
        self, host: str = "", *, now: int | datetime | None = None, rate: float | None = None
    ) -> None:
        """Change the clock of a host.

        Args:
            host: its name.
            now: the new time of day, in nanoseconds since the epoch, or as a datetime (local time
                without a timezone); None leaves it.
            rate: seconds of the host in one second, 0 to stop; None leaves it.

        Raises:
            RpcError: INVALID_ARG for a host that does not exist, a time or a rate out of range.
        """
        moment = _nanoseconds(now) if isinstance(now, datetime) else now
        args = protocol.ClockSetArgs(host, moment, rate, flags=0)
        await self._call(protocol.CLOCK_SET, args)

    async def _call(self, procedure: Procedure[_ArgsT, _ResultT], args: _ArgsT) -> _ResultT:
        with self._connection.needing(protocol.VIRT_ADMIN, "virtd"):
            return await self._connection.call(procedure, args)
