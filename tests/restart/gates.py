"""Daemons whose rehearsal and whose saving can be made to fail, and to wait in their middle."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests import harness
from tests.restart.conftest import SETTINGS, Restarted


class Gated(Restarted):
    """A daemon whose rehearsal can be made to fail, and to wait in its middle."""

    @property
    def folder(self) -> Path:
        return self.daemon.folder

    @asynccontextmanager
    async def rehearsing(self) -> AsyncIterator[None]:
        """For its length a rehearsal has read back everything and has not left yet."""
        opened = await self.reach_gate()
        try:
            yield
        finally:
            os.close(opened)
        self.times += 1
        await self.wait_for(lambda: self.said.count("took over") == self.times)

    async def reach_gate(self) -> int:
        """Ask for a restart; a descriptor that keeps its rehearsal at the gate until it is closed."""
        gate = self.folder / "gate"
        os.mkfifo(gate)
        self.signal()
        opened = await asyncio.wait_for(asyncio.to_thread(os.open, gate, os.O_WRONLY), 30)
        gate.unlink()
        return opened

    async def reach_saving(self) -> int:
        """Ask for a restart; a descriptor that keeps its real saving from going on until it is closed.

        The saving for the rehearsal is let through.
        """
        saving = self.folder / "saving"
        os.mkfifo(saving)
        self.signal()
        for last in (False, True):
            opened = await asyncio.wait_for(asyncio.to_thread(os.open, saving, os.O_WRONLY), 30)
            if last:
                saving.unlink()
                return opened
            os.close(opened)
            await self.wait_for(lambda: "rehearsal done" in self.said)
        raise AssertionError

    async def is_refused(self) -> str:
        """Ask for a restart and return the reason of its refusal."""
        before = self.said.count("restart refused")
        self.signal()
        await self.wait_for(lambda: self.said.count("restart refused") > before)
        lines = [line for line in self.said.splitlines() if "restart refused" in line]
        return lines[-1]


@contextmanager
def gated(name: str, *files: str, grace: float | None = None) -> Iterator[Gated]:
    with tempfile.TemporaryDirectory(prefix="av-") as made:
        folder = Path(made)
        for file in files:
            (folder / file).touch()
        if grace is not None:
            (folder / "grace").write_text(str(grace))
        conf, log = folder / f"{name}.conf", folder / "log"
        harness.write_settings(conf, SETTINGS)
        command = [sys.executable, "-m", "tests.restart.gated", name, made]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--rundir", made, "-f", str(conf)],
                cwd=harness.ROOT,
                stdout=output,
                stderr=output,
            )
        sockets = (f"{made}/{name}-sock", f"{made}/{name}-admin-sock")
        daemon = harness.RunningDaemon(name, folder, conf, log, *sockets, process)
        try:
            daemon.wait_ready()
            yield Gated(daemon)
        finally:
            daemon.kill()


Start = Callable[..., Gated]
