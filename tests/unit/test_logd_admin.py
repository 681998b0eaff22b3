"""logd's administration: the client module, the commands, and what the daemon makes of them."""

from __future__ import annotations

import asyncio
import io
import json
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.admin.cli.commands import command_table
from aiovirt.admin.cli.parser import LineWords, parse
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.terminal import Terminal
from aiovirt.admin.client import MissingProgram
from aiovirt.daemons.logd import admin_protocol, rotating
from aiovirt.daemons.logd import client as client_module
from aiovirt.daemons.logd.client import Followed, LogAdmin, Position
from aiovirt.daemons.logd.reading import Piece
from aiovirt.daemons.logd.tailing import Tail
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from tests.unit.house import PATIENCE, eventually
from tests.unit.log_house import GUEST, LogHouse, open_log_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LogHouse]:
    async with open_log_house(tmp_path) as house:
        yield house


@pytest.fixture
async def logs(house: LogHouse) -> AsyncIterator[LogAdmin]:
    async with admin_client.connect(house.uri) as connection:
        yield LogAdmin(connection)


async def virtadm(house: LogHouse, line: str, *, json: bool = False) -> tuple[bool, str, str]:
    """Run a command: whether it went well, and what it said."""
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal("virtadm", out=out, err=err)
    terminal.json = json
    table = command_table()
    session = AdminSession(table, terminal, house.uri)
    try:
        async with asyncio.timeout(PATIENCE):
            await session.reconnect()
            succeeded = await session.run(parse(LineWords(line), table))
    finally:
        await session.close()
    return succeeded, out.getvalue(), err.getvalue()


# Listing -----------------------------------------------------------------------------------------


async def test_open_logs_are_listed_with_what_is_known_of_them(
    house: LogHouse, logs: LogAdmin
) -> None:
    assert await logs.list() == []
    start, pipe = await house.open()
    os.write(pipe, b"x" * 1500)
    await eventually(lambda: house.service.logs[house.path].received == 1500)
    (log,) = await logs.list()
    assert (log.path, log.driver, log.domain) == (house.path, "test", GUEST)
    assert (log.received, log.lost, log.rotations, log.trouble) == (1500, 0, 1, None)
    assert log.position.offset == 500
    assert log.position.inode == house.file.stat().st_ino != start.inode
    house.let_go(pipe)
    await eventually(lambda: not house.service.logs)
    assert await logs.list() == []


async def test_more_logs_than_one_answer_holds(
    house: LogHouse, logs: LogAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_protocol, "PAGE", 2)
    paths = [f"{house.path}-{number}" for number in (3, 1, 5, 2, 4)]
    for path in paths:
        await house.open(path)
    assert [log.path for log in await logs.list()] == sorted(paths)


