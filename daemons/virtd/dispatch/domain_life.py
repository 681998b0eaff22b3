"""Domains: defining, starting, pausing, ending.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c; flags are those of the drivers.
"""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_flags import (
    DomainCreateFlags,
    DomainDefineFlags,
    DomainDestroyFlagsValues,
)
from aiovirt.daemons.virtd.dispatch.finding import domain_ref, find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import lifecycle
from aiovirt.rpc.server import CallWithFds

#: Flags of starting a guest that the qemu driver has.
_START: Final = (
    DomainCreateFlags.START_PAUSED
    | DomainCreateFlags.START_AUTODESTROY
    | DomainCreateFlags.START_BYPASS_CACHE
    | DomainCreateFlags.START_FORCE_BOOT
    | DomainCreateFlags.START_VALIDATE
    | DomainCreateFlags.START_RESET_NVRAM
)


class DomainLife:
    """Serves the life of domains."""

    @answers(protocol.DOMAIN_DEFINE_XML)
    def define(self, session: Session, args: protocol.XmlArgs) -> protocol.DomainRet:
        return protocol.DomainRet(domain_ref(lifecycle.define(session.host, args.xml)))

    @answers(protocol.DOMAIN_DEFINE_XML_FLAGS)
    def define_flags(self, session: Session, args: protocol.XmlFlagsArgs) -> protocol.DomainRet:
        flavour = session.host.flavour
        flavour.check_flags(args.flags, DomainDefineFlags.VALIDATE, "DomainDefineXMLFlags")
        return protocol.DomainRet(domain_ref(lifecycle.define(session.host, args.xml)))

    @answers(protocol.DOMAIN_CREATE_XML)
    def create_xml(self, session: Session, args: protocol.XmlDescFlagsArgs) -> protocol.DomainRet:
        supported = DomainCreateFlags.START_VALIDATE if session.host.name == "test" else _START
        session.host.flavour.check_flags(args.flags, supported, "DomainCreateXML")
        paused = bool(args.flags & DomainCreateFlags.START_PAUSED)
        return protocol.DomainRet(
            domain_ref(lifecycle.create(session.host, args.xml_desc, paused=paused))
        )

    @answers(protocol.DOMAIN_CREATE)
    def create(self, session: Session, args: protocol.DomainArgs) -> None:
        lifecycle.start(find_domain(session, args.dom))

    @answers(protocol.DOMAIN_CREATE_WITH_FLAGS)
    def create_flags(self, session: Session, args: protocol.DomainFlagsArgs) -> protocol.DomainRet:
        supported = 0 if session.host.name == "test" else _START
        session.host.flavour.check_flags(args.flags, supported, "DomainCreateWithFlags")
        domain = find_domain(session, args.dom)
        lifecycle.start(domain, paused=bool(args.flags & DomainCreateFlags.START_PAUSED))
        return protocol.DomainRet(domain_ref(domain))

    @answers(protocol.DOMAIN_CREATE_WITH_FILES)
    def create_with_files(
        self, session: Session, call: CallWithFds[protocol.DomainFlagsArgs]
    ) -> protocol.DomainRet:
        call.close()  # for the first process of a container, which no driver here has
        return self.create_flags(session, call.args)

    @answers(protocol.DOMAIN_CREATE_XML_WITH_FILES)
    def create_xml_with_files(
        self, session: Session, call: CallWithFds[protocol.XmlDescFlagsArgs]
    ) -> protocol.DomainRet:
        call.close()
        return self.create_xml(session, call.args)

    @answers(protocol.DOMAIN_SUSPEND)
    def suspend(self, session: Session, args: protocol.DomainArgs) -> None:
        lifecycle.suspend(find_domain(session, args.dom))

    @answers(protocol.DOMAIN_RESUME)
    def resume(self, session: Session, args: protocol.DomainArgs) -> None:
        lifecycle.resume(find_domain(session, args.dom))

    @answers(protocol.DOMAIN_DESTROY)
    def destroy(self, session: Session, args: protocol.DomainArgs) -> None:
        lifecycle.destroy(find_domain(session, args.dom))

    @answers(protocol.DOMAIN_DESTROY_FLAGS)
    def destroy_flags(self, session: Session, args: protocol.DomainFlagsArgs) -> None:
        flavour = session.host.flavour
        supported = DomainDestroyFlagsValues.GRACEFUL
        if session.host.name == "qemu":
            supported |= DomainDestroyFlagsValues.REMOVE_LOGS
        flavour.check_flags(args.flags, supported, "DomainDestroyFlags")
        lifecycle.destroy(find_domain(session, args.dom))
