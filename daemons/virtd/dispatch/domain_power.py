"""Domains: shutting down, rebooting and resetting a guest, removing and renaming a definition.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_flags import (
    DomainRebootFlagValues,
    DomainShutdownFlagValues,
    DomainUndefineFlagsValues,
)
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import ending, lifecycle

_REBOOT: Final = int(sum(DomainRebootFlagValues))
_SHUTDOWN: Final = DomainShutdownFlagValues.ACPI_POWER_BTN | DomainShutdownFlagValues.GUEST_AGENT
_UNDEFINE_TEST: Final = (
    DomainUndefineFlagsValues.MANAGED_SAVE | DomainUndefineFlagsValues.SNAPSHOTS_METADATA
)
_UNDEFINE: Final = (
    _UNDEFINE_TEST
    | DomainUndefineFlagsValues.CHECKPOINTS_METADATA
    | DomainUndefineFlagsValues.NVRAM
    | DomainUndefineFlagsValues.KEEP_NVRAM
    | DomainUndefineFlagsValues.TPM
    | DomainUndefineFlagsValues.KEEP_TPM
)


class DomainPower:
    """Serves the ends of guests and of definitions."""

    @answers(protocol.DOMAIN_SHUTDOWN)
    def shutdown(self, session: Session, args: protocol.DomainArgs) -> None:
        ending.shut_down(find_domain(session, args.dom))

    @answers(protocol.DOMAIN_SHUTDOWN_FLAGS)
    def shutdown_flags(self, session: Session, args: protocol.DomainFlagsArgs) -> None:
        supported = 0 if session.host.name == "test" else _SHUTDOWN
        session.host.flavour.check_flags(args.flags, supported, "DomainShutdownFlags")
        ending.shut_down(
            find_domain(session, args.dom),
            by_agent=args.flags == DomainShutdownFlagValues.GUEST_AGENT,
        )

    @answers(protocol.DOMAIN_REBOOT)
    def reboot(self, session: Session, args: protocol.DomainFlagsArgs) -> None:
        supported = _REBOOT
        if session.host.name == "qemu":
            supported = DomainRebootFlagValues.ACPI_POWER_BTN | DomainRebootFlagValues.GUEST_AGENT
        session.host.flavour.check_flags(args.flags, supported, "DomainReboot")
        ending.reboot(
            find_domain(session, args.dom),
            by_agent=args.flags == DomainRebootFlagValues.GUEST_AGENT,
        )

    @answers(protocol.DOMAIN_RESET)
    def reset(self, session: Session, args: protocol.DomainFlagsArgs) -> None:
        session.host.flavour.check_flags(args.flags, 0, "DomainReset")
        ending.reset(find_domain(session, args.dom))

    @answers(protocol.DOMAIN_UNDEFINE)
    def undefine(self, session: Session, args: protocol.DomainArgs) -> None:
        ending.undefine(find_domain(session, args.dom), 0)

    @answers(protocol.DOMAIN_UNDEFINE_FLAGS)
    def undefine_flags(self, session: Session, args: protocol.DomainFlagsArgs) -> None:
        supported = _UNDEFINE_TEST if session.host.name == "test" else _UNDEFINE
        session.host.flavour.check_flags(args.flags, supported, "DomainUndefineFlags")
        ending.undefine(find_domain(session, args.dom), args.flags)

    @answers(protocol.DOMAIN_RENAME)
    def rename(self, session: Session, args: protocol.DomainRenameArgs) -> protocol.DomainRenameRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainRename")
        lifecycle.rename(find_domain(session, args.dom), args.new_name or "")
        return protocol.DomainRenameRet(0)
