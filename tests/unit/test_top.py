"""`virtadm top`: what it shows of daemons, and what is done from it, driven by Textual's pilot."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from aiovirt.admin import protocol
from aiovirt.admin.client import Connection
from aiovirt.admin.logs import LogGap, LogRecord
from aiovirt.admin.top import orders, rows
from aiovirt.admin.top.app import TopApp
from aiovirt.admin.top.feed import Detail, Feed, Rates
from aiovirt.admin.top.log import LogLine, LogTail
from aiovirt.admin.top.panes import log_text
from aiovirt.admin.watch.clients import ClientState
from aiovirt.admin.watch.statistics import CallInFlight, Histogram, ProcedureCounts, ServerCounts
from aiovirt.admin.watch.watched import Watched
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.typedparams import to_dict
from tests.unit.house import PATIENCE, eventually
from tests.unit.scripted_daemon import HangUp, raising, scripted_daemon

INTERVAL = 0.3


class View:
    """A running `top`, and ways to look at its screen."""

    def __init__(self, app: TopApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def screen(self) -> str:
        """The text of the whole screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    async def shows(self, *texts: str) -> None:
        """Wait until all of these texts are on the screen."""
        await self.eventually(lambda: all(text in self.screen for text in texts), texts)

    async def hides(self, text: str) -> None:
        """Wait until a text is not on the screen."""
        await self.eventually(lambda: text not in self.screen, text)

    async def eventually(self, thing: Callable[[], Any], what: object) -> None:
        deadline = time.monotonic() + 4 * PATIENCE  # a screen takes more than an answer
        while not thing():
            assert time.monotonic() < deadline, f"never came: {what}\n{self.screen}"
            await self.pilot.pause(0.01)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def choose_client(self, key: str) -> None:
        """Move the cursor to a client."""
        table = self.app.query_one("#clients")
        table.focus()
        for _ in range(20):
            if str(getattr(table, "chosen", "")).startswith(key):
                return
            await self.press("down")
        raise AssertionError(f"no client {key}\n{self.screen}")


@contextlib.asynccontextmanager
async def viewing(
    *uris: str, size: tuple[int, int] = (140, 44), timeout: float | None = None
) -> AsyncIterator[View]:
    """A view of these daemons."""
    app = TopApp([Watched(uri, timeout) for uri in uris], INTERVAL)
    async with app.run_test(size=size) as pilot:
        yield View(app, pilot)


async def test_servers_pools_and_clients_of_a_daemon_are_shown() -> None:
    async with scripted_daemon() as daemon, viewing(daemon.uri) as view:
        await view.shows("9.1.2", "main", "2/5000", "1/20", "seven", "unix ro")
        await view.shows("no statistics: only daemons of aiovirt have", "no logs: only daemons")


async def test_a_client_is_disconnected_only_after_a_yes() -> None:
    async with scripted_daemon() as daemon, viewing(daemon.uri) as view:
        await view.shows("seven")
        await view.choose_client("main/3/")
        await view.press("d")
        await view.shows("Disconnect client 3 (seven) from server main?")
        await view.press("n")
        await view.hides("Disconnect client 3 (seven)")
        assert not daemon.called(protocol.CLIENT_CLOSE)
        await view.press("d", "y")
        await view.shows("client 3 of server main disconnected")
    (closed,) = daemon.called(protocol.CLIENT_CLOSE)
    assert (closed.client.server.name, closed.client.id) == ("main", 3)


async def test_a_refusal_is_shown_in_its_dialog_which_stays() -> None:
    refusal = raising(RpcError(ErrorCode.NO_CLIENT, "client 3 has left"))
    script = {protocol.CLIENT_CLOSE: refusal}
    async with scripted_daemon(script) as daemon, viewing(daemon.uri) as view:
        await view.shows("seven")
        await view.press("d", "y")
        await view.shows("client 3 has left", "Disconnect client")
        await view.press("escape")
        await view.hides("client 3 has left")


