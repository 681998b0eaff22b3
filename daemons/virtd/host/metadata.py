"""Title, description and metadata of a domain, for people and programs to read.

Source: libvirt's src/conf/domain_conf.c (virDomainObjSetMetadata).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.host.editing import edit, facts, impact
from aiovirt.daemons.virtd.xml import guests

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain


def get(domain: Domain, kind: int, uri: str | None, flags: int) -> str:
    """Return a piece of metadata.

    Args:
        domain: the domain.
        kind: DomainMetadataType.
        uri: the name space of an element.
        flags: DomainModificationImpact.

    Raises:
        RpcError: NO_DOMAIN_METADATA if it has none, INVALID_ARG for an unknown kind.
    """
    return guests.metadata(facts(domain, flags).document, kind, uri)


def set_(
    domain: Domain, kind: int, text: str | None, key: str | None, uri: str | None, flags: int
) -> None:
    """Set a piece of metadata, or remove it.

    Args:
        domain: the domain.
        kind: DomainMetadataType.
        text: the words, or an element; None removes it.
        key: the prefix of an element's name space.
        uri: the name space of an element.
        flags: DomainModificationImpact.

    Raises:
        RpcError: INVALID_ARG for an unknown kind, XML_DETAIL for an element that cannot be read.
    """
    edit(
        domain,
        impact(domain, flags),
        lambda document: guests.set_metadata(document, kind, text, key, uri),
    )
    domain.emit(DomainEventID.METADATA_CHANGE, kind, uri)
