"""Descriptors in reserve, so that connections stop being accepted before a daemon's own needs fail.

A reserve is some descriptors of nothing. When an operation of the daemon's own finds none free, they are
closed, it is tried once more, and as many as possible are opened again.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

_NONE_LEFT: Final = (errno.EMFILE, errno.ENFILE)

_T = TypeVar("_T")


class Reserve:
    """Descriptors of nothing."""

    def __init__(self, size: int) -> None:
        """Make an empty one for so many; `fill` it."""
        self._size = size
        self._descriptors: list[int] = []

    def fill(self) -> None:
        """Open what is wanting, as far as that is possible."""
        try:
            while len(self._descriptors) < self._size:
                self._descriptors.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            pass  # it is filled when there are descriptors again

    def drain(self) -> None:
        """Close them all."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Lend them for the length of a `with`, and open as many as possible again."""
        lends = bool(self._descriptors)
        self.drain()
        try:
            yield
        finally:
            if lends:
                self.fill()

    def use(self, operation: Callable[[], _T]) -> _T:
        """Return the result of `operation`, which may take descriptors of the reserve.

        Raises OSError when there are none in reserve either, and whatever `operation` raises.
        """
        try:
            return operation()
        except OSError as error:
            if error.errno not in _NONE_LEFT or not self._descriptors:
                raise
        with self.lent():
            return operation()
