"""What texts a setting accepts, where "a string" does not say enough.

Each function raises ValueError; its text goes into the message behind what is allowed.
"""

from __future__ import annotations

from aiovirt.admin.compatibility import version_number
from aiovirt.rpc.logs.settings import parse_filters, parse_formats, parse_outputs

filters = parse_filters
outputs = parse_outputs
formats = parse_formats


def not_empty(text: str) -> None:
    """Refuse the empty string, which in these settings is a mistake and not a wish."""
    if not text:
        raise ValueError("it is empty")


def absolute_path(text: str) -> None:
    """Refuse a path that depends on where the daemon was started."""
    if not text.startswith("/"):
        raise ValueError("it does not begin with a slash")


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
    """Refuse a number that is no port. A service name is looked up when it is used."""
    not_empty(text)
    if text.lstrip("+-").isdigit() and not 0 <= int(text) <= 65535:
        raise ValueError("there is no such port")
