"""The parts of a stream: packets of data, holes, and its end.

A stream belongs to one call, whose program, version, procedure and serial its packets carry. In a
packet of type STREAM the status says what it is: CONTINUE is data (none at all: the end of the data),
OK finishes the stream and is answered with OK, ERROR aborts it. A hole stands for zeros that need not
travel.

Source: libvirt's src/rpc/virnetprotocol.x, src/remote/remote_daemon_stream.c and
src/rpc/virnetclientstream.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.message import Status, Type, frame
from aiovirt.rpc.wire.records import frozen

#: The most data that libvirt puts into one packet, in bytes; what both sides take at least.
PACKET_MAX: Final = 262120
#: What we put into one: several streams and replies of one connection then take turns, and one packet
#: does not fill a connection so that its peer is not heard (WRITE_HIGH of `rpc.transport.link`).
PACKET_SIZE: Final = 32768


@frozen
class Hole:
    """So many zero bytes, which did not travel."""

    length: int


@xdr.struct
class HolePayload:
    """The payload of a packet of type STREAM_HOLE. length: bytes; flags: none are defined."""

    length: xdr.Hyper
    flags: xdr.UInt


def data_packets(key: bytes, serial: int, data: bytes) -> Iterator[bytes]:
    """The packets for some data; none for none, since an empty packet is the end."""
    view = memoryview(data)
    for start in range(0, len(data), PACKET_SIZE):
        piece = bytes(view[start : start + PACKET_SIZE])
        yield frame(key, Type.STREAM, serial, Status.CONTINUE, piece)


def hole_packet(key: bytes, serial: int, length: int) -> bytes:
    """The packet for a hole. Raises ValueError unless it has a length."""
    if length <= 0:
        raise ValueError(f"a hole has at least one byte, not {length}")
    payload = xdr.encode(HolePayload(length, 0))
    return frame(key, Type.STREAM_HOLE, serial, Status.CONTINUE, payload)


def parse_hole(payload: bytes) -> Hole:
    """The hole in a packet. Raises XdrError."""
    found = xdr.decode(HolePayload, payload)
    if found.length <= 0 or found.flags:
        raise xdr.XdrError(f"a hole of {found.length} bytes with flags {found.flags} is impossible")
    return Hole(found.length)
