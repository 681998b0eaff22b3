"""Domains: the system within a guest, through its agent: clock, file systems, users, processors.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_flags import (
    DomainAuthorizedSSHKeysSetFlags,
    DomainGetHostnameFlags,
    DomainSetTimeFlags,
    DomainSetUserPasswordFlags,
)
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import cpumaps, guest, guest_info
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

_APPEND: Final = DomainAuthorizedSSHKeysSetFlags.APPEND
_REMOVE: Final = DomainAuthorizedSSHKeysSetFlags.REMOVE


class DomainGuest:
    """Serves what is asked of the system within a guest."""

    @answers(protocol.DOMAIN_GET_HOSTNAME)
    def hostname(self, session: Session, args: protocol.DomainFlagsArgs) -> protocol.HostnameRet:
        supported = 0 if session.host.name == "test" else int(sum(DomainGetHostnameFlags))
        session.host.flavour.check_flags(args.flags, supported, "DomainGetHostname")
        if args.flags == supported and supported:
            raise RpcError.of(
                ErrorCode.INVALID_ARG,
                "Flags 'VIR_DOMAIN_GET_HOSTNAME_LEASE' and 'VIR_DOMAIN_GET_HOSTNAME_AGENT'"
                " are mutually exclusive",
                domain=session.host.flavour.domain,
            )
        by_lease = bool(args.flags & DomainGetHostnameFlags.LEASE)
        return protocol.HostnameRet(
            guest.hostname(find_domain(session, args.dom), by_lease=by_lease)
        )

    @answers(protocol.DOMAIN_GET_TIME)
    def time(self, session: Session, args: protocol.DomainFlagsArgs) -> protocol.DomainGetTimeRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainGetTime")
        return protocol.DomainGetTimeRet(*guest.time(find_domain(session, args.dom)))

    @answers(protocol.DOMAIN_SET_TIME)
    def set_time(self, session: Session, args: protocol.DomainSetTimeArgs) -> None:
        session.host.flavour.check_flags(args.flags, DomainSetTimeFlags.SYNC, "DomainSetTime")
        guest.set_time(
            find_domain(session, args.dom),
            args.seconds,
            args.nseconds,
            sync=bool(args.flags & DomainSetTimeFlags.SYNC),
        )

    @answers(protocol.DOMAIN_GET_FSINFO)
    def filesystems(
        self, session: Session, args: protocol.DomainFlagsArgs
    ) -> protocol.DomainGetFsinfoRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainGetFSInfo")
        found = [
            protocol.DomainFsinfo(one.mountpoint, one.name, one.kind, [one.disk])
            for one in guest.filesystems(find_domain(session, args.dom))
        ]
        return protocol.DomainGetFsinfoRet(found, len(found))

    @answers(protocol.DOMAIN_FSFREEZE)
    def freeze(
        self, session: Session, args: protocol.DomainMountpointsArgs
    ) -> protocol.FilesystemsRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainFSFreeze")
        return protocol.FilesystemsRet(
            guest.freeze(find_domain(session, args.dom), args.mountpoints)
        )

    @answers(protocol.DOMAIN_FSTHAW)
    def thaw(
        self, session: Session, args: protocol.DomainMountpointsArgs
    ) -> protocol.FilesystemsRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainFSThaw")
        if args.mountpoints and session.host.name == "qemu":
            raise _no_mountpoint(session, "specifying mountpoints is not supported")
        return protocol.FilesystemsRet(guest.thaw(find_domain(session, args.dom), args.mountpoints))

    @answers(protocol.DOMAIN_FSTRIM)
    def trim(self, session: Session, args: protocol.DomainFstrimArgs) -> None:
        session.host.flavour.check_flags(args.flags, 0, "DomainFSTrim")
        if args.mountPoint is not None and session.host.name == "qemu":
            raise _no_mountpoint(session, "Specifying mount point is not supported for now")
        guest.trim(find_domain(session, args.dom), args.mountPoint, args.minimum)

    @answers(protocol.DOMAIN_GET_GUEST_INFO)
    def info(
        self, session: Session, args: protocol.DomainGetGuestInfoArgs
    ) -> protocol.DomainGetGuestInfoRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainGetGuestInfo")
        domain = find_domain(session, args.dom)
        return protocol.DomainGetGuestInfoRet(guest_info.info(domain, args.types))

    @answers(protocol.DOMAIN_GET_GUEST_VCPUS)
    def vcpus(
        self, session: Session, args: protocol.DomainFlagsArgs
    ) -> protocol.DomainGetGuestVcpusRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainGetGuestVcpus")
        return protocol.DomainGetGuestVcpusRet(guest.vcpus(find_domain(session, args.dom)))

    @answers(protocol.DOMAIN_SET_GUEST_VCPUS)
    def set_vcpus(self, session: Session, args: protocol.DomainCpumapStateArgs) -> None:
        session.host.flavour.check_flags(args.flags, 0, "DomainSetGuestVcpus")
        text = ""
        try:
            numbers = cpumaps.parse(args.cpumap)
        except ValueError:
            text = f"Failed to parse bitmap '{args.cpumap}'"
        if args.state not in (0, 1):
            text = "state in qemuDomainSetGuestVcpus must be 0 or 1: unsupported state value"
        if text:
            raise RpcError.of(ErrorCode.INVALID_ARG, text, domain=session.host.flavour.domain)
        guest.set_vcpus(find_domain(session, args.dom), numbers, args.state)

    @answers(protocol.DOMAIN_AGENT_SET_RESPONSE_TIMEOUT)
    def agent_timeout(
        self, session: Session, args: protocol.DomainAgentSetResponseTimeoutArgs
    ) -> protocol.ResultRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainAgentSetResponseTimeout")
        domain = find_domain(session, args.dom)
        if args.timeout < -2:
            raise RpcError.of(
                ErrorCode.INVALID_ARG,
                f"guest agent timeout '{args.timeout}' is less than the minimum '-2'",
                domain=session.host.flavour.domain,
            )
        domain.keep("agent-timeout", args.timeout)
        return protocol.ResultRet(0)

    @answers(protocol.DOMAIN_AUTHORIZED_SSH_KEYS_GET)
    def keys(
        self, session: Session, args: protocol.DomainAuthorizedSshKeysGetArgs
    ) -> protocol.DomainAuthorizedSshKeysGetRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainAuthorizedSSHKeysGet")
        found = guest.keys(find_domain(session, args.dom), args.user)
        return protocol.DomainAuthorizedSshKeysGetRet(found)

    @answers(protocol.DOMAIN_AUTHORIZED_SSH_KEYS_SET)
    def set_keys(self, session: Session, args: protocol.DomainAuthorizedSshKeysSetArgs) -> None:
        flavour = session.host.flavour
        flavour.check_flags(args.flags, _APPEND | _REMOVE, "DomainAuthorizedSSHKeysSet")
        guest.set_keys(
            find_domain(session, args.dom),
            args.user,
            args.keys,
            append=bool(args.flags & _APPEND),
            remove=bool(args.flags & _REMOVE),
        )

    @answers(protocol.DOMAIN_SET_USER_PASSWORD)
    def set_password(self, session: Session, args: protocol.DomainSetUserPasswordArgs) -> None:
        encrypted = DomainSetUserPasswordFlags.ENCRYPTED
        session.host.flavour.check_flags(args.flags, encrypted, "DomainSetUserPassword")
        guest.set_password(
            find_domain(session, args.dom),
            args.user or "",
            args.password or "",
            crypted=bool(args.flags & encrypted),
        )

    @answers(protocol.DOMAIN_PM_SUSPEND_FOR_DURATION)
    def sleep(self, session: Session, args: protocol.DomainPmSuspendForDurationArgs) -> None:
        session.host.flavour.check_flags(args.flags, 0, "DomainPMSuspendForDuration")
        if args.duration:
            raise RpcError.of(
                ErrorCode.ARGUMENT_UNSUPPORTED,
                "Duration not supported. Use 0 for now",
                domain=session.host.flavour.domain,
            )
        guest.sleep(find_domain(session, args.dom), args.target)

    @answers(protocol.DOMAIN_PM_WAKEUP)
    def wake_up(self, session: Session, args: protocol.DomainFlagsArgs) -> None:
        session.host.flavour.check_flags(args.flags, 0, "DomainPMWakeup")
        guest.wake_up(find_domain(session, args.dom))


def _no_mountpoint(session: Session, text: str) -> RpcError:
    return RpcError.of(ErrorCode.ARGUMENT_UNSUPPORTED, text, domain=session.host.flavour.domain)
