"""The application: panes on the screen, keys, and the feeds that fill the panes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.filter import LineFilter, Monochrome
from textual.widgets import DataTable, Footer, Static

from aiovirt.admin.top import orders, rows
from aiovirt.admin.top.dialogs import Choice, Confirmation, Dialog, Form
from aiovirt.admin.top.feed import Feed
from aiovirt.admin.top.panes import LogPane, Pane
from aiovirt.admin.top.style import CSS, WithoutColors
from aiovirt.admin.watch.clients import ClientState
from aiovirt.admin.watch.state import ServerState
from aiovirt.admin.watch.watched import Watched

#: On a terminal smaller than this, one of the lower panes is shown at a time.
_WIDE: Final = 110
_HIGH: Final = 30
#: Seconds between two changes of the screen at least.
_FRAME: Final = 0.05


class TopApp(App[None]):
    """The live view of daemons."""

    TITLE = "virtadm top"
    CSS = CSS
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("d", "disconnect", "Disconnect client"),
        Binding("w", "resize", "Worker pool"),
        Binding("l", "log_level", "Log level"),
        Binding("v", "next_pane", "Next pane"),
        Binding("o", "order", "Order"),
        Binding("p", "pause", "Pause"),
        Binding("r", "refresh", "Refresh"),
    ]

    def __init__(self, daemons: Sequence[Watched], interval: float) -> None:
        """Prepare a view.

        Args:
            daemons: to show, at least one.
            interval: seconds between two polls.
        """
        super().__init__()
        self.no_color = bool(os.environ.get("NO_COLOR"))
        self._feeds = [Feed(each, interval, self._changed) for each in daemons]
        self._tasks: list[asyncio.Task[None]] = []
        self._logged: tuple[Feed | None, int] = (None, 0)
        self._due = False
        self._daemons = Pane("Daemons", rows.DAEMONS, id="daemons")
        self._servers = Pane("Servers", rows.SERVERS, id="servers")
        self._clients = Pane("Clients", rows.CLIENTS, id="clients")
        self._calls = Pane("Calls in flight", rows.CALLS, id="calls")
        self._procedures = Pane("Procedures by mean time", rows.PROCEDURES, id="procedures")
        self._order = next(iter(rows.ORDERS))
        self._log_pane = LogPane()
        self._lower = (self._clients, self._calls, self._procedures, self._log_pane)
        self._current = 0
        self._status = Static("", id="status", markup=False)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters of what is drawn: without any color if NO_COLOR is set."""
        filters = [one for one in super().get_line_filters() if not isinstance(one, Monochrome)]
        return [*filters, WithoutColors()] if self.no_color else filters

    def compose(self) -> ComposeResult:
        """Yield the panes from top to bottom."""
        yield self._daemons
        yield self._servers
        with Horizontal(id="middle"):
            yield self._clients
            with Vertical(id="right"):
                yield self._calls
                yield self._procedures
        yield self._log_pane
        yield self._status
        yield Footer()

    def on_mount(self) -> None:
        """Begin to poll."""
        self._feeds[0].detailed = True
        self._tasks = [asyncio.create_task(feed.run()) for feed in self._feeds]
        self._show()
        self._clients.content.focus()

    async def on_unmount(self) -> None:
        """Leave the daemons."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def on_resize(self, event: Resize) -> None:
        """Stand panes side by side where there is room."""
        small = event.size.width < _WIDE or event.size.height < _HIGH
        self.screen_stack[0].set_class(small, "small")
        self._arrange()

    @property
    def feed(self) -> Feed:
        """The feed of the daemon that is looked at."""
        name = self._daemons.content.chosen
        return next((feed for feed in self._feeds if feed.name == name), self._feeds[0])

    @on(DataTable.RowHighlighted, "#daemons")
    def look_at_daemon(self) -> None:
        """Show another daemon."""
        looked_at = self.feed
        if not looked_at.detailed:
            for feed in self._feeds:
                feed.detailed = feed is looked_at
            looked_at.hasten()
        self._changed()

    def action_refresh(self) -> None:
        """Poll at once."""
        for feed in self._feeds:
            feed.hasten()

    def action_pause(self) -> None:
        """Stop polling, or go on."""
        paused = not self.feed.paused
        for feed in self._feeds:
            feed.paused = paused
            feed.hasten()
        self._changed()

    def action_order(self) -> None:
        """Show procedures in the next order."""
        names = list(rows.ORDERS)
        self._order = names[(names.index(self._order) + 1) % len(names)]
        self._procedures.border_title = f"Procedures by {self._order}"
        self._changed()

    def action_next_pane(self) -> None:
        """Go to the next one of the lower panes."""
        self._current = (self._current + 1) % len(self._lower)
        self._arrange()
        self._lower[self._current].content.focus()

    def _arrange(self) -> None:
        """Show all lower panes, or on a small terminal the current one."""
        main = self.screen_stack[0]
        small = main.has_class("small")
        for at, pane in enumerate(self._lower):
            pane.display = not small or at == self._current
        main.query_one("#right").display = self._calls.display or self._procedures.display
        main.query_one("#middle").display = not small or not self._log_pane.display

    def action_disconnect(self) -> None:
        """Ask whether to disconnect the client under the cursor."""
        feed, key = self.feed, self._clients.content.chosen
        client = next((one for one in feed.detail.clients if rows.client_key(one) == key), None)
        if client is None:
            self._say("no client is chosen")
            return
        self._ask(
            feed,
            Confirmation(
                "Disconnect client",
                _disconnect_question(feed, client),
                "Disconnect (y)",
                lambda values: orders.disconnect(feed.watched, client),
            ),
        )

    def action_resize(self) -> None:
        """Ask for the bounds of the worker pool of the server under the cursor."""
        feed = self.feed
        server = self._server()
        if server is None:
            self._say("no server is chosen")
            return
        pool = server.pool
        numbers = (pool.min_workers, pool.max_workers, pool.prio_workers)
        texts = ["" if number is None else str(number) for number in numbers]
        self._ask(
            feed,
            Form(
                "Worker pool",
                f"Workers of server {rows.shown(server.name)}. Enter changes them, Escape does not.",
                dict(zip(("min", "max", "priority"), texts, strict=True)),
                lambda values: _resize(feed, server.name, texts, values),
            ),
        )

    def action_log_level(self) -> None:
        """Ask for a log level."""
        feed = self.feed
        self._ask(
            feed,
            Choice(
                "Log level",
                f"Log level of {rows.shown(feed.name)}:",
                orders.LEVELS,
                lambda values: orders.set_log_level(feed.watched, orders.LEVELS.index(values[0])),
            ),
        )

    def _server(self) -> ServerState | None:
        state, key = self.feed.state, self._servers.content.chosen
        servers = state.servers if state is not None else ()
        return next((one for one in servers if one.name == key), None)

    def _ask(self, feed: Feed, dialog: Dialog) -> None:
        def ended(done: str | None) -> None:
            if done is not None:
                self._say(done)
                feed.hasten()

        if len(self.screen_stack) == 1:
            self.push_screen(dialog, ended)

    def _say(self, text: str) -> None:
        self._status.update(rows.shown(text))

    def _changed(self) -> None:
        """Show soon what has changed; many changes at once are shown together."""
        if not self._due and self.is_running:
            self._due = True
            self.set_timer(_FRAME, self._show)

    def _show(self) -> None:
        self._due = False
        self._daemons.show(rows.daemon_rows(self._feeds))
        feed = self.feed
        self._servers.show(rows.server_rows(feed), rows.shown(feed.problem))
        clients = feed.detail.clients
        self._clients.show(rows.client_rows(feed), rows.shown(feed.detail.problem), len(clients))
        counts = rows.missing_text(feed, "statistics")
        self._calls.show(rows.call_rows(feed), counts)
        self._procedures.show(rows.procedure_rows(feed, self._order), counts)
        self._show_log(feed)

    def _show_log(self, feed: Feed) -> None:
        self._log_pane.remark(rows.missing_text(feed, "logs"))
        shown_feed, shown = self._logged
        if shown_feed is not feed:
            self._log_pane.clear()
            shown = 0
        for line in feed.latest_lines(feed.logged - shown):
            self._log_pane.add(line)
        self._logged = (feed, feed.logged)


def _disconnect_question(feed: Feed, client: ClientState) -> str:
    who = ", ".join(
        str(part)
        for part in (client.user, client.process and f"process {client.process}", client.address)
        if part
    )
    warning = " This is the connection of this very program." if rows.is_self(feed, client) else ""
    named = f"client {client.id} ({who})" if who else f"client {client.id}"
    return rows.shown(f"Disconnect {named} from server {client.server}?{warning}")


async def _resize(feed: Feed, server: str, before: Sequence[str], values: Sequence[str]) -> str:
    """Send the numbers that were changed."""
    changed = [new if new.strip() != old else "" for new, old in zip(values, before, strict=True)]
    if not any(changed):
        raise orders.OrderFailed("no number was changed")
    return await orders.resize(feed.watched, server, orders.PoolSize.of_texts(*changed))
