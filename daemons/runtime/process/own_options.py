"""Options of the command line that only some daemons have; a `DaemonKind` names those of its daemon.

Imported with the package of a daemon, so it imports nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class CommandOption(NamedTuple):
    """An option of the command line that not every daemon has.

    name: with hyphens, without those at its beginning; help: its line in `--help`; value: the name of
    its value there, empty for an option without one; is_path: whether the value is the path of a file.
    """

    name: str
    help: str
    value: str = ""
    is_path: bool = False


EPHEMERAL: Final = CommandOption(
    "ephemeral",
    "keep everything in memory, use a temporary run directory, print the URIs as JSON, and end with"
    " the parent process or the standard input",
)
"""Serve one test, and leave nothing; see `process.ephemeral`."""

SETTINGS: Final = CommandOption(
    "settings", "text of the settings file in the temporary run directory, with --ephemeral", "TEXT"
)
"""The settings of an ephemeral daemon; the option stands for a file."""

READY_FD: Final = CommandOption(
    "ready-fd", "descriptor to which the URIs are written as JSON when all sockets are open", "N"
)
"""Tell another process than the service manager when the daemon serves."""

FOR_TESTS: Final = (EPHEMERAL, SETTINGS, READY_FD)
"""The options with which a test starts a daemon."""
