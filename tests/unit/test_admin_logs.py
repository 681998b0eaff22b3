"""The log over the admin connection: followed, read, and its filters set for a while."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiovirt.admin import dispatch as admin_dispatch
from aiovirt.admin.client import Connection, LogGap, LogRecord, MissingProgram, connect
from aiovirt.admin.extension import dispatch as extension_dispatch
from aiovirt.admin.extension.protocol import EXTENSION
from aiovirt.admin.extension.protocol import logs as protocol
from aiovirt.admin.logs import Followed
from aiovirt.rpc.logs import LogControl, get_logger
from aiovirt.rpc.logs import control as control_module
from aiovirt.rpc.server import Client, Daemon, ServerOptions
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.unit.house import PATIENCE, eventually

_log = get_logger("test.admin.logs")
ONLY = "1:test.admin.logs"


class Desk:
    """A daemon in this loop whose log is followed."""

    def __init__(self, folder: Path, *, extended: bool = True) -> None:
        self.control = LogControl(
            "desk", outputs=f"1:file:{folder}/log", filters="4:rpc", buffer_size=10
        )
        self.daemon = Daemon("desk", logging=self.control, grace=5)
        admin = self.daemon.add_server(ServerOptions("admin"))
        admin.add_program(admin_dispatch.handlers(self.daemon))
        if extended:
            admin.add_program(extension_dispatch.handlers(self.daemon))
        admin.listen_unix(f"{folder}/sock")
        self.uri = f"virtd:///session?socket={folder}/sock"

    def connect(self) -> connect:
        return connect(self.uri, timeout=PATIENCE)

    @property
    def followers(self) -> int:
        return len(self.control.audience)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with serving(Desk(tmp_path)) as one:
        yield one


@contextlib.asynccontextmanager
async def serving(one: Desk) -> AsyncIterator[Desk]:
    """Serve until the end of the block."""
    ready = asyncio.Event()
    serving = asyncio.create_task(one.daemon.serve(ready.set))
    await ready.wait()
    yield one
    one.daemon.shutdown()
    one.daemon.shutdown()
    await serving
    one.control.close()


@pytest.fixture
async def conn(desk: Desk) -> AsyncIterator[Connection]:
    async with desk.connect() as one:
        yield one


async def first(followed: Followed, count: int) -> list[LogRecord | LogGap]:
    """The next items, in batches that have so many at least."""
    found: list[LogRecord | LogGap] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < count:
            found += await followed._receive() or []
    return found


def messages(found: list[LogRecord | LogGap]) -> list[object]:
    return [one.message if isinstance(one, LogRecord) else one for one in found]


class TestFollowing:
    async def test_records_come_as_they_are_logged(self, conn: Connection) -> None:
        async with conn.logs.follow(level="error", filters=ONLY) as followed:
            _log.debug("hello", client=7, names=["a"], missing=None)
            (one,) = await first(followed, 1)
        assert isinstance(one, LogRecord)
        assert (one.level, one.source, one.message) == ("debug", "test.admin.logs", "hello")
        assert one.fields == {"client": 7, "names": ["a"], "missing": None}

    async def test_a_loop_over_a_follow_needs_no_more(self, conn: Connection) -> None:
        _log.warning("before")
        async for one in conn.logs.follow(last=1):
            assert messages([one]) == ["before"]
            break

    async def test_following_begins_with_the_latest_records(self, conn: Connection) -> None:
        for n in range(4):
            _log.warning(f"w{n}")
        async with conn.logs.follow(last=2) as followed:
            _log.warning("w4")
            assert messages(await first(followed, 3)) == ["w2", "w3", "w4"]

    async def test_the_latest_records_are_read_by_themselves(
        self, conn: Connection, desk: Desk
    ) -> None:
        _log.warning("w")
        _log.error("e")
        assert messages([*await conn.logs.read()]) == ["w", "e"]
        assert messages([*await conn.logs.read(last=1)]) == ["e"]
        assert messages([*await conn.logs.read(level="error")]) == ["e"]
        await eventually(lambda: desk.followers == 0)

    async def test_the_level_is_the_daemons_unless_it_is_given(self, conn: Connection) -> None:
        async with conn.logs.follow() as followed:
            _log.info("not wanted")
            _log.warning("wanted")
            assert messages(await first(followed, 1)) == ["wanted"]

    async def test_filters_are_the_daemons_if_neither_they_nor_a_level_are_given(
        self, conn: Connection, desk: Desk
    ) -> None:
        desk.control.set_filters(ONLY)
        async with conn.logs.follow() as own, conn.logs.follow(level=3) as other:
            desk.control.set_filters("")
            _log.debug("detail")
            _log.warning("warning")
            assert messages(await first(own, 2)) == ["detail", "warning"]
            assert messages(await first(other, 1)) == ["warning"]

    async def test_many_records_travel_in_packets_that_fit(self, conn: Connection) -> None:
        async with conn.logs.follow(filters=ONLY, level=4) as followed:
            for n in range(2000):
                _log.debug(f"{n}", padding="\u20ac" * 20)
            found = await first(followed, 2000)
        assert messages(found) == [str(n) for n in range(2000)]

    async def test_a_record_of_another_thread_wakes_the_stream(self, conn: Connection) -> None:
        async with conn.logs.follow(filters=ONLY, level=4) as followed:
            await asyncio.to_thread(_log.debug, "from a thread")
            assert messages(await first(followed, 1)) == ["from a thread"]

    async def test_the_end_of_following_is_the_end_of_its_cost(
        self, conn: Connection, desk: Desk
    ) -> None:
        async with conn.logs.follow(filters=ONLY):
            assert _log.debug_on
        await eventually(lambda: desk.followers == 0)
        assert not _log.debug_on

    async def test_a_client_that_goes_is_followed_by_its_followers(self, desk: Desk) -> None:
        lost = await desk.connect()
        for _ in range(3):
            await lost.logs.follow(filters=ONLY).open()
        assert desk.followers == 3
        lost.abort()
        await eventually(lambda: desk.followers == 0)

    async def test_the_daemons_end_is_told(self, desk: Desk) -> None:
        async with desk.connect() as conn:
            followed = await conn.logs.follow().open()
            desk.daemon.shutdown()
            with pytest.raises(RpcError, match="daemon desk ends"):
                await first(followed, 1)

    @pytest.mark.parametrize(
        ("filters", "text"), [("nonsense", "has no colon"), ("9:x", "has the level '9'")]
    )
    async def test_wrong_filters_are_refused(
        self, conn: Connection, filters: str, text: str
    ) -> None:
        with pytest.raises(RpcError, match=text) as refused:
            await conn.logs.follow(filters=filters).open()
        assert refused.value.code == ErrorCode.INVALID_ARG

    async def test_wrong_arguments_are_refused_before_anything_is_sent(
        self, conn: Connection
    ) -> None:
        with pytest.raises(ValueError, match="1 to 4 or one of debug, info, warning, error"):
            conn.logs.follow(level="loud")
        with pytest.raises(TypeError, match="a number or a word, not True"):
            conn.logs.follow(level=True)
        with pytest.raises(ValueError, match="latest records"):
            conn.logs.follow(last=-1)
        with pytest.raises(TypeError, match="log filters"):
            conn.logs.follow(filters=None)  # type: ignore[arg-type]  # what is refused

    async def test_a_daemon_without_the_program_is_said_to_lack_it(
        self, desk: Desk, conn: Connection
    ) -> None:
        del desk.daemon.servers["admin"].programs[EXTENSION.number, EXTENSION.version]
        with pytest.raises(MissingProgram, match=r"no admin extension \(program 0x06900691"):
            await conn.logs.read()


class TestSlowReaders:
    async def test_a_stopped_reader_loses_what_does_not_fit_and_knows_how_much(
        self, conn: Connection, desk: Desk
    ) -> None:
        followed = await conn.logs.follow(filters=ONLY, level=4).open()
        conn.rpc.pause(1 << 20)
        total = 0
        while not desk.control.audience._followers[0].full:
            for _ in range(500):
                _log.debug("record", n=total)
                total += 1
            await asyncio.sleep(0)
        conn.rpc.resume(1 << 20)
        _log.debug("record", n=total)
        found: list[LogRecord | LogGap] = []
        missing, expected = 0, 0
        while expected + 1 < total:
            for one in await first(followed, 1):
                if isinstance(one, LogGap):
                    assert one.lost
                    missing += one.lost
                    expected += one.lost
                else:
                    assert one.fields["n"] == expected  # the gap is where the records are missing
                    expected += 1
                    found.append(one)
        assert missing > 0
        assert len(found) + missing >= total
        assert followed

    async def test_other_clients_do_not_notice_a_stopped_reader(
        self, conn: Connection, desk: Desk
    ) -> None:
        await conn.logs.follow(filters=ONLY, level=4).open()
        conn.rpc.pause(1 << 20)
        follower = desk.control.audience._followers[0]
        while not follower.full:
            for _ in range(500):
                _log.debug("record")
            await asyncio.sleep(0)
        async with desk.connect() as other:
            assert await other.list_servers()
        conn.rpc.resume(1 << 20)

    async def test_sixty_four_are_served_and_one_more_is_refused(self, desk: Desk) -> None:
        async with contextlib.AsyncExitStack() as stack:
            opened: list[Followed] = []
            for _ in range(4):
                conn = await stack.enter_async_context(desk.connect())
                opened += [await conn.logs.follow(filters=ONLY).open() for _ in range(16)]
            with pytest.raises(RpcError, match="64 followers read this log already") as refused:
                await conn.logs.follow().open()
            assert refused.value.code == ErrorCode.RESOURCE_BUSY
            _log.debug("for all")
            for one in opened:
                assert messages(await first(one, 1)) == ["for all"]


class TestFeedback:
    async def test_records_that_sending_causes_are_not_followed(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Every write to a client logs a line here: two followers would feed each other for ever."""
        written = 0
        write = Client.write

        def logging_write(self: Client, data: bytes) -> None:
            nonlocal written
            written += 1
            _log.debug("written", size=len(data))
            write(self, data)

        async with desk.connect() as one, desk.connect() as two:
            followers = [
                await conn.logs.follow(filters=ONLY, level=4).open() for conn in (one, two)
            ]
            monkeypatch.setattr(Client, "write", logging_write)
            _log.debug("begin")
            for follower in followers:
                assert messages(await first(follower, 1)) == ["begin"]
            await one.list_servers()  # its reply is written outside of the streams
            for follower in followers:
                assert messages(await first(follower, 1)) == ["written"]
            await eventually(lambda: written >= 5)
            _log.debug("end")
            for follower in followers:
                assert messages(await first(follower, 1)) == ["end"]


