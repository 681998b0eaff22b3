"""virtd's handlers: calls of every procedure of the table, with any arguments, to a host."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from random import Random
from typing import Any, Final

import msgspec

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.dispatch.front import RemoteDispatch
from aiovirt.daemons.virtd.host.hosts import Hosts
from aiovirt.daemons.virtd.host.store import Store
from aiovirt.daemons.virtd.sasl import SaslDispatch
from aiovirt.rpc.client import Connection, connect_unix
from aiovirt.rpc.server import Server, ServerOptions, WithStream, serve
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.program import Procedure
from tests.fuzz import pairs
from tests.fuzz.target import Finding, Target, expect
from tests.fuzz.virtd_values import Arguments, Choices, procedures
from tests.fuzz.virtd_world import prepare

#: Seconds after which a call counts as one that is never answered.
_PATIENCE: Final = 20
_URIS: Final = {"test": "test:///default", "qemu": "qemu:///system"}
_PROCEDURES: Final = procedures()
#: Bytes of an input that one call has, and the most calls of an input.
PIECE: Final = 32
CALLS: Final = 20


class Failures:
    """What handlers and streams raised that is not an answer."""

    def __init__(self) -> None:
        self.seen: list[BaseException] = []

    def watch(self, server: Server) -> None:
        """Watch all handlers of a server."""
        for binding in server.table.values():
            binding.handler = self._watched(binding.handler, plain=binding.inline)

    def _watched(self, handler: Callable[..., Any], *, plain: bool) -> Callable[..., Any]:
        async def later(client: Any, args: Any) -> Any:
            with self.noted():
                return self._result(await handler(client, args))

        def at_once(client: Any, args: Any) -> Any:
            with self.noted():
                return self._result(handler(client, args))

        return at_once if plain else later

    def _result(self, result: Any) -> Any:
        if not isinstance(result, WithStream):
            return result
        inner = result.serve

        async def serve_stream(stream: Any) -> None:
            with self.noted():
                await inner(stream)

        return WithStream(result.result, serve_stream, receives=result.receives)

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note what is raised inside."""
        try:
            yield
        except (RpcError, ConnectionError, asyncio.CancelledError):
            raise
        except BaseException as error:
            self.seen.append(error)
            raise


async def _prepared(driver: str) -> tuple[bytes, dict[str, bytes]]:
    """A store with the world in it, and the UUIDs of its objects by name."""
    hosts = Hosts(None)
    hosts.open()
    with tempfile.TemporaryDirectory(prefix="av-") as folder:
        path = f"{folder}/sock"
        async with _served(hosts, path), connect_unix(path) as connection:
            await connection.call(protocol.CONNECT_OPEN, protocol.ConnectOpenArgs(_URIS[driver], 0))
            await prepare(connection.call, driver)
    host = hosts.all[driver]
    kinds = (host.domains, host.networks, host.pools, host.filters)
    uuids = {one.name: one.uuid for kind in kinds for one in kind}
    for secret in host.secrets:
        uuids["secret"] = secret.uuid
    dump = host.store.dump()
    hosts.close()
    return dump, uuids


@contextlib.asynccontextmanager
async def _served(hosts: Hosts, path: str) -> AsyncIterator[Server]:
    """A server with the program of these hosts."""
    for host in hosts.all.values():
        host.pace.shutdown = host.pace.block = 0.0
    options = ServerOptions("virtd", max_clients=2, min_workers=1, max_workers=2, prio_workers=1)
    async with serve(path=path, options=options) as server:
        RemoteDispatch(SaslDispatch("/nonexistent", None), hosts.all).serve_on(server)
        yield server


