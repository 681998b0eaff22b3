"""Where a URI of libvirt leads: the transport, the daemon's address, and the URI that the daemon opens.

    qemu:///system   test:///default             the daemon's UNIX socket on this machine
    qemu+unix:///system?socket=/run/x/sock       another socket
    qemu://host/system   qemu+tls://host/system  TLS, port 16514
    qemu+tcp://host:16509/system                 TCP without encryption
    qemu+ssh://user@host/system                  the daemon's UNIX socket on another host, by ssh

Parameters: `socket`, `mode` (auto, direct, legacy), `name` (the URI for the daemon), `pkipath`,
`no_verify`, `no_sanity`, `tls_priority`, `authfile`, and with ssh those of `aiovirt.admin.ssh`; the
case of their names does not matter. Other parameters are given to the daemon.

Source: libvirt's docs/uri.rst, src/remote/remote_driver.c (doRemoteOpen) and
src/remote/remote_sockets.c (remoteGetUNIXSocket).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final, NamedTuple, Self

from aiovirt.admin.uri import AdminUri, Directories, UriError
from aiovirt.rpc.security.certificates import TlsFiles

_TCP_PORT: Final = 16509
_TLS_PORT: Final = 16514
_PORT_MAX: Final = 65535
#: Transports with a host, and their ports; ssh has its own.
_PORTS: Final = {"tcp": _TCP_PORT, "tls": _TLS_PORT, "ssh": 0}
_SSH_TRANSPORTS: Final = frozenset(("libssh", "libssh2"))
_SSH_PARAMETERS: Final = frozenset(
    (
        *("command", "keyfile", "known_hosts", "known_hosts_verify", "no_tty", "no_verify"),
        "sshauth",
    )
)
_TAKEN: Final = frozenset(
    (
        *("name", "socket", "mode", "pkipath", "no_verify", "no_sanity", "tls_priority"),
        *("authfile", "auth", "netcat", "proxy", *_SSH_PARAMETERS),
    )
)
#: Where the system has the files for TLS.
_TLS_FILES: Final = {
    "cacert.pem": "/etc/pki/CA/cacert.pem",
    "clientcert.pem": "/etc/pki/libvirt/clientcert.pem",
    "clientkey.pem": "/etc/pki/libvirt/private/clientkey.pem",
    "cacrl.pem": "/etc/pki/CA/cacrl.pem",
}
_MODES: Final = ("auto", "direct", "legacy")


class RemoteUri(NamedTuple):
    """A URI as the calling side uses it.

    transport: unix, tcp, tls or ssh. name: the URI that the daemon opens. socket: the path of a UNIX
    socket, here or on the other host. host, port: of the other machine; None and 0 without one.
    parameters: those that are not for the daemon.
    """

    text: str
    transport: str
    name: str
    socket: str
    host: str | None
    port: int
    parameters: Mapping[str, str]
    parts: AdminUri

    @classmethod
    def parse(cls, text: str, *, readonly: bool = False, where: Directories | None = None) -> Self:
        """Take a URI apart, and choose a socket.

        Args:
            text: the URI.
            readonly: a read-only socket is chosen, where there is a choice.
            where: the folders of the caller, those of this process by default.

        Raises:
            UriError: the text is not a URI, or leads nowhere.
        """
        parts = AdminUri.parse(text)
        if not parts.scheme:
            raise _wrong(f"the URI '{text}' names no driver; it looks like qemu:///system")
        driver, _, transport = parts.scheme.partition("+")
        transport = "ssh" if transport in _SSH_TRANSPORTS else transport
        transport = transport or ("tls" if parts.server else "unix")
        if transport not in ("unix", *_PORTS):
            raise _wrong(f"the transport '{transport}' is none of unix, tcp, tls, ssh")
        host = parts.server
        if host is None and transport != "unix":
            raise _wrong(
                f"the transport '{transport}' needs a host, as in {driver}+{transport}://host/"
            )
        if "%00" in text:
            raise _wrong("a URI has no NUL character (%00)")
        if parts.port > _PORT_MAX:
            raise _wrong(f"a port is at most {_PORT_MAX}, not {parts.port}")
        found = {
            name.lower(): value for name, value in parts.parameters() if name.lower() in _TAKEN
        }
        socket = found.get("socket") or _socket(parts, transport, found, readonly, where)
        return cls(
            text,
            transport,
            found.get("name") or _name(driver, parts),
            socket if transport in ("unix", "ssh") else "",
            host.strip("[]") if host else None,
            parts.port or _PORTS.get(transport, 0),
            found,
            parts,
        )

    @property
    def user(self) -> str | None:
        """The name before the host, None if there is none."""
        return self.parts.user

    def switch(self, name: str) -> bool:
        """Return whether a parameter is set to a number other than 0. Raises UriError for no number."""
        value = self.parameters.get(name, "0")
        if not re.fullmatch(r"[-+]?[0-9]{1,9}", value):
            raise _wrong(f"the parameter '{name}' is 0 or 1, not '{value}'")
        return int(value) != 0

    def ssh_uri(self) -> AdminUri:
        """Return the URI for `aiovirt.admin.ssh`, which reaches the socket on the other host."""
        query = [("socket", self.socket)]
        query += [
            (name, value) for name, value in self.parameters.items() if name in _SSH_PARAMETERS
        ]
        return self.parts._replace(
            scheme="libvirtd+ssh",
            query="&".join(f"{name}={_quoted(value)}" for name, value in query),
        )

    def tls_files(self, where: Directories | None = None) -> TlsFiles:
        """Return the files for TLS: those of `pkipath`, the user's own, or the system's.

        A file of the user replaces the system's one if it exists; see libvirt's docs/kbase/tlscerts.rst.

        Args:
            where: the folders of the caller, those of this process by default.
        """
        folder = self.parameters.get("pkipath")
        if folder:
            own = system = {name: os.path.join(folder, name) for name in _TLS_FILES}
        else:
            home = (where or Directories.of_caller()).home
            own = {name: os.path.join(home, ".pki", "libvirt", name) for name in _TLS_FILES}
            system = _TLS_FILES
        pair = os.path.exists(own["clientcert.pem"]) and os.path.exists(own["clientkey.pem"])
        mine = own if pair else system
        ca, crl = (
            (own if os.path.exists(own[name]) else system)[name]
            for name in ("cacert.pem", "cacrl.pem")
        )
        return TlsFiles(ca, mine["clientcert.pem"], mine["clientkey.pem"], crl)


def _name(driver: str, parts: AdminUri) -> str:
    """Return the URI that the daemon opens: no transport, no host, and only its own parameters."""
    query = "&".join(
        f"{name}={_quoted(value)}"
        for name, value in parts.parameters()
        if name.lower() not in _TAKEN
    )
    return str(AdminUri(driver, None, None, 0, parts.path, query or None, parts.fragment))


def _socket(
    parts: AdminUri,
    transport: str,
    parameters: Mapping[str, str],
    readonly: bool,
    where: Directories | None,
) -> str:
    """Return the usual path of a daemon's socket: the driver's own daemon, or libvirtd."""
    mode = parameters.get("mode", "auto")
    if mode not in _MODES:
        raise _wrong(f"the parameter 'mode' is one of {', '.join(_MODES)}, not '{mode}'")
    here = where or Directories.of_caller()
    session = parts.path == "/session" or (
        transport == "unix" and not here.root and parts.path != "/system"
    )
    if session and transport == "ssh":
        raise _wrong(
            f"the URI {parts} needs the parameter socket: the far side's folders are unknown"
        )
    folder = f"{here.runtime}/libvirt" if session else "/run/libvirt"
    suffix = "-ro" if readonly and not session else ""
    driver = (parts.scheme or "").partition("+")[0]
    direct, legacy = (f"{folder}/{name}-sock{suffix}" for name in (f"virt{driver}d", "libvirt"))
    if mode == "auto":
        mode = "direct" if transport == "unix" and os.path.exists(direct) else "legacy"
    return direct if mode == "direct" else legacy


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text.encode("utf-8", "surrogateescape"), safe="/:@-._~!$'()*,")


def _wrong(text: str) -> UriError:
    return UriError(f"unsupported configuration: {text}")
