"""The log manager program as a client meets it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiovirt.daemons.logd import protocol
from aiovirt.daemons.logd.component import Ageing, LogsComponent
from aiovirt.daemons.logd.protocol import OpenFlags, Position
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from tests.unit.house import eventually
from tests.unit.log_house import GUEST, LogHouse, open_log_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LogHouse]:
    async with open_log_house(tmp_path) as house:
        yield house


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
    with _refused(ErrorCode.SYSTEM_ERROR, ErrorDomain.LOGGING):
        await house.open()
    house.let_go(pipe)
    await eventually(lambda: not house.service.logs)
    await house.open()


async def test_a_log_that_cannot_be_opened(house: LogHouse) -> None:
    for path in (f"{house.folder}/missing/guest.log", str(house.folder)):
        with _refused(ErrorCode.SYSTEM_ERROR, ErrorDomain.NONE):
            await house.open(path)
    assert not house.service.logs


async def test_a_fifo_in_the_place_of_a_log_is_refused_at_once(house: LogHouse) -> None:
    os.mkfifo(house.path)
    with _refused(ErrorCode.SYSTEM_ERROR, ErrorDomain.NONE):
        await house.open()


async def test_opening_goes_on_behind_what_is_there_unless_it_truncates(house: LogHouse) -> None:
    house.file.write_text("old")
    position, pipe = await house.open()
    assert position.offset == 3
    house.let_go(pipe)
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
    house.let_go(pipe)
    await eventually(lambda: not house.daemon._holds)


async def test_settings_change_open_logs(house: LogHouse) -> None:
    _, pipe = await house.open()
    LogsComponent(house.service, Ageing("", 0)).apply({"max_size": 5})
    os.write(pipe, b"12345678")
    await eventually(lambda: house.file.read_bytes() == b"678")
