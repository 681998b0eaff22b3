"""A daemon for one test: it begins with nothing, leaves nothing, and ends with the test.

Its run directory is a temporary one. The process that started it is watched by a descriptor of that
process (pidfd), since the kernel's signal at the parent's death comes already when the *thread* ends
that started a child. A standard input that is a pipe or a socket is watched as well: it ends with all
processes that hold its other end, wherever they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.daemons.runtime.process.paths import default_settings_file
from aiovirt.rpc.background import start_thread
from aiovirt.rpc.logs import get_logger

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.process.paths import Paths

_log = get_logger("daemons.runtime.process.ephemeral")

#: Bytes of the path of a UNIX socket.
_SOCKET_PATH_MAX: Final = 107
#: The first descriptor that is nobody's by convention.
_FIRST_FREE: Final = 3
_STDIN: Final = 0
#: The names of a server of which only this machine knows.
_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
#: The standard output.
STDOUT: Final = 1
_CHUNK: Final = 65536


class Ephemeral:
    """The circumstances of such a daemon.

    rundir: its run directory. Make one as early as possible: a parent that ends before is not seen.
    """

    def __init__(self, rundir: str, parent: int | None = None) -> None:
        self.rundir = rundir
        self._parent = parent or os.getppid()

    @classmethod
    def begin(cls, name: str) -> Ephemeral:
        """Make the run directory. Raises StartError.

        Args:
            name: of the daemon.
        """
        parent = os.getppid()
        leaf = f"{name}-{os.urandom(6).hex()}"
        folder = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108  ours is made in it, for us only
        if len(os.fsencode(f"{folder}/{leaf}/{name}-admin-sock")) > _SOCKET_PATH_MAX:
            folder = "/tmp"  # noqa: S108  as above
        rundir = os.path.abspath(f"{folder}/{leaf}")
        try:
            os.mkdir(rundir, 0o700)
        except OSError as error:
            raise StartError(
                Failure.RUNDIR, f"the folder {rundir} cannot be created: {error.strerror}"
            ) from error
        return cls(rundir, parent)

    def write_settings(self, name: str, text: str) -> None:
        """Write the settings file of the run directory. Raises StartError.

        Args:
            name: of the daemon.
            text: of the file.
        """
        path = default_settings_file(name, self.rundir)
        try:
            with open(path, "x", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
        except OSError as error:
            raise StartError(Failure.RUNDIR, f"{path}: {error.strerror}") from error

    def make_certificates(self, folder: str) -> None:
        """Make certificates in the run directory for TLS on this machine. Raises StartError.

        Args:
            folder: their folder in it.
        """
        from aiovirt.admin import pki

        try:
            pki.create(f"{self.rundir}/{folder}", hosts=_HOSTS)
        except OSError as error:
            raise StartError(Failure.RUNDIR, f"certificates: {error.strerror}") from error

    def remove(self) -> None:
        """Remove the run directory with everything in it."""
        import shutil

        shutil.rmtree(self.rundir, ignore_errors=True)

    def watch(self, end: Callable[[], None]) -> None:
        """Have a function called when the parent process, or the standard input, ends.

        Args:
            end: called on the running loop, at once if the parent has ended already.
        """
        loop = asyncio.get_running_loop()
        self._watch_parent(loop, end)
        mode = os.fstat(_STDIN).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            loop.add_reader(_STDIN, self._read_input, loop, end)

    def _watch_parent(self, loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> None:
        try:
            descriptor = os.pidfd_open(self._parent)
        except ProcessLookupError:
            descriptor = -1
        except OSError as error:
            _log.warning("the parent process cannot be watched", reason=error.strerror)
            return

        def ended() -> None:
            if descriptor >= 0:
                loop.remove_reader(descriptor)
                os.close(descriptor)
            _log.info("ending with the parent process", pid=self._parent)
            end()

        if descriptor < 0 or os.getppid() != self._parent:
            ended()
        else:
            loop.add_reader(descriptor, ended)

    def _read_input(self, loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> None:
        """Drop what came; the end is what counts. Others may read from the same pipe."""
        if not select.select([_STDIN], [], [], 0)[0]:
            return
        try:
            found = os.read(_STDIN, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            found = b""
        if not found:
            loop.remove_reader(_STDIN)
            _log.info("ending with the standard input")
            end()


def ready_descriptor(text: str) -> int:
    """Read the value of `--ready-fd`, and keep the descriptor from other programs.

    Raises StartError unless it is a descriptor that is open.
    """
    if not text.isascii() or not text.isdigit() or not _FIRST_FREE <= int(text) < 1 << 31:
        raise StartError(
            Failure.USAGE, f"--ready-fd {text}: a descriptor is a number from {_FIRST_FREE}"
        )
    try:
        os.set_inheritable(int(text), False)
    except OSError as error:
        raise StartError(Failure.USAGE, f"--ready-fd {text}: {error.strerror}") from error
    return int(text)


def announce(
    name: str, uris: Callable[[], Mapping[str, str]], paths: Paths, descriptors: Sequence[int]
) -> None:
    """Write the URIs of a daemon as one line of JSON, and close descriptors but the standard ones.

    A reader that is gone is no reason to end.

    Args:
        name: of the daemon.
        uris: gives those of its own server by name.
        paths: its paths; the line has the sockets, and the URI of the admin socket.
        descriptors: where the line is written.
    """
    import json  # late: few starts need it
    from urllib.parse import quote

    told = {
        **uris(),
        "admin": f"{name}:///system?socket={quote(os.fsencode(paths.admin_socket))}",
        "socket": paths.socket,
        "pid": os.getpid(),
        "rundir": paths.rundir,
    }
    line = f"{json.dumps(told)}\n".encode()
    for descriptor in descriptors:
        if _takes(descriptor):
            _tell(descriptor, line)
        else:  # a full pipe: its reader gets the line when it reads, and the daemon serves meanwhile
            start_thread(_tell, descriptor, line, name="aiovirt-parent")


def _takes(descriptor: int) -> bool:
    """Whether a short line can be written without waiting, or fails at once."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))


def _tell(descriptor: int, line: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, line)
    if descriptor >= _FIRST_FREE:
        with contextlib.suppress(OSError):
            os.close(descriptor)
