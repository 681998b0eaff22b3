"""Frames and their headers; `rpc.wire.framing` cuts a byte stream into them.

A frame is a big-endian u32 length that counts itself, a 24-byte header and a payload. A length
below 28 or above 33554436 ends the connection; it is looked at before anything is allocated.

Source: libvirt's src/rpc/virnetprotocol.x.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from aiovirt.rpc.wire.xdr import Buffer

#: Bytes of the length word.
LENGTH_SIZE: Final = 4
#: Bytes of the header after it.
HEADER_SIZE: Final = 24
#: Bytes of length word and header: the smallest legal frame.
MIN_FRAME: Final = LENGTH_SIZE + HEADER_SIZE
#: Bytes of the largest legal frame: 32 MiB and the length word.
MAX_FRAME: Final = 33554436
#: Bytes of payload that fit into the largest frame.
MAX_PAYLOAD: Final = MAX_FRAME - MIN_FRAME
#: Descriptors that one message can carry.
MAX_FDS: Final = 32

#: length, program, version, procedure, type, serial, status
HEADER: Final = struct.Struct(">IIIiiIi")
#: The same with program, version and procedure as one 12-byte key: the hot path's view of it.
KEYED_HEADER: Final = struct.Struct(">I12siIi")
_KEY: Final = struct.Struct(">IIi")


class Type(IntEnum):
    """The type of a message (virNetMessageType)."""

    CALL = 0
    REPLY = 1
    MESSAGE = 2
    STREAM = 3
    CALL_WITH_FDS = 4
    REPLY_WITH_FDS = 5
    STREAM_HOLE = 6


class Status(IntEnum):
    """The status of a message (virNetMessageStatus)."""

    OK = 0
    ERROR = 1
    CONTINUE = 2


class FramingError(ValueError):
    """A length that no frame can have, or a frame too large to send: the connection has to end."""


def procedure_key(program: int, version: int, procedure: int) -> bytes:
    """The 12 header bytes that name a procedure; dispatch tables are keyed by them."""
    return _KEY.pack(program, version, procedure)


def split_key(key: bytes) -> tuple[int, int, int]:
    """Program, version and procedure numbers of a key."""
    program, version, procedure = _KEY.unpack(key)
    return program, version, procedure


def check_length(length: int) -> None:
    """Raise FramingError unless `length`, in bytes, is one that a frame can have."""
    if not MIN_FRAME <= length <= MAX_FRAME:
        raise FramingError(
            f"a frame of {length} bytes is impossible: {MIN_FRAME} to {MAX_FRAME} are allowed"
        )


def frame(key: bytes, kind: int, serial: int, status: int, payload: bytes) -> bytes:
    """One whole frame. Raises FramingError when the payload is too large to send."""
    length = MIN_FRAME + len(payload)
    if length > MAX_FRAME:
        check_length(length)
    return KEYED_HEADER.pack(length, key, kind, serial, status) + payload


@dataclass(slots=True)
class Message:
    """One message, for everything that is not on the hot path: taps, tests, tools.

    `type` and `status` are plain integers when the peer sent one that has no name.

    Attributes:
        payload: what follows the header; for types with descriptors it begins with their number.
        time: when a tap saw it, in seconds since the epoch; 0 otherwise. Two messages that differ in
            nothing else are equal.
    """

    program: int
    version: int
    procedure: int
    type: int = Type.CALL
    serial: int = 0
    status: int = Status.OK
    payload: bytes = b""
    time: float = field(default=0.0, compare=False, repr=False)

    @property
    def descriptors(self) -> int:
        """How many descriptors travel with it, as its payload says."""
        if self.type in (Type.CALL_WITH_FDS, Type.REPLY_WITH_FDS):
            return int.from_bytes(self.payload[:4], "big")
        return 0

    def pack(self) -> bytes:
        """The frame of this message. Raises FramingError when it is too large."""
        key = procedure_key(self.program, self.version, self.procedure)
        return frame(key, self.type, self.serial, self.status, self.payload)

    @classmethod
    def unpack(cls, data: Buffer) -> Message:
        """The message of one whole frame. Raises FramingError when `data` is not exactly one."""
        if len(data) < MIN_FRAME:
            raise FramingError(f"{len(data)} bytes are not a frame: {MIN_FRAME} at least are")
        length, program, version, procedure, kind, serial, status = HEADER.unpack_from(data)
        check_length(length)
        if length != len(data):
            raise FramingError(f"the frame says {length} bytes, {len(data)} are here")
        payload = bytes(data[MIN_FRAME:])
        return cls(
            program, version, procedure, _named(Type, kind), serial, _named(Status, status), payload
        )

    def __str__(self) -> str:
        kind = getattr(self.type, "name", f"type {self.type}")
        status = getattr(self.status, "name", f"status {self.status}")
        return (
            f"{kind} {status} program 0x{self.program:08x} version {self.version} "
            f"procedure {self.procedure} serial {self.serial}, {len(self.payload)} bytes"
        )


def _named(kind: type[IntEnum], number: int) -> int:
    try:
        return kind(number)
    except ValueError:
        return number
