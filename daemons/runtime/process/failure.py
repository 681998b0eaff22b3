"""Why a daemon did not start: a text for the user and an exit status for scripts."""

from __future__ import annotations

import enum
from typing import Final

from aiovirt.rpc.patterns import pattern

_CONTROL: Final = pattern(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: Characters of a value that a message shows.
_SHOWN: Final = 80


class Failure(enum.IntEnum):
    """Exit statuses, with libvirt's numbers (src/util/virdaemon.h, virDaemonErr).

    1 is what libvirt's daemons return for a wrong command line, wrong settings and a taken pid file
    alike.
    """

    USAGE = 1
    SETTINGS = 1
    PIDFILE = 1
    RUNDIR = 2
    INIT = 3
    NETWORK = 6


class StartError(Exception):
    """The daemon cannot start. The text is for the user; `status` is the exit status."""

    def __init__(self, status: Failure, text: str) -> None:
        super().__init__(text)
        self.status = status


def one_line(text: str, length: int = 2000) -> str:
    """Return a text in which control characters, and so ends of lines, are visible.

    Args:
        text: for a message.
        length: the number of its characters that are shown; the middle of a longer text is left out.
    """
    if len(text) > length:
        text = f"{text[: length // 2]} ... {text[-length // 2 :]}"
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def quoted(value: str) -> str:
    """Return a value for a message: in quotes, on one line, and cut if it is long."""
    shown = one_line(value[:_SHOWN])
    return f'"{shown}"' if len(value) <= _SHOWN else f'"{shown}..." ({len(value)} characters)'
