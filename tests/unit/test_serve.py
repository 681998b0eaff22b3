"""A server in a few lines, and the example that is made of them."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import socket
import sys
from pathlib import Path
from types import ModuleType

import pytest

from aiovirt.rpc.client import connect_unix
from aiovirt.rpc.server import Access, ServerOptions, serve
from tests.unit.house import ECHO, WAIT, Number, Stage, Text, eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "server.py"


async def test_a_program_is_served_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    async with serve(Stage().handlers(), path=str(path), mode=0o600) as server:
        assert path.stat().st_mode & 0o777 == 0o600
        async with connect_unix(str(path)) as connection:
            assert await connection.call(ECHO, Text("here")) == Text("here")
        assert server.name == "main"
    assert not path.exists()


async def test_and_on_tcp_at_the_same_time(tmp_path: Path) -> None:
    stage = Stage()
    options = ServerOptions("mine", max_clients=7)
    async with serve(
        stage.handlers(), path=f"{tmp_path}/sock", host="127.0.0.1", port=0, options=options
    ) as server:
        assert [len(server.services), server.registry.max_clients] == [2, 7]
        host, _, port = server.services[1].name.partition(":")
        with socket.create_connection((host, int(port))):
            await eventually(lambda: len(server.registry) == 1)


async def test_calls_in_flight_are_finished_at_the_end(tmp_path: Path) -> None:
    stage = Stage()
    async with serve(stage.handlers(), path=f"{tmp_path}/sock"):
        connection = await connect_unix(f"{tmp_path}/sock")
        call = asyncio.create_task(connection.call(WAIT, Number(5)))
        await eventually(lambda: stage.started == [5])
        asyncio.get_running_loop().call_soon(stage.release, 5)
    assert await call == Number(5)
    connection.abort()


async def test_what_cannot_be_is_refused_and_nothing_stays_open(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="path or a port"):
        async with serve(Stage().handlers()):
            pass
    with pytest.raises(ValueError, match="TLS"):
        async with serve(path=f"{tmp_path}/sock", access=Access(tls=True)):
            pass
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            async with serve(
                path=f"{tmp_path}/sock", host="127.0.0.1", port=taken.getsockname()[1]
            ):
                pass
    assert not os.listdir(tmp_path)


def _example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_server", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its annotations are looked up there
    spec.loader.exec_module(module)
    return module


async def test_the_example_serves_and_ends_in_good_order(tmp_path: Path) -> None:
    example = _example()
    path = tmp_path / "greeter.sock"
    process = await asyncio.create_subprocess_exec(sys.executable, str(EXAMPLE), str(path))
    try:
        await eventually(path.exists)
        await eventually(lambda: path.stat().st_mode & 0o700)
        async with connect_unix(str(path)) as connection:
            answer = await connection.call(example.GREET, example.GreetArgs("you"))
        assert answer == example.GreetRet("hello, you")
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 20)
        assert not path.exists()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_the_example_is_short() -> None:
    lines = EXAMPLE.read_text().split('"""', 2)[2].splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 32
