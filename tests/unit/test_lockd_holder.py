"""A process is known to have ended only when the kernel says so of this very process."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import errno
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiovirt.daemons.lockd.holder import NO_PROCESS, RESERVE, Holder, Holders, open_process
from aiovirt.daemons.lockd.protocol import REGISTER, Owner, RegisterArgs
from aiovirt.rpc.client import connect_unix
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.unit.house import eventually
from tests.unit.lock_house import open_lock_house

CANNOT_LOOK = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM, errno.EIO]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def _raises(code: int) -> Callable[..., Any]:
    def failing(*args: Any, **options: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return failing


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_a_process_that_runs_has_not_ended_and_one_that_was_killed_has(
    process: subprocess.Popen[bytes],
) -> None:
    holder = Holders().find(process.pid)
    assert not holder.has_ended()
    process.kill()
    await eventually(holder.has_ended)  # nobody has waited for it
    process.wait()
    assert holder.has_ended()
    assert holder.descriptor == -1


@pytest.mark.parametrize("code", CANNOT_LOOK)
@pytest.mark.parametrize("what", ["pidfd_open", "open"])
def test_that_nobody_can_look_does_not_mean_that_it_has_ended(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, code: int, what: str
) -> None:
    descriptor, start = open_process(process.pid, None)
    os.close(descriptor)
    holders = Holders()
    holders.reserve.fill()
    before = _descriptors()
    with monkeypatch.context() as patch:
        patch.setattr(os if what == "pidfd_open" else builtins, what, _raises(code))
        with pytest.raises(OSError, match=re.escape(os.strerror(code))):
            holders.find(process.pid)
        holder = Holder(process.pid, start)
        assert not holder.has_ended()
        holders.reserve.drain()
    assert _descriptors() == before - RESERVE
    assert not holder.has_ended()
    assert holder.descriptor >= 0, "it is watched as soon as that can be done"
    holder.close()


def test_a_process_that_proc_does_not_show_has_not_ended(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with the mount option hidepid.
    monkeypatch.setattr(builtins, "open", _raises(errno.ENOENT))
    with pytest.raises(PermissionError, match="does not say when it started"):
        open_process(process.pid, None)


@pytest.mark.parametrize("pid", [0, 2**22 + 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_number_that_no_process_has_is_known_to_be_free(pid: int) -> None:
    holder = Holders().find(pid)
    assert holder.start == NO_PROCESS
    assert holder.has_ended()


def test_another_start_time_is_another_process(process: subprocess.Popen[bytes]) -> None:
    holders = Holders()
    now = holders.find(process.pid)
    earlier = holders.named(process.pid, now.start - 1)
    assert earlier is not now
    assert earlier.has_ended()
    assert not now.has_ended()
    assert holders.find(process.pid) is now
    holders.close()


def test_one_descriptor_serves_all_that_act_for_a_process(
    process: subprocess.Popen[bytes],
) -> None:
    holders = Holders()
    holder = holders.find(process.pid)
    before = _descriptors()
    assert all(holders.find(process.pid) is holder for _ in range(10))
    assert _descriptors() == before
    holders.let_go(holder)
    assert _descriptors() == before - 1
    assert not list(holders)


def test_the_thread_of_a_process_is_not_taken_for_one_that_has_ended() -> None:
    script = (
        "import threading\n"
        "def other(): print(threading.get_native_id(), flush=True); input()\n"
        "threading.Thread(target=other).start()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        thread = int(process.stdout.readline())
        with pytest.raises(OSError, match=r"Invalid argument|No such file"):
            Holders().find(thread)
        process.communicate(b"\n")


def test_a_process_runs_as_long_as_one_of_its_threads_does() -> None:
    script = (
        "import ctypes, os, threading\n"
        "def other():\n"
        "    while ') Z ' not in open(f'/proc/{os.getpid()}/stat').read(): pass\n"
        "    print('left', flush=True); input()\n"
        "threading.Thread(target=other).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"left\n"
        holder = Holders().find(process.pid)
        assert not holder.has_ended()
        process.kill()
    assert holder.has_ended()


async def test_who_waits_for_an_end_is_told_once_also_when_it_was_not_watched_at_first(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor, start = open_process(process.pid, None)
    os.close(descriptor)
    holder = Holder(process.pid, start)
    told: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "pidfd_open", _raises(errno.EMFILE))
        holder.when_ended(lambda: told.append(1))
        await asyncio.sleep(0)
    assert not told
    assert holder.watch()
    process.kill()
    await eventually(lambda: told)
    assert told == [1]


async def test_a_process_that_the_kernel_has_no_room_to_watch_is_looked_at_again(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor, start = open_process(process.pid, None)
    holder = Holder(process.pid, start, descriptor)
    told: list[int] = []
    loop = asyncio.get_running_loop()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "add_reader", _raises(errno.ENOSPC))
        holder.when_ended(lambda: told.append(1))
    holder.look()
    process.kill()
    await eventually(lambda: told)
    assert told == [1]


def test_a_descriptor_that_is_none_says_nothing(process: subprocess.Popen[bytes]) -> None:
    descriptor, start = open_process(process.pid, None)
    os.close(descriptor)
    assert not Holder(process.pid, start, descriptor).has_ended()


def test_a_descriptor_that_fails_to_close_is_closed_all_the_same(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = Holder(process.pid, *reversed(open_process(process.pid, None)))
    really = os.close

    def failing(descriptor: int) -> None:
        really(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", failing)
        holder.close()
        with pytest.raises(ProcessLookupError):
            open_process(process.pid, 1)
    assert holder.descriptor == -1


# Who is at the other end -------------------------------------------------------------------------


def _orphan_connection(listener: socket.socket) -> tuple[socket.socket, int]:
    """A connection that was made by a process which has ended, kept open by its child."""
    script = (
        "import os, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "if os.fork() == 0: sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, listener.getsockname()], stdin=subprocess.PIPE
    )
    connection, _ = listener.accept()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()
    return connection, process.pid


def test_the_process_at_the_other_end_is_known_by_more_than_its_number(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        listener.listen()
        connection, pid = _orphan_connection(listener)
        with contextlib.closing(connection):
            # Whatever process has that number by now.
            holder = Holders().find(pid, connection)
    assert holder.start == NO_PROCESS


async def test_who_cannot_be_watched_is_not_registered_and_may_try_again(
    tmp_path: Path, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(bytes(16), "guest", 1, process.pid)
    async with (
        open_lock_house(tmp_path) as house,
        await connect_unix(house.socket) as connection,
    ):
        with monkeypatch.context() as patch:
            patch.setattr(os, "pidfd_open", _raises(errno.EMFILE))
            with pytest.raises(RpcError, match="cannot be watched") as refusal:
                await connection.call(REGISTER, RegisterArgs(owner, 0))
            assert refusal.value.code == ErrorCode.SYSTEM_ERROR
            with pytest.raises(RpcError, match="registered no owner"):
                await house.acquire(connection, house.disk())
        await connection.call(REGISTER, RegisterArgs(owner, 0))
        await house.acquire(connection, house.disk())
