"""A daemon inside the test's own loop, with a program whose procedures do what a test needs.

`House` is the daemon with its one server; `Stage` is what its procedures wait for and tell; `Wire` is
a peer that speaks raw frames. Nothing here sleeps: `eventually` turns the loop until a thing is so.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiovirt.rpc.client import Connection, connect_unix
from aiovirt.rpc.server import Client, Daemon, Handlers, Server, ServerOptions, run_blocking
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import RemoteError, RpcError
from aiovirt.rpc.wire.framing import Framer
from aiovirt.rpc.wire.keepalive import PING_FRAME, PONG
from aiovirt.rpc.wire.message import Message, Status, Type, frame
from aiovirt.rpc.wire.program import Procedure, Program

#: Seconds after which something that ought to happen is taken not to happen.
PATIENCE = 5.0


@xdr.struct
class Number:
    """A number."""

    value: xdr.UInt


@xdr.struct
class Text:
    """A text."""

    text: xdr.Str


TEST = Program("test", 0x7E577E57, 3)
ECHO = TEST.procedure(1, "ECHO", Text, Text, reads=True)
HOOK = TEST.procedure(2, "HOOK", Number, Number)
WAIT = TEST.procedure(3, "WAIT", Number, Number)
WAIT_URGENT = TEST.procedure(4, "WAIT_URGENT", Number, Number, priority=True)
BLOCK = TEST.procedure(5, "BLOCK", Number, Number)
STUBBORN = TEST.procedure(6, "STUBBORN", Number, Number)
OPEN_TO_ALL = TEST.procedure(7, "OPEN_TO_ALL", Number, Number, needs_auth=False)
MISFIT = TEST.procedure(8, "MISFIT", xdr.Void, Number)
MISFIT_LATER = TEST.procedure(9, "MISFIT_LATER", xdr.Void, Number)
LARGE = TEST.procedure(10, "LARGE", Number, Text)
HOOK_LATER = TEST.procedure(11, "HOOK_LATER", Number, Number)
ECHO_URGENT = TEST.procedure(12, "ECHO_URGENT", Text, Text, priority=True)
UNBOUND = TEST.procedure(13, "UNBOUND", xdr.Void, xdr.Void)
NEWS = TEST.event(50, "NEWS", Text)


async def eventually(thing: Callable[[], Any], what: str = "") -> None:
    """Turn the loop until `thing()` is true; fail when that does not come."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    turns = 0
    while not thing():
        assert loop.time() < deadline, f"it never came to be {what}"
        turns += 1
        await asyncio.sleep(0 if turns < 50 else 0.001)


class Stage:
    """What the test program's procedures do.

    started: the numbers of calls that have begun, in order; finished: of those that have ended in
    any way; `release(n)` lets the waiting call number n return.
    """

    def __init__(self) -> None:
        self.started: list[int] = []
        self.finished: list[int] = []
        self.hook: Callable[[Client, int], Any] = lambda client, number: None
        self._gates: dict[int, asyncio.Event] = {}
        self._thread_gates: dict[int, threading.Event] = {}

    def handlers(self) -> Handlers:
        bound = Handlers(TEST)
        bound.bind(ECHO, lambda client, args: args)
        bound.bind(ECHO_URGENT, lambda client, args: args)
        bound.bind(HOOK, self._hook)
        bound.bind(HOOK_LATER, self._hook_later)
        bound.bind(WAIT, self._wait)
        bound.bind(WAIT_URGENT, self._wait)
        bound.bind(BLOCK, self._block)
        bound.bind(STUBBORN, self._stubborn)
        bound.bind(OPEN_TO_ALL, lambda client, args: args)
        bound.bind(MISFIT, lambda client, args: Number(1 << 40))
        bound.bind(MISFIT_LATER, self._misfit_later)
        bound.bind(LARGE, lambda client, args: Text("x" * args.value))
        return bound

    def release(self, *numbers: int) -> None:
        """Let these calls return, now or when they come."""
        for number in numbers:
            self._gate(number).set()
            self._thread_gate(number).set()

    def release_all(self) -> None:
        self.release(*self._gates, *self._thread_gates)

    def _gate(self, number: int) -> asyncio.Event:
        return self._gates.setdefault(number, asyncio.Event())

    def _thread_gate(self, number: int) -> threading.Event:
        return self._thread_gates.setdefault(number, threading.Event())

    def _hook(self, client: Client, args: Number) -> Number:
        self.started.append(args.value)
        self.hook(client, args.value)
        return args

    async def _hook_later(self, client: Client, args: Number) -> Number:
        return self._hook(client, args)

    async def _wait(self, client: Client, args: Number) -> Number:
        self.started.append(args.value)
        try:
            await self._gate(args.value).wait()
        finally:
            self.finished.append(args.value)
        return args

    async def _block(self, client: Client, args: Number) -> Number:
        self.started.append(args.value)
        await run_blocking(self._thread_gate(args.value).wait, PATIENCE)
        return args

    async def _stubborn(self, client: Client, args: Number) -> Number:
        """Takes no notice of being cancelled."""
        self.started.append(args.value)
        gate = self._gate(args.value)
        while not gate.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await gate.wait()
        self.finished.append(args.value)
        return args

    async def _misfit_later(self, client: Client, args: None) -> Number:
        return Number(1 << 40)