async def test_a_worker_pool_is_resized_and_only_what_was_changed_is_sent() -> None:
    async with scripted_daemon() as daemon, viewing(daemon.uri) as view:
        await view.shows("2/5000")
        await view.press("w")
        await view.shows("Workers of server admin.")
        await view.press("enter")
        await view.shows("no number was changed")
        await view.press("x", "enter")
        await view.shows("min takes a number of workers, not 'x'")
        assert not daemon.called(protocol.SERVER_SET_THREADPOOL_PARAMETERS)
        await view.press("backspace", "7", "enter")
        await view.shows("worker pool of server admin resized")
    (sent,) = daemon.called(protocol.SERVER_SET_THREADPOOL_PARAMETERS)
    assert to_dict(sent.params) == {"minWorkers": 7}


async def test_a_log_level_on_a_daemon_of_libvirt_names_what_it_lacks() -> None:
    async with scripted_daemon() as daemon, viewing(daemon.uri) as view:
        await view.shows("seven")
        await view.press("l", "down", "enter")
        await view.shows("this daemon has no admin extension")


async def test_a_daemon_that_hangs_or_is_gone_leaves_the_others_in_view(tmp_path: Path) -> None:
    gone = f"logd:///session?socket={tmp_path}/gone"
    async with scripted_daemon() as daemon, viewing(gone, daemon.uri, timeout=0.2) as view:
        await view.shows("down", "9.1.2", "Failed to connect socket")
        view.app.query_one("#daemons").focus()
        await view.press("down")
        await view.shows("seven")


async def test_a_daemon_that_was_restarted_comes_back() -> None:
    hang_up = False

    def version(args: None) -> protocol.LibVersion:
        if hang_up:
            raise HangUp
        return protocol.LibVersion(9_000_000)

    script = {protocol.CONNECT_GET_LIB_VERSION: version}
    async with scripted_daemon(script) as daemon, viewing(daemon.uri) as view:
        await view.shows("seven")
        hang_up = True
        await view.shows("down")
        hang_up = False
        await view.shows("seven")


async def test_a_pause_stops_polling_and_ends() -> None:
    async with scripted_daemon() as daemon, viewing(daemon.uri) as view:
        await view.shows("seven")
        await view.press("p")
        await view.shows("paused")
        before = -1
        while before != len(daemon.calls):  # a poll that had begun ends
            before = len(daemon.calls)
            await view.pilot.pause(0.01)
        await view.press("r")
        await view.pilot.pause()
        assert len(daemon.calls) == before
        await view.press("p")
        await view.eventually(lambda: len(daemon.calls) > before, "a poll")


async def test_a_small_terminal_shows_one_of_the_lower_panes_at_a_time() -> None:
    async with scripted_daemon() as daemon, viewing(daemon.uri, size=(80, 24)) as view:
        await view.shows("─ Clients ─", "seven")
        assert "─ Log ─" not in view.screen
        await view.press("v", "v", "v")
        await view.shows("─ Log ─", "no logs")
        assert "─ Clients ─" not in view.screen
        await view.press("v")
        await view.shows("─ Clients ─", "seven")


async def test_the_cursor_stays_on_its_client_when_others_come_and_go() -> None:
    ids = [5, 7]

    def clients(args: Any) -> protocol.ClientList:
        refs = [protocol.ClientRef(args.server, number, 86_400, 0) for number in ids]
        return protocol.ClientList(refs, len(refs))

    script = {protocol.SERVER_LIST_CLIENTS: clients}
    async with scripted_daemon(script) as daemon, viewing(daemon.uri) as view:
        await view.shows("seven")
        await view.choose_client("admin/7/")
        ids[:] = [1, 2, 3, 7, 9]
        table = view.app.query_one("#clients")
        await view.eventually(lambda: getattr(table, "row_count", 0) == 10, "ten clients")
        assert getattr(table, "chosen", None) == "admin/7/86400"
        ids[:] = [1]
        await view.eventually(lambda: getattr(table, "row_count", 0) == 2, "two clients")
        assert getattr(table, "chosen", None) is not None


