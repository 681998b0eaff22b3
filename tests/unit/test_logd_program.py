"""The log manager program as a client meets it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from daemons.logd import protocol
from daemons.logd.protocol import Domain, OpenFlags, Position
from daemons.logd.rotating import Rotation
from daemons.logd.service import LogService
from rpc.client import Connection
from rpc.server import Daemon, ServerOptions
from rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from rpc.wire.message import MIN_FRAME, Message, Type, frame
from rpc.wire.program import Procedure
from tests.unit.house import eventually

GUEST = Domain(b"\7" * 16, "web")


class LogHouse:
    """A daemon with the program, and a client of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemon = Daemon("logd")
        self.server = self.daemon.add_server(ServerOptions("logd"))
        self.service = LogService(self.daemon, Rotation(1000, 2))
        self.service.serve_on(self.server)
        self.socket = str(folder / "sock")
        self.server.listen_unix(self.socket)
        self.file = folder / "guest.log"
        self.path = str(self.file)
        self.pipes: list[int] = []

    async def call(self, procedure: Procedure[Any, Any], args: Any) -> Any:
        async with await Connection.open_unix(self.socket) as connection:
            return await connection.call(procedure, args)

    async def open(self, path: str | None = None, flags: int = 0) -> tuple[Position, int]:
        """Open a log: where it is, and the descriptor to write to."""
        args = protocol.OpenArgs("test", GUEST, path or self.path, flags)
        procedure = protocol.DOMAIN_OPEN_LOG_FILE
        data = frame(procedure.key, Type.CALL, 1, 0, procedure.encode_args(args))
        reply, pipes = await asyncio.to_thread(self._exchange, data)
        if reply.status:
            raise AssertionError(reply)
        assert len(pipes) == 1
        self.pipes += pipes
        count = int.from_bytes(reply.payload[:4], "big")
        assert (reply.type, count) == (Type.REPLY_WITH_FDS, 1)
        result, _ = procedure.decode_result(reply.payload, 4, len(reply.payload))
        return result.position, pipes[0]

    def _exchange(self, data: bytes) -> tuple[Message, list[int]]:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(self.socket)
            link.sendall(data)
            got, pipes = b"", []
            while len(got) < 4 or len(got) < int.from_bytes(got[:4], "big") or not pipes:
                piece, found, _, _ = socket.recv_fds(link, 4096, 1)
                assert piece
                got += piece
                pipes += found
            size = int.from_bytes(got[:4], "big")
            assert size > MIN_FRAME
            return Message.unpack(got[:size]), pipes


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LogHouse]:
    house = LogHouse(tmp_path)
    ready = asyncio.Event()
    serving = asyncio.create_task(house.daemon.serve(ready.set))
    await ready.wait()
    yield house
    house.daemon.shutdown()
    await serving
    assert not house.service.logs
    for pipe in house.pipes:
        os.close(pipe)


@contextmanager
def _refused(code: ErrorCode, domain: ErrorDomain) -> Iterator[None]:
    with pytest.raises(RpcError) as refusal:
        yield
    assert (refusal.value.code, refusal.value.domain) == (code, domain)


async def test_a_guest_writes_and_its_log_is_read(house: LogHouse) -> None:
    start, pipe = await house.open()
    os.write(pipe, b"hello\nworld\n")
    now = await house.call(
        protocol.DOMAIN_GET_LOG_FILE_POSITION, protocol.PositionArgs(house.path, 0)
    )
    assert now.position == Position(start.inode, 12)
    read = await house.call(
        protocol.DOMAIN_READ_LOG_FILE, protocol.ReadArgs(house.path, start, 8, 0)
    )
    assert read.data == "hello\nwo"


async def test_an_open_log_is_not_opened_again_until_its_guest_lets_go(house: LogHouse) -> None:
    _, pipe = await house.open()
    args = protocol.OpenArgs("test", GUEST, house.path, 0)
    with _refused(ErrorCode.SYSTEM_ERROR, ErrorDomain.LOGGING):
        await house.call(protocol.DOMAIN_OPEN_LOG_FILE, args)
    house.pipes.remove(pipe)
    os.close(pipe)
    await eventually(lambda: not house.service.logs)
    await house.open()


