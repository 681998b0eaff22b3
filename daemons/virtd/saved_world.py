"""The files of `world-load` and `world-save`: regular ones, and pipes of a shell.

Nothing here waits for the other end of a FIFO that nobody has opened.
"""

from __future__ import annotations

import contextlib
import os
import stat

from aiovirt.daemons.virtd.host.world_file import TEXT_MAX, WorldError, file_text, text_of
from aiovirt.rpc.security.regular import replacing


def file_or_pipe(path: str) -> str:
    """Return the text of a regular file, or what comes out of a pipe that a program writes to.

    Raises WorldError if it cannot be read, or is too large.
    """
    try:
        if not stat.S_ISFIFO(os.stat(path).st_mode):
            return file_text(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as pipe:
            os.set_blocking(descriptor, True)  # one without a writer is at its end
            data = pipe.read(TEXT_MAX + 1)
        if not data:
            raise WorldError(f"{path}: nothing came out of the pipe")
        return text_of(data, path)
    except OSError as error:
        raise WorldError(f"{path}: {error.strerror}") from error


def write(path: str, text: str) -> None:
    """Write a file, all or nothing; a pipe or a device is written to as it is.

    An earlier file keeps its mode, and a link stays a link: the file that it leads to is replaced.

    Args:
        path: of the file.
        text: its new content.

    Raises:
        OSError: it cannot be written; an earlier file is as it was.
    """
    data = text.encode()
    mode = None
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
    if mode is not None and not stat.S_ISREG(mode):
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with open(descriptor, "wb") as file:
            os.set_blocking(descriptor, True)
            file.write(data)
        return
    with replacing(os.path.realpath(path), 0o666) as file:
        if mode is not None:
            os.fchmod(file.fileno(), stat.S_IMODE(mode))
        file.write(data)
