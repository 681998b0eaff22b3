"""Only the main thread of a daemon takes signals."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from aiovirt.admin import protocol as admin
from aiovirt.rpc.background import start_thread
from aiovirt.rpc.client import connect_unix
from tests import harness


def test_a_thread_takes_no_signals_and_the_one_that_starts_it_takes_those_of_before() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    found: list[set[int]] = []

    def look(*signals: int) -> None:
        found.append({int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, signals)})

    start_thread(look, signal.SIGUSR2, name="test").join()
    assert found[0] >= {signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def _taken(task: Path) -> set[signal.Signals]:
    """Which of a daemon's signals a thread lets in."""
    lines = (task / "status").read_text().splitlines()
    blocked = int(next(one.split()[1] for one in lines if one.startswith("SigBlk")), 16)
    wanted = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT, signal.SIGQUIT)
    return {one for one in wanted if not blocked >> (one - 1) & 1}


@pytest.mark.parametrize("name", ["virtd", "lockd", "logd"])
async def test_all_threads_of_a_daemon_but_the_main_one_take_no_signals(
    name: str, tmp_path: Path
) -> None:
    with harness.running(name, {"log_outputs": f"1:file:{tmp_path}/log"}) as daemon:
        async with connect_unix(daemon.admin_socket) as connection:
            await connection.call(admin.CONNECT_GET_LIB_VERSION, None)
            outputs = admin.SetLoggingArgs(f"1:file:{tmp_path}/log 1:file:{tmp_path}/b", 0)
            await connection.call(admin.CONNECT_SET_LOGGING_OUTPUTS, outputs)
        tasks = [Path(f"/proc/{daemon.pid}/task/{one}") for one in _threads(daemon.pid)]
        takers = {task.name for task in tasks if _taken(task)}
        assert len(tasks) > 1
        assert takers == {str(daemon.pid)}


def _threads(pid: int) -> list[str]:
    return os.listdir(f"/proc/{pid}/task")
