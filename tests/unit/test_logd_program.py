"""The log manager program as a client meets it."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from aiovirt.daemons.logd import dispatch as dispatch_module
from aiovirt.daemons.logd import movers as movers_module
from aiovirt.daemons.logd import protocol
from aiovirt.daemons.logd import state as state_module
from aiovirt.daemons.logd.component import Ageing, LogsComponent
from aiovirt.daemons.logd.dispatch import LogManagerDispatch
from aiovirt.daemons.logd.protocol import OpenFlags, Position
from aiovirt.daemons.logd.rotating import RotatingFile, Rotation
from aiovirt.rpc.client import connect_unix
from aiovirt.rpc.server import Daemon, threads
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from tests.unit.house import PATIENCE, eventually
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
    await eventually(lambda: house.texts() == ["12345", "678"])


# One file, one log ---------------------------------------------------------------------------------


async def test_two_logs_may_name_one_file_and_it_has_the_bytes_of_both(house: LogHouse) -> None:
    _, one = await house.open()
    _, two = await house.open(f"{house.folder}//guest.log")
    for _ in range(3):
        os.write(one, b"one\n")
        await house.call(protocol.DOMAIN_GET_LOG_FILE_POSITION, _position(house))
        os.write(two, b"two\n")
        other = protocol.PositionArgs(f"{house.folder}//guest.log", 0)
        await house.call(protocol.DOMAIN_GET_LOG_FILE_POSITION, other)
    assert house.file.read_bytes() == b"one\ntwo\n" * 3


async def test_adding_under_another_name_adds_to_the_open_log(house: LogHouse) -> None:
    _, pipe = await house.open()
    house.service.rotation.max_size = 10
    for number in range(4):
        os.write(pipe, b"%04d\n" % number)
        args = protocol.AppendArgs("t", GUEST, f"{house.folder}//guest.log", "abcd\n", 0)
        await house.call(protocol.DOMAIN_GET_LOG_FILE_POSITION, _position(house))
        await house.call(protocol.DOMAIN_APPEND_LOG_FILE, args)
    assert house.texts() == [f"{n:04}\nabcd\n" for n in (1, 2, 3)]


def _position(house: LogHouse) -> protocol.PositionArgs:
    return protocol.PositionArgs(house.path, 0)


async def test_calls_for_one_path_are_done_in_their_order(house: LogHouse) -> None:
    house.service.rotation.max_size = 100
    lines = [f"line {number:03}\n" for number in range(25)]
    async with connect_unix(house.socket) as connection:
        await asyncio.gather(
            *(
                connection.call(
                    protocol.DOMAIN_APPEND_LOG_FILE,
                    protocol.AppendArgs("t", GUEST, house.path, line, 0),
                )
                for line in lines
            )
        )
    assert "".join(house.texts()) == "".join(lines)


# Disks that hang -----------------------------------------------------------------------------------


class Gate:
    """Has the opening of files hang until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate = threading.Event()
        self.waits = 0
        open_file = RotatingFile.__init__

        def wait(*args: object, **more: object) -> None:
            self.waits += 1
            self.gate.wait(10)
            open_file(*args, **more)  # type: ignore[arg-type]  # whatever they are

        monkeypatch.setattr(RotatingFile, "__init__", wait)


