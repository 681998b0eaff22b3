"""Domains: processors and threads, and where they run.

Source: libvirt's src/remote/remote_daemon_dispatch.c, src/test/test_driver.c, src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import VcpuState
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import cpumaps, iothreads, machine, pinning, resources
from aiovirt.daemons.virtd.host.editing import IMPACT, LIVE, facts, impact, one_of
from aiovirt.daemons.virtd.protocol.limits import CPUMAPS_MAX, VCPUINFO_MAX
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.editing import Impact

#: Bytes of one map that a client may ask for.
_MAP_MAX: Final = 2048


def _bound(count: int, size: int, name: str) -> None:
    """Refuse maps that would be larger than a message may be."""
    text = ""
    if not 0 <= count <= VCPUINFO_MAX:
        text = f"{name} > REMOTE_VCPUINFO_MAX"
    elif not size >= 0 or count * size > CPUMAPS_MAX:
        text = "maxinfo * maplen > REMOTE_CPUMAPS_MAX"
    if text:
        raise RpcError.of(ErrorCode.INTERNAL_ERROR, text, domain=ErrorDomain.RPC)


def _one_or_both(session: Session, domain: Domain, flags: int) -> Impact:
    """The documents that a setter changes: the test driver's change one at a time."""
    return one_of(domain, flags) if session.host.name == "test" else impact(domain, flags)


