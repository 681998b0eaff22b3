"""Servers of a daemon and their clients, as `admin.client` gives them.

They are names for things in the daemon, and stay valid as long as what they name.

Source: libvirt's include/libvirt/libvirt-admin.h (virAdmServer*, virAdmClient*).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from aiovirt.admin import protocol
from aiovirt.admin.answers import ClientInfo, ClientLimits, ThreadPoolParameters
from aiovirt.admin.arguments import text, whole_number
from aiovirt.admin.extension.protocol import EXTENSION, tls
from aiovirt.admin.extension.protocol.tls import TlsInfo
from aiovirt.rpc.wire.program import Procedure
from aiovirt.rpc.wire.typedparams import uint

if TYPE_CHECKING:
    from aiovirt.admin.client import Connection

_ArgsT = TypeVar("_ArgsT")
_ResultT = TypeVar("_ResultT")

_ID_MAX: Final = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class Server:
    """A server of the daemon: a set of listening sockets with its own workers, clients and limits."""

    connection: Connection
    name: str

    async def get_threadpool_parameters(self) -> ThreadPoolParameters:
        """Return the bounds and the state of the worker pool."""
        answer = await self._call(protocol.SERVER_GET_THREADPOOL_PARAMETERS, self._args())
        return ThreadPoolParameters.from_params(answer.params)

    async def set_threadpool_parameters(
        self,
        *,
        min_workers: int | None = None,
        max_workers: int | None = None,
        prio_workers: int | None = None,
    ) -> None:
        """Change the worker pool's bounds, all of those given or none.

        Args:
            min_workers: workers that are kept when there is nothing to do; None for no change.
            max_workers: workers that may exist; None for no change.
            prio_workers: workers for calls that must not wait; None for no change.
        """
        await self._set(
            protocol.SERVER_SET_THREADPOOL_PARAMETERS,
            maxWorkers=max_workers,
            minWorkers=min_workers,
            prioWorkers=prio_workers,
        )

    async def get_client_limits(self) -> ClientLimits:
        """Return the client limits and the current numbers of clients."""
        answer = await self._call(protocol.SERVER_GET_CLIENT_LIMITS, self._args())
        return ClientLimits.from_params(answer.params)

    async def set_client_limits(
        self, *, max_clients: int | None = None, max_unauth_clients: int | None = None
    ) -> None:
        """Change the limits, all of those given or none.

        Args:
            max_clients: clients that may be connected; None for no change.
            max_unauth_clients: those of them that have not yet authenticated; None for no change.
        """
        await self._set(
            protocol.SERVER_SET_CLIENT_LIMITS,
            nclients_max=max_clients,
            nclients_unauth_max=max_unauth_clients,
        )

    async def list_clients(self) -> list[Client]:
        """Return the clients that are connected to this server."""
        answer = await self._call(
            protocol.SERVER_LIST_CLIENTS,
            protocol.ListClientsArgs(self.ref, need_results=1, flags=0),
        )
        return [Client(self, ref.id, ref.timestamp, ref.transport) for ref in answer.clients]

    async def lookup_client(self, client_id: int) -> Client:
        """Return the client of this id. Raises RpcError NO_CLIENT if there is none."""
        answer = await self._call(
            protocol.SERVER_LOOKUP_CLIENT,
            protocol.LookupClientArgs(self.ref, id=_client_id(client_id), flags=0),
        )
        ref = answer.client
        return Client(self, ref.id, ref.timestamp, ref.transport)

    async def get_tls(self) -> TlsInfo:
        """Return the certificates and revocation lists in force (our daemons only).

        Raises:
            MissingProgram: the daemon is not one of aiovirt.
            RpcError: the server has no TLS.
        """
        with self.connection.needing(EXTENSION, "a daemon of aiovirt"):
            return await self._call(tls.SERVER_GET_TLS, tls.TlsArgs(self.ref, flags=0))

    async def update_tls_files(self) -> None:
        """Make the server read its certificates again; new connections use them."""
        await self._call(protocol.SERVER_UPDATE_TLS_FILES, self._args())

    @property
    def ref(self) -> protocol.ServerRef:
        """This server as it is named in a call."""
        return protocol.ServerRef(text("a server's name", self.name))

    def _args(self) -> protocol.ServerArgs:
        return protocol.ServerArgs(self.ref, flags=0)

    async def _call(self, procedure: Procedure[_ArgsT, _ResultT], args: _ArgsT) -> _ResultT:
        return await self.connection.call(procedure, args)

    async def _set(
        self, procedure: Procedure[protocol.ServerParamsArgs, None], **wanted: int | None
    ) -> None:
        params = [uint(field, value) for field, value in wanted.items() if value is not None]
        await self._call(procedure, protocol.ServerParamsArgs(self.ref, params, flags=0))


@dataclass(frozen=True, slots=True)
class Client:
    """A client of a server.

    id: never used twice in a daemon's life; timestamp: when it connected, in seconds since the epoch;
    transport: how, a `Transport` (or a number that has no name yet).
    """

    server: Server
    id: int
    timestamp: int
    transport: int

    async def get_info(self) -> ClientInfo:
        """Return the client's identity. Raises RpcError NO_CLIENT if it has disconnected."""
        answer = await self.server.connection.call(protocol.CLIENT_GET_INFO, self._args())
        return ClientInfo.from_params(answer.params)

    async def close(self) -> None:
        """Disconnect the client. Raises RpcError NO_CLIENT if it has disconnected already."""
        await self.server.connection.call(protocol.CLIENT_CLOSE, self._args())

    def _args(self) -> protocol.ClientArgs:
        ref = protocol.ClientRef(
            self.server.ref, _client_id(self.id), self.timestamp, self.transport
        )
        return protocol.ClientArgs(ref, flags=0)


def _client_id(number: int) -> int:
    return whole_number("a client's id", number, _ID_MAX)
