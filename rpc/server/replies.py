"""Replies: results, refusals and failures, as frames.

Source: libvirt's src/rpc/virnetserverprogram.c.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.transport.descriptors import close_all
from aiovirt.rpc.transport.outgoing import FrameWithFds
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.message import MAX_PAYLOAD, Status, Type, frame
from aiovirt.rpc.wire.xdr import XdrError, encode

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client
    from aiovirt.rpc.server.handlers import Binding, WithStream
    from aiovirt.rpc.server.hot_path import HotPath

_log = get_logger("rpc.server.replies")

#: What a plain function may raise without ending more than its own call.
FAILURES: Final = (Exception, asyncio.CancelledError)


class FrameWithStream(bytes):
    """A reply after which a stream begins."""

    stream: WithStream[Any]

    @classmethod
    def of(cls, data: bytes, stream: WithStream[Any]) -> FrameWithStream:
        """Bind a stream to a frame."""
        made = cls(data)
        made.stream = stream
        return made


def reply(binding: Binding, serial: int, result: Any) -> bytes:
    """The frame that carries a result. Raises XdrError when the result does not fit its type."""
    procedure = binding.procedure
    key = procedure.key
    if procedure.stream:
        return FrameWithStream.of(
            frame(key, Type.REPLY, serial, Status.OK, binding.encode(result.result)), result
        )
    if not procedure.reply_fds:
        return frame(key, Type.REPLY, serial, Status.OK, binding.encode(result))
    count = len(result.descriptors).to_bytes(4, "big")
    try:
        payload = count + binding.encode(result.result)
        data = frame(key, Type.REPLY_WITH_FDS, serial, Status.OK, payload)
    except ValueError:
        close_all(result.descriptors)
        raise
    return FrameWithFds.of(data, result.descriptors)


def run_inline(client: Client, binding: Binding, serial: int, args: Any) -> bytes:
    """Run a plain function now and make its reply."""
    try:
        return reply(binding, serial, binding.handler(client, args))
    except FAILURES as error:  # whatever it is, it becomes this call's reply
        return failure_reply(client, binding, serial, error)


def error_reply(client: HotPath, key: bytes, serial: int, error: RpcError) -> bytes:
    """The frame that carries an error."""
    try:
        payload = encode(error.to_wire())
    except XdrError as problem:
        _log.error(
            "an error cannot be sent",
            server=client.server.name,
            client=client.id,
            serial=serial,
            reason=repr(error)[:200],
        )
        code = ErrorCode.INTERNAL_ERROR
        payload = encode(RpcError(code, f"an error that cannot be sent: {problem}").to_wire())
    return frame(key, Type.REPLY, serial, Status.ERROR, payload)


def failure_reply(client: Client, binding: Binding, serial: int, error: BaseException) -> bytes:
    """The frame for what a handler raised; what is not an RpcError is logged with its origin."""
    if isinstance(error, RpcError):
        answer = error
    else:
        _log.error(
            "a handler failed",
            server=client.server.name,
            client=client.id,
            procedure=binding.procedure.name,
            serial=serial,
            exc_info=error,
        )
        answer = RpcError(
            ErrorCode.INTERNAL_ERROR,
            f"{binding.procedure.name} failed inside the daemon: {type(error).__name__}; "
            "its log has the details",
        )
    return error_reply(client, binding.procedure.key, serial, answer)


def inline_failure(
    client: Client,
    binding: Binding,
    serial: int,
    error: BaseException,
    data: bytearray,
    pos: int,
    after: int,
) -> bytes:
    """The same where arguments and result share one `try`: an XdrError may be the peer's fault."""
    if isinstance(error, XdrError):
        try:
            binding.decode(data, pos, after)
        except XdrError:
            refused = undecodable(binding, error)
            return error_reply(client, binding.procedure.key, serial, refused)
    return failure_reply(client, binding, serial, error)


def undecodable(binding: Binding, error: XdrError) -> RpcError:
    """Make the error for arguments that are not of the table's type."""
    return RpcError(ErrorCode.RPC, f"{binding.procedure.name}: the arguments don't decode: {error}")


def too_large(client: HotPath, binding: Binding, serial: int, size: int) -> bytes:
    """The frame for a result of `size` bytes, which is more than a message carries."""
    refused = RpcError(
        ErrorCode.RPC, f"the reply has {size} bytes, a message carries {MAX_PAYLOAD}"
    )
    return error_reply(client, binding.procedure.key, serial, refused)
