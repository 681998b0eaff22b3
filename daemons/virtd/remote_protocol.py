"""The table of the remote program, as far as virtd serves it: the opening of a session.

Source: libvirt's src/remote/remote_protocol.x and src/libvirt_internal.h.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Annotated, Final

from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.program import Program

#: The most that one step of an authentication may carry, in bytes.
SASL_DATA_MAX: Final = 65536
AUTH_TYPES_MAX: Final = 20


#: C's `char data<N>`: rpcgen makes a whole int of each byte.
Chars = Annotated[list[int], xdr.Array(xdr.Int, SASL_DATA_MAX)]


def to_chars(data: bytes) -> list[int]:
    """Return bytes as `Chars`: signed, as a C compiler has them on most machines."""
    return [byte - 256 if byte > 127 else byte for byte in data]


def from_chars(chars: list[int]) -> bytes:
    """Return the bytes of `Chars`; only the lower eight bits of each item count."""
    return bytes(char & 0xFF for char in chars)


class AuthType(IntEnum):
    """Ways of authentication."""

    NONE = 0
    SASL = 1
    POLKIT = 2


class OpenFlags(IntFlag):
    """Flags of CONNECT_OPEN."""

    READONLY = 1


class Feature(IntEnum):
    """Features that a client asks about before it relies on them."""

    FD_PASSING = 8
    TYPED_PARAM_STRING = 9
    PROGRAM_KEEPALIVE = 10
    REMOTE_EVENT_CALLBACK = 14
    REMOTE_CLOSE_CALLBACK = 15
    NETWORK_UPDATE_HAS_CORRECT_ORDER = 16


@xdr.struct
class OpenArgs:
    """Arguments of CONNECT_OPEN. name: the URI of the driver; flags: OpenFlags."""

    name: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class TypeRet:
    """The driver's name."""

    type: xdr.Str


@xdr.struct
class VersionRet:
    """A version: major * 1000000 + minor * 1000 + release."""

    version: xdr.UHyper


@xdr.struct
class HostnameRet:
    """A host's name."""

    hostname: xdr.Str


@xdr.struct
class UriRet:
    """The driver's URI on its own host."""

    uri: xdr.Str


@xdr.struct
class SecureRet:
    """secure: 1 if the connection between daemon and hypervisor is private, else 0."""

    secure: xdr.Int


@xdr.struct
class FeatureArgs:
    """feature: a Feature, or any other number."""

    feature: xdr.Int


@xdr.struct
class FeatureRet:
    """supported: 1 if the feature is available, else 0."""

    supported: xdr.Int


@xdr.struct
class AuthListRet:
    """types: the ways to authenticate, AuthType."""

    types: Annotated[list[int], xdr.Array(xdr.Int, AUTH_TYPES_MAX)]


@xdr.struct
class SaslInitRet:
    """mechlist: the available mechanisms, separated by commas."""

    mechlist: xdr.Str


@xdr.struct
class SaslStartArgs:
    """mech: the chosen mechanism; data: the client's first message; nil: 1 if there is none."""

    mech: xdr.Str
    nil: xdr.Int
    data: Chars


@xdr.struct
class SaslStepArgs:
    """data: the client's next message; nil: 1 if there is none."""

    nil: xdr.Int
    data: Chars


@xdr.struct
class SaslRet:
    """complete: 1 at the end of the negotiation; data: the server's message; nil: 1 if there is none."""

    complete: xdr.Int
    nil: xdr.Int
    data: Chars


@xdr.struct
class PolkitRet:
    """complete: 1 at the end of the negotiation."""

    complete: xdr.Int


REMOTE: Final = Program("remote", 0x20008086, 1, enums=(AuthType, OpenFlags, Feature))

CONNECT_OPEN: Final = REMOTE.procedure(
    1, "CONNECT_OPEN", OpenArgs, xdr.Void, reads=True, priority=True
)
CONNECT_CLOSE: Final = REMOTE.procedure(
    2, "CONNECT_CLOSE", xdr.Void, xdr.Void, reads=True, priority=True
)
CONNECT_GET_TYPE: Final = REMOTE.procedure(
    3, "CONNECT_GET_TYPE", xdr.Void, TypeRet, reads=True, priority=True
)
CONNECT_GET_VERSION: Final = REMOTE.procedure(
    4, "CONNECT_GET_VERSION", xdr.Void, VersionRet, reads=True, priority=True
)
CONNECT_GET_HOSTNAME: Final = REMOTE.procedure(
    59, "CONNECT_GET_HOSTNAME", xdr.Void, HostnameRet, reads=True, priority=True
)
CONNECT_SUPPORTS_FEATURE: Final = REMOTE.procedure(
    60, "CONNECT_SUPPORTS_FEATURE", FeatureArgs, FeatureRet, reads=True, priority=True
)
AUTH_LIST: Final = REMOTE.procedure(
    66, "AUTH_LIST", xdr.Void, AuthListRet, reads=True, priority=True, needs_auth=False
)
AUTH_SASL_INIT: Final = REMOTE.procedure(
    67, "AUTH_SASL_INIT", xdr.Void, SaslInitRet, reads=True, priority=True, needs_auth=False
)
AUTH_SASL_START: Final = REMOTE.procedure(
    68, "AUTH_SASL_START", SaslStartArgs, SaslRet, reads=True, priority=True, needs_auth=False
)
AUTH_SASL_STEP: Final = REMOTE.procedure(
    69, "AUTH_SASL_STEP", SaslStepArgs, SaslRet, reads=True, priority=True, needs_auth=False
)
AUTH_POLKIT: Final = REMOTE.procedure(
    70, "AUTH_POLKIT", xdr.Void, PolkitRet, reads=True, priority=True, needs_auth=False
)
CONNECT_GET_URI: Final = REMOTE.procedure(
    110, "CONNECT_GET_URI", xdr.Void, UriRet, reads=True, priority=True
)
CONNECT_IS_SECURE: Final = REMOTE.procedure(
    149, "CONNECT_IS_SECURE", xdr.Void, SecureRet, reads=True, priority=True
)
CONNECT_GET_LIB_VERSION: Final = REMOTE.procedure(
    157, "CONNECT_GET_LIB_VERSION", xdr.Void, VersionRet, reads=True, priority=True
)
CONNECT_REGISTER_CLOSE_CALLBACK: Final = REMOTE.procedure(
    360, "CONNECT_REGISTER_CLOSE_CALLBACK", xdr.Void, xdr.Void, reads=True, priority=True
)
CONNECT_UNREGISTER_CLOSE_CALLBACK: Final = REMOTE.procedure(
    361, "CONNECT_UNREGISTER_CLOSE_CALLBACK", xdr.Void, xdr.Void, reads=True, priority=True
)
