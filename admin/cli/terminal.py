"""Where a command's words go: standard output and error, or JSON, and the log file beside them.

Source of the log file's layout and of the levels: libvirt's tools/vsh.c (vshOutputLogFile, vshDebug).
"""

from __future__ import annotations

import errno
import io
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, Final, TextIO

from aiovirt.admin.cli.failure import Leave


class Level(IntEnum):
    """How much is told of what happens inside, by `-d`; lower tells more (vshErrorLevel)."""

    DEBUG = 0
    INFO = 1
    NOTICE = 2
    WARNING = 3
    ERROR = 4


#: Control characters, which a terminal would obey, except those that lay out a text.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_RED: Final = "\x1b[31m{}\x1b[0m"
_SHOWN_AS = ("DEBUG", "INFO", "INFO", "WARNING", "ERROR")


class OutputGone(Exception):
    """The standard output takes no more. error: why; a broken pipe is not reported."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class OutputHeld(OutputGone):
    """A signal came while nobody read what was being written. number: the signal."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(OSError(errno.EINTR, f"interrupted by {number.name}"))
        self.number = number


class Terminal:
    """The output of a session.

    progname: this program's name. quiet: leave out what is not the answer itself; json: answers are
    JSON, one document a line. on_answer, on_error: take JSON answers and errors in place of the
    standard streams. outputs: the number of writings so far.
    """

    def __init__(
        self, progname: str, *, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.progname = progname
        self.quiet = False
        self.json = False
        self.debug_level = Level.ERROR
        self.on_answer: Callable[[Any], None] | None = None
        self.on_error: Callable[[str], None] | None = None
        # The standard streams are None when a caller has closed them.
        self._out = out or sys.stdout or io.StringIO()
        self._err = err or sys.stderr or io.StringIO()
        self._out_obeys = self._out.isatty()
        self._err_obeys = self._err.isatty()
        self._log: int | None = None
        self._colour = self._err_obeys and has_colours(os.environ)
        self._progress = ""
        self.outputs = 0
        self._writing: TextIO | None = None

    def is_held(self) -> bool:
        """Whether a write is under way whose reader does not read: a signal has to end it."""
        if self._writing is None:
            return False
        try:
            return not select.select([], [self._writing], [], 0)[1]
        except (OSError, ValueError):  # no descriptor, or one that select cannot watch
            return False

    @contextmanager
    def _writing_to(self, stream: TextIO) -> Iterator[None]:
        """Note for the length of a `with` that this stream is written to."""
        self._writing = stream
        try:
            yield
        finally:
            self._writing = None

    @contextmanager
    def _printing(self) -> Iterator[None]:
        """The same with the standard output, whose errors become OutputGone."""
        with self._writing_to(self._out):
            try:
                yield
            except OSError as error:
                raise OutputGone(error) from error

    @property
    def shows_progress(self) -> bool:
        """Whether a line on the standard error may say what is waited for."""
        aside = self.on_error is not None
        mixed = self.json and self._out_obeys
        return self._err_obeys and not (self.quiet or aside or mixed)

    def show_progress(self, text: str) -> None:
        """Put a line in place of the one before; an empty text only erases that."""
        if text != self._progress:
            blank = " " * len(self._progress)
            self._err.write(f"\r{blank}\r{text}" if blank else text)
            self._err.flush()
            self._progress = text

    def _before_output(self) -> None:
        self.outputs += 1
        if self._progress:
            self.show_progress("")

    def write(self, text: str) -> None:
        """Print text that the user asked for."""
        self._before_output()
        if self._out_obeys:
            text = harmless(text)
        with self._printing():
            self._out.write(text)

    def write_bytes(self, data: bytes) -> None:
        """Write bytes as they are, at once; a text stream gets U+FFFD for those that are not UTF-8."""
        binary = getattr(self._out, "buffer", None)
        if binary is None:
            self.write(data.decode(errors="replace"))
            return
        self._before_output()
        self.flush()
        with self._printing():
            binary.write(data)
            binary.flush()

    def remark(self, text: str) -> None:
        """Print text that only a person at a terminal needs: not with -q, not between JSON."""
        if not self.quiet and not self.json:
            self.write(text)

    def notice(self, text: str) -> None:
        """Print what has happened: with -q too, but not between JSON."""
        if not self.json:
            self.write(text)

    def answer(self, data: Any, text: str) -> None:
        """Print the answer to a question, as text or as JSON."""
        if not self.json:
            self.write(text)
        elif self.on_answer is not None:
            self.on_answer(data)
        else:
            self.write(as_json(data) + "\n")

    def error(self, text: str) -> None:
        """Print a line on the standard error, after everything that was printed before."""
        self._write_log(Level.ERROR, text)
        if self.on_error is not None:
            self.on_error(text)
            return
        self._before_output()
        self.flush()
        text = harmless(text) if self._err_obeys else text
        mark = _RED.format("error:") if self._colour else "error:"
        with self._writing_to(self._err):
            self._err.write(f"{mark} {text}\n")
            self._err.flush()

    def debug(self, level: Level, text: str) -> None:
        """Tell what happens inside, if so much is to be told."""
        if level >= self.debug_level:
            self._write_log(level, text)
            self.write(text)
            self.flush()

    def flush(self) -> None:
        """Have everything that was printed leave the process."""
        with self._printing():
            self._out.flush()

    def open_log(self, path: str) -> None:
        """Log to this file instead of the last. Raises Leave when it can't be opened."""
        self.close_log()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_SYNC | os.O_CLOEXEC
        try:
            self._log = os.open(path, flags, 0o644)
        except (OSError, ValueError) as error:
            self.error("failed to open the log file. check the log file path")
            self.error(str(error))
            raise Leave(1) from error

    def close_log(self) -> None:
        """Log no longer."""
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _write_log(self, level: Level, text: str) -> None:
        if self._log is None:
            return
        now = time.strftime("%Y.%m.%d %H:%M:%S")
        line = f"[{now} {self.progname} {os.getpid()}] {_SHOWN_AS[level]} {text.rstrip(chr(10))}\n"
        try:
            os.write(self._log, line.encode("utf-8", "surrogateescape"))
        except OSError as error:
            self.close_log()
            self.error(f"failed to write the log file: {error}")


def harmless(text: str) -> str:
    """Write control characters as \\xNN: a name from a daemon must not steer the user's terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def has_colours(environ: Mapping[str, str]) -> bool:
    """Whether a terminal may be told to use colours (NO_COLOR, https://no-color.org)."""
    return not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"


def as_json(data: Any, *, indent: int | None = None) -> str:
    """JSON, on one line unless indented. Bytes that were not UTF-8 on the wire become U+FFFD."""
    import json

    text = json.dumps(data, ensure_ascii=False, indent=indent)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
