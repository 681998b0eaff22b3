"""Many TLS clients making calls while the files change again and again, half the time for bad ones."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from aiovirt.rpc.client import Connection
from aiovirt.rpc.wire.errors import RpcError
from tests.certificates_maker import GOOD, make, pem
from tests.unit.house import PATIENCE
from tests.unit.test_tls import ECHO, HOSTS, Data, Pki, _server_name, _update, open_house

CLIENTS = 500
RELOADS = 50


async def test_no_call_fails_and_everybody_new_sees_the_right_certificate(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    async with open_house(tmp_path, pki.files("server")) as house:
        house.server.registry.set(max_clients=2 * CLIENTS)
        connections = [await house.connect(pki.files("client")) for _ in range(CLIENTS)]
        stop = asyncio.Event()
        calls = 0

        async def keep_calling(connection: Connection, number: int) -> None:
            nonlocal calls
            data = Data(b"%d" % number)
            while not stop.is_set():
                assert await connection.call(ECHO, data) == data
                calls += 1

        callers = [
            asyncio.create_task(keep_calling(connection, number))
            for number, connection in enumerate(connections)
        ]
        name = "the server"
        for number in range(RELOADS):
            if number % 2:
                name = f"server {number}"
                pki.put("server", make(replace(GOOD, name=name, hosts=HOSTS), pki.ca))
                await _update(house)
            else:
                pki.write("server", [b"", pem(make(GOOD))][number // 2 % 2])
                with pytest.raises(RpcError):
                    await _update(house)
            async with await house.connect(pki.files("client")) as new:
                assert _server_name(new) == name
        stop.set()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*callers)
        assert calls > CLIENTS
        assert not any(connection.closed for connection in connections)
        for connection in connections:
            connection.abort()
