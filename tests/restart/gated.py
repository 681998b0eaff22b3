"""A daemon of ours with one more component, which does at a restart as files in its folder say.

`python -m tests.restart.gated NAME FOLDER OPTION...`. The files: `fails`, its `restore` raises; `gate`,
a FIFO, its `restore` waits until that was opened and closed; `without`, there is no such component.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable

from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.runtime import Component, Keep, Start, run
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import Daemon, Server

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
        return 7

    def restore(self, state: int) -> None:
        if self._is_there("fails"):
            raise LookupError("the gate fails,\nas it was told to")
        if self._is_there("gate"):
            with open(f"{self._folder}/gate") as gate:
                gate.read()

    def resume(self) -> None:
        _log.warning("gate resumed")

    def _is_there(self, name: str) -> bool:
        return os.path.exists(f"{self._folder}/{name}")


def main() -> int:
    """Be the daemon."""
    name, folder = sys.argv[1:3]
    (kind,) = (kind for kind in kinds() if kind.name == name)

    def build(daemon: Daemon, main: Server, admin: Server, start: Start) -> Iterable[Component]:
        more = [] if os.path.exists(f"{folder}/without") else [Gate(folder)]
        return [*kind.build(daemon, main, admin, start), *more]

    return run(dataclasses.replace(kind, build=build), sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
