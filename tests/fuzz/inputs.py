"""Inputs that showed something once, as files of hex digits that can be read and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
#: What a run has found; not kept.
CRASHES: Final = _HERE / "crashes"
#: What was found and mended; replayed by every test run. TARGET/NAME.hex, with the reason as a comment.
REGRESSIONS: Final = _HERE / "regressions"
_DIGITS: Final = 64


def save(folder: Path, target: str, data: bytes) -> Path:
    """Write an input down; the path of its file."""
    path = folder / target / f"{hashlib.sha256(data).hexdigest()[:12]}.hex"
    path.parent.mkdir(parents=True, exist_ok=True)
    digits = data.hex()
    lines = [digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def load(path: Path) -> bytes:
    """Read an input; lines that begin with # are comments."""
    lines = path.read_text().splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def kept() -> Iterator[tuple[str, Path]]:
    """Every regression: its target's name, and its file."""
    for path in sorted(REGRESSIONS.glob("*/*.hex")):
        yield path.parent.name, path
