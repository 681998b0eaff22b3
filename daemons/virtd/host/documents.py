"""Documents on their way into a host and out of it, as its driver has them.

Everything about what is in a document is in `xml`; here is when which document counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lxml import etree

from aiovirt.daemons.virtd.constants.domain_flags import DomainXMLFlags
from aiovirt.daemons.virtd.xml import documents, writing

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import DomainRecord
    from aiovirt.daemons.virtd.host.flavour import Flavour

_INACTIVE: Final = int(DomainXMLFlags.INACTIVE)


class Definition(NamedTuple):
    """A complete document, with what identifies its object."""

    text: str
    name: str
    uuid: str


class Documents:
    """Reads, completes and writes the documents of one driver."""

    def __init__(self, flavour: Flavour) -> None:
        self._driver = flavour.name

    def define(self, kind: str, text: str) -> Definition:
        """Read a document and complete it. Raises RpcError, see `xml.documents.read`."""
        document = documents.read(kind, text)
        document.complete(self._driver)
        root = document.root
        return Definition(document.text(), root.findtext("name") or "", root.findtext("uuid") or "")

    def live(self, config: str, number: int) -> str:
        """Make the document of a guest that starts.

        Args:
            config: the definition, complete.
            number: the id of the guest.
        """
        root = etree.fromstring(config)
        root.set("id", str(number))
        return writing.write(root)

    def shown(self, record: DomainRecord, flags: int) -> str:
        """Return the document of a domain as a client wants it.

        Args:
            record: of the domain.
            flags: DomainXMLFlags.
        """
        if flags & _INACTIVE:
            return record.config if record.config is not None else self.inactive(record)
        return record.text

    def inactive(self, record: DomainRecord) -> str:
        """Return the document in force as a definition would have it."""
        if record.live is None:
            return record.config or ""
        root = etree.fromstring(record.live)
        root.attrib.pop("id", None)
        return writing.write(root)
