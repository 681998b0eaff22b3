"""The one cutter of frames: a byte stream into messages, without any I/O.

Rules of this file:

- A message is a frame and, for the types CALL_WITH_FDS and REPLY_WITH_FDS, one byte for each of its
  descriptors after it. It is given out when all of it is there, and not before.
- A length is looked at as soon as its four bytes are there, and before anything is kept.
- Frames are given out where they are, in the buffer that was fed or in the tail. What is copied is the
  tail of an incomplete message, and nothing else.

The server's hot path (`Client._consume` in `rpc/server/client.py`) is written out by hand;
tests/property/test_framing_paths.py holds both against each other.

Source: libvirt's src/rpc/virnetprotocol.x, and src/rpc/virnetmessage.c (virNetMessageDecodeLength,
virNetMessageDecodeNumFDs).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aiovirt.rpc.wire.message import (
    KEYED_HEADER,
    LENGTH_SIZE,
    MAX_FDS,
    MAX_FRAME,
    MIN_FRAME,
    FramingError,
    Message,
    Type,
)
from aiovirt.rpc.wire.xdr import Buffer

#: A frame where it lies: the buffer, where the frame begins and ends in it, and from its header the key
#: of the procedure, type, serial and status. Its payload begins MIN_FRAME bytes after its beginning.
Cut = tuple[bytes | bytearray, int, int, bytes, int, int, int]

_unpack: Final = KEYED_HEADER.unpack_from
_CALL_WITH_FDS: Final = Type.CALL_WITH_FDS.value
_REPLY_WITH_FDS: Final = Type.REPLY_WITH_FDS.value


def descriptor_count(data: Buffer, start: int, end: int) -> int:
    """Return how many descriptors a frame of a type with descriptors announces.

    Args:
        data: what holds the frame.
        start: where the frame begins, its length included.
        end: where it ends.

    Raises:
        FramingError: the frame has no count, or a count above 32.
    """
    if end - start < MIN_FRAME + 4:
        raise FramingError(f"a frame of {end - start} bytes has no room for a count of descriptors")
    count = int.from_bytes(data[start + MIN_FRAME : start + MIN_FRAME + 4], "big")
    if count > MAX_FDS:
        raise FramingError(
            f"a message announces {count} descriptors, but at most {MAX_FDS} are allowed"
        )
    return count


def announced_descriptors(data: bytes) -> int:
    """Return how many descriptors the messages in `data`, which begins with a frame, announce.

    An incomplete frame announces none; an impossible one ends the count.
    """
    found = pos = 0
    while len(data) - pos >= MIN_FRAME:
        length, _, kind, _, _ = _unpack(data, pos)
        after = pos + length
        if length < MIN_FRAME or after > len(data):
            break
        if kind in (_CALL_WITH_FDS, _REPLY_WITH_FDS):
            try:
                count = descriptor_count(data, pos, after)
            except FramingError:
                break
            found += count
            after += count
        pos = after
    return found


class Framer:
    """Cuts a byte stream into messages and keeps only the tail of an incomplete one.

    Feed it any bytes, cut anywhere. After FramingError the stream has lost its sense: every further call
    raises the same error.

    Attributes:
        maximum: bytes of the longest frame that is accepted; it can be changed at any time.
    """

    __slots__ = ("_broken", "_need", "_tail", "maximum")

    def __init__(self, maximum: int = MAX_FRAME) -> None:
        self.maximum = maximum
        self._tail: bytearray | None = None
        self._need = 0  # bytes of the tail before which there is nothing new to be found in it
        self._broken: FramingError | None = None

    @property
    def pending(self) -> int:
        """Bytes held of a message that is not complete yet."""
        return len(self._tail) if self._tail is not None else 0

    @property
    def tail(self) -> bytes:
        """The bytes held of a message that is not complete yet."""
        return bytes(self._tail or b"")

    def clear(self) -> None:
        """Forget what is held."""
        self._tail = None

    def frames(self, data: bytes | bytearray, size: int) -> Iterator[Cut]:
        """Take the first `size` bytes of `data` and yield the frames that are now complete.

        A yielded buffer may be used until the next one is asked for. The iteration has to run to its
        end, unless the stream is given up.

        Raises:
            FramingError: an impossible length or count of descriptors; the frames before it come first.
        """
        if self._broken is not None:
            raise self._broken
        tail = self._tail
        if tail is not None:
            tail += memoryview(data)[:size]
            size = len(tail)
            if size < self._need:
                return
            data = tail
        maximum = self.maximum
        need = MIN_FRAME
        pos = 0
        while size - pos >= MIN_FRAME:
            length, key, kind, serial, status = _unpack(data, pos)
            if not MIN_FRAME <= length <= maximum:
                raise self._impossible(length)
            after = pos + length
            if after > size:
                need = length
                break
            end = after
            if _CALL_WITH_FDS <= kind <= _REPLY_WITH_FDS:  # 4 and 5; this way is the fastest
                end += self._count(data, pos, after)
                if end > size:
                    need = end - pos
                    break
            yield data, pos, after, key, kind, serial, status
            pos = end
        else:
            if size - pos >= LENGTH_SIZE:
                length = int.from_bytes(data[pos : pos + LENGTH_SIZE], "big")
                if not MIN_FRAME <= length <= maximum:
                    raise self._impossible(length)
            else:
                need = LENGTH_SIZE
        self._need = need
        if pos == size:
            self._tail = None
        elif data is tail:
            del tail[:pos]
        else:
            self._tail = bytearray(memoryview(data)[pos:size])

    def feed(self, data: bytes | bytearray, size: int | None = None) -> list[Message]:
        """Take more bytes and return the messages that are now complete.

        Args:
            data: the bytes.
            size: how many of them, if not all.

        Raises:
            FramingError: as `frames`; when messages came before it, the next call raises it.
        """
        found: list[Message] = []
        try:
            for buffer, start, end, *_ in self.frames(data, len(data) if size is None else size):
                found.append(Message.unpack(memoryview(buffer)[start:end]))
        except FramingError:
            if not found:
                raise
        return found

    def _count(self, data: bytes | bytearray, start: int, end: int) -> int:
        try:
            return descriptor_count(data, start, end)
        except FramingError as error:
            raise self._break(error) from None

    def _impossible(self, length: int) -> FramingError:
        return self._break(
            FramingError(
                f"a frame of {length} bytes is impossible: {MIN_FRAME} to {self.maximum} are allowed"
            )
        )

    def _break(self, error: FramingError) -> FramingError:
        self._broken = error
        self._tail = None
        return error