class Wire:
    """A raw peer: whole frames, or any bytes at all."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._framer = Framer()
        self._ready: list[Message] = []

    async def send(self, *pieces: bytes) -> None:
        """Send all of it, as one write where the kernel takes it so."""
        async with asyncio.timeout(PATIENCE):
            await self._loop.sock_sendall(self.sock, b"".join(pieces))

    async def receive(self) -> Message:
        """The next message. Raises EOFError when there is none and the connection has ended."""
        while not self._ready:
            async with asyncio.timeout(PATIENCE):
                try:
                    data = await self._loop.sock_recv(self.sock, 1 << 16)
                except ConnectionResetError:
                    data = b""
            if not data:
                raise EOFError
            self._ready += self._framer.feed(data)
        return self._ready.pop(0)

    async def replies(self, count: int) -> list[Message]:
        return [await self.receive() for _ in range(count)]

    async def ping(self) -> None:
        """A PING and its PONG, with nothing in between: what came before has no answer (yet)."""
        await self.send(PING_FRAME)
        answer = await self.receive()
        assert (answer.program, answer.procedure) == (PONG.program.number, PONG.number), answer

    async def ended(self) -> list[Message]:
        """Wait for the end of the connection; what came before it."""
        last: list[Message] = []
        with contextlib.suppress(EOFError):
            while True:
                last.append(await self.receive())
        return last

    def close(self) -> None:
        self.sock.close()


class House:
    """A daemon `test` with one server `main` at `path`, its stage, and who is connected to it."""

    def __init__(self, path: str, *, grace: float = 10.0, **options: Any) -> None:
        self.path = path
        self.stage = Stage()
        self.daemon = Daemon("test", grace=grace)
        self.server: Server = self.daemon.add_server(ServerOptions("main", **options))
        self.server.add_program(self.stage.handlers())
        self.service = self.server.listen_unix(path)
        self._guests: list[Connection | Wire] = []
        self.serving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        ready = asyncio.Event()
        self.serving = asyncio.create_task(self.daemon.serve(ready.set))
        await ready.wait()

    async def connect(self) -> Connection:
        """A calling connection that the server has accepted already."""
        connection = await connect_unix(self.path)
        self._guests.append(connection)
        await connection.call(ECHO, Text(""))
        return connection

    async def wire(self) -> Wire:
        """A raw connection, accepted or waiting in the backlog."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.connect(self.path)
        wire = Wire(sock)
        self._guests.append(wire)
        return wire

    async def seat(self) -> tuple[Wire, Client]:
        """A raw connection and the server's side of it."""
        known = {client.id for client in self.server.registry}
        wire = await self.wire()
        await wire.ping()
        (client,) = (one for one in self.server.registry if one.id not in known)
        return wire, client

    async def close(self) -> None:
        self.stage.release_all()
        for guest in self._guests:
            if isinstance(guest, Wire):
                guest.close()
            else:
                guest.abort()
        self.daemon.shutdown()
        self.daemon.shutdown()
        if self.serving is not None:
            await asyncio.wait_for(self.serving, PATIENCE)


#: What the fixture `make_house` gives: options in, a running House out.
MakeHouse = Callable[..., Awaitable[House]]


@contextlib.asynccontextmanager
async def open_house(**options: Any) -> AsyncIterator[House]:
    """A house in a folder of its own, for tests without fixtures."""
    with tempfile.TemporaryDirectory(prefix="house-") as folder:
        house = House(f"{folder}/sock", **options)
        await house.open()
        try:
            yield house
        finally:
            await house.close()


def call(
    procedure: Procedure[Any, Any],
    args: Any = None,
    serial: int = 1,
    *,
    kind: int = Type.CALL,
    status: int = Status.OK,
    payload: bytes | None = None,
) -> bytes:
    """The frame of a call, well formed unless told otherwise."""
    body = procedure.encode_args(args) if payload is None else payload
    return frame(procedure.key, kind, serial, status, body)


def result(procedure: Procedure[Any, Any], reply: Message) -> Any:
    """What a reply carries. Raises RpcError when that is an error."""
    assert reply.type == Type.REPLY, reply
    if reply.status == Status.ERROR:
        raise RpcError.from_wire(xdr.decode(RemoteError, reply.payload))
    assert (reply.procedure, reply.status) == (procedure.number, Status.OK), reply
    return procedure.decode_result(reply.payload, 0, len(reply.payload))[0]


def failure(reply: Message) -> RpcError:
    """The error that a reply carries."""
    assert (reply.type, reply.status) == (Type.REPLY, Status.ERROR), reply
    return RpcError.from_wire(xdr.decode(RemoteError, reply.payload))


@dataclasses.dataclass
class Job:
    """A job for a worker pool that only notes that it was started."""

    number: int
    priority: bool
    log: list[int]
    place: int = 0

    def start(self) -> None:
        self.log.append(self.number)
