"""How a URI with the transport `+ssh` becomes a command line of ssh.

Source of the parameters: libvirt's docs/uri.rst ("ssh transport", "libssh and libssh2 transport") and
src/rpc/virnetsocket.c (virNetSocketNewConnectSSH).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from aiovirt.admin.uri import AdminUri, Directories, UriError

#: Characters that have a meaning for a shell: ssh gives names to ProxyCommand and Match exec.
_UNSAFE: Final = re.compile(r"[\s\x00-\x1f\x7f'\"`$\\;&<>|(){}*?!#~/@]")
_METHODS: Final = {
    "agent": "publickey",
    "privkey": "publickey",
    "password": "password",
    "keyboard-interactive": "keyboard-interactive",
}


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
            usual = far_uri(uri).socket_path(Directories.of_caller())
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


def far_uri(uri: AdminUri) -> AdminUri:
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


def _wrong(text: str) -> UriError:
    return UriError(f"unsupported configuration: {text}")
