"""A virtd inside the test's own loop: its hosts in memory, its program on one socket."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.dispatch.front import RemoteDispatch
from aiovirt.daemons.virtd.host.host import Host
from aiovirt.daemons.virtd.host.hosts import Hosts
from aiovirt.daemons.virtd.sasl import SaslDispatch
from aiovirt.rpc.client import Connection, connect_unix
from aiovirt.rpc.server import Server, serve
from aiovirt.rpc.wire.errors import RpcError

T = TypeVar("T")

DOMAIN = """
<domain type='{title}'>
  <name>{name}</name>
  <memory unit='MiB'>512</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><source file='/d/{name}.img'/><target dev='vda'/></disk>
    <interface type='network'><source network='default'/></interface>
  </devices>
</domain>
"""


class Virtd:
    """A server with the remote program. path: of its socket; hosts: what it serves; dispatch: how."""

    def __init__(self, path: str, server: Server, stack: AsyncExitStack, store: str | None) -> None:
        self.path = path
        self.hosts = Hosts(store)
        self.hosts.open()
        for host in self.hosts.all.values():
            host.pace.shutdown = 0.0
            host.pace.boot = 0.0
        self._stack = stack
        self.server = server
        self.dispatch = RemoteDispatch(SaslDispatch("/nonexistent", None), self.hosts.all)
        self.dispatch.serve_on(server)

    def host(self, name: str = "test") -> Host:
        """The host of a driver."""
        return self.hosts.all[name]

    async def connect(self, uri: str = "test:///default") -> Client:
        """A client that has opened a driver; it is closed with the test."""
        connection = await self._stack.enter_async_context(connect_unix(self.path))
        await connection.call(protocol.CONNECT_OPEN, protocol.ConnectOpenArgs(uri, 0))
        return Client(connection, self.host(uri.partition(":")[0]).flavour.title)


class Client:
    """A client's connection, with the calls that most tests make."""

    def __init__(self, connection: Connection, title: str) -> None:
        self.rpc = connection
        self._title = title

    async def call(self, procedure: Any, args: Any = None) -> Any:
        """Call any procedure."""
        return await self.rpc.call(procedure, args)

    async def refused(self, procedure: Any, args: Any = None) -> RpcError:
        """Call a procedure that is refused, and return the error."""
        with pytest.raises(RpcError) as caught:
            await self.rpc.call(procedure, args)
        return caught.value

    async def define(self, name: str = "guest") -> protocol.NonnullDomain:
        """Define a domain."""
        text = DOMAIN.format(title=self._title, name=name)
        return (await self.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))).dom

    async def start(self, domain: protocol.NonnullDomain) -> None:
        """Start a domain."""
        await self.call(protocol.DOMAIN_CREATE, protocol.DomainArgs(domain))

    async def state(self, domain: protocol.NonnullDomain) -> tuple[int, int]:
        """State and reason of a domain."""
        args = protocol.DomainFlagsArgs(domain, 0)
        answer = await self.call(protocol.DOMAIN_GET_STATE, args)
        return answer.state, answer.reason

    async def xml(self, domain: protocol.NonnullDomain, flags: int = 0) -> str:
        """The document of a domain."""
        args = protocol.DomainFlagsArgs(domain, flags)
        return str((await self.call(protocol.DOMAIN_GET_XML_DESC, args)).xml)


MakeVirtd = Callable[..., Awaitable[Virtd]]


@pytest.fixture
async def make_virtd() -> AsyncIterator[MakeVirtd]:
    """Make servers; they end with the test. store: the file of their store, None for memory."""
    async with AsyncExitStack() as stack:

        async def make(store: str | None = None) -> Virtd:
            path = stack.enter_context(tempfile.TemporaryDirectory(prefix="av-")) + "/sock"
            return Virtd(path, await stack.enter_async_context(serve(path=path)), stack, store)

        yield make


@pytest.fixture
async def virtd(make_virtd: MakeVirtd) -> Virtd:
    """A server whose store is in memory."""
    return await make_virtd()
