"""Errors as they travel, and the exception that carries one.

A number that has no name in `error_codes` still travels and prints.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final

from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.error_codes import ErrorCode, ErrorDomain, ErrorLevel, phrase

__all__ = ["MESSAGE_MAX", "ErrorCode", "ErrorDomain", "ErrorLevel", "RemoteError", "RpcError"]

#: Characters of an error message that are sent; what is longer quotes somebody's argument.
MESSAGE_MAX: Final = 2048


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

    @classmethod
    def of(cls, code: ErrorCode, detail: str = "", *, domain: int = ErrorDomain.RPC) -> RpcError:
        """Make an error whose text begins with libvirt's phrase of its code.

        The text of RPC, SYSTEM_ERROR, XML_DETAIL and GNUTLS_ERROR is the detail alone, as in libvirt.

        Args:
            code: what went wrong.
            detail: the words after the phrase; empty for the phrase alone.
            domain: which part of the software found it.
        """
        return cls(code, phrase(code, detail), domain=domain)

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