async def test_a_log_that_cannot_be_opened(house: LogHouse) -> None:
    for path in (f"{house.folder}/missing/guest.log", str(house.folder)):
        args = protocol.OpenArgs("test", GUEST, path, 0)
        with _refused(ErrorCode.SYSTEM_ERROR, ErrorDomain.NONE):
            await house.call(protocol.DOMAIN_OPEN_LOG_FILE, args)
    assert not house.service.logs


async def test_a_fifo_in_the_place_of_a_log_is_refused_at_once(house: LogHouse) -> None:
    os.mkfifo(house.path)
    with _refused(ErrorCode.SYSTEM_ERROR, ErrorDomain.NONE):
        await house.call(
            protocol.DOMAIN_OPEN_LOG_FILE, protocol.OpenArgs("test", GUEST, house.path, 0)
        )


async def test_opening_goes_on_behind_what_is_there_unless_it_truncates(house: LogHouse) -> None:
    house.file.write_text("old")
    position, pipe = await house.open()
    assert position.offset == 3
    house.pipes.remove(pipe)
    os.close(pipe)
    await eventually(lambda: not house.service.logs)
    position, _ = await house.open(flags=int(OpenFlags.TRUNCATE))
    assert position.offset == 0


async def test_adding_to_an_open_log_and_to_another(house: LogHouse) -> None:
    await house.open()
    for file in (house.file, house.folder / "another.log"):
        args = protocol.AppendArgs("test", GUEST, str(file), "ünd\n", 0)
        assert (await house.call(protocol.DOMAIN_APPEND_LOG_FILE, args)).result == 0
        assert file.read_text() == "ünd\n"
    assert list(house.service.logs) == [house.path]


async def test_a_nul_byte_has_a_stand_in_and_other_bytes_come_as_they_are(house: LogHouse) -> None:
    house.file.write_bytes(b"a\0b\xff\n")
    args = protocol.ReadArgs(house.path, Position(0, 0), 100, 0)
    read = await house.call(protocol.DOMAIN_READ_LOG_FILE, args)
    assert read.data.encode(errors="surrogateescape") == b"a\x1ab\xff\n"


async def test_refusals(house: LogHouse) -> None:
    zero = Position(0, 0)
    too_much = protocol.ReadArgs(house.path, zero, protocol.READ_MAX + 1, 0)
    with _refused(ErrorCode.INTERNAL_ERROR, ErrorDomain.RPC):
        await house.call(protocol.DOMAIN_READ_LOG_FILE, too_much)
    with _refused(ErrorCode.SYSTEM_ERROR, ErrorDomain.NONE):
        await house.call(protocol.DOMAIN_READ_LOG_FILE, protocol.ReadArgs(house.path, zero, 1, 0))
    with _refused(ErrorCode.INTERNAL_ERROR, ErrorDomain.LOGGING):
        await house.call(
            protocol.DOMAIN_GET_LOG_FILE_POSITION, protocol.PositionArgs(house.path, 0)
        )
    for procedure, args in (
        (protocol.DOMAIN_READ_LOG_FILE, protocol.ReadArgs(house.path, zero, 1, 1)),
        (protocol.DOMAIN_GET_LOG_FILE_POSITION, protocol.PositionArgs(house.path, 1)),
        (protocol.DOMAIN_APPEND_LOG_FILE, protocol.AppendArgs("t", GUEST, house.path, "", 1)),
    ):
        with _refused(ErrorCode.INVALID_ARG, ErrorDomain.LOGGING):
            await house.call(procedure, args)


async def test_an_open_log_keeps_the_daemon_from_ending_by_itself(house: LogHouse) -> None:
    _, pipe = await house.open()
    assert house.daemon._holds == 1
    house.pipes.remove(pipe)
    os.close(pipe)
    await eventually(lambda: not house.daemon._holds)


async def test_settings_change_open_logs(house: LogHouse) -> None:
    _, pipe = await house.open()
    house.service.apply({"max_size": 5})
    os.write(pipe, b"12345678")
    await eventually(lambda: house.file.read_bytes() == b"678")
