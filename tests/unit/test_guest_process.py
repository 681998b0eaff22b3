"""The process of a guest: its end is noticed, and an answer of it is not taken for its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiovirt.daemons.virtd.emulation import process as process_module
from aiovirt.daemons.virtd.emulation.process import Process


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Process, asyncio.Event]]:
    """Run one, and note when it has ended."""
    process = await Process.start("guest", bytes(16), str(folder))
    ended = asyncio.Event()
    process.watch(ended.set)
    try:
        yield process, ended
    finally:
        await process.end()


async def settled() -> None:
    """Let the loop look at its descriptors some times."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_answer_that_the_loop_sees_first_is_not_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, receive = threading.Event(), socket.recv_fds

    def wait(control: socket.socket, size: int, count: int) -> Any:
        if control.gettimeout():  # on the thread that asked
            gate.wait(10)
        return receive(control, size, count)

    monkeypatch.setattr(socket, "recv_fds", wait)
    async with running(tmp_path) as (process, ended):
        asking = asyncio.create_task(process.hold(0))
        await settled()
        assert process.control is not None
        await asyncio.to_thread(select.select, [process.control], [], [], 10)
        await settled()
        gate.set()
        assert await asking > 2
        await settled()
        assert not ended.is_set()
        os.kill(process.pid, signal.SIGKILL)
        await asyncio.wait_for(ended.wait(), 10)


async def test_a_process_is_asked_before_its_end_is_looked_for(tmp_path: Path) -> None:
    process = await Process.start("guest", bytes(16), str(tmp_path))
    assert await process.hold(0) > 2
    await process.end()


async def test_questions_at_once_get_their_own_answers(tmp_path: Path) -> None:
    async with running(tmp_path) as (process, ended):
        numbers = await asyncio.gather(*(process.hold(0) for _ in range(20)))
        assert len(set(numbers)) == 20
        assert not ended.is_set()


async def test_an_answer_that_nobody_waits_for_any_more_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as (process, ended):
        assert process.control is not None
        first = await process.hold(0)
        drain, dropped = process_module._drain, asyncio.Event()

        def drop(control: socket.socket) -> bool:
            over = drain(control)
            dropped.set()
            return over

        monkeypatch.setattr(process_module, "_drain", drop)
        socket.send_fds(process.control, [b"H"], [0])  # as by a question that was given up
        await asyncio.wait_for(dropped.wait(), 10)
        assert not ended.is_set()
        assert await process.hold(0) == first + 2


async def test_the_end_is_noticed_after_a_question_that_was_given_up(tmp_path: Path) -> None:
    async with running(tmp_path) as (process, ended):
        asking = asyncio.create_task(process.hold(0))
        await settled()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        os.kill(process.pid, signal.SIGKILL)
        await asyncio.wait_for(ended.wait(), 10)


async def test_a_process_that_ends_while_it_is_asked_has_ended(tmp_path: Path) -> None:
    async with running(tmp_path) as (process, ended):
        os.kill(process.pid, signal.SIGSTOP)
        asking = asyncio.create_task(process.hold(0))
        await settled()
        os.kill(process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            assert await asking == -1
        await asyncio.wait_for(ended.wait(), 10)
