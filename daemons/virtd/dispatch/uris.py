"""The URIs of drivers, as libvirt reads them at the opening of a connection.

Source: libvirt's src/libvirt.c (virConnectOpenInternal); each refusal has its code and domain.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError


class Place(msgspec.Struct, frozen=True):
    """Where the URIs of a driver lead. paths: what may stand in them; refusal: code and domain for
    another path."""

    paths: frozenset[str]
    refusal: tuple[ErrorCode, ErrorDomain]


DRIVERS: Final[Mapping[str, Place]] = {
    "qemu": Place(frozenset(("/system", "/session")), (ErrorCode.INTERNAL_ERROR, ErrorDomain.NONE)),
    "test": Place(frozenset(("/default",)), (ErrorCode.INVALID_ARG, ErrorDomain.TEST)),
}

#: Characters of a URI. It is looked through and kept; the protocol allows four million.
_URI_MAX: Final = 16384
#: What no URI contains (RFC 3986): other characters, and a % that begins no escape.
_FOREIGN: Final = pattern(r"[^\w.~!$&'()*+,;=:@/?#\[\]%-]|%(?![0-9A-Fa-f]{2})", re.ASCII)
#: Its parts.
_URI: Final = pattern(
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


class Opened(msgspec.Struct, frozen=True):
    """The driver that a client opens. uri: as libvirt writes it, not as the client did; file: that its
    host is made of, None for the host that all clients share."""

    uri: str
    name: str
    file: str | None = None


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
    from urllib.parse import unquote  # late: no start needs it

    path = unquote(path)
    at = "" if user is None else f"{user}@"
    opened = f"{scheme}://{at}{path}{rest}"
    if scheme == "test" and path not in (*driver.paths, "", "/"):
        return Opened(opened, scheme, path)
    if path not in driver.paths and scheme == "test":
        raise RpcError.of(
            ErrorCode.INVALID_ARG,
            "testOpen: supply a path or use test:///default",
            domain=ErrorDomain.TEST,
        )
    if path not in driver.paths:
        code, domain = driver.refusal
        expected = ", ".join(sorted(driver.paths))
        raise RpcError(code, f"'{path}' in the URI {uri} is none of {expected}", domain=domain)
    return Opened(opened, scheme)


def _no_driver(message: str) -> RpcError:
    return RpcError(ErrorCode.NO_CONNECT, message, domain=ErrorDomain.NONE)
