"""Edits of a domain's documents: which of the two a call is about, and changing them together.

Source: libvirt's src/conf/domain_conf.c (virDomainObjUpdateModificationImpact, virDomainObjGetDefs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from aiovirt.daemons.virtd.constants.domain_flags import DomainModificationImpact
from aiovirt.daemons.virtd.host.documents import cached, written
from aiovirt.daemons.virtd.xml.documents import Document
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain, Facts

LIVE: Final = int(DomainModificationImpact.LIVE)
CONFIG: Final = int(DomainModificationImpact.CONFIG)
IMPACT: Final = LIVE | CONFIG
"""The flags that say which document is meant; without one it is the document in force."""

Edit = Callable[[Document], None]


class Impact(msgspec.Struct, frozen=True):
    """The documents that a call is about."""

    live: bool
    config: bool


def impact(domain: Domain, flags: int) -> Impact:
    """Return the documents that flags ask for.

    Args:
        domain: whose.
        flags: of which DomainModificationImpact counts.

    Raises:
        RpcError: OPERATION_INVALID for a document that does not exist.
    """
    live, config = bool(flags & LIVE), bool(flags & CONFIG)
    if not live and not config:
        live, config = domain.is_active, not domain.is_active
    if live:
        domain.require_active()
    if config and not domain.is_persistent:
        raise RpcError.of(
            ErrorCode.OPERATION_INVALID,
            "transient domains do not have any persistent config",
            domain=ErrorDomain.DOMAIN,
        )
    return Impact(live, config)


def one_of(domain: Domain, flags: int) -> Impact:
    """Return the one document that flags ask for (virDomainObjGetOneDef).

    Args:
        domain: whose.
        flags: of which DomainModificationImpact counts.

    Raises:
        RpcError: INVALID_ARG for both documents, OPERATION_INVALID for one that does not exist.
    """
    if flags & LIVE and flags & CONFIG:
        raise RpcError(  # libvirt's text has no prefix here
            ErrorCode.INVALID_ARG,
            "Flags 'VIR_DOMAIN_AFFECT_LIVE' and 'VIR_DOMAIN_AFFECT_CONFIG' are mutually exclusive",
            domain=ErrorDomain.DOMAIN,
        )
    return impact(domain, flags)


def facts(domain: Domain, flags: int) -> Facts:
    """Return what the one document that flags ask for says.

    Args:
        domain: whose.
        flags: of which DomainModificationImpact counts.

    Raises:
        RpcError: INVALID_ARG for both documents, OPERATION_INVALID for one that does not exist.
    """
    meant = one_of(domain, flags)
    return domain.record.facts if meant.live else domain.record.config_facts


def edit(
    domain: Domain, meant: Impact, change: Edit, *, config_first: bool = False, **fields: Any
) -> None:
    """Change the documents that are meant, all or none.

    Args:
        domain: whose.
        meant: see `impact`.
        change: called with a copy of each; it raises RpcError to refuse.
        config_first: the definition may refuse before the running guest does.
        fields: of the record, that change together with them.
    """
    made = list(_changed(domain, Impact(False, meant.config), change)) if config_first else []
    meant = Impact(meant.live, False) if config_first else meant
    fields.update([*made, *_changed(domain, meant, change)])
    domain.change(**fields)


def _changed(domain: Domain, meant: Impact, change: Edit) -> Iterator[tuple[str, str]]:
    record = domain.record
    for name, wanted, text in (
        ("live", meant.live, record.live),
        ("config", meant.config, record.config),
    ):
        if wanted and text is not None:
            document = cached("domain", text).copy()
            change(document)
            document.changed()
            yield name, written(document)