async def test_while_one_log_is_opened_others_are_served(
    house: LogHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pipe = await house.open()
    gate = Gate(monkeypatch)
    opening = asyncio.create_task(house.open(f"{house.path}.slow"))
    await eventually(lambda: gate.waits)
    os.write(pipe, b"quick\n")
    found = await house.call(protocol.DOMAIN_GET_LOG_FILE_POSITION, _position(house))
    assert found.position.offset == 6
    gate.gate.set()
    await opening


@pytest.mark.parametrize("late", [False, True])
async def test_a_log_whose_client_went_while_it_was_opened_is_closed_again(
    house: LogHouse, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    gate = Gate(monkeypatch)
    args = protocol.OpenArgs("test", GUEST, house.path, 0)
    before = len(os.listdir("/proc/self/fd"))
    connection = await connect_unix(house.socket)
    opening = asyncio.create_task(
        connection.call_for_descriptors(protocol.DOMAIN_OPEN_LOG_FILE, args)
    )
    await eventually(lambda: gate.waits)
    if not late:
        connection.abort()
        (client,) = house.server.registry
        await eventually(lambda: client.is_paused)  # its end was seen; its call goes on
    gate.gate.set()
    if late:
        (pipe,) = (await opening)[1]
        connection.abort()
        os.close(pipe)
    else:
        with pytest.raises(Exception, match=r"closed|lost|aborted"):
            await opening
    await eventually(lambda: not house.service.logs and not house.service.outside.busy())
    await eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)
    await house.open()


async def test_a_pause_waits_for_what_hangs_and_then_says_what_it_is(
    house: LogHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pipe = await house.open()
    gate = Gate(monkeypatch)
    monkeypatch.setattr(dispatch_module, "_FINISH", 0.05)
    opening = asyncio.create_task(house.open(f"{house.path}.slow"))
    await eventually(lambda: gate.waits)
    for _ in range(2):
        with pytest.raises(TimeoutError, match=r"not done in time: .*guest\.log\.slow$"):
            await house.service.pause()
        house.service.resume()
        os.write(pipe, b"x")
    await eventually(lambda: house.file.read_bytes() == b"xx")
    gate.gate.set()
    await opening
    await house.service.pause()
    house.service.resume()


async def test_calls_about_a_disk_that_does_not_answer_leave_workers_for_others(
    house: LogHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pipe = await house.open()
    (house.folder / "elsewhere").mkdir()
    gate = Gate(monkeypatch)
    monkeypatch.setattr(dispatch_module, "ANSWER_WITHIN", 0.3)
    paths = [f"{house.folder}/elsewhere/{number}.log" for number in range(30)]
    calls = [asyncio.create_task(house.open(path)) for path in paths]
    await eventually(lambda: gate.waits)
    os.write(pipe, b"line\n")
    await asyncio.wait(calls)
    await eventually(lambda: house.file.read_bytes() == b"line\n")
    for one in calls:
        with pytest.raises(RpcError, match=r"has not answered for 0\.3 s") as refusal:
            await one
        assert refusal.value.code == ErrorCode.OPERATION_TIMEOUT
    begun = gate.waits
    with pytest.raises(RpcError, match="has not answered"):
        await house.open(f"{house.folder}/elsewhere/another.log")
    assert gate.waits == begun, "no further thread is given to that folder"
    monkeypatch.setattr(dispatch_module, "ANSWER_WITHIN", PATIENCE)
    gate.gate.set()
    await eventually(lambda: not house.service.outside.busy())
    await eventually(lambda: list(house.service.logs) == [house.path])
    await house.open(f"{house.folder}/elsewhere/later.log")


async def test_calls_about_a_log_whose_thread_hangs_are_given_up_and_then_refused(
    house: LogHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.open()
    log, gate = house.service.logs[house.path], threading.Event()
    monkeypatch.setattr(dispatch_module, "ANSWER_WITHIN", 0.05)
    hanging = asyncio.create_task(log.do(lambda: gate.wait(10)))
    for _ in range(3):
        with pytest.raises(RpcError, match="has not answered"):
            await house.call(protocol.DOMAIN_GET_LOG_FILE_POSITION, _position(house))
    monkeypatch.setattr(dispatch_module, "ANSWER_WITHIN", PATIENCE)
    gate.set()
    await hanging
    await house.call(protocol.DOMAIN_GET_LOG_FILE_POSITION, _position(house))


async def test_a_log_whose_folder_was_removed_still_has_a_position(house: LogHouse) -> None:
    folder = house.folder / "folder"
    folder.mkdir()
    path = str(folder / "guest.log")
    before, pipe = await house.open(path)
    os.write(pipe, b"line\n")
    await eventually((folder / "guest.log").read_bytes)
    shutil.rmtree(folder)
    where = protocol.PositionArgs(path, flags=0)
    found = await house.call(protocol.DOMAIN_GET_LOG_FILE_POSITION, where)
    assert found.position == Position(before.inode, 5), "the last one that is known"


async def test_the_end_counts_what_a_guest_wrote_to_a_log_without_a_folder(
    house: LogHouse,
) -> None:
    folder = house.folder / "folder"
    folder.mkdir()
    _, pipe = await house.open(str(folder / "guest.log"))
    (log,) = house.service.logs.values()
    shutil.rmtree(folder)
    os.write(pipe, b"line\n")
    await house.service.finish()
    assert (log.closed, log.lost) == (True, 5)


async def test_the_end_counts_what_a_disk_that_hangs_still_has_to_take(
    house: LogHouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[dict[str, object]] = []
    gate = threading.Event()

    def hang(file: RotatingFile, data: memoryview) -> None:
        gate.wait(10)

    monkeypatch.setattr(dispatch_module, "_FINISH", 0.1)
    monkeypatch.setattr(RotatingFile, "append", hang)
    _, pipe = await house.open()
    (log,) = house.service.logs.values()
    os.write(pipe, b"12345")
    await eventually(log.unwritten)
    os.write(pipe, b"678")
    with monkeypatch.context() as patched:
        patched.setattr(
            dispatch_module, "_log", SimpleNamespace(error=lambda _, **fields: told.append(fields))
        )
        await house.service.finish()
    assert told == [{"path": house.path, "lost": 8}]
    gate.set()


async def test_a_log_that_cannot_be_served_is_refused(
    house: LogHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    descriptors = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(movers_module, "Station", no_more)
        with pytest.raises(RpcError, match="Too many open files") as caught:
            await house.open()
    assert caught.value.code == ErrorCode.SYSTEM_ERROR
    assert not house.service.logs
    await eventually(lambda: len(os.listdir("/proc/self/fd")) == descriptors)
    await house.open()


async def test_a_call_for_which_there_is_no_thread_is_refused_and_a_restart_is_possible(
    house: LogHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more() -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threads, "_idle", [])
        patched.setattr(threads, "_Thread", no_more)
        with pytest.raises(RpcError, match="can't start new thread") as caught:
            await house.open()
    assert caught.value.code == ErrorCode.SYSTEM_ERROR
    await house.service.pause()
    house.service.resume()


# Restart -------------------------------------------------------------------------------------------


async def test_what_is_restored_is_not_looked_at_until_it_goes_on(
    house: LogHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pipe = await house.open()
    os.write(pipe, b"before ")
    await house.call(protocol.DOMAIN_GET_LOG_FILE_POSITION, _position(house))
    await house.service.pause()
    kept: list[int] = []

    def keep(descriptor: int) -> int:
        kept.append(os.dup(descriptor))  # as the next program would have it
        return kept[-1]

    saved = state_module.save(house.service, keep)
    rotation = Rotation(1000, 2)
    rehearsed = LogManagerDispatch(Daemon("rehearsal"), rotation)
    with monkeypatch.context() as patched:
        for name in ("fstat", "set_inheritable", "open", "read", "write", "close"):
            patched.setattr(os, name, _refuse)
        state_module.restore(rehearsed, saved)
    (log,) = rehearsed.logs.values()
    assert (log.received, log.file.position) == (7, 7)
    os.write(pipe, b"after")
    rehearsed.resume()
    rehearsed.resume()  # a second one reads nothing twice
    await eventually(lambda: house.file.read_bytes() == b"before after")
    await rehearsed.finish()
    house.service.resume()


def _refuse(*_: object) -> None:
    raise AssertionError("something outside this process was touched")


async def test_a_log_that_cannot_be_taken_over_costs_itself_only(house: LogHouse) -> None:
    pipes = [(await house.open(f"{house.path}.{name}"))[1] for name in "abc"]
    await house.service.pause()
    saved = state_module.save(house.service, lambda descriptor: os.dup(descriptor))
    os.close(saved.logs[1].file)
    saved.logs[1].file = 99_999
    taken = LogManagerDispatch(Daemon("next"), Rotation(1000, 2))
    state_module.restore(taken, saved)
    taken.resume()
    await eventually(lambda: len(taken.logs) == 2)
    for pipe in (pipes[0], pipes[2]):
        os.write(pipe, b"line\n")
    for name in "ac":
        path = house.folder / f"guest.log.{name}"
        await eventually(lambda path=path: path.read_bytes() == b"line\n")
    await taken.finish()
    house.service.resume()
