"""Domains: typed parameters of memory, nodes, disks, interfaces and the scheduler, got and set.

A client asks for the number of parameters first, with room for none.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import iotune, perf, resources, tuning
from aiovirt.daemons.virtd.host.editing import IMPACT, facts, impact, one_of
from aiovirt.rpc.wire.typedparams import STRING_OKAY, TypedParam, without_strings

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.editing import Impact

_GET: Final = IMPACT | STRING_OKAY


def _meant(session: Session, domain: Domain, flags: int) -> Impact:
    """The documents that a setter changes: the test driver's change one at a time."""
    return one_of(domain, flags) if session.host.name == "test" else impact(domain, flags)


def _given(found: list[TypedParam], limit: int, flags: int) -> list[TypedParam]:
    """Cut parameters to what a client has room for, without strings for one that takes none."""
    kept = found[: max(0, limit)]
    return kept if flags & STRING_OKAY else without_strings(kept)


def _told(domain: Domain, meant: Impact, params: list[TypedParam]) -> None:
    """Tell of what changed in a running guest; the test driver does not."""
    if meant.live and params and domain.host.name == "qemu":
        domain.emit(DomainEventID.TUNABLE, params)


class DomainTuning:
    """Serves typed parameters."""

    @answers(protocol.DOMAIN_GET_MEMORY_PARAMETERS)
    def memory(
        self, session: Session, args: protocol.DomainParamsArgs
    ) -> protocol.DomainGetMemoryParametersRet:
        session.host.flavour.check_flags(args.flags, _GET, "DomainGetMemoryParameters")
        domain = find_domain(session, args.dom)
        if not args.nparams:
            return protocol.DomainGetMemoryParametersRet([], len(tuning.MEMORY))
        found = tuning.memory(facts(domain, args.flags))
        return protocol.DomainGetMemoryParametersRet(_given(found, args.nparams, args.flags), 0)

    @answers(protocol.DOMAIN_SET_MEMORY_PARAMETERS)
    def set_memory(self, session: Session, args: protocol.DomainSetMemoryParametersArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainSetMemoryParameters")
        domain = find_domain(session, args.dom)
        tuning.set_memory(domain, args.params, _meant(session, domain, args.flags))

    @answers(protocol.DOMAIN_GET_NUMA_PARAMETERS)
    def numa(
        self, session: Session, args: protocol.DomainParamsArgs
    ) -> protocol.DomainGetNumaParametersRet:
        session.host.flavour.check_flags(args.flags, _GET, "DomainGetNumaParameters")
        domain = find_domain(session, args.dom)
        if not args.nparams:
            return protocol.DomainGetNumaParametersRet([], len(tuning.NUMA))
        found = tuning.numa(facts(domain, args.flags))
        return protocol.DomainGetNumaParametersRet(_given(found, args.nparams, args.flags), 0)

    @answers(protocol.DOMAIN_SET_NUMA_PARAMETERS)
    def set_numa(self, session: Session, args: protocol.DomainSetNumaParametersArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainSetNumaParameters")
        domain = find_domain(session, args.dom)
        tuning.set_numa(domain, args.params, _meant(session, domain, args.flags))

    @answers(protocol.DOMAIN_GET_BLKIO_PARAMETERS)
    def blkio(
        self, session: Session, args: protocol.DomainParamsArgs
    ) -> protocol.DomainGetBlkioParametersRet:
        session.host.flavour.check_flags(args.flags, _GET, "DomainGetBlkioParameters")
        domain = find_domain(session, args.dom)
        if not args.nparams:
            return protocol.DomainGetBlkioParametersRet([], len(tuning.BLKIO))
        found = tuning.blkio(facts(domain, args.flags))
        return protocol.DomainGetBlkioParametersRet(_given(found, args.nparams, args.flags), 0)

    @answers(protocol.DOMAIN_SET_BLKIO_PARAMETERS)
    def set_blkio(self, session: Session, args: protocol.DomainSetBlkioParametersArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainSetBlkioParameters")
        domain = find_domain(session, args.dom)
        tuning.set_blkio(domain, args.params, _meant(session, domain, args.flags))

    @answers(protocol.DOMAIN_GET_INTERFACE_PARAMETERS)
    def bandwidth(
        self, session: Session, args: protocol.DomainGetInterfaceParametersArgs
    ) -> protocol.DomainGetInterfaceParametersRet:
        session.host.flavour.check_flags(args.flags, _GET, "DomainGetInterfaceParameters")
        domain = find_domain(session, args.dom)
        if not args.nparams:
            return protocol.DomainGetInterfaceParametersRet([], len(tuning.BANDWIDTH))
        found = tuning.bandwidth(domain, facts(domain, args.flags), args.device)
        kept = _given(found, args.nparams, args.flags)
        return protocol.DomainGetInterfaceParametersRet(kept, 0)

    @answers(protocol.DOMAIN_SET_INTERFACE_PARAMETERS)
    def set_bandwidth(
        self, session: Session, args: protocol.DomainSetInterfaceParametersArgs
    ) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainSetInterfaceParameters")
        domain = find_domain(session, args.dom)
        meant = _meant(session, domain, args.flags)
        tuning.set_bandwidth(domain, args.device, args.params, meant)

    @answers(protocol.DOMAIN_GET_BLOCK_IO_TUNE)
    def iotune(
        self, session: Session, args: protocol.DomainGetBlockIoTuneArgs
    ) -> protocol.DomainGetBlockIoTuneRet:
        session.host.flavour.check_flags(args.flags, _GET, "DomainGetBlockIoTune")
        domain = find_domain(session, args.dom)
        if not args.nparams:
            return protocol.DomainGetBlockIoTuneRet([], len(iotune.NAMES))
        found = iotune.get(domain, facts(domain, args.flags), args.disk or "")
        return protocol.DomainGetBlockIoTuneRet(_given(found, args.nparams, args.flags), 0)

    @answers(protocol.DOMAIN_SET_BLOCK_IO_TUNE)
    def set_iotune(self, session: Session, args: protocol.DomainSetBlockIoTuneArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainSetBlockIoTune")
        domain = find_domain(session, args.dom)
        meant = _meant(session, domain, args.flags)
        _told(domain, meant, iotune.set_(domain, args.disk, args.params, meant))

    # The scheduler -------------------------------------------------------------------------------

    @answers(protocol.DOMAIN_GET_SCHEDULER_TYPE)
    def scheduler_type(
        self, session: Session, args: protocol.DomainArgs
    ) -> protocol.DomainGetSchedulerTypeRet:
        find_domain(session, args.dom)
        if session.host.name == "test":
            return protocol.DomainGetSchedulerTypeRet("fair", 1)
        return protocol.DomainGetSchedulerTypeRet("posix", len(tuning.SCHEDULER))

    @answers(protocol.DOMAIN_GET_SCHEDULER_PARAMETERS)
    def scheduler(
        self, session: Session, args: protocol.DomainGetSchedulerParametersArgs
    ) -> protocol.DomainGetSchedulerParametersRet:
        domain = find_domain(session, args.dom)
        return self._scheduler(domain, args.nparams, 0)

    @answers(protocol.DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS)
    def scheduler_flags(
        self, session: Session, args: protocol.DomainParamsArgs
    ) -> protocol.DomainGetSchedulerParametersRet:
        supported = 0 if session.host.name == "test" else _GET
        # The test driver refuses STRING_OKAY, which libvirt's client adds; virsh then asks without it.
        flavour = session.host.flavour
        flavour.check_flags(args.flags, supported, "DomainGetSchedulerParametersFlags")
        flags = args.flags & ~STRING_OKAY
        return self._scheduler(find_domain(session, args.dom), args.nparams, flags)

    @staticmethod
    def _scheduler(
        domain: Domain, limit: int, flags: int
    ) -> protocol.DomainGetSchedulerParametersRet:
        is_live = one_of(domain, flags).live if domain.host.name == "qemu" else domain.is_active
        known = domain.record.facts if is_live else domain.record.config_facts
        found = tuning.scheduler(domain, known, is_live=is_live)
        return protocol.DomainGetSchedulerParametersRet(found[: max(0, limit)])

    @answers(protocol.DOMAIN_SET_SCHEDULER_PARAMETERS)
    def set_scheduler(
        self, session: Session, args: protocol.DomainSetSchedulerParametersArgs
    ) -> None:
        self._set_scheduler(find_domain(session, args.dom), args.params, 0)

    @answers(protocol.DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS)
    def set_scheduler_flags(
        self, session: Session, args: protocol.DomainSetSchedulerParametersFlagsArgs
    ) -> None:
        supported = 0 if session.host.name == "test" else IMPACT
        flavour = session.host.flavour
        flavour.check_flags(args.flags, supported, "DomainSetSchedulerParametersFlags")
        self._set_scheduler(find_domain(session, args.dom), args.params, args.flags)

    @staticmethod
    def _set_scheduler(domain: Domain, params: list[TypedParam], flags: int) -> None:
        meant = impact(domain, flags)
        _told(domain, meant, tuning.set_scheduler(domain, params, meant))

    # Others --------------------------------------------------------------------------------------

    @answers(protocol.DOMAIN_GET_PERF_EVENTS)
    def perf_events(
        self, session: Session, args: protocol.DomainFlagsArgs
    ) -> protocol.DomainGetPerfEventsRet:
        session.host.flavour.check_flags(args.flags, _GET, "DomainGetPerfEvents")
        return protocol.DomainGetPerfEventsRet(
            perf.get(facts(find_domain(session, args.dom), args.flags))
        )

    @answers(protocol.DOMAIN_SET_PERF_EVENTS)
    def set_perf_events(self, session: Session, args: protocol.DomainSetPerfEventsArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainSetPerfEvents")
        domain = find_domain(session, args.dom)
        perf.set_(domain, args.params, _meant(session, domain, args.flags))

    @answers(protocol.DOMAIN_SET_MEMORY_STATS_PERIOD)
    def set_memory_period(
        self, session: Session, args: protocol.DomainSetMemoryStatsPeriodArgs
    ) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainSetMemoryStatsPeriod")
        domain = find_domain(session, args.dom)
        resources.set_memory_period(domain, args.period, _meant(session, domain, args.flags))

    @answers(protocol.DOMAIN_SET_LIFECYCLE_ACTION)
    def set_lifecycle_action(
        self, session: Session, args: protocol.DomainSetLifecycleActionArgs
    ) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainSetLifecycleAction")
        domain = find_domain(session, args.dom)
        resources.set_lifecycle_action(domain, args.type, args.action, impact(domain, args.flags))
