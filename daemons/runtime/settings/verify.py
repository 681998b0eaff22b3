"""Checks of the texts of settings for which "a string" does not say enough.

Each function raises ValueError; its text follows the allowed values in the message.
"""

from __future__ import annotations

import re
from typing import Final

from aiovirt.admin.compatibility import version_number
from aiovirt.rpc.logs.settings import parse_filters, parse_formats, parse_outputs
from aiovirt.rpc.patterns import pattern

filters = parse_filters
outputs = parse_outputs
formats = parse_formats

PORT_MAX: Final = 65535
#: The highest number of a group; the one above it means "none" to chown(2).
GROUP_MAX: Final = 2**32 - 2
_NUMBER: Final = pattern(r"[0-9]+")  # in ASCII: str.isdigit() takes digits of every script


def not_empty(text: str) -> None:
    """Refuse the empty string, which is a mistake in these settings."""
    if not text:
        raise ValueError("it is empty")


def absolute_path(text: str) -> None:
    """Refuse a path that depends on where the daemon was started."""
    if not text.startswith("/"):
        raise ValueError("it does not begin with a slash")


def absolute_path_or_nothing(text: str) -> None:
    """Refuse what is neither empty nor an absolute path."""
    if text:
        absolute_path(text)


def tls_priority(text: str) -> None:
    """Refuse what cannot be put into OpenSSL's terms."""
    if text:
        import ssl

        from aiovirt.rpc.security.priority import apply_priority

        apply_priority(text, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def version(text: str) -> None:
    """Refuse a text that is not a version of libvirt."""
    version_number(text)


def port(text: str) -> None:
    """Refuse a number that cannot be a port. A service name is looked up when it is used."""
    not_empty(text)
    if is_number(text):
        if len(text.lstrip("0")) > len(str(PORT_MAX)) or int(text) > PORT_MAX:
            raise ValueError("a port is a number from 0 to 65535")
    elif not text.isascii() or not re.search("[A-Za-z]", text):
        raise ValueError("a port is written in the digits 0 to 9")


def group(text: str) -> None:
    """Refuse a number that cannot be a group's. A group's name is looked up when it is used."""
    not_empty(text)
    digits = text.removeprefix("+").lstrip("0")
    if is_number(digits) and (len(digits) > len(str(GROUP_MAX)) or int(digits) > GROUP_MAX):
        raise ValueError(f"a group's number is at most {GROUP_MAX}")


def host(text: str) -> None:
    """Refuse a text that can be neither an address nor a host name. A name is looked up later."""
    not_empty(text)
    try:
        text.encode("idna")  # as getaddrinfo(3) will be asked
    except UnicodeError:
        raise ValueError(
            "a part of a host name, between two dots, has 1 to 63 characters"
        ) from None


def is_number(text: str) -> bool:
    """Return whether a text is a number in the digits 0 to 9, without a sign."""
    return _NUMBER.fullmatch(text) is not None