class TestFilters:
    async def test_they_are_in_force_for_the_block(self, conn: Connection) -> None:
        async with conn.log_filters("1:x 2:y"):
            assert await conn.get_logging_filters() == "1:x 2:y"
        assert await conn.get_logging_filters() == "4:rpc"

    async def test_they_are_put_back_when_the_block_is_cancelled(self, conn: Connection) -> None:
        inside = asyncio.Event()

        async def work() -> None:
            async with conn.log_filters("1:x"):
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await inside.wait()
        task.cancel()
        task.cancel()  # once more, as an impatient user would
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await conn.get_logging_filters() == "4:rpc"

    async def test_they_end_when_their_setting_is_cancelled(
        self, conn: Connection, desk: Desk
    ) -> None:
        task = asyncio.create_task(conn.log_filters("1:x").__aenter__())
        await eventually(lambda: "x" in desk.control.filters_text())
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            async with await task:
                pass
        await eventually(lambda: desk.control.filters_text() == "4:*rpc* ")

    async def test_they_end_with_the_connection(self, conn: Connection, desk: Desk) -> None:
        async with conn.log_filters("1:x") as setting:
            conn.abort()
            async with asyncio.timeout(PATIENCE):
                await setting.wait_over()
        await eventually(lambda: desk.control.filters_text() == "4:*rpc* ")
        assert not setting.left_alone

    async def test_of_several_the_latest_are_in_force_however_they_overlap(
        self, conn: Connection, desk: Desk
    ) -> None:
        async with desk.connect() as other:
            first, second = conn.log_filters("1:x"), other.log_filters("1:y")
            async with first:
                async with second:
                    assert await conn.get_logging_filters() == "1:y"
                assert await conn.get_logging_filters() == "1:x"
                await second.__aenter__()
                assert second.found == "1:x"
            assert await conn.get_logging_filters() == "1:y"
            await second.__aexit__(None, None, None)
            assert await conn.get_logging_filters() == "4:rpc"
            assert not first.left_alone
            assert not second.left_alone

    async def test_those_that_are_set_to_last_end_all_temporary_ones(
        self, conn: Connection, desk: Desk
    ) -> None:
        async with desk.connect() as other, conn.log_filters("1:x") as first:
            async with other.log_filters("1:y") as second:
                await other.set_logging_filters("2:z")
                async with asyncio.timeout(PATIENCE):
                    await first.wait_over()
                assert await conn.get_logging_filters() == "2:z"
            assert (first.left_alone, second.left_alone) == (True, True)
        assert await conn.get_logging_filters() == "2:z"
        async with conn.log_filters("1:x"):
            assert await conn.get_logging_filters() == "1:x"
        assert await conn.get_logging_filters() == "2:z"

    async def test_a_daemon_ends_them_after_their_time(self, conn: Connection, desk: Desk) -> None:
        async with conn.log_filters("1:x", at_most=0.01) as setting:
            async with asyncio.timeout(PATIENCE):
                await setting.wait_over()
            assert desk.control.filters_text() == "4:*rpc* "
        assert not setting.left_alone

    async def test_they_change_neither_the_level_nor_are_they_changed_by_it(
        self, conn: Connection, desk: Desk
    ) -> None:
        async with conn.log_filters("1:x"):
            desk.control.configure(level=1)
            assert await conn.get_logging_filters() == "1:x"
            assert [one.match for one in desk.control.lasting_filters()] == ["*rpc*"]
        assert (desk.control.level, desk.control.filters_text()) == (1, "4:*rpc* ")

    async def test_there_is_a_bound_for_them(
        self, conn: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(control_module, "TEMPORARY_MAX", 1)
        async with conn.log_filters("1:x"):
            with pytest.raises(RpcError, match="1 temporary log filters already") as refused:
                async with conn.log_filters("1:y"):
                    pass
            assert refused.value.code == ErrorCode.RESOURCE_BUSY
            assert await conn.get_logging_filters() == "1:x"

    @pytest.mark.parametrize("at_most", [-1.0, math.inf, math.nan])
    async def test_an_odd_time_is_refused(self, conn: Connection, at_most: float) -> None:
        with pytest.raises(RpcError, match="at_most is a number of seconds"):
            await conn.open_stream(
                protocol.LOG_FILTERS_FOR_NOW, protocol.FiltersForNowArgs("1:x", at_most, 0)
            )
        assert await conn.get_logging_filters() == "4:rpc"


class TestFiltersOfOtherDaemons:
    """A daemon without the extension gets filters as its own, and the former ones back."""

    @pytest.fixture
    async def desk(self, tmp_path: Path) -> AsyncIterator[Desk]:
        async with serving(Desk(tmp_path, extended=False)) as one:
            yield one

    async def test_they_are_in_force_for_the_block(self, conn: Connection) -> None:
        async with conn.log_filters("1:x 2:y") as setting:
            assert await conn.get_logging_filters() == "1:x 2:y"
            assert setting.found == "4:rpc"
        assert await conn.get_logging_filters() == "4:rpc"

    async def test_they_are_put_back_when_their_setting_is_cancelled(
        self, conn: Connection, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_filters = conn.set_logging_filters

        async def set_and_hang(filters: str | None) -> None:
            await set_filters(filters)
            if filters == "1:x":
                await asyncio.Event().wait()

        monkeypatch.setattr(conn, "set_logging_filters", set_and_hang)
        task = asyncio.create_task(conn.log_filters("1:x").__aenter__())
        await eventually(lambda: "x" in desk.control.filters_text())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert desk.control.filters_text() == "4:*rpc* "

    async def test_they_are_put_back_over_a_new_connection_when_the_old_one_is_lost(
        self, conn: Connection, desk: Desk
    ) -> None:
        async with conn.log_filters("1:x"):
            conn.abort()
        assert desk.control.filters_text() == "4:*rpc* "

    async def test_those_that_somebody_else_has_set_meanwhile_are_left_alone(
        self, conn: Connection
    ) -> None:
        async with conn.log_filters("1:x") as setting:
            await conn.set_logging_filters("2:z")
        assert setting.left_alone
        assert await conn.get_logging_filters() == "2:z"

    async def test_refused_ones_change_nothing(self, conn: Connection) -> None:
        with pytest.raises(RpcError, match="has no colon"):
            async with conn.log_filters("nonsense"):
                pass
        assert await conn.get_logging_filters() == "4:rpc"
