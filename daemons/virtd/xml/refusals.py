"""The errors of documents: libvirt's codes and phrases, each made in one place.

A mistake in the value of an attribute or an element is reported by libvirt's XML part (domain 5),
everything else by the part that owns the kind of document.
"""

from __future__ import annotations

from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

#: Characters of a client's own text that an error repeats.
_SHOWN = 80


def shown(value: str) -> str:
    """Shorten a client's text for an error."""
    return value if len(value) <= _SHOWN else value[:_SHOWN] + "..."


def broken(detail: str, domain: ErrorDomain) -> RpcError:
    """Make the error of a document that is not well-formed XML (XML_DETAIL, 35).

    Args:
        detail: position and reason.
        domain: the part that owns the kind of document.
    """
    return RpcError.of(ErrorCode.XML_DETAIL, detail, domain=domain)


def wrong_root(expected: str, found: str) -> RpcError:
    """Make the error of a document with another root element (XML_ERROR, 27).

    Args:
        expected: the root's name for this kind of document.
        found: the name in the document.
    """
    detail = f"expecting root element of '{expected}', not '{shown(found)}'"
    return RpcError.of(ErrorCode.XML_ERROR, detail, domain=ErrorDomain.XML)


def bad_attribute(element: str, name: str, value: str, wanted: str) -> RpcError:
    """Make the error of an attribute whose value the table does not allow.

    Args:
        element: the element's name.
        name: the attribute's name.
        value: what the document has.
        wanted: what would be right.
    """
    detail = f"Invalid value for attribute '{name}' in element '{element}': "
    if value == "0" and wanted.startswith("a number from 1 "):
        detail += "Zero is not permitted"
    else:
        detail += f"'{shown(value)}' ({shown(wanted)} expected)"
    return RpcError.of(ErrorCode.XML_ERROR, detail, domain=ErrorDomain.XML)


def bad_text(element: str, value: str, wanted: str) -> RpcError:
    """Make the error of an element whose text the table does not allow.

    Args:
        element: the element's name.
        value: what the document has.
        wanted: what would be right.
    """
    detail = f"Invalid value '{shown(value)}' for element '{element}' ({shown(wanted)} expected)"
    return RpcError.of(ErrorCode.XML_ERROR, detail, domain=ErrorDomain.XML)


def missing_attribute(element: str, name: str) -> RpcError:
    """Make the error of a required attribute that is absent.

    Args:
        element: the element's name.
        name: the attribute's name.
    """
    detail = f"Missing required attribute '{name}' in element '{element}'"
    return RpcError.of(ErrorCode.XML_ERROR, detail, domain=ErrorDomain.XML)


def refused(code: ErrorCode, detail: str, domain: ErrorDomain = ErrorDomain.DOMAIN) -> RpcError:
    """Make any other refusal of a document.

    Args:
        code: libvirt's code.
        detail: the words after the code's phrase.
        domain: the part that owns the kind of document.
    """
    return RpcError.of(code, detail, domain=domain)