class DomainPinning:
    """Serves processors, threads and their places."""

    @answers(protocol.DOMAIN_GET_VCPUS)
    def vcpus(
        self, session: Session, args: protocol.DomainGetVcpusArgs
    ) -> protocol.DomainGetVcpusRet:
        _bound(args.maxinfo, args.maplen, "maxinfo")
        domain = find_domain(session, args.dom)
        if not domain.is_active:
            text = (
                "cannot list vcpus for an inactive domain"
                if session.host.name == "test"
                else "cannot retrieve vcpu information for inactive domain"
            )
            raise RpcError.of(ErrorCode.OPERATION_INVALID, text, domain=session.host.flavour.domain)
        known = domain.record.facts
        info: list[protocol.VcpuInfo] = []
        maps: list[bytes] = []
        for number in range(min(args.maxinfo, known.vcpus)):
            places = pinning.allowed(domain, known, "vcpu", number)
            time = machine.vcpu_time(domain, number)
            place = max(places) if session.host.name == "test" else min(places)
            info.append(protocol.VcpuInfo(number, VcpuState.RUNNING, time, place))
            maps.append(cpumaps.bits(places, args.maplen))
        return protocol.DomainGetVcpusRet(info, b"".join(maps))

    @answers(protocol.DOMAIN_PIN_VCPU)
    def pin_vcpu(self, session: Session, args: protocol.DomainPinVcpuArgs) -> None:
        self._pin_vcpu(session, args.dom, args.vcpu, args.cpumap, LIVE)

    @answers(protocol.DOMAIN_PIN_VCPU_FLAGS)
    def pin_vcpu_flags(self, session: Session, args: protocol.DomainPinVcpuFlagsArgs) -> None:
        supported = 0 if session.host.name == "test" else IMPACT
        session.host.flavour.check_flags(args.flags, supported, "DomainPinVcpuFlags")
        self._pin_vcpu(session, args.dom, args.vcpu, args.cpumap, args.flags)

    def _pin_vcpu(
        self, session: Session, ref: protocol.NonnullDomain, vcpu: int, cpumap: bytes, flags: int
    ) -> None:
        domain = find_domain(session, ref)
        if session.host.name == "test" and not domain.is_active:
            raise RpcError.of(
                ErrorCode.OPERATION_INVALID,
                "cannot pin vcpus on an inactive domain",
                domain=ErrorDomain.TEST,
            )
        pinning.pin(domain, "vcpu", vcpu, cpumap, impact(domain, flags))

    @answers(protocol.DOMAIN_GET_VCPU_PIN_INFO)
    def vcpu_pins(
        self, session: Session, args: protocol.DomainGetVcpuPinInfoArgs
    ) -> protocol.DomainGetVcpuPinInfoRet:
        if session.host.name == "qemu":
            session.host.flavour.check_flags(args.flags, IMPACT, "DomainGetVcpuPinInfo")
        _bound(args.ncpumaps, args.maplen, "ncpumaps")
        domain = find_domain(session, args.dom)
        known = facts(domain, args.flags)
        numbers = range(min(args.ncpumaps, known.vcpus_maximum))
        maps = [
            cpumaps.bits(pinning.allowed(domain, known, "vcpu", number), args.maplen)
            for number in numbers
        ]
        return protocol.DomainGetVcpuPinInfoRet(b"".join(maps), len(maps))

    @answers(protocol.DOMAIN_PIN_EMULATOR)
    def pin_emulator(self, session: Session, args: protocol.DomainPinEmulatorArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainPinEmulator")
        domain = find_domain(session, args.dom)
        meant = _one_or_both(session, domain, args.flags)
        pinning.pin(domain, "emulator", 0, args.cpumap, meant)

    @answers(protocol.DOMAIN_GET_EMULATOR_PIN_INFO)
    def emulator_pin(
        self, session: Session, args: protocol.DomainGetEmulatorPinInfoArgs
    ) -> protocol.DomainGetEmulatorPinInfoRet:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainGetEmulatorPinInfo")
        _bound(1, args.maplen, "ncpumaps")
        domain = find_domain(session, args.dom)
        places = pinning.allowed(domain, facts(domain, args.flags), "emulator")
        return protocol.DomainGetEmulatorPinInfoRet(cpumaps.bits(places, args.maplen), 1)

    @answers(protocol.DOMAIN_GET_IOTHREAD_INFO)
    def iothread_info(
        self, session: Session, args: protocol.DomainFlagsArgs
    ) -> protocol.DomainGetIothreadInfoRet:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainGetIOThreadInfo")
        domain = find_domain(session, args.dom)
        known = facts(domain, args.flags)
        cpus = known.vcpus if session.host.name == "test" else session.host.cpus
        everything = set(range(cpus))
        found = [
            protocol.DomainIothreadInfo(
                number,
                cpumaps.bits(
                    pinning.allowed(domain, known, "iothread", number) & everything or everything,
                    min(_MAP_MAX, (cpus + 7) // 8),
                ),
            )
            for number in known.iothreads
        ]
        return protocol.DomainGetIothreadInfoRet(found, len(found))

    @answers(protocol.DOMAIN_PIN_IOTHREAD)
    def pin_iothread(self, session: Session, args: protocol.DomainPinIothreadArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainPinIOThread")
        domain = find_domain(session, args.dom)
        meant = _one_or_both(session, domain, args.flags)
        pinning.pin(domain, "iothread", args.iothreads_id, args.cpumap, meant)

    @answers(protocol.DOMAIN_ADD_IOTHREAD)
    def add_iothread(self, session: Session, args: protocol.DomainIothreadArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainAddIOThread")
        domain = find_domain(session, args.dom)
        meant = _one_or_both(session, domain, args.flags)
        iothreads.add_thread(domain, args.iothread_id, meant)

    @answers(protocol.DOMAIN_DEL_IOTHREAD)
    def remove_iothread(self, session: Session, args: protocol.DomainIothreadArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainDelIOThread")
        domain = find_domain(session, args.dom)
        meant = _one_or_both(session, domain, args.flags)
        iothreads.remove_thread(domain, args.iothread_id, meant)

    @answers(protocol.DOMAIN_SET_IOTHREAD_PARAMS)
    def tune_iothread(self, session: Session, args: protocol.DomainSetIothreadParamsArgs) -> None:
        session.host.flavour.check_flags(args.flags, LIVE, "DomainSetIOThreadParams")
        domain = find_domain(session, args.dom)
        impact(domain, LIVE)
        iothreads.tune(domain, args.iothread_id, args.params)

    @answers(protocol.DOMAIN_SET_VCPU)
    def set_vcpu(self, session: Session, args: protocol.DomainCpumapStateArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainSetVcpu")
        domain = find_domain(session, args.dom)
        resources.set_single_vcpus(domain, args.cpumap, args.state, impact(domain, args.flags))
