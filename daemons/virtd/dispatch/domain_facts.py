"""Domains: what is asked of one most often, and what is set with one value.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_flags import DomainXMLFlags
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

_XML_FLAGS: Final = int(sum(DomainXMLFlags))
_XML_FLAGS_TEST: Final = _XML_FLAGS & ~DomainXMLFlags.UPDATE_CPU


class DomainFacts:
    """Serves what is known of a domain."""

    @answers(protocol.DOMAIN_GET_XML_DESC)
    def xml(self, session: Session, args: protocol.DomainFlagsArgs) -> protocol.XmlRet:
        supported = _XML_FLAGS_TEST if session.host.name == "test" else _XML_FLAGS
        session.host.flavour.check_flags(args.flags, supported, "DomainGetXMLDesc")
        record = find_domain(session, args.dom).record
        return protocol.XmlRet(
            record.shown(
                secure=bool(args.flags & DomainXMLFlags.SECURE),
                inactive=bool(args.flags & DomainXMLFlags.INACTIVE),
            )
        )

    @answers(protocol.DOMAIN_GET_INFO)
    def info(self, session: Session, args: protocol.DomainArgs) -> protocol.DomainGetInfoRet:
        domain = find_domain(session, args.dom)
        record = domain.record
        facts = record.facts
        return protocol.DomainGetInfoRet(
            record.state, facts.maximum, facts.memory, facts.vcpus, session.host.cpu_time(domain)
        )

    @answers(protocol.DOMAIN_GET_STATE)
    def state(self, session: Session, args: protocol.DomainFlagsArgs) -> protocol.DomainGetStateRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainGetState")
        record = find_domain(session, args.dom).record
        return protocol.DomainGetStateRet(record.state, record.reason)

    @answers(protocol.DOMAIN_GET_OS_TYPE)
    def os_type(self, session: Session, args: protocol.DomainArgs) -> protocol.TypeRet:
        domain = find_domain(session, args.dom)
        if session.host.name == "test":  # whatever the document says
            return protocol.TypeRet("linux")
        return protocol.TypeRet(domain.record.facts.os_type)

    @answers(protocol.DOMAIN_IS_ACTIVE)
    def is_active(self, session: Session, args: protocol.DomainArgs) -> protocol.ActiveRet:
        return protocol.ActiveRet(int(find_domain(session, args.dom).is_active))

    @answers(protocol.DOMAIN_IS_PERSISTENT)
    def is_persistent(self, session: Session, args: protocol.DomainArgs) -> protocol.PersistentRet:
        return protocol.PersistentRet(int(find_domain(session, args.dom).is_persistent))

    @answers(protocol.DOMAIN_IS_UPDATED)
    def is_updated(
        self, session: Session, args: protocol.DomainArgs
    ) -> protocol.DomainIsUpdatedRet:
        find_domain(session, args.dom)
        return protocol.DomainIsUpdatedRet(0)  # neither driver ever says anything else

    @answers(protocol.DOMAIN_GET_AUTOSTART)
    def autostart(self, session: Session, args: protocol.DomainArgs) -> protocol.AutostartRet:
        return protocol.AutostartRet(int(find_domain(session, args.dom).record.autostart))

    @answers(protocol.DOMAIN_SET_AUTOSTART)
    def set_autostart(self, session: Session, args: protocol.DomainSetAutostartArgs) -> None:
        domain = find_domain(session, args.dom)
        if session.host.name == "qemu" and not domain.is_persistent:
            raise RpcError.of(
                ErrorCode.OPERATION_INVALID,
                "cannot set autostart for transient domain",
                domain=session.host.flavour.domain,
            )
        domain.change(autostart=bool(args.autostart))
