"""What a fuzz target is: a check that any bytes must pass, and the inputs to begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

#: Makes one input from another one: bytes, the most that may come out, and where chance comes from.
Mutate = Callable[[bytes, int, Random], bytes]


class Finding(AssertionError):
    """An input that a target must not pass: what was promised and is not so."""


def expect(promise: bool, what: str) -> None:
    """Raise Finding unless the promise holds."""
    if not promise:
        raise Finding(what)


@dataclass(frozen=True)
class Target:
    """One thing that reads bytes.

    check: passes any bytes, or raises; what it raises is a finding. seeds: valid inputs. share: how
    much of a run's inputs it gets, next to other targets. words: pieces that such inputs are made of.
    mutate: makes inputs that keep their structure; without it bytes are changed blindly. max_len:
    bytes of the longest input. factor and slack: a check may have so many bytes of memory for every
    byte of its input, and so many beside. cost: one of its inputs takes as long as so many of others.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    share: int
    words: Sequence[bytes] = ()
    mutate: Mutate | None = None
    max_len: int = 2048
    factor: int = 64
    slack: int = 64 * 1024
    cost: int = 1
