"""Domains: devices attached, detached and updated.

Source: libvirt's src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_flags import DomainDeviceModifyFlags
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import devices
from aiovirt.daemons.virtd.host.editing import IMPACT, LIVE, impact

_UPDATE: Final = IMPACT | DomainDeviceModifyFlags.FORCE


class DomainDevices:
    """Serves changes of a domain's devices."""

    @answers(protocol.DOMAIN_ATTACH_DEVICE)
    def attach(self, session: Session, args: protocol.DomainXmlArgs) -> None:
        domain = find_domain(session, args.dom)
        devices.attach(domain, args.xml, impact(domain, LIVE))

    @answers(protocol.DOMAIN_ATTACH_DEVICE_FLAGS)
    def attach_flags(self, session: Session, args: protocol.DomainXmlFlagsArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainAttachDeviceLiveAndConfig")
        domain = find_domain(session, args.dom)
        devices.attach(domain, args.xml, impact(domain, args.flags))

    @answers(protocol.DOMAIN_DETACH_DEVICE)
    def detach(self, session: Session, args: protocol.DomainXmlArgs) -> None:
        domain = find_domain(session, args.dom)
        devices.detach(domain, args.xml, impact(domain, LIVE))

    @answers(protocol.DOMAIN_DETACH_DEVICE_FLAGS)
    def detach_flags(self, session: Session, args: protocol.DomainXmlFlagsArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainDetachDeviceLiveAndConfig")
        domain = find_domain(session, args.dom)
        devices.detach(domain, args.xml, impact(domain, args.flags))

    @answers(protocol.DOMAIN_DETACH_DEVICE_ALIAS)
    def detach_alias(self, session: Session, args: protocol.DomainDetachDeviceAliasArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainDetachDeviceAliasLiveAndConfig")
        domain = find_domain(session, args.dom)
        devices.detach_alias(domain, args.alias, impact(domain, args.flags))

    @answers(protocol.DOMAIN_UPDATE_DEVICE_FLAGS)
    def update(self, session: Session, args: protocol.DomainXmlFlagsArgs) -> None:
        session.host.flavour.check_flags(args.flags, _UPDATE, "DomainUpdateDeviceFlags")
        domain = find_domain(session, args.dom)
        devices.update(domain, args.xml, impact(domain, args.flags))
