"""The front door of the remote program: who a client is, what it opens, and what it asks first.

No hypervisor is behind it. What a client opens is a driver by its URI, `qemu` or `test`, and what it is
told of that is what libvirt's own would say.

Source: libvirt's src/remote/remote_daemon_dispatch.c; each refusal has its code and domain.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from aiovirt.admin.protocol import LIBVIRT_VERSION
from aiovirt.daemons.virtd import remote_protocol as protocol
from aiovirt.daemons.virtd.remote_protocol import AuthType, Feature, OpenFlags
from aiovirt.rpc.server import Client, Handlers, Server
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.sasl import SaslDispatch


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver, as clients see it. paths: what may stand in its URIs; version: the hypervisor's, as
    major * 1000000 + minor * 1000 + release; refusal: code and domain for another path."""

    type: str
    version: int
    paths: frozenset[str]
    refusal: tuple[ErrorCode, ErrorDomain]


DRIVERS: Final[Mapping[str, Driver]] = {
    "qemu": Driver(
        "QEMU",
        7_002_000,
        frozenset(("/system", "/session")),
        (ErrorCode.INTERNAL_ERROR, ErrorDomain.NONE),
    ),
    "test": Driver("TEST", 2, frozenset(("/default",)), (ErrorCode.INVALID_ARG, ErrorDomain.TEST)),
}
_FEATURES: Final = frozenset(Feature)

