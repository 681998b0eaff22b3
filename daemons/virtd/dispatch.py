"""The front door of the remote program: who a client is, what it opens, and what it asks first.

It has no hypervisor. A client opens a driver by its URI, `qemu` or `test`, and gets the answers that
libvirt's own driver would give.

Source: libvirt's src/remote/remote_daemon_dispatch.c; each refusal has its code and domain.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from aiovirt.admin.compatibility import LIBVIRT_VERSION
from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.connect import AuthType, ConnectFlags, Feature
from aiovirt.daemons.virtd.domains import unsupported_domain
from aiovirt.rpc.server import Client, ClientState, Handlers, Server, serves
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
#: Those of both drivers.
_FEATURES: Final = frozenset(
    (
        Feature.FD_PASSING,
        Feature.TYPED_PARAM_STRING,
        Feature.PROGRAM_KEEPALIVE,
        Feature.REMOTE_EVENT_CALLBACK,
        Feature.REMOTE_CLOSE_CALLBACK,
        Feature.NETWORK_UPDATE_HAS_CORRECT_ORDER,
    )
)

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
    """The driver that a client has opened. uri: as libvirt writes it, not as the client did."""

    uri: str
    driver: Driver


#: The driver that a client has opened.
OPENED: Final = ClientState[Opened]("opened driver")


class RemoteDispatch:
    """Serves the program."""

    def __init__(self, sasl: SaslDispatch, version: int = LIBVIRT_VERSION) -> None:
        self._sasl = sasl
        self._version = protocol.ConnectGetLibVersionRet(version)
        self._server: Server | None = None

    def serve_on(self, server: Server) -> None:
        """Add the program to a server."""
        server.add_program(Handlers.of(self, self._sasl, domain_of=unsupported_domain))
        self._server = server

    def clients(self) -> Iterable[Client]:
        """The connected clients."""
        return self._server.registry if self._server is not None else ()

    # Authentication ------------------------------------------------------------------------------

    @serves(protocol.AUTH_LIST)
    def auth_list(self, client: Client, args: None) -> protocol.AuthListRet:
        wanted = client.access.auth == "sasl" and not client.authenticated
        return protocol.AuthListRet([AuthType.SASL if wanted else AuthType.NONE])

    @serves(protocol.AUTH_POLKIT)
    def auth_polkit(self, client: Client, args: None) -> protocol.AuthPolkitRet:
        raise RpcError(
            ErrorCode.AUTH_FAILED,
            "authentication failed: polkit is not asked here",
            domain=ErrorDomain.RPC,
        )

    # The connection ------------------------------------------------------------------------------

    @serves(protocol.CONNECT_OPEN)
    def open(self, client: Client, args: protocol.ConnectOpenArgs) -> None:
        if OPENED.pop(client) is not None:  # libvirt's closes it then, too
            raise RpcError(ErrorCode.INTERNAL_ERROR, "connection already open")
        if args.name is None:
            raise RpcError(ErrorCode.INTERNAL_ERROR, "connection not open: no URI was named")
        OPENED.set(client, find_driver(args.name))
        if args.flags & ConnectFlags.RO:
            client.readonly = True

    @serves(protocol.CONNECT_CLOSE)
    def close(self, client: Client, args: None) -> None:
        client.close_after_reply()

    @serves(protocol.CONNECT_GET_TYPE)
    def get_type(self, client: Client, args: None) -> protocol.TypeRet:
        return protocol.TypeRet(self._opened(client).driver.type)

    @serves(protocol.CONNECT_GET_VERSION)
    def get_version(self, client: Client, args: None) -> protocol.ConnectGetVersionRet:
        return protocol.ConnectGetVersionRet(self._opened(client).driver.version)

    @serves(protocol.CONNECT_GET_HOSTNAME)
    def get_hostname(self, client: Client, args: None) -> protocol.HostnameRet:
        self._opened(client)
        return protocol.HostnameRet(socket.gethostname())

    @serves(protocol.CONNECT_GET_URI)
    def get_uri(self, client: Client, args: None) -> protocol.ConnectGetUriRet:
        return protocol.ConnectGetUriRet(self._opened(client).uri)

    @serves(protocol.CONNECT_IS_SECURE)
    def is_secure(self, client: Client, args: None) -> protocol.ConnectIsSecureRet:
        """A client asks about the driver here; what its own connection is like it knows."""
        self._opened(client)
        return protocol.ConnectIsSecureRet(1)

    @serves(protocol.CONNECT_GET_LIB_VERSION)
    def get_lib_version(self, client: Client, args: None) -> protocol.ConnectGetLibVersionRet:
        self._opened(client)
        return self._version

    @serves(protocol.CONNECT_SUPPORTS_FEATURE)
    def supports_feature(
        self, client: Client, args: protocol.ConnectSupportsFeatureArgs
    ) -> protocol.ConnectSupportsFeatureRet:
        if args.feature == Feature.PROGRAM_KEEPALIVE:  # asked before anything is opened
            client.start_keepalive()
            return protocol.ConnectSupportsFeatureRet(1)
        self._opened(client)
        return protocol.ConnectSupportsFeatureRet(int(args.feature in _FEATURES))

    @serves(protocol.CONNECT_REGISTER_CLOSE_CALLBACK)
    @serves(protocol.CONNECT_UNREGISTER_CLOSE_CALLBACK)
    def close_callback(self, client: Client, args: None) -> None:
        """The event tells that the driver lost its hypervisor, which cannot be: it is never sent."""
        self._opened(client)

    def _opened(self, client: Client) -> Opened:
        found = OPENED.get(client)
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
        raise RpcError(ErrorCode.INTERNAL_ERROR, f"'{uri}' is not a URI", domain=ErrorDomain.URI)
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
