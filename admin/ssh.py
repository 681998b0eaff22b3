"""Daemons of other hosts, reached through the user's own `ssh` program.

    libvirtd+ssh://user@host:port/system?keyfile=/home/me/.ssh/id_admin

ssh brings its configuration, agent and known hosts; no part of its protocol is done here. Its option
`-L LOCAL:REMOTE` makes a socket in a folder that only the caller may enter (mode 0700). The folder is
removed as soon as the connection is made; the process ends with the connection.

    ssh -N ... -L /run/user/1000/virtadm-ssh-x/s:/run/libvirt/libvirt-admin-sock -- host

Reasons for the options that are given, all of which take precedence over the user's configuration:
 - `-W`, which needs no local socket, takes UNIX sockets since OpenSSH 9.4 only.
 - A shared master (ControlMaster) would keep our forwarding after our end: ControlPath=none.
 - ExitOnForwardFailure=no: a forwarding in the user's configuration, whose port is taken, must not end
   this connection. Ours cannot fail locally: the folder is new, and the length of the path is checked.
 - A terminal is used for questions (password, unknown host key) only if the standard input is one;
   otherwise BatchMode=yes, so that ssh fails at once, and a session of its own.

The messages of ssh are kept, and are part of the error if it fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Final

from aiovirt.admin.ssh_route import Route, far_uri
from aiovirt.admin.uri import AdminUri, Directories
from aiovirt.rpc.client import Connection as RpcConnection
from aiovirt.rpc.client import connect_unix

#: Bytes of ssh's messages that are kept, the last ones.
_MESSAGES_MAX: Final = 8192
#: Seconds between two looks for the socket that ssh makes after it has logged in.
_POLL: Final = 0.02
#: Seconds that ssh has to end after SIGTERM.
_ENDING: Final = 1.0
#: Seconds that the last messages of ssh have after its end.
_LAST_WORDS: Final = 0.2
#: Bytes of a socket's path: sun_path of sockaddr_un, with its NUL.
_SUN_PATH: Final = 108
#: The status of ssh for its own errors; others are those of the command on the far side.
_SSH_ERROR: Final = 255
#: Bytes of the far side's answer that are read.
_ANSWER_MAX: Final = 65536
_MARK: Final = "far-side:"
#: Where a daemon of the far side's user has its sockets; run by any login shell, so within `sh -c`.
_ASK: Final = (
    "exec sh -c '"
    f'printf "{_MARK}%s:%s\\n" "$(id -u)" "${{XDG_RUNTIME_DIR:-${{XDG_CACHE_HOME:-$HOME/.cache}}}}"'
    "'"
)
#: Keeps Ctrl-C, which belongs to the program at the terminal, from ending ssh as well.
_WITHOUT_INTERRUPT: Final = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")


class SshFailed(ConnectionError):
    """The connection to a host could not be made by ssh.

    messages: the lines that ssh wrote.
    """

    def __init__(self, headline: str, messages: Sequence[str] = ()) -> None:
        """Join what failed and ssh's own words.

        Args:
            headline: what failed, and for which host.
            messages: lines of ssh.
        """
        super().__init__(
            "\n".join((headline, *(f"ssh: {line.removeprefix('ssh: ')}" for line in messages)))
        )
        self.messages = tuple(messages)


class _Messages:
    """The messages of a process, as they come through a pipe; the last 8192 bytes are kept.

    A pipe of asyncio's is not used: it cannot be given up while a program that ssh has started, and
    that outlives it (ProxyCommand), has the other end.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._reading, self._receive)
        self._kept = bytearray()
        self._ended = asyncio.Event()

    @property
    def descriptor(self) -> int:
        """The end for the process."""
        return self._writing

    def started(self) -> None:
        """Leave the end for the process to it."""
        os.close(self._writing)

    async def close(self) -> None:
        """Wait shortly for the last words, and read no more."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), _LAST_WORDS)
        self.stop()

    def lines(self) -> list[str]:
        """Return the lines, without blank ones."""
        text = self._kept.decode("utf-8", "surrogateescape")
        return [line.strip() for line in text.splitlines() if line.strip()]

    def _receive(self) -> None:
        try:
            data = os.read(self._reading, 4096)
        except BlockingIOError:
            return
        self._kept += data
        del self._kept[:-_MESSAGES_MAX]
        if not data:
            self._ended.set()
            self.stop()

    def stop(self) -> None:
        """Read no more."""
        if self._reading >= 0:
            self._loop.remove_reader(self._reading)
            os.close(self._reading)
            self._reading = -1


class Tunnel:
    """One ssh process that carries one connection; made by `open_tunnel`.

    prompts: the user may be asked for passwords.
    """

    def __init__(
        self,
        route: Route,
        process: asyncio.subprocess.Process,
        messages: _Messages,
        *,
        prompts: bool,
    ) -> None:
        self.route = route
        self.process = process
        self.prompts = prompts
        self._messages = messages

    async def failure(self, headline: str) -> SshFailed:
        """End ssh and return the error, with everything that ssh had to say."""
        await self.close()
        return SshFailed(headline, self._messages.lines())

    async def connect(self, local: str) -> RpcConnection:
        """Wait until ssh has logged in and made its socket, and connect. Raises SshFailed."""
        while self.process.returncode is None:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                return await connect_unix(local)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), _POLL)
        raise await self.failure(_ended(self.route, self.process.returncode))

    def abort(self) -> None:
        """Ask ssh to end, without waiting for it."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()

    async def close(self) -> None:
        """End ssh, by force if it does not end within a second."""
        self.abort()
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), _ENDING)
            await self._messages.close()
        finally:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()  # does nothing if it has ended
        await self.process.wait()


