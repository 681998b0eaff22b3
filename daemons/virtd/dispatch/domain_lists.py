"""Domains: which ones exist, and finding one.

Source: libvirt's src/conf/virdomainobjlist.c (virDomainObjMatchFilter).
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import DomainState
from aiovirt.daemons.virtd.constants.domain_flags import ConnectListAllDomainsFlags as Wanted
from aiovirt.daemons.virtd.dispatch.finding import domain_ref, encoded_ref, no_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.rpc.wire import xdr

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

_FILTERS: Final = int(sum(Wanted))


def _in_other_state(domain: Domain) -> bool:
    return domain.record.state not in (
        DomainState.RUNNING,
        DomainState.PAUSED,
        DomainState.SHUTOFF,
    )


#: Groups of flags: a domain passes a group of which no flag is set, or one flag of which fits.
_GROUPS: Final[tuple[tuple[tuple[int, Callable[[Domain], bool]], ...], ...]] = (
    (
        (Wanted.ACTIVE, lambda one: one.is_active),
        (Wanted.INACTIVE, lambda one: not one.is_active),
    ),
    (
        (Wanted.PERSISTENT, lambda one: one.is_persistent),
        (Wanted.TRANSIENT, lambda one: not one.is_persistent),
    ),
    (
        (Wanted.RUNNING, lambda one: one.record.state == DomainState.RUNNING),
        (Wanted.PAUSED, lambda one: one.record.state == DomainState.PAUSED),
        (Wanted.SHUTOFF, lambda one: one.record.state == DomainState.SHUTOFF),
        (Wanted.OTHER, _in_other_state),
    ),
    (
        (Wanted.MANAGEDSAVE, lambda one: one.record.saved is not None),
        (Wanted.NO_MANAGEDSAVE, lambda one: one.record.saved is None),
    ),
    (
        (Wanted.AUTOSTART, lambda one: one.record.autostart),
        (Wanted.NO_AUTOSTART, lambda one: not one.record.autostart),
    ),
    (
        (Wanted.HAS_SNAPSHOT, lambda one: bool(one.snapshots)),
        (Wanted.NO_SNAPSHOT, lambda one: not one.snapshots),
    ),
    (
        (Wanted.HAS_CHECKPOINT, lambda one: bool(one.checkpoints)),
        (Wanted.NO_CHECKPOINT, lambda one: not one.checkpoints),
    ),
)


def chosen(domain: Domain, flags: int) -> bool:
    """Return whether a domain is among those that the flags of a list ask for."""
    for group in _GROUPS:
        asked = [fits for flag, fits in group if flags & flag]
        if asked and not any(fits(domain) for fits in asked):
            return False
    return True


class DomainLists:
    """Serves the lists of domains, and the looking up of one."""

    @answers(protocol.CONNECT_LIST_ALL_DOMAINS)
    def list_all(
        self, session: Session, args: protocol.ListAllArgs
    ) -> protocol.ConnectListAllDomainsRet:
        session.host.flavour.check_flags(args.flags, _FILTERS, "ConnectListAllDomains")
        found = session.host.domains
        wanted = [one for one in found if chosen(one, args.flags)] if args.flags else list(found)
        refs = xdr.EncodedItems(map(encoded_ref, wanted if args.need_results else ()))
        return protocol.ConnectListAllDomainsRet(refs, len(wanted))

    @answers(protocol.CONNECT_NUM_OF_DOMAINS)
    def count(self, session: Session, args: None) -> protocol.NumRet:
        return protocol.NumRet(len(session.host.domains.numbers))

    @answers(protocol.CONNECT_LIST_DOMAINS)
    def list_ids(
        self, session: Session, args: protocol.ConnectListDomainsArgs
    ) -> protocol.ConnectListDomainsRet:
        ids = session.host.domains.numbers
        return protocol.ConnectListDomainsRet(ids[: max(0, args.maxids)])

    @answers(protocol.CONNECT_NUM_OF_DEFINED_DOMAINS)
    def count_inactive(self, session: Session, args: None) -> protocol.NumRet:
        return protocol.NumRet(sum(not one.is_active for one in session.host.domains))

    @answers(protocol.CONNECT_LIST_DEFINED_DOMAINS)
    def list_inactive(
        self, session: Session, args: protocol.MaxNamesArgs
    ) -> protocol.ConnectListDefinedDomainsRet:
        names = [one.name for one in session.host.domains if not one.is_active]
        return protocol.ConnectListDefinedDomainsRet(names[: max(0, args.maxnames)])

    @answers(protocol.DOMAIN_LOOKUP_BY_NAME)
    def by_name(self, session: Session, args: protocol.NameArgs) -> protocol.DomainRet:
        found = session.host.domains.by_name(args.name)
        if found is None:
            raise no_domain(session, f"name '{args.name}'")
        return protocol.DomainRet(domain_ref(found))

    @answers(protocol.DOMAIN_LOOKUP_BY_UUID)
    def by_uuid(self, session: Session, args: protocol.UuidArgs) -> protocol.DomainRet:
        found = session.host.domains.by_uuid(args.uuid)
        if found is None:
            raise no_domain(session, f"uuid '{uuids.UUID(bytes=args.uuid)}'")
        return protocol.DomainRet(domain_ref(found))

    @answers(protocol.DOMAIN_LOOKUP_BY_ID)
    def by_id(self, session: Session, args: protocol.DomainLookupByIdArgs) -> protocol.DomainRet:
        found = session.host.domains.by_number(args.id)
        if found is None:
            raise no_domain(session, f"id {args.id}")
        return protocol.DomainRet(domain_ref(found))
