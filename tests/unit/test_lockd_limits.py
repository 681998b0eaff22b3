"""Every unsigned number that a client can send to lockd is tried at its limits, in all its programs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.admin import protocol
from aiovirt.admin.extension import dispatch as extension_program
from aiovirt.admin.extension import protocol as extension_protocol
from aiovirt.daemons.lockd.admin_protocol import LOCK_ADMIN
from aiovirt.daemons.lockd.client import Fate, LockAdmin
from aiovirt.daemons.lockd.protocol import LOCK_SPACE, REGISTER, Owner, RegisterArgs
from aiovirt.rpc.client import ConnectionLost, connect_unix
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.codegen import Scalar
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.program import Procedure, Program
from tests.unit.house import PATIENCE
from tests.unit.lock_house import LockHouse, open_lock_house

PROGRAMS: tuple[Program, ...] = (
    LOCK_SPACE,
    LOCK_ADMIN,
    protocol.ADMIN,
    extension_protocol.EXTENSION,
)
NUMBERS = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
_BITS = {"I": 32, "Q": 64}


def _plain(codec: Any) -> Any:
    """The smallest value of a type; optional ones are there."""
    match codec:
        case Scalar():
            return 0
        case xdr.String():
            return ""
        case xdr.Opaque(size):
            return bytes(size)
        case xdr.VarOpaque():
            return b""
        case xdr.Array():
            return []
        case xdr.Optional(item):
            return _plain(xdr.codec_of(item))
        case xdr.Struct(cls):
            return cls(*(_plain(inner) for _, inner in xdr.fields_of(cls)))
    raise AssertionError(f"no value of {codec!r}")


def _at_limits(codec: Any) -> Iterator[tuple[str, Any]]:
    """Values of a type with one unsigned number in each at a limit, and where."""
    match codec:
        case Scalar(code) if code in _BITS:
            for number in NUMBERS:
                if number < 2 ** _BITS[code]:
                    yield str(number), number
        case xdr.Optional(item):
            yield from _at_limits(xdr.codec_of(item))
        case xdr.Struct(cls):
            fields = xdr.fields_of(cls)
            for at, (name, inner) in enumerate(fields):
                for where, value in _at_limits(inner):
                    values = [_plain(other) for _, other in fields]
                    values[at] = value
                    yield f"{name}.{where}", cls(*values)


def _cases() -> Iterator[Any]:
    for program in PROGRAMS:
        for procedure in program:
            if procedure.args is not xdr.Void:
                for where, args in _at_limits(xdr.Struct(procedure.args)):
                    yield pytest.param(
                        procedure, args, id=f"{program.name}-{procedure.name}-{where}"
                    )


async def _survives(house: LockHouse) -> bool:
    """Whether lockd still gives and takes a lock."""
    async with await house.connect(Owner(bytes(16), "guest", 1, 2**31)) as guest:
        await house.acquire(guest, house.disk())
    return True


def _address(house: LockHouse, procedure: Procedure[Any, Any]) -> str:
    own = procedure.program is LOCK_SPACE
    return house.socket if own else f"{house.folder}/lockd-admin-sock"


@pytest.mark.parametrize(("procedure", "args"), list(_cases()))
async def test_a_number_at_its_limit_is_answered_and_never_a_mistake_of_ours(
    tmp_path: Path, procedure: Procedure[Any, Any], args: Any
) -> None:
    async with open_lock_house(tmp_path) as house:
        house.daemon.servers["admin"].add_program(extension_program.handlers(house.daemon))
        connection = await connect_unix(_address(house, procedure))
        if procedure.program is LOCK_SPACE and procedure is not REGISTER:
            await connection.call(REGISTER, RegisterArgs(Owner(bytes(16), "me", 1, 2**31), 0))
        told = ""
        try:
            async with asyncio.timeout(PATIENCE):
                if procedure.stream:
                    await (await connection.open_stream(procedure, args)).abort()
                else:
                    await connection.call(procedure, args)
        except ConnectionLost:
            pass
        except RpcError as error:
            told = str(error)
        assert "inside the daemon" not in told
        if not house.daemon.is_ending:
            assert await _survives(house)
        await connection.close()


@pytest.mark.parametrize("pid", [0, 2**31 - 1, 2**31, 2**32 - 1])
async def test_the_lock_of_an_owner_with_any_number_can_be_broken_and_released(
    tmp_path: Path, pid: int
) -> None:

    async with open_lock_house(tmp_path) as house:
        owner = Owner(bytes(16), "guest", 2**32 - 1, pid)
        async with (
            await house.connect(owner) as guest,
            admin_client.connect(house.uri) as connection,
        ):
            await house.acquire(guest, house.disk())
            broken = await LockAdmin(connection).break_lock(house.disk(), "guest", pid=pid)
            assert broken == (owner, Fate.GONE)
            await house.acquire(guest, house.disk())
