"""virtd's administration: worlds and clocks of its hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiovirt.daemons.virtd import admin_protocol as protocol
from aiovirt.daemons.virtd.host import worlds
from aiovirt.daemons.virtd.host.world_file import WorldError
from aiovirt.rpc.server import Client, Handlers, Server, serves
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host


class WorldAdminDispatch:
    """Serves the administration program for hosts. hosts: by the name of their driver."""

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self._hosts = hosts

    def serve_on(self, server: Server, *others: object) -> None:
        """Add the program to the admin server.

        Args:
            server: the admin server.
            others: what serves the rest of the program.
        """
        server.add_program(Handlers.of(self, *others))

    @serves(protocol.WORLD_LOAD)
    def load(self, client: Client, args: protocol.LoadArgs) -> protocol.HostsRet:
        try:
            return protocol.HostsRet(worlds.load(self._hosts, args.world))
        except WorldError as error:
            raise _invalid(str(error)) from error

    @serves(protocol.WORLD_SAVE)
    def save(self, client: Client, args: protocol.HostArgs) -> protocol.SaveRet:
        text = worlds.save(self._named(args.host))
        size = len(text.encode())
        if size > protocol.WORLD_MAX:
            raise RpcError(
                ErrorCode.OPERATION_FAILED,
                f"the world has {size} bytes, and at most {protocol.WORLD_MAX} can be sent",
                domain=ErrorDomain.CONF,
            )
        return protocol.SaveRet(text)

    @serves(protocol.WORLD_RESET)
    def reset(self, client: Client, args: protocol.HostArgs) -> protocol.HostsRet:
        hosts = self._named(args.host)
        try:
            worlds.reset(hosts)
        except WorldError as error:
            raise _invalid(str(error)) from error
        return protocol.HostsRet([one.name for one in hosts])

    @serves(protocol.CLOCK_LIST)
    def clocks(self, client: Client, args: protocol.ClockListArgs) -> protocol.ClockListRet:
        return protocol.ClockListRet(
            [
                protocol.ClockInfo(name, host.clock.now(), host.clock.rate)
                for name, host in self._hosts.items()
            ]
        )

    @serves(protocol.CLOCK_SET)
    def set_clock(self, client: Client, args: protocol.ClockSetArgs) -> None:
        for host in self._named(args.host):
            host.set_clock(args.now, args.rate)

    def _named(self, name: str) -> list[Host]:
        """The hosts of a name, all for an empty one. Raises RpcError."""
        if not name:
            return list(self._hosts.values())
        if name not in self._hosts:
            raise _invalid(f"'{name}' is not a host; there are {', '.join(self._hosts)}")
        return [self._hosts[name]]


def _invalid(text: str) -> RpcError:
    return RpcError(ErrorCode.INVALID_ARG, text, domain=ErrorDomain.CONF)
