"""`virtadm top` on a daemon of ours: counts, procedures, the log, and a restart in place."""

from __future__ import annotations

import signal

from textual.widgets import RichLog

from aiovirt.admin.client import connect
from aiovirt.rpc.client import connect_unix
from tests.conftest import StartDaemon
from tests.unit.test_top import View, viewing


def log(view: View) -> str:
    """The lines of the log, also those that are not in sight."""
    return "\n".join(strip.text for strip in view.app.query_one("#log", RichLog).lines)


async def test_counts_and_procedures_of_ours_are_shown_in_an_order_of_choice(
    start_daemon: StartDaemon,
) -> None:
    logd = start_daemon("logd")
    async with connect(logd.uri) as conn, viewing(logd.uri) as view:
        for _ in range(50):
            await conn.lib_version()
        await view.shows("Procedures by mean time", "(admin)", "Calls in flight", "Calls/s")
        await view.press("o", "o")
        await view.shows("Procedures by calls")
        table = view.app.query_one("#procedures")
        await view.eventually(
            lambda: "CONNECT_GET_LIB_VERSION" in str(next(iter(getattr(table, "_shown", [])), "")),
            "the most frequent procedure",
        )


async def test_the_log_of_ours_is_followed_across_a_restart_in_place(
    start_daemon: StartDaemon,
) -> None:
    logd = start_daemon("logd", {"log_level": 2})
    async with viewing(logd.uri) as view:
        await view.shows("─ Log ─", "client connected server=admin")
        logd.process.send_signal(signal.SIGUSR1)
        await view.eventually(lambda: "(the daemon was restarted)" in log(view), "a restart")
        visitor = await connect_unix(logd.socket)
        await view.eventually(lambda: "client connected server=logd" in log(view), "a visitor")
        await visitor.close()


async def test_a_client_of_ours_is_disconnected(start_daemon: StartDaemon) -> None:
    logd = start_daemon("logd")
    victim = await connect_unix(logd.socket)
    async with viewing(logd.uri) as view:
        await view.eventually(
            lambda: getattr(view.app.query_one("#clients"), "row_count", 0) == 2, "two clients"
        )
        await view.choose_client("logd/")
        await view.press("d", "y")
        await view.shows("of server logd disconnected")
        await victim.wait_closed()


async def test_the_log_level_of_ours_is_changed(start_daemon: StartDaemon) -> None:
    logd = start_daemon("logd")
    async with connect(logd.uri) as conn, viewing(logd.uri) as view:
        await view.shows("admin")
        await view.press("l", "down", "down", "enter")
        await view.shows("log level set to info")
        assert await conn.settings.get_log_level() == 2
