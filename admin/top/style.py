"""The layout, in Textual's CSS, and what is left of it without colors (NO_COLOR)."""

from __future__ import annotations

from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

CSS: Final = """
* { scrollbar-size-horizontal: 1; scrollbar-size-vertical: 1; }
.pane { border: round $primary; height: 1fr; }
.pane:focus-within { border: round $accent; }
.remark { color: $text-muted; padding: 0 1; display: none; }
#daemons-pane { height: auto; max-height: 8; min-height: 4; }
#servers-pane { height: auto; max-height: 8; min-height: 4; }
#middle { height: 2fr; }
#clients-pane { width: 1fr; }
#right { width: 1fr; }
#log-pane { height: 1fr; min-height: 4; }
DataTable { height: auto; max-height: 100%; }
RichLog { height: 1fr; background: $surface; }
.small #middle { layout: vertical; }
.small #clients-pane, .small #right { width: 100%; height: 1fr; }
#status { height: 1; padding: 0 1; color: $text-muted; }

Dialog { align: center middle; }
#dialog {
    width: 64; max-width: 95%; height: auto; max-height: 90%;
    border: round $accent; background: $surface; padding: 1 2;
}
#dialog Label { width: auto; }
#dialog > Label { width: 100%; margin-bottom: 1; }
#error { color: $text-error; height: auto; width: 100%; margin-top: 1; }
#buttons { height: auto; align-horizontal: right; }
#buttons Button { margin-left: 2; }
#dialog .field { height: 1; }
#dialog .field Label { width: 12; }
#dialog .field Input { width: 1fr; }
#choice { height: auto; }

DataTable:nocolor > .datatable--cursor { text-style: reverse; }
OptionList:nocolor > .option-list--option-highlighted { text-style: reverse; }
Input:nocolor > .input--cursor, Input:nocolor > .input--selection { text-style: reverse; }
Button:nocolor:focus { text-style: bold reverse; }
.pane:nocolor:focus-within { border: double $accent; }
"""


class WithoutColors(LineFilter):
    """Leaves of a style what is not a color. Textual's own filter leaves shades of gray."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments without colors."""
        return [
            Segment(text, style and style.without_color, control)
            for text, style, control in segments
        ]
