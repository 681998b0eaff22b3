"""A daemon of ours with one more component, which does at a restart as files in its folder say.

`python -m tests.restart.gated NAME FOLDER OPTION...`. The files:

- `fails`: its `restore` raises; `chatty`: it writes many lines to standard error before that.
- `gate`, a FIFO: its `restore` waits until that was opened and closed.
- `saving`, another: its `save` does.
- `unsaved`: its `save` raises.
- `inexecutable`: the program cannot be executed, but rehearsed.
- `without`: there is no such component.
- `threads`: the daemon has another thread, to which the kernel may give signals.
- `grace`: the seconds that calls in flight are waited for.

It serves one more program, too, of which a call hangs, and a stream sends nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.runtime import Component, Keep, Start, run
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import Client, Daemon, Handlers, Server, Stream, WithStream
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.program import Program

GATE = Program("gate", 0x7E577E66, 1)
HANG = GATE.procedure(1, "HANG", xdr.Void, xdr.Void)
PASS = GATE.procedure(3, "PASS", xdr.Void, xdr.Void)
POUR = GATE.procedure(2, "POUR", xdr.Void, xdr.Void, stream=True)

_log = get_logger("tests.gate")


class Gate(Component):
    """The component; it comes last, when everything else has been read back."""

    name = "gate"
    state_type = int

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def start(self) -> None:
        _log.warning("gate started")

    def save(self, keep: Keep) -> int:
        self._wait_at("saving")
        if self._is_there("unsaved"):
            raise LookupError("the gate cannot be saved,\nas it was told")
        return 7

    def restore(self, state: int) -> None:
        if self._is_there("chatty"):
            for number in range(1_000_000):
                sys.stderr.write(f"line {number:08} of a program that has much to say\n")
        if self._is_there("fails"):
            raise LookupError("the gate fails,\nas it was told to")
        self._wait_at("gate")

    def resume(self) -> None:
        _log.warning("gate resumed")

    def _wait_at(self, name: str) -> None:
        if self._is_there(name):
            with open(f"{self._folder}/{name}") as gate:
                gate.read()

    def _is_there(self, name: str) -> bool:
        return os.path.exists(f"{self._folder}/{name}")


async def _hang(client: Client, args: None) -> None:
    await asyncio.Event().wait()


async def _pour(stream: Stream) -> None:
    await asyncio.Event().wait()


def main() -> int:
    """Be the daemon."""
    name, folder = sys.argv[1:3]
    execve = os.execve

    def execute(*what: Any) -> None:
        if os.path.exists(f"{folder}/inexecutable"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        execve(*what)

    os.execve = execute
    (kind,) = (kind for kind in kinds() if kind.name == name)

    def build(daemon: Daemon, main: Server, admin: Server, start: Start) -> Iterable[Component]:
        bound = Handlers(GATE)
        bound.bind(HANG, _hang)
        bound.bind(PASS, lambda client, args: None)
        bound.bind(POUR, lambda client, args: WithStream(None, _pour))
        main.add_program(bound)
        if os.path.exists(f"{folder}/threads"):
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        if os.path.exists(f"{folder}/grace"):
            daemon.grace = float(Path(f"{folder}/grace").read_text())
        more = [] if os.path.exists(f"{folder}/without") else [Gate(folder)]
        return [*kind.build(daemon, main, admin, start), *more]

    return run(dataclasses.replace(kind, build=build), sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
