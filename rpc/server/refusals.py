"""Refusals: calls that end before their handler has done anything.

Source: libvirt's src/rpc/virnetserverprogram.c (virNetServerProgramDispatchCall), and the macros
virCheckFlags and virReportUnsupportedError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.message import Status, split_key

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client
    from aiovirt.rpc.server.handlers import Binding
    from aiovirt.rpc.wire.program import Procedure


def refusal(client: Client, key: bytes, status: int, binding: Binding | None) -> RpcError | None:
    """Return the reason why a call cannot be made, or None. The order of the checks is libvirt's."""
    number, version, which = split_key(key)
    handlers = client.server.programs.get((number, version))
    if handlers is None:
        return RpcError(ErrorCode.RPC, f"this server has no program 0x{number:x} version {version}")
    if status != Status.OK:
        return RpcError(ErrorCode.RPC, f"a call has status {Status.OK.value}, not {status}")
    procedure = handlers.program.get(which)
    if procedure is None or procedure.event:
        # libvirt's client library looks for this text, and only then tries an older procedure.
        return RpcError(ErrorCode.RPC, f"unknown procedure: {which}")
    if procedure.needs_auth and not client.authenticated:
        return RpcError(ErrorCode.RPC, "authentication required")
    if client.readonly and not procedure.reads:
        return RpcError.of(
            ErrorCode.OPERATION_DENIED,
            f"read only access prevents {procedure.function}",
            domain=handlers.domain_of(procedure),
        )
    if binding is None:
        return unsupported(procedure, handlers.domain_of(procedure))
    return None


def unsupported(procedure: Procedure[Any, Any], domain: int) -> RpcError:
    """Make the error for a procedure that the table has and nothing serves."""
    return RpcError(
        ErrorCode.NO_SUPPORT,
        f"this function is not supported by the connection driver: {procedure.function}",
        domain=domain,
    )


def too_many_streams(limit: int) -> RpcError:
    """Make the error for one stream more than the limit."""
    return RpcError(ErrorCode.RPC, f"this connection has {limit} open streams, which is the most")


def check_flags(procedure: Procedure[Any, Any], flags: int) -> None:
    """Refuse flags that a procedure does not have.

    Args:
        procedure: its table says what is supported, and the domain of the error is its program's.
        flags: what came.

    Raises:
        RpcError: INVALID_ARG, with libvirt's text.
    """
    if procedure.flags is None:
        return
    foreign = flags & ~procedure.flags
    if foreign:
        raise RpcError(
            ErrorCode.INVALID_ARG,
            f"unsupported flags (0x{foreign & 0xFFFFFFFF:x}) in function {procedure.function}",
            domain=procedure.program.domain,
        )
