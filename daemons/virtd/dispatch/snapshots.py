"""Snapshots of domains.

Source: libvirt's src/test/test_driver.c, src/qemu/qemu_driver.c and src/conf/virdomainsnapshotobjlist.c.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotCreateFlags as Create
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotDeleteFlags as Delete
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotListFlags as Wanted
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotRevertFlags as Revert
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotXMLFlags
from aiovirt.daemons.virtd.dispatch.finding import domain_ref, find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import moment_documents, snapshot
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.moments import Moment

_LIST: Final = int(
    Wanted.ROOTS
    | Wanted.LEAVES
    | Wanted.NO_LEAVES
    | Wanted.METADATA
    | Wanted.NO_METADATA
    | Wanted.INACTIVE
    | Wanted.ACTIVE
    | Wanted.DISK_ONLY
    | Wanted.INTERNAL
    | Wanted.EXTERNAL
    | Wanted.TOPOLOGICAL
)
_CREATE_TEST: Final = (
    Create.REDEFINE
    | Create.CURRENT
    | Create.HALT
    | Create.QUIESCE
    | Create.ATOMIC
    | Create.LIVE
    | Create.VALIDATE
)
_CREATE: Final = _CREATE_TEST | Create.NO_METADATA | Create.DISK_ONLY | Create.REUSE_EXT
_REVERT: Final = Revert.RUNNING | Revert.PAUSED | Revert.FORCE
_DELETE: Final = Delete.CHILDREN | Delete.CHILDREN_ONLY


def _check_together(session: Session, flags: int) -> None:
    """Refuse flags that need another one, or exclude it. Raises RpcError INVALID_ARG."""
    name = "VIR_DOMAIN_SNAPSHOT_CREATE"
    detail = ""
    if flags & Create.QUIESCE and not flags & Create.DISK_ONLY:
        detail = f"Flag '{name}_DISK_ONLY' is required by flag '{name}_QUIESCE'"
    elif flags & Create.LIVE and flags & Create.REDEFINE:
        detail = f"Flags '{name}_LIVE' and '{name}_REDEFINE' are mutually exclusive"
    if detail:
        raise RpcError(ErrorCode.INVALID_ARG, detail, domain=session.host.flavour.domain)


def _passes(domain: Domain, one: Moment, flags: int) -> bool:
    """Whether a snapshot passes each group of which a flag is set."""
    is_leaf = not domain.snapshots.children(one.name)
    groups = (
        ((Wanted.LEAVES, is_leaf), (Wanted.NO_LEAVES, not is_leaf)),
        ((Wanted.METADATA, True), (Wanted.NO_METADATA, False)),
        (
            (Wanted.INACTIVE, one.state == "shutoff"),
            (Wanted.DISK_ONLY, one.state == "disk-snapshot"),
            (Wanted.ACTIVE, one.state not in ("shutoff", "disk-snapshot")),
        ),
        ((Wanted.INTERNAL, not one.external), (Wanted.EXTERNAL, one.external)),
    )
    for group in groups:
        asked = [fits for flag, fits in group if flags & flag]
        if asked and not any(asked):
            return False
    return True


def _listed(domain: Domain, flags: int, parent: Moment | None = None) -> list[Moment]:
    """The snapshots that flags ask for: of the domain, or those that come from one."""
    found: Iterable[Moment]
    if parent is None:
        found = domain.snapshots.roots() if flags & Wanted.ROOTS else domain.snapshots
    elif flags & Wanted.DESCENDANTS:
        found = domain.snapshots.descendants(parent.name)
    else:
        found = domain.snapshots.children(parent.name)
    return [one for one in found if _passes(domain, one, flags)]


def _ref(domain: Domain, moment: Moment) -> protocol.NonnullDomainSnapshot:
    return protocol.NonnullDomainSnapshot(moment.name, domain_ref(domain))


class Snapshots:
    """Serves snapshots."""

    def _find(self, session: Session, ref: protocol.NonnullDomainSnapshot) -> tuple[Domain, Moment]:
        domain = find_domain(session, ref.dom)
        return domain, snapshot.find(domain, ref.name)

    @answers(protocol.DOMAIN_SNAPSHOT_CREATE_XML)
    def create(
        self, session: Session, args: protocol.DomainXmlDescFlagsArgs
    ) -> protocol.SnapshotRet:
        supported = _CREATE_TEST if session.host.name == "test" else _CREATE
        session.host.flavour.check_flags(args.flags, supported, "DomainSnapshotCreateXML")
        if session.host.name == "qemu":
            _check_together(session, args.flags)
        domain = find_domain(session, args.dom)
        made = snapshot.create(domain, args.xml_desc, args.flags)
        return protocol.SnapshotRet(_ref(domain, made))

    @answers(protocol.DOMAIN_SNAPSHOT_GET_XML_DESC)
    def xml(self, session: Session, args: protocol.SnapshotFlagsArgs) -> protocol.XmlRet:
        secure = DomainSnapshotXMLFlags.SECURE
        session.host.flavour.check_flags(args.flags, secure, "DomainSnapshotGetXMLDesc")
        _, moment = self._find(session, args.snap)
        text = moment_documents.written(moment, "snapshot", secure=bool(args.flags & secure))
        return protocol.XmlRet(text)

    @answers(protocol.DOMAIN_SNAPSHOT_NUM)
    def count(self, session: Session, args: protocol.DomainFlagsArgs) -> protocol.NumRet:
        session.host.flavour.check_flags(args.flags, _LIST, "DomainSnapshotNum")
        return protocol.NumRet(len(_listed(find_domain(session, args.dom), args.flags)))

    @answers(protocol.DOMAIN_SNAPSHOT_LIST_NAMES)
    def names(
        self, session: Session, args: protocol.DomainSnapshotListNamesArgs
    ) -> protocol.DomainSnapshotListNamesRet:
        session.host.flavour.check_flags(args.flags, _LIST, "DomainSnapshotListNames")
        found = _listed(find_domain(session, args.dom), args.flags)
        names = [one.name for one in found][: max(0, args.maxnames)]
        return protocol.DomainSnapshotListNamesRet(names)

    @answers(protocol.DOMAIN_LIST_ALL_SNAPSHOTS)
    def list_all(self, session: Session, args: protocol.DomainListAllArgs) -> protocol.SnapshotsRet:
        session.host.flavour.check_flags(args.flags, _LIST, "DomainListAllSnapshots")
        domain = find_domain(session, args.dom)
        refs = [_ref(domain, one) for one in _listed(domain, args.flags)]
        return protocol.SnapshotsRet(refs if args.need_results else [], len(refs))

    @answers(protocol.DOMAIN_SNAPSHOT_NUM_CHILDREN)
    def count_children(self, session: Session, args: protocol.SnapshotFlagsArgs) -> protocol.NumRet:
        session.host.flavour.check_flags(args.flags, _LIST, "DomainSnapshotNumChildren")
        domain, moment = self._find(session, args.snap)
        return protocol.NumRet(len(_listed(domain, args.flags, moment)))

    @answers(protocol.DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES)
    def children_names(
        self, session: Session, args: protocol.DomainSnapshotListChildrenNamesArgs
    ) -> protocol.DomainSnapshotListNamesRet:
        session.host.flavour.check_flags(args.flags, _LIST, "DomainSnapshotListChildrenNames")
        domain, moment = self._find(session, args.snap)
        names = [one.name for one in _listed(domain, args.flags, moment)]
        return protocol.DomainSnapshotListNamesRet(names[: max(0, args.maxnames)])

    @answers(protocol.DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN)
    def list_all_children(
        self, session: Session, args: protocol.DomainSnapshotListAllChildrenArgs
    ) -> protocol.SnapshotsRet:
        session.host.flavour.check_flags(args.flags, _LIST, "DomainSnapshotListAllChildren")
        domain, moment = self._find(session, args.snapshot)
        refs = [_ref(domain, one) for one in _listed(domain, args.flags, moment)]
        return protocol.SnapshotsRet(refs if args.need_results else [], len(refs))

    @answers(protocol.DOMAIN_SNAPSHOT_LOOKUP_BY_NAME)
    def lookup(self, session: Session, args: protocol.DomainNameFlagsArgs) -> protocol.SnapshotRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainSnapshotLookupByName")
        domain = find_domain(session, args.dom)
        return protocol.SnapshotRet(_ref(domain, snapshot.find(domain, args.name)))

    @answers(protocol.DOMAIN_HAS_CURRENT_SNAPSHOT)
    def has_current(self, session: Session, args: protocol.DomainFlagsArgs) -> protocol.ResultRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainHasCurrentSnapshot")
        found = find_domain(session, args.dom).snapshots.current
        return protocol.ResultRet(int(found is not None))

    @answers(protocol.DOMAIN_SNAPSHOT_CURRENT)
    def current(self, session: Session, args: protocol.DomainFlagsArgs) -> protocol.SnapshotRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainSnapshotCurrent")
        domain = find_domain(session, args.dom)
        found = domain.snapshots.current
        if found is None:
            raise _none(session, "the domain does not have a current snapshot")
        return protocol.SnapshotRet(_ref(domain, found))

    @answers(protocol.DOMAIN_SNAPSHOT_GET_PARENT)
    def parent(self, session: Session, args: protocol.SnapshotFlagsArgs) -> protocol.SnapshotRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainSnapshotGetParent")
        domain, moment = self._find(session, args.snap)
        if moment.parent is None:
            raise _none(session, f"snapshot '{moment.name}' does not have a parent")
        return protocol.SnapshotRet(_ref(domain, snapshot.find(domain, moment.parent)))

    @answers(protocol.DOMAIN_SNAPSHOT_IS_CURRENT)
    def is_current(
        self, session: Session, args: protocol.SnapshotFlagsArgs
    ) -> protocol.DomainSnapshotIsCurrentRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainSnapshotIsCurrent")
        domain, moment = self._find(session, args.snap)
        return protocol.DomainSnapshotIsCurrentRet(int(domain.snapshots.current is moment))

    @answers(protocol.DOMAIN_SNAPSHOT_HAS_METADATA)
    def has_metadata(
        self, session: Session, args: protocol.SnapshotFlagsArgs
    ) -> protocol.DomainSnapshotHasMetadataRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainSnapshotHasMetadata")
        self._find(session, args.snap)
        return protocol.DomainSnapshotHasMetadataRet(1)

    @answers(protocol.DOMAIN_REVERT_TO_SNAPSHOT)
    def revert(self, session: Session, args: protocol.SnapshotFlagsArgs) -> None:
        supported = _REVERT | (Revert.RESET_NVRAM if session.host.name == "qemu" else 0)
        function = "SnapshotRevert" if session.host.name == "qemu" else "DomainRevertToSnapshot"
        session.host.flavour.check_flags(args.flags, supported, function)
        domain, moment = self._find(session, args.snap)
        snapshot.revert(domain, moment, args.flags)

    @answers(protocol.DOMAIN_SNAPSHOT_DELETE)
    def delete(self, session: Session, args: protocol.SnapshotFlagsArgs) -> None:
        supported = _DELETE | (Delete.METADATA_ONLY if session.host.name == "qemu" else 0)
        session.host.flavour.check_flags(args.flags, supported, "DomainSnapshotDelete")
        domain, moment = self._find(session, args.snap)
        snapshot.delete(domain, moment, args.flags)


def _none(session: Session, text: str) -> RpcError:
    return RpcError.of(ErrorCode.NO_DOMAIN_SNAPSHOT, text, domain=session.host.flavour.domain)
