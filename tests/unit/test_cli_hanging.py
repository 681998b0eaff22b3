"""virtadm and daemons that hang: what is known is shown, what hangs is named, nothing waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import termios
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from select import PIPE_BUF

import pytest

from aiovirt.admin import protocol
from aiovirt.admin.cli.complete import PATIENCE
from tests.unit.house import PATIENCE as LONG
from tests.unit.house import eventually
from tests.unit.scripted_daemon import Script, scripted_daemon

#: Seconds that a hanging daemon is given here.
SHORT = "0.2"


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """The URI of a daemon that takes connections and never answers."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(f"{tmp_path}/silent")
        listener.listen()
        yield f"virtd:///session?socket={tmp_path}/silent"


@contextlib.asynccontextmanager
async def virtadm(
    home: Path,
    *words: str,
    stdin: int = asyncio.subprocess.DEVNULL,
    stdout: int = asyncio.subprocess.PIPE,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run virtadm; it is ended with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "aiovirt.admin.cli",
        *words,
        stdin=stdin,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home)},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ran(home: Path, *words: str) -> tuple[int | None, str, str]:
    """Run virtadm to its end."""
    async with asyncio.timeout(30), virtadm(home, *words) as process:
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_hanging_daemon_is_given_up_and_named(tmp_path: Path, silent: str) -> None:
    status, out, err = await ran(tmp_path, "--timeout", SHORT, "-c", silent, "uri")
    assert (status, out) == (1, "")
    assert err == (
        "error: Failed to connect to the admin server\n"
        f"error: {silent}: no answer to the connection within {SHORT} s\n"
    )


async def test_each_call_is_bounded(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(
            32
        )  # CONNECT_OPEN with its flags, answered by its own header
        writer.write(b"\0\0\0\x1c" + head[4:16] + b"\0\0\0\x01" + head[20:28])
        await reader.readexactly(28)
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(never, f"{tmp_path}/sock")
    uri = f"virtd:///session?socket={tmp_path}/sock"
    async with server:
        status, out, err = await ran(
            tmp_path, "--timeout", SHORT, "-c", uri, "server-list; echo on"
        )
    assert asked.is_set()
    assert (status, out) == (0, "\non\n")  # the last command decides, as ever
    assert f"error: {uri}: no answer to CONNECT_LIST_SERVERS within {SHORT} s\n" in err


async def test_the_others_answers_are_shown_and_the_status_is_1(
    tmp_path: Path, silent: str
) -> None:
    async with scripted_daemon() as daemon:
        words = ["--timeout", SHORT, "-c", silent, "-c", daemon.uri, "uri"]
        status, out, err = await ran(tmp_path, *words)
        in_json = await ran(tmp_path, "-o", "json", *words)
    assert status == 1
    assert set(out.split("==> ")) == {
        "",
        f"{silent} <==\n",
        f"{daemon.uri} <==\n{daemon.uri}\n\n",
    }
    assert err.splitlines() == [
        f"error: {silent}: Failed to connect to the admin server",
        f"error: {silent}: no answer to the connection within {SHORT} s",
    ]
    assert in_json[0] == 1
    answers = json.loads(in_json[1])
    assert [(one["uri"], one["succeeded"]) for one in answers] == [
        (silent, False),
        (daemon.uri, True),
    ]


async def test_answers_are_shown_as_they_come_and_an_interrupt_names_who_hangs(
    tmp_path: Path, silent: str
) -> None:
    async with scripted_daemon() as daemon, asyncio.timeout(30):
        words = ["-c", silent, "-c", daemon.uri, "uri"]
        async with virtadm(tmp_path, *words) as process:
            assert process.stdout is not None
            head = await process.stdout.readline()  # while the other one hangs
            assert head == f"==> {daemon.uri} <==\n".encode()
            assert await process.stdout.readline() == f"{daemon.uri}\n".encode()
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
    assert process.returncode == -signal.SIGINT
    assert err.decode() == f"error: {silent}: interrupted before it had answered\n"


@pytest.mark.parametrize("words", [["server-list", ""], ["client-list", "x"], ["client-info", "a"]])
async def test_completion_never_hangs_a_shell(
    tmp_path: Path, silent: str, words: list[str]
) -> None:
    async with asyncio.timeout(LONG + 3 * PATIENCE):
        status, out, _ = await ran(tmp_path, "-q", "-c", silent, "complete", "--", *words)
    assert (status, out) == (1, "")


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "nan", "inf", "1e3", "0x1", " 1", "1_0"])
async def test_a_timeout_is_a_positive_number_of_seconds(tmp_path: Path, text: str) -> None:
    status, out, err = await ran(tmp_path, f"--timeout={text}", "pwd")
    assert (status, out) == (1, "")
    assert err == f"error: option --timeout takes a positive number of seconds, not '{text}'\n"


async def test_a_timeout_has_to_be_given(tmp_path: Path) -> None:
    assert await ran(tmp_path, "--timeout") == (
        1,
        "",
        "error: option '--timeout' requires an argument\n",
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("form", ["text", "json"])
async def test_a_signal_ends_a_command_whose_output_nobody_reads(
    tmp_path: Path, number: signal.Signals, form: str
) -> None:
    many = [protocol.ServerRef(f"server-{at:060}") for at in range(5000)]
    answers: Script = {
        protocol.CONNECT_LIST_SERVERS: lambda args: protocol.ServerList(many, len(many))
    }
    reading, writing = os.pipe()
    async with (
        scripted_daemon(answers) as daemon,
        asyncio.timeout(30),
        virtadm(tmp_path, "-o", form, "-c", daemon.uri, "server-list", stdout=writing) as process,
    ):
        os.close(writing)
        room = fcntl.fcntl(reading, fcntl.F_GETPIPE_SZ) - PIPE_BUF
        await eventually(lambda: _waiting_in(reading) >= room)
        process.send_signal(number)
        _, err = await process.communicate()
    os.close(reading)
    assert process.returncode == -number
    assert err == b""


def _waiting_in(pipe: int) -> int:
    """Bytes that nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


async def test_an_interrupt_gives_up_the_command_and_not_the_shell(
    tmp_path: Path, silent: str
) -> None:
    async with asyncio.timeout(30):
        async with virtadm(tmp_path, stdin=asyncio.subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"connect '{silent}'\n".encode())
            await process.stdout.readuntil(silent.encode() + b"'\n")
            process.send_signal(signal.SIGINT)
            process.stdin.write(b"echo still here\nquit\n")
            out, err = await process.communicate()
    assert process.returncode == 0
    assert b"\nstill here\n" in out
    assert err == b""
