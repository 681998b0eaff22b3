"""No signal is lost, whenever it comes, and whichever thread the kernel gives it to."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.restart.conftest import Restarted
from tests.restart.gates import Start


def _children(pid: int) -> list[int]:
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


THREADS = pytest.mark.parametrize("files", [(), ("threads",)], ids=["alone", "threads"])


@THREADS
async def test_a_sigterm_during_the_writing_of_the_document_ends_the_new_program(
    gated: Start, files: tuple[str, ...]
) -> None:
    daemon = gated("virtd", *files)
    saving = await daemon.reach_saving()
    os.kill(daemon.pid, signal.SIGTERM)
    os.close(saving)
    assert await asyncio.to_thread(daemon.daemon.wait) == 0
    assert "took over" in daemon.said


@THREADS
async def test_a_sigusr1_during_the_writing_of_the_document_leads_to_another_restart(
    gated: Start, files: tuple[str, ...]
) -> None:
    daemon = gated("virtd", *files)
    saving = await daemon.reach_saving()
    os.kill(daemon.pid, signal.SIGUSR1)
    os.close(saving)
    await daemon.wait_for(lambda: daemon.said.count("took over") == 2)


@THREADS
async def test_signals_are_acted_upon_when_the_restart_fails_after_they_came(
    gated: Start, files: tuple[str, ...]
) -> None:
    daemon = gated("virtd", *files)
    saving = await daemon.reach_saving()
    (daemon.folder / "unsaved").touch()
    os.kill(daemon.pid, signal.SIGTERM)
    os.close(saving)
    assert await asyncio.to_thread(daemon.daemon.wait) == 0
    assert "took over" not in daemon.said
    assert "gate cannot be saved: LookupError: the gate cannot be saved, as it was told" in (
        daemon.said
    )


async def test_after_a_refusal_signals_work_as_before(gated: Start) -> None:
    daemon = gated("virtd")
    (daemon.folder / "unsaved").touch()
    assert "gate cannot be saved" in await daemon.is_refused()
    (daemon.folder / "unsaved").unlink()
    await daemon.restart()
    assert await asyncio.to_thread(daemon.daemon.kill) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_one_that_comes_while_the_new_program_starts_ends_it(
    any_daemon: Restarted, number: signal.Signals
) -> None:
    await any_daemon.restart()  # so that everything is in the cache of files
    any_daemon.signal()
    await any_daemon.wait_for(lambda: any_daemon.said.count("rehearsal done") == 2)
    os.kill(any_daemon.pid, number)
    assert await asyncio.to_thread(any_daemon.daemon.wait) == 0


async def test_a_sigusr1_during_a_restart_that_is_refused_leads_to_another(gated: Start) -> None:
    daemon = gated("virtd")
    gate = await daemon.reach_gate()
    daemon.signal()
    for child in _children(daemon.pid):
        os.kill(child, signal.SIGKILL)
    os.close(gate)
    await daemon.wait_for(lambda: "took over" in daemon.said)
    assert daemon.said.count("restart refused") == 1
