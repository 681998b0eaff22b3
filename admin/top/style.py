"""The layout, in Textual's CSS."""

from __future__ import annotations

from typing import Final

CSS: Final = """
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
"""
