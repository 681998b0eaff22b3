"""Leaving the terminal (`-d`): two forks, and a parent that waits for news.

It must run before there is any thread or event loop, neither of which survives a fork. The parent
exits with 0 only when the daemon is ready to be connected to; else it prints what the daemon says
and exits with 1. libvirt: src/util/virdaemon.c, virDaemonForkIntoBackground.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

_READY = b"\0"


class Parent:
    """The daemon's end of the pipe to the process that the user started. Says one thing, once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ready(self) -> None:
        """Let the parent exit with 0."""
        self._say(_READY)

    def failed(self, text: str) -> None:
        """Let the parent print `text` and exit with 1."""
        self._say(text.encode(errors="backslashreplace"))

    def _say(self, what: bytes) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            try:
                os.write(descriptor, what)
            except BrokenPipeError:
                pass  # the parent was ended; the daemon was asked for and goes on
            finally:
                os.close(descriptor)


def fork_into_background(name: str) -> Parent:
    """Go on in a grandchild of the calling process, without terminal; the caller's process never
    returns.

    Working directory, stdin, stdout and stderr are no longer the caller's. Raises OSError.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    first = os.fork()
    if first:
        os.close(writing)
        os.waitpid(first, 0)
        _wait_for_news(name, reading)
    os.close(reading)
    # Modules that are imported later have to be found from / too.
    with contextlib.suppress(FileNotFoundError):  # in a removed folder there is nothing to find
        sys.path[:] = map(os.path.abspath, sys.path)
    os.chdir("/")
    os.setsid()  # no terminal, and after the second fork no way to get one
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    return Parent(writing)


def _wait_for_news(name: str, reading: int) -> NoReturn:
    with os.fdopen(reading, "rb") as pipe:
        news = pipe.read()
    if news == _READY:
        os._exit(0)
    text = news.decode(errors="replace") or "it ended before it was ready, and did not say why"
    sys.stderr.write(f"{name}: {text}\n")
    sys.stderr.flush()
    os._exit(1)
