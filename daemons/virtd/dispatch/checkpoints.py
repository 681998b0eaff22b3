"""Checkpoints of domains.

Source: libvirt's src/test/test_driver.c, src/qemu/qemu_driver.c and
src/conf/virdomaincheckpointobjlist.c.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.checkpoint import DomainCheckpointCreateFlags as Create
from aiovirt.daemons.virtd.constants.checkpoint import DomainCheckpointDeleteFlags
from aiovirt.daemons.virtd.constants.checkpoint import DomainCheckpointListFlags as Wanted
from aiovirt.daemons.virtd.constants.checkpoint import DomainCheckpointXMLFlags as Xml
from aiovirt.daemons.virtd.dispatch.finding import domain_ref, find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import checkpoint
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.moments import Moment

_LIST: Final = Wanted.ROOTS | Wanted.TOPOLOGICAL | Wanted.LEAVES | Wanted.NO_LEAVES
_XML: Final = Xml.SECURE | Xml.NO_DOMAIN | Xml.SIZE
_DELETE: Final = int(sum(DomainCheckpointDeleteFlags))


def _listed(domain: Domain, flags: int, parent: Moment | None = None) -> list[Moment]:
    """The checkpoints that flags ask for: of the domain, or those that come from one."""
    known = domain.checkpoints
    found: Iterable[Moment]
    if parent is None:
        found = known.roots() if flags & Wanted.ROOTS else known
    elif flags & Wanted.DESCENDANTS:
        found = known.descendants(parent.name)
    else:
        found = known.children(parent.name)
    wanted = flags & (Wanted.LEAVES | Wanted.NO_LEAVES)
    return [
        one
        for one in found
        if not wanted or wanted & (Wanted.NO_LEAVES if known.children(one.name) else Wanted.LEAVES)
    ]


def _ref(domain: Domain, moment: Moment) -> protocol.NonnullDomainCheckpoint:
    return protocol.NonnullDomainCheckpoint(moment.name, domain_ref(domain))


class Checkpoints:
    """Serves checkpoints."""

    def _find(
        self, session: Session, ref: protocol.NonnullDomainCheckpoint
    ) -> tuple[Domain, Moment]:
        domain = find_domain(session, ref.dom)
        return domain, checkpoint.find(domain, ref.name)

    @answers(protocol.DOMAIN_CHECKPOINT_CREATE_XML)
    def create(
        self, session: Session, args: protocol.DomainXmlDescFlagsArgs
    ) -> protocol.CheckpointRet:
        supported, function = Create.REDEFINE | Create.QUIESCE, "DomainCheckpointCreateXML"
        if session.host.name == "qemu":
            supported = Create.REDEFINE | Create.REDEFINE_VALIDATE
            function = "CheckpointCreateXML"
        session.host.flavour.check_flags(args.flags, supported, function)
        domain = find_domain(session, args.dom)
        made = checkpoint.create(domain, args.xml_desc, args.flags)
        return protocol.CheckpointRet(_ref(domain, made))

    @answers(protocol.DOMAIN_CHECKPOINT_GET_XML_DESC)
    def xml(self, session: Session, args: protocol.CheckpointFlagsArgs) -> protocol.XmlRet:
        session.host.flavour.check_flags(args.flags, _XML, "DomainCheckpointGetXMLDesc")
        domain, moment = self._find(session, args.checkpoint)
        return protocol.XmlRet(
            checkpoint.text_of(
                domain,
                moment,
                secure=bool(args.flags & Xml.SECURE),
                with_domain=not args.flags & Xml.NO_DOMAIN,
                size=bool(args.flags & Xml.SIZE),
            )
        )

    @answers(protocol.DOMAIN_LIST_ALL_CHECKPOINTS)
    def list_all(
        self, session: Session, args: protocol.DomainListAllArgs
    ) -> protocol.CheckpointsRet:
        session.host.flavour.check_flags(args.flags, _LIST, "DomainListAllCheckpoints")
        domain = find_domain(session, args.dom)
        refs = [_ref(domain, one) for one in _listed(domain, args.flags)]
        return protocol.CheckpointsRet(refs if args.need_results else [], len(refs))

    @answers(protocol.DOMAIN_CHECKPOINT_LIST_ALL_CHILDREN)
    def list_all_children(
        self, session: Session, args: protocol.DomainCheckpointListAllChildrenArgs
    ) -> protocol.CheckpointsRet:
        session.host.flavour.check_flags(args.flags, _LIST, "DomainCheckpointListAllChildren")
        domain, moment = self._find(session, args.checkpoint)
        refs = [_ref(domain, one) for one in _listed(domain, args.flags, moment)]
        return protocol.CheckpointsRet(refs if args.need_results else [], len(refs))

    @answers(protocol.DOMAIN_CHECKPOINT_LOOKUP_BY_NAME)
    def lookup(
        self, session: Session, args: protocol.DomainNameFlagsArgs
    ) -> protocol.CheckpointRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainCheckpointLookupByName")
        domain = find_domain(session, args.dom)
        return protocol.CheckpointRet(_ref(domain, checkpoint.find(domain, args.name)))

    @answers(protocol.DOMAIN_CHECKPOINT_GET_PARENT)
    def parent(
        self, session: Session, args: protocol.CheckpointFlagsArgs
    ) -> protocol.DomainCheckpointGetParentRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainCheckpointGetParent")
        domain, moment = self._find(session, args.checkpoint)
        if moment.parent is None:
            raise RpcError.of(
                ErrorCode.NO_DOMAIN_CHECKPOINT,
                f"checkpoint '{moment.name}' does not have a parent",
                domain=session.host.flavour.domain,
            )
        found = checkpoint.find(domain, moment.parent)
        return protocol.DomainCheckpointGetParentRet(_ref(domain, found))

    @answers(protocol.DOMAIN_CHECKPOINT_DELETE)
    def delete(self, session: Session, args: protocol.CheckpointFlagsArgs) -> None:
        session.host.flavour.check_flags(args.flags, _DELETE, "DomainCheckpointDelete")
        domain, moment = self._find(session, args.checkpoint)
        checkpoint.delete(domain, moment, args.flags)
