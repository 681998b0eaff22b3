"""Errors as they travel, with libvirt's codes, domains and levels, and the exception that carries one.

Source of the numbers: libvirt's include/libvirt/virterror.h. Only those that this project sends or
recognises have a name; any other number still travels and prints.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final

from aiovirt.rpc.wire import xdr

#: Characters of an error message that are sent; what is longer quotes somebody's argument.
MESSAGE_MAX: Final = 2048


class ErrorLevel(IntEnum):
    """How bad it is (virErrorLevel)."""

    NONE = 0
    WARNING = 1
    ERROR = 2


class ErrorCode(IntEnum):
    """What went wrong (virErrorNumber)."""

    OK = 0
    INTERNAL_ERROR = 1
    NO_MEMORY = 2
    NO_SUPPORT = 3
    NO_CONNECT = 5
    INVALID_CONN = 6
    INVALID_ARG = 8
    OPERATION_FAILED = 9
    OPERATION_DENIED = 29
    CONF_SYNTAX = 33
    SYSTEM_ERROR = 38
    RPC = 39
    NO_DOMAIN = 42
    AUTH_FAILED = 45
    OPERATION_INVALID = 55
    CONFIG_UNSUPPORTED = 67
    OPERATION_TIMEOUT = 68
    INVALID_STREAM = 73
    ARGUMENT_UNSUPPORTED = 74
    OPERATION_ABORTED = 78
    AUTH_CANCELLED = 79
    OVERFLOW = 82
    OPERATION_UNSUPPORTED = 84
    RESOURCE_BUSY = 87
    ACCESS_DENIED = 88
    AUTH_UNAVAILABLE = 94
    NO_SERVER = 95
    NO_CLIENT = 96


class ErrorDomain(IntEnum):
    """Which part of the software found it (virErrorDomain)."""

    NONE = 0
    XML = 5
    DOM = 6
    RPC = 7
    CONF = 9
    QEMU = 10
    NET = 11
    TEST = 12
    REMOTE = 13
    DOMAIN = 20
    SECURITY = 24
    STREAMS = 38
    EVENT = 40
    LOCKING = 42
    URI = 45
    AUTH = 46
    LOCKSPACE = 51
    IDENTITY = 53
    ACCESS = 55
    SYSTEMD = 56
    POLKIT = 60
    THREAD = 61
    ADMIN = 62
    LOGGING = 63


@xdr.struct
class _ErrorDomainObject:
    """The guest an error is about; libvirt no longer sends one."""

    name: xdr.Str
    uuid: Annotated[bytes, xdr.Opaque(16)]
    id: xdr.Int


@xdr.struct
class _ErrorNetworkObject:
    """The network an error is about; libvirt no longer sends one."""

    name: xdr.Str
    uuid: Annotated[bytes, xdr.Opaque(16)]


@xdr.struct
class RemoteError:
    """The payload of a reply whose status is ERROR (libvirt: src/rpc/virnetprotocol.x)."""

    code: xdr.Int
    domain: xdr.Int
    message: xdr.OptStr
    level: xdr.Int
    dom: Annotated[_ErrorDomainObject | None, xdr.Optional(_ErrorDomainObject)]
    str1: xdr.OptStr
    str2: xdr.OptStr
    str3: xdr.OptStr
    int1: xdr.Int
    int2: xdr.Int
    net: Annotated[_ErrorNetworkObject | None, xdr.Optional(_ErrorNetworkObject)]


class RpcError(Exception):
    """An error reply, raised by a handler to send one and by a call that got one.

    code: what went wrong; domain: who says so; level: how bad it is. Numbers that have no name here
    stay plain integers. `message` says what was wrong and what would be right.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        domain: int = ErrorDomain.RPC,
        level: int = ErrorLevel.ERROR,
    ) -> None:
        super().__init__(message)
        self.code = _named(ErrorCode, code)
        self.domain = _named(ErrorDomain, domain)
        self.level = _named(ErrorLevel, level)
        self.message = message

    def __repr__(self) -> str:
        return f"RpcError({self.code!r}, {self.message!r}, domain={self.domain!r})"

    def to_wire(self) -> RemoteError:
        """The payload that carries this error.

        A NUL, which cannot travel, becomes U+FFFD; a message that quotes too much is shortened.
        """
        text = self.message.replace("\0", "\N{REPLACEMENT CHARACTER}")
        if len(text) > MESSAGE_MAX:
            text = text[:MESSAGE_MAX] + "..."
        # str1 repeats the message, as libvirt does: old clients print it.
        return RemoteError(
            self.code, self.domain, text, self.level, None, text, None, None, 0, 0, None
        )

    @classmethod
    def from_wire(cls, error: RemoteError) -> RpcError:
        """The exception for a received payload."""
        message = error.message or "the peer reported an error without a message"
        return cls(error.code, message, domain=error.domain, level=error.level)


def _named(kind: type[IntEnum], number: int) -> int:
    try:
        return kind(number)
    except ValueError:
        return number