#: Characters of a URI. It is looked through and kept; the protocol allows four million.
_URI_MAX: Final = 16384
#: What no URI contains (RFC 3986): other characters, and a % that begins no escape.
_FOREIGN: Final = re.compile(r"[^\w.~!$&'()*+,;=:@/?#\[\]%-]|%(?![0-9A-Fa-f]{2})", re.ASCII)
#: Its parts.
_URI: Final = re.compile(
    r"""
    (?: (?P<scheme> [A-Za-z][A-Za-z0-9+.-]* ) : | (?! [^/?#]* : ) )
    (?: // (?: (?P<user> [^/?#@\[\]]* ) @ )?
           (?P<host> [^/?#@:\[\]]* | \[ [0-9A-Fa-f:.]* \] ) (?: : [0-9]* )? (?= [/?#] | \Z )
      | (?! // ) )
    (?P<path> [^?#\[\]]* )
    (?P<rest> (?: \? [^#\[\]]* )? (?: \# [^#]* )? )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a client has opened. uri: as libvirt writes it, which need not be as the client did."""

    uri: str
    driver: Driver


class RemoteDispatch:
    """Serves the program. opened: by client id."""

    def __init__(self, sasl: SaslDispatch) -> None:
        self.opened: dict[int, Opened] = {}
        self._sasl = sasl

    def serve_on(self, server: Server) -> None:
        """Add the program to a server."""
        bound = Handlers(protocol.REMOTE)
        bound.bind(protocol.AUTH_LIST, self.auth_list)
        bound.bind(protocol.AUTH_POLKIT, self.auth_polkit)
        self._sasl.bind(bound)
        bound.bind(protocol.CONNECT_OPEN, self.open)
        bound.bind(protocol.CONNECT_CLOSE, self.close)
        bound.bind(protocol.CONNECT_GET_TYPE, self.get_type)
        bound.bind(protocol.CONNECT_GET_VERSION, self.get_version)
        bound.bind(protocol.CONNECT_GET_HOSTNAME, self.get_hostname)
        bound.bind(protocol.CONNECT_GET_URI, self.get_uri)
        bound.bind(protocol.CONNECT_IS_SECURE, self.is_secure)
        bound.bind(protocol.CONNECT_GET_LIB_VERSION, self.get_lib_version)
        bound.bind(protocol.CONNECT_SUPPORTS_FEATURE, self.supports_feature)
        bound.bind(protocol.CONNECT_REGISTER_CLOSE_CALLBACK, self.close_callback)
        bound.bind(protocol.CONNECT_UNREGISTER_CLOSE_CALLBACK, self.close_callback)
        server.add_program(bound)
        server.on_client_gone.append(self._client_gone)

    # Authentication ------------------------------------------------------------------------------

    def auth_list(self, client: Client, args: None) -> protocol.AuthListRet:
        wanted = client.access.auth == "sasl" and not client.authenticated
        return protocol.AuthListRet([AuthType.SASL if wanted else AuthType.NONE])

    def auth_polkit(self, client: Client, args: None) -> protocol.PolkitRet:
        raise RpcError(
            ErrorCode.AUTH_FAILED,
            "authentication failed: polkit is not asked here",
            domain=ErrorDomain.RPC,
        )

    # The connection ------------------------------------------------------------------------------

    def open(self, client: Client, args: protocol.OpenArgs) -> None:
        if self.opened.pop(client.id, None) is not None:  # libvirt's closes it then, too
            raise RpcError(ErrorCode.INTERNAL_ERROR, "connection already open")
        if args.name is None:
            raise RpcError(ErrorCode.INTERNAL_ERROR, "connection not open: no URI was named")
        self.opened[client.id] = find_driver(args.name)
        if args.flags & OpenFlags.READONLY:
            client.readonly = True

    def close(self, client: Client, args: None) -> None:
        client.close_after_reply()

    def get_type(self, client: Client, args: None) -> protocol.TypeRet:
        return protocol.TypeRet(self._opened(client).driver.type)

    def get_version(self, client: Client, args: None) -> protocol.VersionRet:
        return protocol.VersionRet(self._opened(client).driver.version)

    def get_hostname(self, client: Client, args: None) -> protocol.HostnameRet:
        self._opened(client)
        return protocol.HostnameRet(socket.gethostname())

    def get_uri(self, client: Client, args: None) -> protocol.UriRet:
        return protocol.UriRet(self._opened(client).uri)

    def is_secure(self, client: Client, args: None) -> protocol.SecureRet:
        """A client asks about the driver here; what its own connection is like it knows."""
        self._opened(client)
        return protocol.SecureRet(1)

    def get_lib_version(self, client: Client, args: None) -> protocol.VersionRet:
        self._opened(client)
        return protocol.VersionRet(LIBVIRT_VERSION)

    def supports_feature(self, client: Client, args: protocol.FeatureArgs) -> protocol.FeatureRet:
        if args.feature == Feature.PROGRAM_KEEPALIVE:  # asked before anything is opened
            client.start_keepalive()
            return protocol.FeatureRet(1)
        self._opened(client)
        return protocol.FeatureRet(int(args.feature in _FEATURES))

    def close_callback(self, client: Client, args: None) -> None:
        """The event tells that the driver lost its hypervisor, which cannot be: it is never sent."""
        self._opened(client)

    def _client_gone(self, client: Client) -> None:
        self.opened.pop(client.id, None)
        self._sasl.client_gone(client)

    def _opened(self, client: Client) -> Opened:
        found = self.opened.get(client.id)
        if found is None:
            raise RpcError(ErrorCode.INTERNAL_ERROR, "hypervisor connection not open")
        return found


def find_driver(uri: str) -> Opened:
    """The driver of a URI; an empty one stands for what libvirt would try first here.

    Raises RpcError as libvirt does (src/libvirt.c, virConnectOpenInternal) and its drivers.
    """
    if not uri:
        uri = "qemu:///system" if os.geteuid() == 0 else "qemu:///session"
    if len(uri) > _URI_MAX:
        raise RpcError(
            ErrorCode.INTERNAL_ERROR,
            f"a URI has at most {_URI_MAX} characters, not {len(uri)}",
            domain=ErrorDomain.URI,
        )
    parts = None if _FOREIGN.search(uri) else _URI.fullmatch(uri)
    if parts is None:
        raise RpcError(ErrorCode.INTERNAL_ERROR, f"'{uri}' is no URI", domain=ErrorDomain.URI)
    scheme, user, host, path, rest = parts.group("scheme", "user", "host", "path", "rest")
    if scheme is None:
        raise _no_driver(f"no driver for '{uri}', which names none")
    driver = DRIVERS.get(scheme)
    if driver is None:
        raise _no_driver(f"no driver for {uri}: there are {', '.join(DRIVERS)}")
    if host:
        raise _no_driver(f"{uri} names the host {host}, and nothing is passed on from here")
    path = unquote(path)
    if path not in driver.paths:
        code, domain = driver.refusal
        expected = ", ".join(sorted(driver.paths))
        raise RpcError(code, f"'{path}' in the URI {uri} is none of {expected}", domain=domain)
    at = "" if user is None else f"{user}@"
    return Opened(f"{scheme}://{at}{path}{rest}", driver)


def _no_driver(message: str) -> RpcError:
    return RpcError(ErrorCode.NO_CONNECT, message, domain=ErrorDomain.NONE)
