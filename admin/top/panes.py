"""The widgets: tables that keep their cursor while rows come and go, and the tail of the log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import DataTable, RichLog, Static

from aiovirt.admin.top.log import LogLine
from aiovirt.admin.top.rows import Row, shown

_LEVEL_STYLES: Final = {"error": "bold red", "warning": "yellow", "info": "", "debug": "dim"}
_ALERT: Final = "bold yellow"


class Table(DataTable[Text]):
    """Rows by key. The cursor stays on its row when others come and go."""

    def __init__(self, columns: Sequence[str], *, id: str) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=True)
        self._names = columns
        self._shown: dict[str, Row] = {}

    def on_mount(self) -> None:
        """Add the columns."""
        for name in self._names:
            self.add_column(name, key=name)

    def show(self, rows: Iterable[Row]) -> None:
        """Show these rows, in this order."""
        wanted = {row.key: row for row in rows}
        if list(wanted) == list(self._shown):
            self._update(wanted)
        else:
            self._replace(wanted)
        self._shown = wanted

    @property
    def chosen(self) -> str | None:
        """The key of the row under the cursor."""
        keys = list(self._shown)
        return keys[self.cursor_row] if 0 <= self.cursor_row < len(keys) else None

    def _update(self, wanted: dict[str, Row]) -> None:
        for key, row in wanted.items():
            before = self._shown[key]
            if row == before:
                continue
            for at, (name, cell) in enumerate(zip(self._names, row.cells, strict=True)):
                if row.alert != before.alert or cell != before.cells[at]:
                    self.update_cell(key, name, _cell(cell, row), update_width=True)

    def _replace(self, wanted: dict[str, Row]) -> None:
        chosen, place, top = self.chosen, self.cursor_row, self.scroll_y
        with self.app.batch_update():
            self.clear()
            for key, row in wanted.items():
                self.add_row(*(_cell(cell, row) for cell in row.cells), key=key)
            if chosen in wanted:
                place = list(wanted).index(chosen)
            self.move_cursor(row=min(place, max(0, len(wanted) - 1)), scroll=False)
            self.scroll_to(y=top, animate=False)


class Pane(Vertical):
    """A titled table, with a line in its place when the daemon cannot tell.

    title: stands in the border.
    """

    def __init__(self, title: str, columns: Sequence[str], *, id: str) -> None:
        super().__init__(id=f"{id}-pane", classes="pane")
        self.border_title = title
        self.content = Table(columns, id=id)
        self._remark = Static("", classes="remark", markup=False)

    def compose(self) -> ComposeResult:
        """Yield the table and the remark."""
        yield self.content
        yield self._remark

    def show(self, rows: Sequence[Row], remark: str = "", total: int = 0) -> None:
        """Show rows, or the remark if there is one.

        Args:
            rows: the rows, in order.
            remark: why there can be none.
            total: the number of all, which is told if there are more than `rows`.
        """
        self.border_subtitle = f"{len(rows)} of {total}" if total > len(rows) else ""
        self.content.show(rows)
        self.content.display = not remark
        self._remark.display = bool(remark)
        self._remark.update(remark)


class LogPane(Vertical):
    """The tail of a log."""

    def __init__(self) -> None:
        super().__init__(id="log-pane", classes="pane")
        self.border_title = "Log"
        self.content = RichLog(id="log", max_lines=1000, wrap=False, markup=False)
        self._remark = Static("", classes="remark", markup=False)

    def compose(self) -> ComposeResult:
        """Yield the lines and the remark."""
        yield self.content
        yield self._remark

    def remark(self, remark: str) -> None:
        """Say why there is no log, or nothing."""
        self.content.display = not remark
        self._remark.display = bool(remark)
        self._remark.update(remark)

    def clear(self) -> None:
        """Remove all lines."""
        self.content.clear()

    def add(self, line: LogLine) -> None:
        """Add a line at the end."""
        self.content.write(log_text(line))


def log_text(line: LogLine) -> Text:
    """Return a line of the log as it is shown."""
    if not line.level:
        return Text(shown(line.message), style="italic")
    clock = time.strftime("%H:%M:%S", time.localtime(line.time))
    text = Text(no_wrap=True)
    text.append(f"{clock} ", style="dim")
    text.append(f"{line.level:7} ", style=_LEVEL_STYLES.get(line.level, ""))
    text.append(f"{shown(line.source)}: {shown(line.message)}")
    return text


def _cell(text: str, row: Row) -> Text:
    return Text(text, style=_ALERT if row.alert else "", no_wrap=True)