class House:
    """One server; each input finds its hosts as they were prepared."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="av-")
        self._path = f"{self._folder.name}/sock"
        self._stack = contextlib.AsyncExitStack()
        self._worlds: dict[str, tuple[bytes, dict[str, bytes]]] = {}
        self._hosts = Hosts(None)
        self._failures = Failures()

    async def visit(self, data: bytes) -> None:
        """One client of a prepared world, from its coming to its going."""
        driver = "qemu" if data[:1] > b"\x7f" else "test"
        if not self._worlds:
            self._worlds = {one: await _prepared(one) for one in _URIS}
            server = await self._stack.enter_async_context(_served(self._hosts, self._path))
            self._failures.watch(server)
        world, uuids = self._worlds[driver]
        self._failures.seen.clear()
        self._hosts.read_back(world)
        try:
            async with self._opened(driver) as connection:
                await Visit(connection, uuids, driver, self._failures).make(data[1:])
            await self._is_sound(driver)
        finally:
            for host in self._hosts.all.values():
                host.timers.cancel_all()
            self._hosts.close()

    @contextlib.asynccontextmanager
    async def _opened(self, driver: str) -> AsyncIterator[Connection]:
        """A client that has opened a driver."""
        async with connect_unix(self._path) as connection:
            args = protocol.ConnectOpenArgs(_URIS[driver], 0)
            await connection.call(protocol.CONNECT_OPEN, args)
            yield connection

    async def _is_sound(self, driver: str) -> None:
        """Everything on the host can be shown, and the store has it."""
        host = self._hosts.all[driver]
        async with self._opened(driver) as connection:
            for one in host.domains:
                named = protocol.NonnullDomain(one.name, one.uuid, -1)
                shown = protocol.DomainFlagsArgs(named, 1)
                await connection.call(protocol.DOMAIN_GET_XML_DESC, shown)
            stats = protocol.ConnectGetAllDomainStatsArgs([], 0, 0)
            await connection.call(protocol.CONNECT_GET_ALL_DOMAIN_STATS, stats)
        if self._failures.seen:
            raise self._failures.seen[0]
        again = Store(None)
        again.restored(host.store.dump())
        other = Hosts(None).all[driver]
        other.load(again)
        for kept, found in zip(host.kinds, other.kinds, strict=True):
            expect(_rows(kept) == _rows(found), f"the store has every {kept.kind} as it is")
        again.close()


def _rows(kind: Iterable[Any]) -> dict[str, bytes]:
    return {one.record.uuid: msgspec.msgpack.encode(one.record) for one in kind}


class Visit:
    """The calls of one client."""

    def __init__(
        self, connection: Connection, uuids: dict[str, bytes], driver: str, failures: Failures
    ) -> None:
        self._connection = connection
        self._choices = Choices(b"")
        self._uuids = uuids
        self._driver = driver
        self._failures = failures

    async def make(self, data: bytes) -> None:
        """Make a call with each piece of the input."""
        for at in range(0, len(data), PIECE):
            self._choices = Choices(data[at : at + PIECE])
            procedure = _PROCEDURES[self._choices.below(len(_PROCEDURES))]
            arguments = Arguments(self._choices, self._uuids, self._driver)
            await self.call(procedure, arguments.of(procedure))

    async def call(self, procedure: Procedure[Any, Any], args: Any) -> None:
        """Make one call, which has a result of its type or an error of libvirt's."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._answered(procedure, args)
        except TimeoutError:
            raise Finding(f"{procedure.name} is never answered: {args!r:.500}") from None
        except RpcError as error:
            if self._failures.seen:
                raise self._failures.seen[0] from None
            expect(bool(error.message), f"{procedure.name}: an error has a text")
            expect(0 < error.code <= max(ErrorCode), f"{procedure.name}: an error has a code")
            expect("don't decode" not in error.message, f"{procedure.name}: {error.message}")

    async def _answered(self, procedure: Procedure[Any, Any], args: Any) -> None:
        connection = self._connection
        if procedure.stream:
            async with await connection.open_stream(procedure, args) as stream:
                await self._stream(stream)
        elif procedure.reply_fds:
            _, given = await connection.call_for_descriptors(procedure, args)
            for one in given:
                os.close(one)
        elif procedure.call_fds:
            descriptor = os.open(os.devnull, os.O_RDWR)
            try:
                await connection.call(procedure, args, descriptors=[descriptor])
            finally:
                os.close(descriptor)
        else:
            await connection.call(procedure, args)

    async def _stream(self, stream: Any) -> None:
        """Send something, and end the stream, in good order or not."""
        for _ in range(self._choices.below(3)):
            if self._choices.rarely():
                await stream.send_hole(1 << self._choices.below(63))
            else:
                await stream.send(bytes((self._choices.byte(),)) * self._choices.below(9))
        if self._choices.byte() & 1:
            await stream.finish()
        else:
            await stream.abort()


_check: Final = pairs.visits(House)


def _seeds() -> Iterator[bytes]:
    """Every procedure on both hosts, with the first choices and with others by chance."""
    random = Random(1)
    calls = [number.to_bytes(2, "big") for number in range(len(set(_PROCEDURES)))]
    for driver in b"\0", b"\xff":
        plain = [one.ljust(PIECE, b"\0") for one in calls]
        others = [one + random.randbytes(PIECE - 2) for one in calls * 3]
        random.shuffle(others)
        for pieces in plain, others:
            for at in range(0, len(pieces), CALLS):
                yield driver + b"".join(pieces[at : at + CALLS])


def virtd_target() -> Target:
    """A client of virtd that calls anything."""
    words = [number.to_bytes(2, "big") for number in range(1, len(set(_PROCEDURES)))]
    return Target(
        "virtd", _check, _seeds, 1, words, max_len=1 + CALLS * PIECE, slack=32 << 20, cost=5
    )
