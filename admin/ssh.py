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

Source of the parameters: libvirt's docs/uri.rst ("ssh transport", "libssh and libssh2 transport") and
src/rpc/virnetsocket.c (virNetSocketNewConnectSSH).
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
from typing import Final, NamedTuple, Self

from aiovirt.admin.uri import AdminUri, Directories, UriError
from aiovirt.rpc.client import Connection as RpcConnection
from aiovirt.rpc.client import connect_unix

#: Bytes of ssh's messages that are kept, the last ones.
_MESSAGES_MAX: Final = 8192
#: Seconds between two looks for the socket that ssh makes after it has logged in.
_POLL: Final = 0.02
#: Seconds that ssh has to end after SIGTERM.
_ENDING: Final = 1.0
#: Bytes of a socket's path: sun_path of sockaddr_un, with its NUL.
_SUN_PATH: Final = 108
#: Characters that have a meaning for a shell: ssh gives names to ProxyCommand and Match exec.
_UNSAFE: Final = re.compile(r"[\s\x00-\x1f\x7f'\"`$\\;&<>|(){}*?!#~/@]")
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
_METHODS: Final = {
    "agent": "publickey",
    "privkey": "publickey",
    "password": "password",
    "keyboard-interactive": "keyboard-interactive",
}


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


class Route(NamedTuple):
    """The way to a daemon of another host, as a URI describes it.

    program: the ssh program. options: its options, without the forwarding. host: the destination, a name
    of ssh's configuration or a host. socket: the path on the far side, None if the far side has to be
    asked. no_tty: never ask the user.
    """

    program: str
    options: tuple[str, ...]
    host: str
    socket: str | None
    no_tty: bool
    uri: AdminUri

    @classmethod
    def of(cls, uri: AdminUri) -> Self:
        """Read a URI. Raises UriError for a missing host, or a parameter that cannot be used."""
        if not uri.server:
            raise _wrong(f"the URI {uri} names no host; it looks like libvirtd+ssh://host/system")
        host = _safe("host", uri.server.removeprefix("[").removesuffix("]"))
        options = ["-p", str(_port(uri.port))] if uri.port else []
        if uri.user:
            options += ["-l", _safe("user", uri.user)]
        socket, program, no_tty = None, "ssh", False
        for name, value in uri.parameters():
            match name:
                case "socket":
                    socket = _path(name, value)
                case "command":
                    program = _program(value)
                case "no_tty":
                    no_tty = _switch(name, value)
                case _:
                    options += _parameter(name, value)
        if socket is None:
            # A wrong scheme or path is found before a host is asked.
            usual = _far_uri(uri).socket_path(Directories.of_caller())
            socket = usual if uri.path == "/system" else None
        return cls(program, tuple(options), host, socket, no_tty, uri)

    def command(
        self, *, prompts: bool, more: Sequence[str], words: Sequence[str] = ()
    ) -> list[str]:
        """Return the command line.

        Args:
            prompts: the user may be asked at the terminal.
            more: further options.
            words: the command for the far side; none with `-N`.
        """
        fixed = ["ControlMaster=no", "ControlPath=none", "ExitOnForwardFailure=no"]
        if not prompts:
            fixed.append("BatchMode=yes")
        command = [self.program, "-T", "-x", "-a"]
        for setting in (*fixed, "RemoteCommand=none"):
            command += ["-o", setting]
        return [*command, *self.options, *more, "--", self.host, *words]

    def __str__(self) -> str:
        return f"{self.uri.user}@{self.host}" if self.uri.user else self.host


class Tunnel:
    """One ssh process that carries one connection; made by `open_tunnel`."""

    def __init__(self, route: Route, process: asyncio.subprocess.Process) -> None:
        self.route = route
        self._process = process
        self._messages = bytearray()
        self._reading = asyncio.create_task(self._read_messages())

    async def failure(self, headline: str) -> SshFailed:
        """End ssh and return the error, with everything that ssh had to say."""
        await self.close()
        text = self._messages.decode("utf-8", "surrogateescape")
        return SshFailed(headline, [line.strip() for line in text.splitlines() if line.strip()])

    async def connect(self, local: str) -> RpcConnection:
        """Wait until ssh has logged in and made its socket, and connect. Raises SshFailed."""
        while self._process.returncode is None:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                return await connect_unix(local)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _POLL)
        raise await self.failure(_ended(self.route, self._process.returncode))

    def abort(self) -> None:
        """Ask ssh to end, without waiting for it."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def close(self) -> None:
        """End ssh, by force if it does not end within a second."""
        self.abort()
        try:
            async with asyncio.timeout(_ENDING):
                await self._process.wait()
                # A program that ssh has started (ProxyCommand) may keep the pipe open.
                await self._reading
        except TimeoutError:
            pass
        finally:
            self._reading.cancel()
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()  # does nothing if it has ended
        await self._process.wait()

    async def _read_messages(self) -> None:
        stream = self._process.stderr
        while stream is not None and (data := await stream.read(4096)):
            self._messages += data
            del self._messages[:-_MESSAGES_MAX]


async def open_tunnel(uri: AdminUri, *, prompts: bool = True) -> tuple[RpcConnection, Tunnel]:
    """Connect to a daemon's socket on another host.

    Whether a daemon listens there is known at the first answer only: ssh accepts before it has asked.

    Args:
        uri: a URI with the transport `ssh`.
        prompts: the user may be asked for passwords, if the standard input is a terminal.

    Returns:
        The connection and the process that carries it, to be closed in this order.

    Raises:
        UriError: the URI has a mistake.
        SshFailed: ssh could not log in, or could not be started.
    """
    route = Route.of(uri)
    prompts = prompts and not route.no_tty and _at_terminal()
    remote = route.socket or await _ask_for_socket(route, prompts)
    with _socket_folder() as folder:
        local = f"{folder}/s"
        more = ("-N", "-L", f"{_forwarded(local)}:{_forwarded(remote)}")
        process = await _start(route, route.command(prompts=prompts, more=more), prompts)
        tunnel = Tunnel(route._replace(socket=remote), process)
        try:
            return await tunnel.connect(local), tunnel
        except BaseException:
            await tunnel.close()
            raise


async def _ask_for_socket(route: Route, prompts: bool) -> str:
    """Ask the far side for its user's runtime directory, and return the socket's path."""
    command = route.command(prompts=prompts, more=(), words=(_ASK,))
    process = await _start(route, command, prompts, output=asyncio.subprocess.PIPE)
    tunnel = Tunnel(route, process)
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
    return _far_uri(route.uri).socket_path(far)


def _ended(route: Route, status: int) -> str:
    return f"ssh to '{route}' ended with status {status}"


async def _start(
    route: Route, command: Sequence[str], prompts: bool, output: int = asyncio.subprocess.DEVNULL
) -> asyncio.subprocess.Process:
    """Start ssh so that it ends with this process, and Ctrl-C is this process's matter."""
    if not shutil.which(route.program):
        raise SshFailed(
            f"the program '{route.program}' is needed for {route.uri}, and not installed"
        )
    # A kill -9 of this process leaves no ssh; util-linux has this program, and others may lack it.
    guard = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()
    return await asyncio.create_subprocess_exec(
        *(_WITHOUT_INTERRUPT if prompts else ()),
        *guard,
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=not prompts,
    )


