"""The commands that go on watching daemons: `exporter` and `top`.

Both need packages of an extra, and are loaded when they are run.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from aiovirt.admin.cli.failure import CommandFailed, text_of
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.program_options import CONNECT_OPTION, OUTPUT_OPTION
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind
from aiovirt.admin.uri import UriError

if TYPE_CHECKING:
    from aiovirt.admin.watch.watched import Watched

#: Where the metrics are, unless told otherwise: the loopback, for nobody is asked for a password.
_LISTEN: Final = "127.0.0.1:9177"
#: Seconds between two polls, unless told otherwise.
_INTERVAL: Final = 2.0


async def _exporter(session: AdminSession, command: Invocation) -> None:
    _require(session, command, "prometheus_client", "exporter")
    from aiovirt.admin.exporter.listen import ListenAddress
    from aiovirt.admin.exporter.serving import Exporter

    try:
        address = ListenAddress.parse(command.text("listen") or _LISTEN)
    except ValueError as error:
        raise CommandFailed(str(error)) from error
    exporter = Exporter(_watched(session))
    with _until_signal() as ended:
        try:
            try:
                urls = await exporter.listen(address)
            except (OSError, UnicodeError) as error:
                raise CommandFailed(f"cannot listen on '{address}': {_reason(error)}") from error
            session.terminal.answer({"urls": urls}, "".join(f"metrics at {url}\n" for url in urls))
            session.terminal.flush()
            await ended()
        finally:
            await exporter.close()


async def _top(session: AdminSession, command: Invocation) -> None:
    _require(session, command, "textual", "top")
    interval = _interval(command.text("interval"))
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty()):
        raise CommandFailed("'top' needs a terminal; for programs there is: virtadm exporter")
    daemons = _watched(session)
    from aiovirt.admin.top.app import TopApp

    app = TopApp(daemons, interval)
    with _until_signal() as ended:
        ending = asyncio.create_task(_exit_after(ended, app.exit))
        try:
            await app.run_async()
        finally:
            ending.cancel()


async def _exit_after(ended: Callable[[], Awaitable[object]], leave: Callable[[], None]) -> None:
    await ended()
    leave()


def _interval(text: str | None) -> float:
    """Return the seconds between two polls. Raises CommandFailed."""
    if text is None:
        return _INTERVAL
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text, re.ASCII) or not float(text) >= 0.1:
        raise CommandFailed(f"option --interval takes seconds from 0.1 to 9999, not '{text}'")
    return float(text)


def _reason(error: OSError | UnicodeError) -> str:
    """Return why an address cannot be listened on, without asyncio's words."""
    if not isinstance(error, OSError):
        return str(error)
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _require(session: AdminSession, command: Invocation, package: str, extra: str) -> None:
    """Raise CommandFailed, in a line, if the command cannot run here."""
    name = command.command.name
    if session.interactive:
        raise CommandFailed(f"'{name}' does not run inside the shell; run: virtadm {name}")
    if find_spec(package) is None:
        raise CommandFailed(
            f"'{name}' needs the Python package {package.replace('_', '-')};"
            f" install it with: pip install 'aiovirt[{extra}]'"
        )


def _watched(session: AdminSession) -> list[Watched]:
    from aiovirt.admin.watch.watched import Watched

    try:
        found = [Watched(uri, session.timeout) for uri in session.uris or (session.uri,)]
    except UriError as error:
        raise CommandFailed(text_of(error)) from error
    one_each: dict[str, Watched] = {}
    for one in found:  # an alias and its URI are one daemon
        one_each.setdefault(str(one.uri), one)
    return list(one_each.values())


@contextmanager
def _until_signal() -> Iterator[Callable[[], Awaitable[object]]]:
    """Give a function that waits for SIGINT or SIGTERM, which end the command in good order."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    signals: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, ended.set)
    try:
        yield ended.wait
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


GROUP: Final = Group(
    "Views of daemons",
    "views",
    (
        Command(
            "exporter",
            _exporter,
            "serve metrics of daemons for Prometheus",
            "Serve the metrics of every daemon that -c names, under /metrics, until SIGINT or SIGTERM.",
            (
                Option(
                    "listen",
                    OptionKind.STRING,
                    f"address and port to listen on (default: {_LISTEN})",
                ),
                CONNECT_OPTION,
                OUTPUT_OPTION,
            ),
            connected=False,
            last=True,
            together=True,
        ),
        Command(
            "top",
            _top,
            "watch daemons in the terminal",
            "Show clients, workers, calls and the log of every daemon that -c names, in the whole"
            " terminal; disconnect clients, resize worker pools, change log levels.",
            (
                Option(
                    "interval",
                    OptionKind.STRING,
                    f"seconds between two polls of a daemon (default: {_INTERVAL:g})",
                ),
                CONNECT_OPTION,
            ),
            connected=False,
            last=True,
            together=True,
        ),
    ),
)
