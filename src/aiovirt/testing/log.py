"""The log of a daemon under test, as it wrote it to its standard error."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiovirt.admin.logs import LogRecord

#: Seconds between two looks at the log while a line is waited for.
_PAUSE: Final = 0.01
_CHUNK: Final = 1 << 20


class Log:
    """The log of one daemon, also after its end.

    The text is in memory that has no name in the file system, so that it is left nowhere.
    """

    def __init__(self, name: str, read: Callable[[str | None], list[LogRecord]]) -> None:
        """Make an empty log.

        Args:
            name: of the daemon.
            read: gets the records of a level from the running daemon.
        """
        self._name = name
        self._read = read
        self._descriptor = os.memfd_create(f"{name}.log")
        self._kept = b""

    def fileno(self) -> int:
        """Return the descriptor to which the daemon writes."""
        return self._descriptor

    def text(self, since: int = 0) -> str:
        """Return what was written.

        Args:
            since: bytes to leave out, from a `size` earlier.
        """
        return self._bytes(since).decode(errors="replace")

    def _bytes(self, since: int) -> bytes:
        if self._descriptor < 0:
            return self._kept[since:]
        parts: list[bytes] = []
        while part := os.pread(self._descriptor, _CHUNK, since):
            parts.append(part)
            since += len(part)
        return b"".join(parts)

    @property
    def size(self) -> int:
        """The bytes written so far."""
        return os.fstat(self._descriptor).st_size if self._descriptor >= 0 else len(self._kept)

    def records(self, level: str | None = None) -> list[LogRecord]:
        """Return the latest records with their fields, which the daemon keeps in memory.

        Args:
            level: "debug", "info", "warning" or "error" for the lowest; None for the daemon's own.

        Raises:
            ConnectionError: the daemon has ended.
        """
        return self._read(level)

    def wait_for(self, pattern: str, timeout: float = 10.0) -> str:
        """Wait for a line, and return it.

        Args:
            pattern: a regular expression, found anywhere in the line.
            timeout: seconds.

        Raises:
            TimeoutError: no such line was written in that time.
        """
        deadline = time.monotonic() + timeout
        wanted = re.compile(pattern)
        while True:
            text = self.text()
            whole = text[: text.rfind("\n") + 1]
            for line in whole.splitlines():
                if wanted.search(line):
                    return line
            if time.monotonic() >= deadline:
                raise TimeoutError(
                    f"no line of {self._name}'s log matches {pattern!r} in {timeout:g} s; its end:\n"
                    f"{text[-2000:]}"
                )
            time.sleep(_PAUSE)

    def close(self) -> None:
        """Close the descriptor and keep the text. Does nothing if that was done."""
        if self._descriptor >= 0:
            self._kept = self._bytes(0)
            os.close(self._descriptor)
            self._descriptor = -1
