"""Starts daemons with odd settings, each in a child of one process that has loaded everything.

Run as a program: reads a JSON list of [daemon, settings file] from its input and writes a JSON list of
[exit status, text on standard error]. A child that gets ready ends at once with 0.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.runtime import instance, lifecycle, reload  # noqa: F401  what a start imports
from aiovirt.daemons.runtime.entry import run
from aiovirt.rpc.security import tls  # noqa: F401
from aiovirt.rpc.server import Daemon

KINDS = {kind.name: kind for kind in kinds()}
#: Seconds after which a child that hangs is ended.
PATIENCE = 20


async def serve_nobody(
    daemon: Daemon, ready: Callable[[], Any], stopping: Callable[[], Any]
) -> None:
    """Take the place of `Daemon.serve`: say ready, and end."""
    ready()


def start(daemon: str, settings: str) -> int:
    """Start a daemon with a settings file; its exit status."""
    Daemon.serve = serve_nobody  # type: ignore[method-assign]  # this process does nothing else
    signal.alarm(PATIENCE)
    folder = os.path.dirname(settings)
    try:
        return run(KINDS[daemon], ["--rundir", f"{folder}/run", "-f", settings])
    except SystemExit as leaving:
        return int(leaving.code or 0)


def probe(daemon: str, settings: str) -> tuple[int, str]:
    """Start a daemon in a child process."""
    with tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            os.dup2(errors.fileno(), 2)
            status = 99
            try:
                status = start(daemon, settings)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stderr.flush()
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        errors.seek(0)
        return os.waitstatus_to_exitcode(ended), errors.read().decode(errors="replace")


if __name__ == "__main__":
    json.dump([probe(*case) for case in json.load(sys.stdin)], sys.stdout)