@contextlib.contextmanager
def _socket_folder() -> Iterator[str]:
    """Make a folder for a socket, for its user alone, and remove it with the block."""
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), None, "/tmp"):  # noqa: S108 - mkdtemp's
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


def _far_uri(uri: AdminUri) -> AdminUri:
    """Return the URI as it is on the far side: without a way and a host."""
    return AdminUri(uri.daemon, None, None, 0, uri.path, None, None)


def _parameter(name: str, value: str) -> list[str]:
    """Return the options of ssh for a parameter of the URI."""
    match name:
        case "keyfile":
            setting = f"IdentityFile={_quoted(name, value)}"
        case "known_hosts":
            setting = f"UserKnownHostsFile={_quoted(name, value)}"
        case "no_verify":
            if not _switch(name, value):
                return []
            setting = "StrictHostKeyChecking=accept-new"
        case "known_hosts_verify":
            strict = {"normal": "ask", "auto": "accept-new", "ignore": "no"}
            if value not in strict:
                raise _wrong(f"URI parameter '{name}' is normal, auto or ignore, not '{value}'")
            setting = f"StrictHostKeyChecking={strict[value]}"
        case "sshauth":
            return _authentication(value)
        case _:
            raise _wrong(
                f"Unknown URI parameter '{name}' for ssh, known are socket, command, keyfile,"
                " known_hosts, known_hosts_verify, no_verify, no_tty, sshauth"
            )
    return ["-o", setting]


def _authentication(value: str) -> list[str]:
    methods = value.split(",")
    if unknown := [method for method in methods if method not in _METHODS]:
        raise _wrong(
            f"URI parameter 'sshauth' lists {', '.join(_METHODS)}; '{unknown[0]}' is unknown"
        )
    preferred = ",".join(dict.fromkeys(_METHODS[method] for method in methods))
    without_agent = [] if "agent" in methods else ["-o", "IdentityAgent=none"]
    return ["-o", f"PreferredAuthentications={preferred}", *without_agent]


def _safe(what: str, name: str) -> str:
    """Refuse what ssh would take for an option, or what its configuration could give to a shell."""
    if name.startswith("-") or _UNSAFE.search(name):
        raise _wrong(
            f"the {what} '{name}' of a URI must not begin with '-' or have characters of a shell"
        )
    return name


def _port(port: int) -> int:
    if port > 65535:
        raise _wrong(f"the port {port} of a URI is not within 1-65535")
    return port


def _switch(name: str, value: str) -> bool:
    if not re.fullmatch("[0-9]{1,9}", value):
        raise _wrong(f"URI parameter '{name}' is 0 or 1, not '{value}'")
    return int(value) != 0


def _program(value: str) -> str:
    if not value or value.startswith("-") or "\0" in value:
        raise _wrong(f"URI parameter 'command' is the path of an ssh program, not '{value}'")
    return value


def _path(name: str, value: str) -> str:
    if not value.startswith("/") or re.search(r"[\x00-\x1f]|\$\{", value):
        raise _wrong(f"URI parameter '{name}' is an absolute path without '${{', not '{value}'")
    return value


def _quoted(name: str, value: str) -> str:
    """Return a path as a value of ssh's configuration."""
    if not value or re.search(r'[\x00-\x1f"\\]|\$\{', value):
        raise _wrong(
            f"URI parameter '{name}' is a path without '\"', '\\' and '${{', not '{value}'"
        )
    return '"' + value.replace("%", "%%") + '"'


def _forwarded(path: str) -> str:
    """Return a path as a part of -L: colons separate parts, percent signs begin tokens."""
    return re.sub(r"([\\:])", r"\\\1", path).replace("%", "%%")


def _wrong(text: str) -> UriError:
    return UriError(f"unsupported configuration: {text}")
