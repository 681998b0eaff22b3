"""The command line of a daemon, spelt as libvirt's daemons spell theirs.

libvirt: src/remote/remote_daemon.c, main. Arguments that are not options are refused, as libvirtd does;
virtlockd and virtlogd ignore them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from aiovirt import __version__
from aiovirt.daemons.runtime.process.failure import Failure
from aiovirt.daemons.runtime.process.paths import default_run_directory, default_settings_file

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.process.own_options import CommandOption

TIMEOUT_MAX = (2**31 - 1) // 1000
"""Seconds; libvirt's limit, since it counts milliseconds in an int."""

#: Options that make no sense with `--ephemeral`, by their names in the namespace.
_LASTING: Final = {"background": "--daemon", "rundir": "--rundir"}
#: The names of `Options` that a command line sets; the others are a daemon's own.
_COMMON: Final = frozenset(
    ("config", "background", "timeout", "pid_file", "verbose", "rundir", "socket", "admin_socket")
)


class Options(msgspec.Struct, frozen=True):
    """The options of a command line; None for an option that it does not have.

    own: the values of options that only some daemons have, by name; True for one without a value.
    """

    config: str | None = None
    background: bool = False
    timeout: int = 0
    pid_file: str | None = None
    verbose: bool = False
    rundir: str | None = None
    socket: str | None = None
    admin_socket: str | None = None
    own: Mapping[str, str | bool] = msgspec.field(default_factory=dict)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Leave with libvirt's exit status for a wrong command line, which is not argparse's."""
        self.print_usage(sys.stderr)
        self.exit(Failure.USAGE, f"{self.prog}: {message}\n")


class _Help(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal. Asking argparse for that loads shutil, which no start needs."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width())


def _width() -> int:
    """The columns that a text of help may take."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns):
        return int(columns) - 2
    try:
        return (os.get_terminal_size().columns or 80) - 2
    except OSError:
        return 78


class _PrintConfig(argparse.Action):
    """Writes a settings file with all defaults and leaves with 0. const: a function that gives it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: object,
        values: object,
        option: object = None,
    ) -> NoReturn:
        """Called by argparse when it finds the option."""
        try:
            sys.stdout.write(self.const())
            sys.stdout.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what waits in it
            parser.exit(Failure.USAGE, f"{parser.prog}: standard output: {error.strerror}\n")
        parser.exit(0)


def parse(
    name: str,
    title: str,
    arguments: Sequence[str],
    settings_file: Callable[[], str],
    own: Sequence[CommandOption] = (),
) -> Options:
    """Read the command line.

    Args:
        name, title: of the daemon.
        arguments: the command line without the program's name.
        settings_file: gives the text that --print-config writes.
        own: the options that not every daemon has.

    Raises SystemExit: with 0 after --help, --version and --print-config, with 1 after an error message.
    """
    parser = _parser(name, title, settings_file, own)
    found = vars(parser.parse_args(arguments))
    if "ephemeral" in found:
        for lasting in sorted(_LASTING.keys() & found.keys()):
            parser.error(f"--ephemeral and {_LASTING[lasting]} exclude each other")
    if "settings" in found and ("config" in found or "ephemeral" not in found):
        parser.error("--settings is for --ephemeral without --config")
    common = {key: value for key, value in found.items() if key in _COMMON}
    rest = {key: value for key, value in found.items() if key not in _COMMON}
    return Options(**common, own=rest)


def _parser(
    name: str,
    title: str,
    settings_file: Callable[[], str],
    own: Sequence[CommandOption] = (),
) -> _Parser:
    parser = _Parser(
        prog=name,
        description=title,
        epilog=_default_paths(name),
        formatter_class=_Help,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("-v", "--verbose", action="store_true", help="log at level info")
    add("-d", "--daemon", dest="background", action="store_true", help="go into the background")
    add(
        "-t",
        "--timeout",
        metavar="SECS",
        type=_timeout,
        help="end after SECS seconds without a client; 0, the default, never does",
    )
    add("-f", "--config", metavar="FILE", type=_path, help="settings file; it has to exist")
    add(
        "--print-config",
        action=_PrintConfig,
        nargs=0,
        const=settings_file,
        help="write a settings file with all defaults to standard output",
    )
    add(
        "-V",
        "--version",
        action="version",
        version=f"{name} (aiovirt) {__version__}",
        help="print the version",
    )
    add(
        "-p",
        "--pid-file",
        metavar="FILE",
        type=_path,
        help="where to write and lock the process id",
    )
    add("--rundir", metavar="DIR", type=_path, help="folder for all files of the daemon")
    add("--socket", metavar="PATH", type=_path, help="path of the daemon's own socket")
    add("--admin-socket", metavar="PATH", type=_path, help="path of the admin socket")
    for one in own:
        if one.value:
            kind = _path if one.is_path else str
            add(f"--{one.name}", dest=one.name, metavar=one.value, type=kind, help=one.help)
        else:
            add(f"--{one.name}", dest=one.name, action="store_true", help=one.help)
    return parser


def _path(text: str) -> str:
    """A path; an empty one comes of a variable that was not set, and must not mean the default."""
    if text:
        return text
    raise argparse.ArgumentTypeError("an empty path is not possible: leave the option out")


def _timeout(text: str) -> int:
    """Seconds before an automatic shutdown."""
    if text.isascii() and text.isdigit() and int(text) <= TIMEOUT_MAX:
        return int(text)
    raise argparse.ArgumentTypeError(
        f"{text!r} is not possible: it has to be a number of seconds from 0 to {TIMEOUT_MAX}"
    )


def _default_paths(name: str) -> str:
    rundir = default_run_directory()
    return (
        "default paths:\n"
        f"  settings      {default_settings_file(name)}\n"
        f"  socket        {rundir}/{name}-sock\n"
        f"  admin socket  {rundir}/{name}-admin-sock\n"
        f"  pid file      {rundir}/{name}.pid\n"
    )