async def open_tunnel(
    uri: AdminUri, *, prompts: bool = True, socket: str | None = None
) -> tuple[RpcConnection, Tunnel]:
    """Connect to a daemon's socket on another host.

    Whether a daemon listens there is known at the first answer only: ssh accepts before it has asked.

    Args:
        uri: a URI with the transport `ssh`.
        prompts: the user may be asked for passwords, if the standard input is a terminal.
        socket: an absolute path on the far side; None for the daemon's admin socket.

    Returns:
        The connection and the process that carries it, to be closed in this order.

    Raises:
        UriError: the URI has a mistake.
        SshFailed: ssh could not log in, or could not be started.
    """
    route = Route.of(uri)
    prompts = prompts and not route.no_tty and _at_terminal()
    remote = socket or route.socket or await _ask_for_socket(route, prompts)
    with _socket_folder() as folder:
        local = f"{folder}/s"
        more = ("-N", "-L", f"{_forwarded(local)}:{_forwarded(remote)}")
        command = route.command(prompts=prompts, more=more)
        tunnel = await _start(route._replace(socket=remote), command, prompts)
        try:
            return await tunnel.connect(local), tunnel
        except BaseException:
            await tunnel.close()
            raise


async def _ask_for_socket(route: Route, prompts: bool) -> str:
    """Ask the far side for its user's runtime directory, and return the socket's path."""
    command = route.command(prompts=prompts, more=(), words=(_ASK,))
    tunnel = await _start(route, command, prompts, output=asyncio.subprocess.PIPE)
    process = tunnel.process
    try:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        answer = await process.stdout.read(_ANSWER_MAX)
        await process.wait()
    finally:
        await tunnel.close()
    if process.returncode == _SSH_ERROR:
        raise await tunnel.failure(_ended(route, _SSH_ERROR))
    found = re.search(rf"^{_MARK}([0-9]+):(/.*)$", answer.decode(errors="surrogateescape"), re.M)
    if found is None:
        raise await tunnel.failure(
            f"the runtime directory of '{route}' is unknown (status {process.returncode});"
            " the URI parameter socket can name the path"
        )
    far = Directories(found[1] == "0", home="", runtime=found[2], config="", cache="")
    return far_uri(route.uri).socket_path(far)


def _ended(route: Route, status: int) -> str:
    return f"ssh to '{route}' ended with status {status}"


async def _start(
    route: Route, command: Sequence[str], prompts: bool, output: int = asyncio.subprocess.DEVNULL
) -> Tunnel:
    """Start ssh so that it ends with this process, and Ctrl-C is this process's matter."""
    if not shutil.which(route.program):
        raise SshFailed(
            f"the program '{route.program}' is needed for {route.uri}, and not installed"
        )
    # A kill -9 of this process leaves no ssh; util-linux has this program, and others may lack it.
    guard = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()
    messages = _Messages()
    try:
        process = await asyncio.create_subprocess_exec(
            *(_WITHOUT_INTERRUPT if prompts else ()),
            *guard,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=messages.descriptor,
            start_new_session=not prompts,
        )
    except BaseException:
        messages.stop()
        raise
    finally:
        messages.started()
    return Tunnel(route, process, messages, prompts=prompts)


@contextlib.contextmanager
def _socket_folder() -> Iterator[str]:
    """Make a folder for a socket, for its user alone, and remove it with the block."""
    for parent in (os.environ.get("XDG_RUNTIME_DIR") or None, None, "/tmp"):  # noqa: S108 - mkdtemp's
        try:
            folder = tempfile.mkdtemp(prefix="virtadm-ssh-", dir=parent)
        except OSError:
            continue
        try:
            if len(os.fsencode(folder)) + len("/s") < _SUN_PATH:
                yield folder
                return
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    raise SshFailed("no folder for a socket could be made in the temporary directories")


def _at_terminal() -> bool:
    """Whether a person can be asked; the standard input is None or closed in some programs."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def _forwarded(path: str) -> str:
    """Return a path as a part of -L: colons separate parts, percent signs begin tokens."""
    return re.sub(r"([\\:])", r"\\\1", path).replace("%", "%%")
