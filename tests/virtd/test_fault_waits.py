"""Waiting for a rule keeps no worker for a client that is gone, and leaves workers for others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from aiovirt.admin.client import Connection, connect
from aiovirt.daemons.virtd.faults.client import Action, FaultAdmin, Rule
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests import harness

#: The workers of the admin server, and the most of them that may wait.
WORKERS, MOST = 6, 3


@pytest.fixture(scope="module")
def uri() -> Iterator[str]:
    with harness.running("virtd", {"admin_max_workers": WORKERS}) as daemon:
        yield f"virtd:///system?socket={daemon.admin_socket}"


async def waiting(connection: Connection) -> asyncio.Task[None]:
    """Begin to wait for a rule that never strikes."""
    faults = FaultAdmin(connection)
    rule = await faults.add(Rule(Action.ERROR, "DOMAIN_CREATE", code=ErrorCode.NO_MEMORY))
    task = asyncio.create_task(faults.wait(rule))
    await faults.list()  # the wait has arrived before this
    return task


async def test_waits_leave_workers_for_others_and_end_with_the_rules(uri: str) -> None:
    async with connect(uri, timeout=20) as first, connect(uri, timeout=20) as second:
        waits = [await waiting(first if number % 2 else second) for number in range(MOST)]
        with pytest.raises(RpcError, match=f"the maximum is {MOST}") as refused:
            await (await waiting(second))
        assert refused.value.code == ErrorCode.RESOURCE_BUSY
        await FaultAdmin(second).clear()
        for one in waits:
            with pytest.raises(RpcError, match="was removed"):
                await one


@pytest.mark.parametrize("how", ["aborted", "closed", "half-closed"])
async def test_a_client_that_is_gone_does_not_wait(uri: str, how: str) -> None:
    kept = []
    for _ in range(MOST):
        connection = await connect(uri, timeout=20)
        task = await waiting(connection)
        if how == "half-closed":
            connection.rpc.sock.shutdown(socket.SHUT_WR)
            kept.append(task)
            continue
        task.cancel()
        if how == "aborted":
            connection.abort()
        await connection.close()
    for task in kept:
        with pytest.raises(RpcError, match="sends nothing more"):
            await task
    async with connect(uri, timeout=20) as connection, asyncio.timeout(20):
        faults = FaultAdmin(connection)
        rule = await faults.add(Rule(Action.ERROR, "DOMAIN_CREATE", code=ErrorCode.NO_MEMORY))
        while True:
            with pytest.raises(RpcError) as ended:
                await faults.wait(rule, timeout=0.01)
            if ended.value.code == ErrorCode.OPERATION_TIMEOUT:
                break  # there was room for it
        await faults.clear()


async def test_the_time_of_a_wait_is_added_to_the_timeout_of_the_connection(uri: str) -> None:
    async with connect(uri, timeout=20) as connection:
        faults = FaultAdmin(connection)
        rule = await faults.add(Rule(Action.ERROR, "DOMAIN_CREATE", code=ErrorCode.NO_MEMORY))
        connection.timeout = 0.2
        with pytest.raises(RpcError) as ended:
            await faults.wait(rule, timeout=0.5)
        assert ended.value.code == ErrorCode.OPERATION_TIMEOUT
        connection.timeout = 20
        await faults.clear()
