"""Changes that keep structure: words of four bytes, counts around their limits, whole frames."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Final

from aiovirt.rpc.wire.message import MIN_FRAME

#: Numbers on both sides of every limit of the protocol, and those that overflow somewhere.
NUMBERS: Final = tuple(
    number
    for limit in (
        *(0, 4, 16, 28, 32, 64, 79, 256, 1024, 4096, 16384, 65536, 262120),
        *(4194304, 33554408, 33554432, 33554436, 1 << 31, 1 << 32),
    )
    for number in (limit - 1, limit, limit + 1)
    if 0 <= number < 1 << 32
)
#: The same as they travel; a fuzzer's dictionary.
WORDS: Final = tuple(struct.pack(">I", number) for number in NUMBERS)

#: Small numbers are what serials, kinds, states and short counts are.
_SMALL: Final = range(12)


def number(random: Random) -> int:
    """A number that is worth trying."""
    return random.choice(NUMBERS) if random.random() < 0.5 else random.choice(_SMALL)


def change_word(data: bytes, random: Random) -> bytes:
    """Replace an aligned word, insert one, or remove some."""
    at = random.randrange(len(data) // 4 + 1) * 4
    word = struct.pack(">I", number(random))
    match random.randrange(4):
        case 0 | 1:
            return data[:at] + word + data[at + 4 :]
        case 2:
            return data[:at] + word + data[at:]
        case _:
            return data[:at] + data[at + 4 * random.randint(1, 4) :]


def repeat(data: bytes, random: Random) -> bytes:
    """Say some words twice, as the items of an array are."""
    at = random.randrange(len(data) // 4 + 1) * 4
    piece = data[at : at + 4 * random.randint(1, 12)]
    return data[: at + len(piece)] + piece * random.randint(1, 4) + data[at + len(piece) :]


def change_body(
    data: bytes, limit: int, random: Random, blind: Callable[[bytes, int], bytes]
) -> bytes:
    """Change what follows a header: by words, or as the fuzzer does it to any bytes."""
    chance = random.randrange(8)
    if chance < 3:
        data = change_word(data, random)
    elif chance < 4:
        data = repeat(data, random)
    else:
        data = blind(data, limit)
    return data[:limit]


def split_frames(data: bytes) -> list[bytes]:
    """The frames of a stream as far as it has sense; the rest is the last one."""
    frames: list[bytes] = []
    while len(data) >= MIN_FRAME:
        size = int.from_bytes(data[:4], "big")
        if not MIN_FRAME <= size <= len(data):
            break
        frames.append(data[:size])
        data = data[size:]
    return [*frames, data] if data else frames


def change_frames(
    frames: list[bytes],
    pool: list[bytes],
    limit: int,
    random: Random,
    blind: Callable[[bytes, int], bytes],
) -> list[bytes]:
    """Put a frame in, take one out, swap two, or change one and, mostly, correct its length."""
    frames = list(frames)
    at = random.randrange(len(frames)) if frames else 0
    chance = random.randrange(12)
    if not frames or chance < 3:
        frames.insert(at, _another_serial(random.choice(pool), random))
    elif chance == 3:
        frames.insert(at, frames[random.randrange(len(frames))])
    elif chance == 4:
        del frames[at]
    elif chance == 5:
        other = random.randrange(len(frames))
        frames[at], frames[other] = frames[other], frames[at]
    else:
        frames[at] = _change_frame(frames[at], limit, random, blind)
    return frames


def _another_serial(frame: bytes, random: Random) -> bytes:
    return frame[:20] + struct.pack(">I", random.choice(_SMALL)) + frame[24:]


def _change_frame(
    frame: bytes, limit: int, random: Random, blind: Callable[[bytes, int], bytes]
) -> bytes:
    if random.random() < 0.4:  # a word of the header
        at = 4 * random.randrange(7)
        return frame[:at] + struct.pack(">I", number(random)) + frame[at + 4 :]
    frame = frame[:MIN_FRAME] + change_body(frame[MIN_FRAME:], limit, random, blind)
    if random.random() < 0.9:
        frame = struct.pack(">I", len(frame)) + frame[4:]
    return frame
