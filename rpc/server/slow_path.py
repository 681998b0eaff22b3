"""The slow path: all that arrives, except a good call of a plain function with a free worker.

Keepalives are answered, packets go to their streams, calls that cannot be made are refused, and those
that may wait, or carry descriptors, or open a stream, become a `Call` that takes a worker. A keepalive
takes no worker, counts as no request, and is answered even while the client has not authenticated.

Source: libvirt's src/rpc/virnetserverclient.c and virnetserverprogram.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import counts, refusals, replies
from aiovirt.rpc.server.call import Call
from aiovirt.rpc.server.faults import Fault, FaultedCall
from aiovirt.rpc.server.handlers import CallWithFds
from aiovirt.rpc.server.streams import STREAMS_MAX
from aiovirt.rpc.transport.descriptors import close_all
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.framing import descriptor_count
from aiovirt.rpc.wire.keepalive import PING, PONG_FRAME
from aiovirt.rpc.wire.message import (
    HEADER,
    KEYED_HEADER,
    MIN_FRAME,
    FramingError,
    Message,
    Type,
)
from aiovirt.rpc.wire.xdr import XdrError

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client
    from aiovirt.rpc.server.handlers import Binding

_log = get_logger("rpc.server.client")

_unpack: Final = KEYED_HEADER.unpack_from
_KEEPALIVE_HEADER: Final = PING.key[:8]


def take(client: Client, data: bytearray, pos: int, after: int, size: int, out: list[bytes]) -> int:
    """Handle the message whose frame lies between `pos` and `after`.

    Args:
        client: where it came from.
        data: what holds it; its first `size` bytes are there.
        pos: where the frame begins.
        after: where it ends.
        size: how many bytes are there.
        out: replies that were made before and are not sent yet; what is made here goes there, too.

    Returns:
        Where the next message begins; 0 when this one has to wait, since the client is at its
        request limit, or its descriptors have not come.
    """
    _, key, kind, serial, status = _unpack(data, pos)
    if key[:8] == _KEEPALIVE_HEADER and kind == Type.MESSAGE:
        if key == PING.key and is_answered(client):
            out.append(PONG_FRAME)
        return after
    if kind not in (Type.CALL, Type.CALL_WITH_FDS):
        _stream_packet(client, data, pos, after, out)
        return after
    if client.is_deaf and (behind := _skip_unanswerable(client, data, pos, size)) > pos:
        return behind
    if client.in_flight >= client.server.request_limit:
        return 0
    begin, behind = pos + MIN_FRAME, after
    descriptors: tuple[int, ...] = ()
    if kind == Type.CALL_WITH_FDS:
        try:
            begin, behind = begin + 4, after + descriptor_count(data, pos, after)
            if behind > size:
                return 0
            if client.accepts_descriptors:
                descriptors = client.take_descriptors(behind - after)
        except FramingError as error:
            client.abort(f"the peer broke the protocol: {error}")
            return after
    _call(client, _Arrived(key, serial, status, behind - pos, descriptors), data, begin, after, out)
    return behind


def is_answered(client: Client) -> bool:
    """Whether the PING that came from a client is answered."""
    faults = client.server.faults
    return faults is None or not faults.mutes(client)


def _skip_unanswerable(client: Client, data: bytearray, pos: int, size: int) -> int:
    """Pass over calls whose whole effect would be a reply, for a client that receives none any more.

    These are calls that only read, and calls of procedures that nothing serves. A client can leave
    thousands of them behind, so they are not looked at one by one.

    Args:
        client: where they came from.
        data: what holds them; its first `size` bytes are there.
        pos: where the first begins.
        size: how many bytes are there.

    Returns:
        Where the first message begins that must be handled; `pos` when that is the first.
    """
    table = client.server.table
    started = counts.now()
    while size - pos >= MIN_FRAME:
        length, key, kind, serial, _ = _unpack(data, pos)
        if kind != Type.CALL or not MIN_FRAME <= length <= size - pos:
            break
        binding = table.get(key)
        if binding is not None and not binding.reads:
            break
        counts.abandoned(client, key, serial, length, started)
        pos += length
    return pos


class _Arrived:
    """A call that arrived, before it is known whether it can be made."""

    __slots__ = ("descriptors", "key", "serial", "size", "started", "status")

    def __init__(
        self, key: bytes, serial: int, status: int, size: int, descriptors: tuple[int, ...]
    ) -> None:
        self.key = key
        self.serial = serial
        self.status = status
        self.size = size
        self.descriptors = descriptors
        self.started = counts.now()


def _call(
    client: Client, arrived: _Arrived, data: bytearray, begin: int, after: int, out: list[bytes]
) -> None:
    """Refuse a call, or run it, or let it wait for a worker."""
    server = client.server
    binding = server.table.get(arrived.key)
    if binding is None and server.faults is not None:
        binding = server.stand_in(arrived.key)
    refused = refusals.refusal(client, arrived.key, arrived.status, binding)
    if binding is None or refused is not None:
        if refused is not None:
            _refuse(client, arrived, refused, out)
        return
    if binding.procedure.stream and client.streams >= STREAMS_MAX:
        _refuse(client, arrived, refusals.too_many_streams(STREAMS_MAX), out)
        return
    try:
        args, _ = binding.decode(data, begin, after)
    except XdrError as error:
        _refuse(client, arrived, replies.undecodable(binding, error), out)
        return
    fault = None
    if server.faults is not None:
        fault = server.faults.of_call(client, binding.procedure, args)
        if binding.procedure.stream:
            server.faults.opens(client, binding.procedure, args, arrived.serial)
    if binding.direct and server.workers.ready and fault is None:
        close_all(arrived.descriptors)
        reply = replies.run_inline(client, binding, arrived.serial, args)
        out.append(reply)
        counts.answered(client, arrived.key, arrived.serial, arrived.size, reply, arrived.started)
        return
    call = _queued(client, binding, arrived, args, fault)
    # What this read has produced so far goes out first: the call may end at once and write.
    if out:
        client.reply(b"".join(out))
        out.clear()
    if client.closed:
        call.drop()
    else:
        client.begin_call(call)


def _queued(
    client: Client, binding: Binding, arrived: _Arrived, args: Any, fault: Fault | None
) -> Call:
    if binding.procedure.call_fds:
        args = CallWithFds(args, arrived.descriptors)
    else:
        close_all(arrived.descriptors)
    said = client, binding, arrived.serial, args, arrived.size, arrived.started
    return Call(*said) if fault is None else FaultedCall(*said, fault)


def _refuse(client: Client, arrived: _Arrived, error: RpcError, out: list[bytes]) -> None:
    close_all(arrived.descriptors)
    reply = replies.error_reply(client, arrived.key, arrived.serial, error)
    out.append(reply)
    counts.answered(client, arrived.key, arrived.serial, arrived.size, reply, arrived.started)


def _stream_packet(client: Client, data: bytearray, pos: int, after: int, out: list[bytes]) -> None:
    """Give a packet to its stream; drop one that is late, and every other message."""
    _, key, kind, serial, status = _unpack(data, pos)
    if client.streams and kind in (Type.STREAM, Type.STREAM_HOLE):
        if out:  # replies that were made before come before what the stream answers
            client.reply(b"".join(out))
            out.clear()
        payload = bytes(data[pos + MIN_FRAME : after])
        if client.closed or client.stream_packet(key, serial, kind, status, payload):
            return
    if _log.info_on:
        _, *header = HEADER.unpack_from(data, pos)
        _log.info(
            "dropped a message that no client should send",
            server=client.server.name,
            client=client.id,
            message=str(Message(*header)),
        )