async def test_a_long_list_of_clients_is_cut_and_says_so() -> None:
    def clients(args: Any) -> protocol.ClientList:
        refs = [protocol.ClientRef(args.server, number, 86_400, 0) for number in range(1, 301)]
        return protocol.ClientList(refs, len(refs))

    script = {protocol.SERVER_LIST_CLIENTS: clients}
    async with scripted_daemon(script) as daemon, viewing(daemon.uri) as view:
        await view.shows("200 of 600")


async def test_a_daemon_that_refuses_its_list_of_clients_is_still_up() -> None:
    refusal = raising(RpcError(ErrorCode.INTERNAL_ERROR, "too many clients to list"))
    script = {protocol.SERVER_LIST_CLIENTS: refusal}
    async with scripted_daemon(script) as daemon, viewing(daemon.uri) as view:
        await view.shows("too many clients to list", "9.1.2", "2/5000")


async def test_identities_are_asked_for_once() -> None:
    async with scripted_daemon() as daemon, viewing(daemon.uri) as view:
        await view.shows("seven")
        seen = len(daemon.called(protocol.SERVER_LIST_CLIENTS))
        await view.eventually(
            lambda: len(daemon.called(protocol.SERVER_LIST_CLIENTS)) > seen + 4, "more polls"
        )
    assert len(daemon.called(protocol.CLIENT_GET_INFO)) == 2  # one for each server's client 3


async def test_names_from_a_daemon_do_not_steer_the_terminal() -> None:
    hostile = "\x1b[2Jx[red]"
    servers = protocol.ServerList([protocol.ServerRef(hostile)], 1)
    script = {protocol.CONNECT_LIST_SERVERS: lambda args: servers}
    async with scripted_daemon(script) as daemon, viewing(daemon.uri) as view:
        await view.shows("\\x1b[2Jx[red]")
        assert "\x1b" not in view.screen
    assert log_text(LogLine(0.0, "info", "a\x07", "b\x1b[0m")).plain.endswith("a\\x07: b\\x1b[0m")


async def test_the_program_leaves_on_q_and_takes_leave_of_daemons() -> None:
    async with scripted_daemon() as daemon:
        async with viewing(daemon.uri) as view:
            await view.shows("seven")
            await view.press("q")
            await view.eventually(lambda: not view.app.is_running, "the end")
        assert daemon.calls[-1][0] == "CONNECT_CLOSE"


HISTOGRAM = Histogram.of_buckets((0.001, 0.01, 1.0), [90, 8, 1, 1], 100, 2.5)


async def read_feed(uri: str) -> Feed:
    feed = Feed(Watched(uri), 1.0, lambda: None)
    await feed.poll()
    await feed.watched.close()
    assert feed.state is not None
    return feed


async def test_lines_of_the_log_come_once_though_a_new_connection_begins_with_the_latest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = [LogRecord(float(at), "info", "a", 1, f"line {at}") for at in (1, 2)]
    begun = []

    class Logs:
        def follow(self, *, last: int) -> Any:
            begun.append(last)
            return self.records()

        @contextlib.asynccontextmanager
        async def records(self) -> AsyncIterator[AsyncIterator[LogRecord | LogGap]]:
            async def each() -> AsyncIterator[LogRecord | LogGap]:
                for record in [*kept, LogGap(7)]:
                    yield record

            yield each()

    monkeypatch.setattr(Connection, "logs", Logs())
    lines: list[LogLine] = []
    async with scripted_daemon() as daemon:
        watched = Watched(daemon.uri)
        tail = LogTail(watched, lines.append)
        tail.follow()
        await eventually(lambda: len(lines) == 3, "three lines")
        kept.append(LogRecord(3.0, "error", "a", 1, "line 3", {"x": 1}))
        while len(begun) < 2:
            tail.follow()
            await asyncio.sleep(0)
        await eventually(lambda: len(lines) == 5, "two lines more")
        await tail.close()
        await watched.close()
    assert [one.message for one in lines] == [
        "line 1", "line 2", "(7 lines lost)", "line 3 x=1", "(7 lines lost)",
    ]  # fmt: skip


