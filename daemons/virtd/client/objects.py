"""Objects of a hypervisor as the calling side has them: a name for the object, and the host to ask.

Errors, from every method of every object: RpcError is the daemon's refusal, with libvirt's code and
domain; ConnectionLost is the end of the connection; TimeoutError is a daemon that has not answered
within the timeout given to `connect`. TypeError, ValueError and XdrError (a ValueError) are arguments
that no daemon could take; nothing is sent then.

A result with one field is that field; one with several fields is the record of the protocol's table,
whose fields have libvirt's names. Flags are sums of an enumeration in `aiovirt.daemons.virtd.constants`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.connect import Feature
from aiovirt.rpc.client import Connection, Stream
from aiovirt.rpc.wire.program import Procedure
from aiovirt.rpc.wire.typedparams import STRING_OKAY

ArgsT = TypeVar("ArgsT")
ResultT = TypeVar("ResultT")
RefT = TypeVar("RefT")

#: Seconds that a daemon has for its answer when something is left: a subscription, the connection.
GOODBYE: Final = 2.0


class Calling:
    """The connection that objects call through.

    rpc: the connection; after a reconnection it is another one. timeout: seconds that the daemon has for
    each answer, None for no limit.
    """

    def __init__(self, rpc: Connection, timeout: float | None) -> None:
        self.rpc = rpc
        self.timeout = timeout
        self._string_okay: int | None = None
        # Whether the answer to a goodbye is overdue: others would not be answered either.
        self._silent = False

    async def call(self, procedure: Procedure[ArgsT, ResultT], args: ArgsT) -> ResultT:
        """Call any procedure of the remote program or the QEMU program.

        Args:
            procedure: from `aiovirt.daemons.virtd.protocol`.
            args: an instance of its arguments' type, None if it has none.
        """
        return await self.rpc.call(procedure, args, timeout=self.timeout)

    async def open_stream(
        self, procedure: Procedure[ArgsT, ResultT], args: ArgsT
    ) -> Stream[ResultT]:
        """Call any procedure that opens a stream. The timeout applies to the opening.

        Args:
            procedure: from `aiovirt.daemons.virtd.protocol`.
            args: an instance of its arguments' type.
        """
        return await self.rpc.open_stream(procedure, args, timeout=self.timeout)

    async def string_okay(self) -> int:
        """Return the flag of getters that has strings among their parameters, 0 if the driver has none.

        Asked once (CONNECT_SUPPORTS_FEATURE with TYPED_PARAM_STRING), as libvirt's library does.
        """
        if self._string_okay is None:
            asked = protocol.ConnectSupportsFeatureArgs(Feature.TYPED_PARAM_STRING)
            found = await self.call(protocol.CONNECT_SUPPORTS_FEATURE, asked)
            self._string_okay = STRING_OKAY if found.supported else 0
        return self._string_okay

    def _answered(self, answer: asyncio.Task[None]) -> None:
        self._silent = False

    async def reconnect(self) -> None:
        """Connect again after a loss; see `Host.reconnect`."""
        raise NotImplementedError(f"{type(self).__name__} cannot connect again")


def goodbye_limit(host: Calling) -> float:
    """Seconds that the answer to a goodbye is waited for."""
    return GOODBYE if host.timeout is None else min(host.timeout, GOODBYE)


async def wait_for_goodbye(host: Calling, answer: asyncio.Task[None]) -> None:
    """Wait for the answer to a goodbye, shortly, or not at all while another one is overdue.

    Args:
        host: who says goodbye.
        answer: the task that has the answer; it goes on afterwards.
    """
    if host._silent:
        return
    await asyncio.wait([answer], timeout=goodbye_limit(host))
    if not answer.done():
        host._silent = True
        answer.add_done_callback(host._answered)


class RemoteObject(Generic[RefT]):
    """An object of a hypervisor. host: its connection; ref: the object as calls name it.

    Two are equal if they have the same name on the same connection. Nothing is asked when one is made.
    """

    def __init__(self, host: Calling, ref: RefT) -> None:
        self.host = host
        self.ref = ref

    async def call(self, procedure: Procedure[ArgsT, ResultT], args: ArgsT) -> ResultT:
        """Call any procedure; see `Calling.call`.

        Args:
            procedure: from `aiovirt.daemons.virtd.protocol`.
            args: an instance of its arguments' type.
        """
        return await self.host.call(procedure, args)

    @property
    def name(self) -> str:
        """The name."""
        name: str = self._ref.name
        return name

    @property
    def _ref(self) -> Any:
        return self.ref

    def _key(self) -> object:
        """Return the part of the reference that identifies the object."""
        return self.name

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RemoteObject) or type(other) is not type(self):
            return NotImplemented
        return other.host is self.host and other._key() == self._key()

    def __hash__(self) -> int:
        return hash((type(self), self._key()))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class UuidObject(RemoteObject[RefT]):
    """An object that has a UUID, by which two are equal."""

    @property
    def uuid(self) -> str:
        """The UUID, in lower case with hyphens."""
        return str(UUID(bytes=self._ref.uuid))

    def _key(self) -> object:
        return self._ref.uuid


def uuid_bytes(uuid: str | UUID) -> bytes:
    """Return the bytes of a UUID. Raises ValueError if a text is not a UUID."""
    return (uuid if isinstance(uuid, UUID) else UUID(uuid)).bytes
