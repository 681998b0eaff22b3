"""Documents on their way into a host and out of it, as its driver has them.

A stored document has its secrets. Documents that are looked at again and again are kept read: `cached`
gives one that is shared, and not to be changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from aiovirt.daemons.virtd.xml.documents import Document, read, stored
from aiovirt.daemons.virtd.xml.reading import STORED, require_within
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.flavour import Flavour

#: Kinds of object of qemu's driver whose names have no line feed.
_LISTED: Final = ("domain", "network", "pool")
#: Documents that are kept read.
_KEPT: Final = 512


_read: Final[dict[tuple[str, str], Document]] = {}
"""The documents that are kept read, the one used longest ago first."""


def cached(kind: str, text: str) -> Document:
    """Return a stored document, shared with others: whoever changes it makes a copy first."""
    found = _read.pop((kind, text), None) or stored(kind, text)
    _read[kind, text] = found
    if len(_read) > _KEPT:
        del _read[next(iter(_read))]
    return found


def written(document: Document) -> str:
    """Write a document that is to be stored, and keep it read; it is not to be changed any more.

    Raises RpcError XML_DETAIL for one that is too large to be read again.
    """
    text = document.text(secure=True)
    require_within(text, STORED, name=document.kind)
    _read[document.kind, text] = document
    cached(document.kind, text)
    return text


class Definition(msgspec.Struct, frozen=True):
    """A complete document, with what identifies its object."""

    text: str
    name: str
    uuid: str


class Documents:
    """Reads, completes and writes the documents of one driver."""

    def __init__(self, flavour: Flavour) -> None:
        self.defaults = flavour.name

    def define(
        self,
        kind: str,
        text: str,
        equip: Callable[[etree._Element], None] | None = None,
        *,
        own: bool = False,
    ) -> Definition:
        """Read a client's document and complete it.

        Args:
            kind: its kind.
            text: the document.
            equip: adds what depends on other objects of the host.
            own: the text is one that a host has stored.

        Raises:
            RpcError: see `xml.documents.read`.
        """
        document = read(kind, text, own=own)
        document.complete(self.defaults)
        root = document.root
        if equip is not None:
            equip(root)
            document.changed()
        if not own:
            document.require_readable()
        name = root.findtext("name") or ""
        if "\n" in name and self.defaults == "qemu" and kind in _LISTED:
            detail = "invalid char in name: \n"
            raise RpcError.of(ErrorCode.XML_DETAIL, detail, domain=ErrorDomain.XML)
        return Definition(written(document), name, root.findtext("uuid") or "")

    def define_same(self, text: str, uuid: str, name: str) -> Definition:
        """Read a new document of a guest that keeps its state, and so its UUID and its name.

        Args:
            text: the document.
            uuid: the UUID of the guest.
            name: its name.

        Raises RpcError: see `define`; CONFIG_UNSUPPORTED of qemu's driver for another guest.
        """
        made = self.define("domain", text)
        if self.defaults == "test":
            return made
        for what, theirs, mine in (("uuid", made.uuid, uuid), ("name", made.name, name)):
            if theirs != mine:
                raise RpcError.of(
                    ErrorCode.CONFIG_UNSUPPORTED,
                    f"Target domain {what} {theirs} does not match source {mine}",
                    domain=ErrorDomain.DOMAIN,
                )
        return made