async def test_logs_with_long_names_are_listed_in_as_many_answers_as_they_need(
    house: LogHouse, logs: LogAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    call = admin_client.Connection.call

    async def count(self: object, procedure: Any, args: Any) -> Any:
        calls.append(procedure)
        return await call(self, procedure, args)  # type: ignore[arg-type]  # a connection it is

    monkeypatch.setattr(admin_client.Connection, "call", count)
    paths = [f"{house.path}-{number:02}" for number in range(12)]
    for path in paths:
        await house.open(path)
        # Two of them would not fit into a message of 32 MiB together with a third.
        house.service.logs[path].guest = "g" * (4 << 20)
        house.service.logs[path].driver = "d" * (4 << 20)
    assert [log.path for log in await logs.list()] == paths
    assert calls.count(admin_protocol.LOG_LIST) == 12


async def test_what_the_command_says(house: LogHouse) -> None:
    _, pipe = await house.open()
    os.write(pipe, b"hello\n")
    await eventually(lambda: house.service.logs[house.path].received == 6)
    succeeded, out, err = await virtadm(house, "log-list")
    assert (succeeded, err) == (True, "")
    header, _, row, *_ = out.splitlines()
    assert header.split()[:5] == ["Guest", "Size", "Rate", "Rotated", "Lost"]
    assert row.split()[:2] == ["web", "6"]
    assert house.path in row
    _, out, _ = await virtadm(house, "log-list", json=True)
    (found,) = json.loads(out)
    assert found["guest"] == {"name": "web", "uuid": "07070707-0707-0707-0707-070707070707"}
    assert (found["size"], found["inode"]) == (6, house.file.stat().st_ino)


# Rotating ----------------------------------------------------------------------------------------


async def test_rotating_now_takes_what_is_in_the_pipe_first(
    house: LogHouse, logs: LogAdmin
) -> None:
    _, pipe = await house.open()
    os.write(pipe, b"old\n")
    position = await logs.rotate(house.path)
    os.write(pipe, b"new\n")
    await eventually(lambda: house.file.read_bytes() == b"new\n")
    old = house.file.with_name("guest.log.0")
    assert old.read_bytes() == b"old\n"
    assert position == Position(house.file.stat().st_ino, 0)


async def test_a_log_that_is_not_open_is_not_rotated(house: LogHouse) -> None:
    succeeded, _, err = await virtadm(house, f"log-rotate {house.path}")
    assert not succeeded
    assert err.splitlines() == [
        f"error: failed to rotate log '{house.path}'",
        f"error: log {house.path} is not open",
    ]


async def test_what_cannot_be_rotated_is_said(house: LogHouse, logs: LogAdmin) -> None:
    await house.open()
    os.mkdir(f"{house.path}.1")
    os.close(os.open(f"{house.path}.0", os.O_CREAT))
    with pytest.raises(RpcError, match="cannot be rotated") as refusal:
        await logs.rotate(house.path)
    assert refusal.value.code == ErrorCode.SYSTEM_ERROR


async def test_a_log_that_cannot_be_rotated_is_followed_on_and_the_reason_shown(
    house: LogHouse, logs: LogAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotating, "RETRY_AFTER", 0.0)
    house.service.rotation.max_size = 100
    _, pipe = await house.open()
    os.mkdir(f"{house.path}.0")
    async with logs.follow(house.path) as followed:
        reader, whole = Reader(followed), b""
        for number in range(20):
            line = b"line %d %s\n" % (number, b"." * 40)
            os.write(pipe, line)
            whole += line
            await reader.until(whole)
            if number == 10:
                assert house.file.read_bytes() == whole
                (found,) = await logs.list()
                assert "is not a regular file, so it is not moved" in (found.trouble or "")
                os.rmdir(f"{house.path}.0")
        assert followed.gaps == 0
        assert house.file.stat().st_size <= 100
        assert not (await logs.list())[0].trouble
        reader.reading.cancel()


# Following ---------------------------------------------------------------------------------------


class Reader:
    """Reads what follows in the background."""

    def __init__(self, followed: Followed) -> None:
        self.followed = followed
        self.got = b""
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for data in self.followed:
            self.got += data

    async def until(self, wanted: bytes) -> None:
        await eventually(lambda: self.got == wanted or self.reading.done())
        assert self.got == wanted


async def test_following_begins_with_what_comes_and_goes_on_through_rotations(
    house: LogHouse, logs: LogAdmin
) -> None:
    _, pipe = await house.open()
    os.write(pipe, b"before\n")
    await eventually(lambda: house.service.logs[house.path].received == 7)
    async with logs.follow(house.path) as followed:
        assert followed.position == Position(house.file.stat().st_ino, 7)
        reader = Reader(followed)
        whole = b""
        for number in range(40):
            line = b"line %d %s\n" % (number, b"." * 90)
            os.write(pipe, line)
            whole += line
            await reader.until(whole)
        await logs.rotate(house.path)
        os.write(pipe, b"last\n")
        await reader.until(whole + b"last\n")
        assert followed.position == Position(house.file.stat().st_ino, 5)
        assert house.service.logs[house.path].file.rotations > 3
        house.let_go(pipe)
        await reader.reading  # it ends with the log
        assert followed.gaps == 0


async def test_from_the_oldest_and_from_a_position(house: LogHouse, logs: LogAdmin) -> None:
    start, pipe = await house.open()
    os.write(pipe, b"0123456789")
    await logs.rotate(house.path)
    os.write(pipe, b"abcdef")
    house.let_go(pipe)
    await eventually(lambda: not house.service.logs)
    # Nobody writes to it any more, so it is read to its end.
    async with logs.follow(house.path, from_oldest=True) as followed:
        assert b"".join([data async for data in followed]) == b"0123456789abcdef"
        assert followed.gaps == 0
    async with logs.follow(house.path, Position(start.inode, 8)) as followed:
        assert b"".join([data async for data in followed]) == b"89abcdef"


async def test_what_was_rotated_away_meanwhile_is_told(house: LogHouse, logs: LogAdmin) -> None:
    start, pipe = await house.open()
    kept = os.open(house.path, os.O_RDONLY)  # so that its inode is not given out again
    for number in range(4):
        os.write(pipe, b"%d" % number)
        await logs.rotate(house.path)
    async with logs.follow(house.path, start) as followed:
        reader = Reader(followed)
        await reader.until(b"23")
        assert followed.gaps == 1
        os.write(pipe, b"4")
        await reader.until(b"234")
        assert followed.gaps == 1
    os.close(kept)


async def test_a_log_that_was_cut_short_is_followed_and_the_gap_told(
    house: LogHouse, logs: LogAdmin
) -> None:
    _, pipe = await house.open()
    async with logs.follow(house.path) as first:
        before = Reader(first)
        os.write(pipe, b"before\n" * 20)
        await before.until(b"before\n" * 20)
        os.truncate(house.path, 0)
        async with logs.follow(house.path) as second:
            assert second.position.offset == 0
            after = Reader(second)
            os.write(pipe, b"after\n" * 40)
            await after.until(b"after\n" * 40)
            await before.until(b"before\n" * 20 + b"after\n" * 40)
            assert (first.gaps, second.gaps) == (1, 0)
            after.reading.cancel()
        before.reading.cancel()


async def test_a_log_that_was_removed_is_followed_and_the_gap_told(
    house: LogHouse, logs: LogAdmin
) -> None:
    _, pipe = await house.open()
    os.write(pipe, b"old\n")
    await logs.rotate(house.path)
    async with logs.follow(house.path) as followed:
        reader = Reader(followed)
        os.write(pipe, b"one\n")
        await reader.until(b"one\n")
        seen = b"one\n"
        for _ in range(20):  # what comes before logd has looked is still read from the old file
            house.file.unlink()
            os.write(pipe, b"two\n")
            seen += b"two\n"
            await reader.until(seen)
            if followed.gaps:
                break
        assert followed.gaps == 1
        assert house.file.read_bytes() == b"two\n", "it has its name again"
        reader.reading.cancel()


async def test_a_disk_that_hangs_for_one_follower_keeps_its_clients_other_streams_going(
    house: LogHouse, logs: LogAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pipe = await house.open()
    stuck = house.folder / "stuck.log"
    stuck.write_text("text")
    gate, read, waits = threading.Event(), Tail.read, []

    def wait(self: Tail, maxlen: int) -> Piece:
        if self._path == str(stuck):
            waits.append(1)
            gate.wait(10)
        return read(self, maxlen)

    monkeypatch.setattr(Tail, "read", wait)
    async with (
        logs.follow(str(stuck), from_oldest=True) as hanging,
        logs.follow(house.path) as followed,
    ):
        await eventually(lambda: waits)
        reader = Reader(followed)
        os.write(pipe, b"line\n")
        await reader.until(b"line\n")
        gate.set()
        assert [data async for data in hanging] == [b"text"]
        reader.reading.cancel()


async def test_a_call_while_a_log_is_followed_is_answered_though_much_waits(
    house: LogHouse, logs: LogAdmin
) -> None:
    house.service.rotation.max_size = 0
    _, pipe = await house.open()
    writing = asyncio.create_task(asyncio.to_thread(_write_all, pipe, 8 << 20))
    async with logs.follow(house.path, from_oldest=True) as followed:
        async for _ in followed:
            await eventually(lambda: house.file.stat().st_size == 8 << 20)
            await eventually(lambda: followed._stream.is_full)
            async with asyncio.timeout(PATIENCE / 5):
                assert len(await logs.list()) == 1
            break
    await writing


async def test_a_follower_leaves_a_daemon_that_does_not_answer(
    house: LogHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "GOODBYE", 0.05)
    await house.open()
    async with admin_client.connect(house.uri) as connection:
        followed = LogAdmin(connection).follow(house.path)
        async with asyncio.timeout(PATIENCE):
            async with followed:
                (client,) = house.daemon.servers["admin"].registry
                client.pause(1)  # as if the daemon had been stopped
        client.resume(1)


async def test_a_follower_that_does_not_read_stops_nobody(house: LogHouse, logs: LogAdmin) -> None:
    house.service.rotation.max_size = 0
    _, pipe = await house.open()
    async with (
        admin_client.connect(house.uri) as other,
        logs.follow(house.path, from_oldest=True) as followed,
    ):
        total = 12 << 20
        writing = asyncio.create_task(asyncio.to_thread(_write_all, pipe, total))
        await eventually(lambda: house.file.stat().st_size == total)
        await writing
        assert len(await LogAdmin(other).list()) == 1
        count = 0
        async for data in followed:
            count += len(data)
            if count == total:
                break
        assert count == total


def _write_all(pipe: int, total: int) -> None:
    while total:
        total -= os.write(pipe, b"y" * min(total, 65536))


@pytest.mark.parametrize(
    ("path", "position", "from_oldest", "text"),
    [
        ("guest.log", Position(1, 1), True, "not both"),
        ("other.log", None, False, "is not open"),
    ],
)
async def test_following_is_refused(
    house: LogHouse, logs: LogAdmin, path: str, position: Any, from_oldest: bool, text: str
) -> None:
    await house.open()
    with pytest.raises(RpcError, match=text) as refusal:
        async with logs.follow(f"{house.folder}/{path}", position, from_oldest=from_oldest):
            pass
    assert (refusal.value.code, refusal.value.domain) == (
        ErrorCode.INVALID_ARG,
        ErrorDomain.LOGGING,
    )


async def test_a_log_that_is_not_there_ends_the_stream(house: LogHouse, logs: LogAdmin) -> None:
    async with logs.follow(f"{house.path}.gone", from_oldest=True) as followed:
        with pytest.raises(RpcError, match="cannot be read: No such file"):
            [data async for data in followed]


async def test_who_stops_following_is_forgotten(house: LogHouse, logs: LogAdmin) -> None:
    await house.open()
    log = house.service.logs[house.path]
    async with logs.follow(house.path):
        await eventually(lambda: log.watchers)
    await eventually(lambda: not log.watchers)


async def test_the_follow_command(house: LogHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    start, pipe = await house.open()
    os.write(pipe, b"one\n\xff\n")
    house.let_go(pipe)
    await eventually(lambda: not house.service.logs)
    assert await virtadm(house, f"log-follow {house.path} --all") == (True, "one\n�\n\n", "")
    _, out, _ = await virtadm(
        house, f"log-follow {house.path} --position {start.inode}:4", json=True
    )
    assert json.loads(out) == {
        "data": "�\n",
        "behind": {"inode": start.inode, "offset": 6},
    }


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("--position 12", "is not a position"),
        ("--position 1:x", "is not a position"),
        ("--position 1:-1", "is not a position"),
        ("--position 1:1 --all", "do not go together"),
        ("", "is not open"),
    ],
)
async def test_the_follow_command_refuses(house: LogHouse, options: str, text: str) -> None:
    succeeded, _, err = await virtadm(house, f"log-follow {house.path} {options}")
    assert not succeeded
    assert text in err


# Elsewhere ---------------------------------------------------------------------------------------


async def test_a_daemon_without_the_program_says_so(tmp_path: Path) -> None:
    async with (
        open_log_house(tmp_path, administered=False) as house,
        admin_client.connect(house.uri) as connection,
    ):
        logs = LogAdmin(connection)
        with pytest.raises(MissingProgram, match="no log administration"):
            await logs.list()
        with pytest.raises(MissingProgram, match="no log administration"):
            async with logs.follow("/x"):
                pass


async def test_unknown_flags_are_refused(house: LogHouse) -> None:
    async with admin_client.connect(house.uri) as connection:
        for procedure, args in (
            (admin_protocol.LOG_LIST, admin_protocol.ListArgs(None, 1)),
            (admin_protocol.LOG_ROTATE, admin_protocol.RotateArgs("/x", 4)),
        ):
            with pytest.raises(RpcError, match="unsupported flags"):
                await connection.call(procedure, args)  # type: ignore[arg-type]
        with pytest.raises(RpcError, match=r"^unsupported flags \(0x2\) in function "):
            await connection.open_stream(
                admin_protocol.LOG_FOLLOW, admin_protocol.FollowArgs("/x", None, 3)
            )
