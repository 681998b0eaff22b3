"""The bytes of the protocol, built and taken apart by hand.

The judge must not share code with the accused, so nothing here imports ours: a mistake in
`rpc.wire` would otherwise be on both sides and go unseen. Only what the cases need is here, and
it builds wrong bytes as readily as right ones.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import NamedTuple

ADMIN = 0x06900690
KEEPALIVE = 0x6B656570
CALL, REPLY, MESSAGE, STREAM, CALL_WITH_FDS, REPLY_WITH_FDS, STREAM_HOLE = range(7)
OK, ERROR, CONTINUE = range(3)
_TYPES = ("CALL", "REPLY", "MESSAGE", "STREAM", "CALL_WITH_FDS", "REPLY_WITH_FDS", "STREAM_HOLE")
MIN_LENGTH, MAX_LENGTH = 28, 33554436

_HEADER = struct.Struct(">IIIiiIi")


@dataclass(frozen=True)
class Frame:
    """One frame; every number may be what the protocol forbids.

    `length` is only given where it is not to be the true one.
    """

    procedure: int
    payload: bytes = b""
    program: int = ADMIN
    version: int = 1
    type: int = CALL
    serial: int = 7
    status: int = OK
    length: int | None = None

    def pack(self) -> bytes:
        """The bytes that travel."""
        length = MIN_LENGTH + len(self.payload) if self.length is None else self.length
        numbers = (self.type, self.serial, self.status)
        head = _HEADER.pack(length, self.program, self.version, _i32(self.procedure), *numbers)
        return head + self.payload

    def __str__(self) -> str:
        kind = _TYPES[self.type] if 0 <= self.type < len(_TYPES) else f"type {self.type}"
        status = ("OK", "ERROR", "CONTINUE")[self.status] if 0 <= self.status < 3 else self.status
        return (
            f"{kind} {status} program {self.program:#x} version {self.version} "
            f"procedure {self.procedure} serial {self.serial} payload {len(self.payload)}"
        )

    def but(self, **changes: int | bytes | None) -> Frame:
        """The same frame with other numbers."""
        return replace(self, **changes)  # type: ignore[arg-type]  # names and types are Frame's


def unpack(data: bytes) -> Frame:
    """A whole frame, as received."""
    length, program, version, procedure, kind, serial, status = _HEADER.unpack_from(data)
    if length != len(data):
        raise ValueError(f"a frame of {len(data)} bytes says that it has {length}")
    return Frame(procedure, data[MIN_LENGTH:], program, version, kind, serial, status)


def _i32(number: int) -> int:
    """Write an unsigned number of 32 bits into the procedure's field, which is signed."""
    return number - 2**32 if number >= 2**31 else number


PING = Frame(1, program=KEEPALIVE, type=MESSAGE, serial=0)
PONG = PING.but(procedure=2)


def u32(number: int) -> bytes:
    """An unsigned or signed whole number of 4 bytes."""
    return struct.pack(">I", number & 0xFFFFFFFF)


def u64(number: int) -> bytes:
    """The same with 8 bytes."""
    return struct.pack(">Q", number & 0xFFFFFFFFFFFFFFFF)


def string(text: str | bytes, *, length: int | None = None, padding: bytes = b"\0") -> bytes:
    """A string; with a false length or with other padding if asked."""
    raw = text.encode() if isinstance(text, str) else text
    return u32(len(raw) if length is None else length) + raw + padding * (-len(raw) % 4)


def optional(value: bytes | None) -> bytes:
    """A pointer in front of a value that is packed already; None is absent."""
    return u32(0) if value is None else u32(1) + value


INT, UINT, LLONG, ULLONG, DOUBLE, BOOLEAN, STRING = range(1, 8)


def param(field: str | bytes, number: int, kind: int = UINT) -> bytes:
    """A typed parameter holding a number."""
    wide = kind in (LLONG, ULLONG, DOUBLE)
    return string(field) + u32(kind) + (u64(number) if wide else u32(number))


def params(*packed: bytes) -> bytes:
    """An array of them."""
    return u32(len(packed)) + b"".join(packed)


class Reader:
    """Takes a payload apart; what is left over is an error of whoever sent it."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def u32(self) -> int:
        """The next 4 bytes, unsigned."""
        return int.from_bytes(self._take(4))

    def i32(self) -> int:
        """The next 4 bytes, signed."""
        return int.from_bytes(self._take(4), signed=True)

    def u64(self) -> int:
        """The next 8 bytes, unsigned."""
        return int.from_bytes(self._take(8))

    def string(self) -> str:
        """A string; its padding has to be zero."""
        raw = self._take(self.u32())
        if any(self._take(-len(raw) % 4)):
            raise ValueError("padding that is not zero")
        return raw.decode(errors="surrogateescape")

    def optional_string(self) -> str | None:
        """A string that may be absent."""
        return self.string() if self.u32() else None

    def params(self) -> dict[str, tuple[int, object]]:
        """Typed parameters: the kind and the value of each field."""
        found: dict[str, tuple[int, object]] = {}
        for _ in range(self.u32()):
            field, kind = self.string(), self.u32()
            value: object
            match kind:
                case 1 | 6:
                    value = self.i32()
                case 2:
                    value = self.u32()
                case 3 | 4:
                    value = self.u64()
                case 7:
                    value = self.string()
                case _:
                    raise ValueError(f"{field} is of kind {kind}")
            if field in found:
                raise ValueError(f"{field} is there twice")
            found[field] = (kind, value)
        return found

    def end(self) -> None:
        """Insist that nothing is left."""
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes too many")

    def _take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) != count:
            raise ValueError(f"{count - len(piece)} bytes are missing")
        self._at += count
        return piece


class Refusal(NamedTuple):
    """The payload of an error reply, as far as both sides promise it."""

    code: int
    domain: int
    level: int
    message: str | None


def refusal(payload: bytes) -> Refusal:
    """Take an error's payload apart, to its end."""
    read = Reader(payload)
    code, domain, message, level = read.i32(), read.i32(), read.optional_string(), read.i32()
    if read.u32():
        raise ValueError("an error that speaks of a domain")
    for _ in range(3):
        read.optional_string()
    read.i32()
    read.i32()
    if read.u32():
        raise ValueError("an error that speaks of a network")
    read.end()
    return Refusal(code, domain, level, message)