async def test_procedures_are_shown_by_their_mean_and_calls_by_their_age() -> None:
    async with scripted_daemon() as daemon:
        feed = await read_feed(daemon.uri)
    assert feed.state is not None
    slow = ProcedureCounts("main", "remote", "SLOW", 100, {"NO_DOMAIN": 2}, 1, 2, HISTOGRAM)
    quick = Histogram.of_buckets((0.001,), [4, 0], 4, 0.0004)
    fast = ProcedureCounts("main", "remote", "FAST", 4, {}, 1, 2, quick)
    feed.state = dataclasses.replace(feed.state, procedures=(fast, slow))
    feed.rates = Rates({("main", "remote", "SLOW"): 12.345})
    feed.detail = Detail(
        calls=(
            CallInFlight("main", 4, "remote", "FAST", 0.0002, "worker"),
            CallInFlight("main", 9, "remote", "SLOW", 3.04, "queue"),
        )
    )
    assert [row.cells for row in rows.procedure_rows(feed)] == [
        ("25 ms", "1.0 s", "100", "12.3", "2", "SLOW (remote)"),
        ("100 µs", "990 µs", "4", "-", "0", "FAST (remote)"),
    ]
    assert [row.cells for row in rows.call_rows(feed)] == [
        ("3.0 s", "queue", "main", "9", "SLOW (remote)"),
        ("200 µs", "worker", "main", "4", "FAST (remote)"),
    ]
    assert [row.alert for row in rows.call_rows(feed)] == [True, False]


async def test_rates_come_from_two_polls() -> None:
    def counts(calls: int) -> ServerCounts:
        return ServerCounts(calls, calls // 10, 0, 0, 0, 0, HISTOGRAM)

    async with scripted_daemon() as daemon:
        feed = await read_feed(daemon.uri)
    assert feed.state is not None
    states = [
        dataclasses.replace(
            feed.state,
            servers=tuple(
                dataclasses.replace(one, counts=counts(calls)) for one in feed.state.servers
            ),
        )
        for calls in (100, 300)
    ]
    for state in states:
        feed._count(state)
    assert feed.rates.total is not None
    assert feed.rates.total > 0
    assert feed.rates.errors == pytest.approx(feed.rates.total / 10)
    feed._count(states[0])  # a daemon that was restarted counts from 0 again
    assert feed.rates.total == 0


def test_durations_are_written_with_units_that_suit_them() -> None:
    assert [rows.duration(one) for one in (-1, 59.9, 60, 3_725, 90_000)] == [
        "0 s", "59 s", "1 min 0 s", "1 h 2 min", "1 d 1 h",
    ]  # fmt: skip
    assert [rows.latency(one) for one in (None, 0.0, 0.000_5, 0.012_3, 2.0)] == [
        "-", "0 µs", "500 µs", "12.3 ms", "2.0 s",
    ]  # fmt: skip


async def test_the_clients_of_this_program_are_marked() -> None:
    feed = Feed(Watched("logd:///system"), 1.0, lambda: None)
    there = Feed(Watched("logd+ssh://host/system"), 1.0, lambda: None)
    me = ClientState("admin", 1, "unix", 0, process=os.getpid())
    assert rows.is_self(feed, me)
    assert not rows.is_self(there, me)
    assert not rows.is_self(feed, dataclasses.replace(me, process=1))


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (("9", "3", ""), "min (9) must not be greater than max (3)"),
        (("-1", "", ""), "min takes a number of workers, not '-1'"),
        (("", "4294967296", ""), "max takes a number of workers, not '4294967296'"),
        (("", "", "many"), "priority takes a number of workers, not 'many'"),
    ],
)
def test_a_pool_size_that_is_none_says_why(texts: tuple[str, str, str], why: str) -> None:
    with pytest.raises(orders.OrderFailed) as failed:
        orders.PoolSize.of_texts(*texts)
    assert str(failed.value) == why
