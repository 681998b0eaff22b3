"""Domains: counters of processors, memory, disks and interfaces, and all of them in one call.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_flags import ConnectGetAllDomainStatsFlags as Wanted
from aiovirt.daemons.virtd.dispatch.domain_lists import chosen
from aiovirt.daemons.virtd.dispatch.finding import encoded_ref, find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import machine, statistics
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import STRING_OKAY, TypedParam, llong, ullong

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Disk, Domain

#: Flags that choose domains; the others say how.
_FILTERS: Final = 255
_FLAGS: Final = _FILTERS | Wanted.NOWAIT | Wanted.BACKING | Wanted.ENFORCE_STATS
#: What the test driver says of the processor time of every guest, in nanoseconds.
_TEST_TIME: Final = 48_772_617_035


def limited(found: list[TypedParam], limit: int) -> list[TypedParam]:
    """Cut parameters to what a client has room for; one that asks for 0 wants their number only."""
    return found[: max(0, limit)]


class DomainStatistics:
    """Serves the counters of domains."""

    @answers(protocol.CONNECT_GET_ALL_DOMAIN_STATS)
    def all_stats(
        self, session: Session, args: protocol.ConnectGetAllDomainStatsArgs
    ) -> protocol.ConnectGetAllDomainStatsRet:
        host = session.host
        host.flavour.check_flags(args.flags, _FLAGS, "ConnectGetAllDomainStats")
        groups = statistics.groups(host.name)
        supported = sum(group for group, _ in groups)
        foreign = args.stats & ~supported
        if foreign and args.flags & Wanted.ENFORCE_STATS:
            raise RpcError.of(
                ErrorCode.ARGUMENT_UNSUPPORTED,
                f"Stats types bits 0x{foreign:x} are not supported by this daemon"
                + (" or QEMU" if host.name == "qemu" else ""),
                domain=host.flavour.domain,
            )
        wanted = args.stats or supported
        workers = tuple(worker for group, worker in groups if group & wanted)
        filters = args.flags & _FILTERS
        domains = (
            [one for ref in args.doms if (one := host.domains.by_uuid(ref.uuid)) is not None]
            if args.doms
            else host.domains
        )
        return protocol.ConnectGetAllDomainStatsRet(
            xdr.EncodedItems(
                _encoded(one, workers) for one in domains if not filters or chosen(one, filters)
            )
        )

    @answers(protocol.DOMAIN_GET_CPU_STATS)
    def cpu_stats(
        self, session: Session, args: protocol.DomainGetCpuStatsArgs
    ) -> protocol.DomainGetCpuStatsRet:
        host = session.host
        host.flavour.check_flags(args.flags, STRING_OKAY, "DomainGetCPUStats")
        domain = find_domain(session, args.dom)
        domain.require_active()
        if args.start_cpu == -1:
            found = _total(domain)
            if not args.nparams:
                return protocol.DomainGetCpuStatsRet([], len(found))
            return protocol.DomainGetCpuStatsRet(limited(found, args.nparams), len(found))
        if args.start_cpu < 0:
            raise RpcError(
                ErrorCode.INVALID_ARG,
                "start_cpu in virDomainGetCPUStats must be zero or greater",
                domain=ErrorDomain.DOMAIN,
            )
        cpus = 2 if host.name == "test" else host.cpus
        if not args.nparams and args.ncpus:
            return protocol.DomainGetCpuStatsRet([], 2)
        if not args.ncpus:
            return protocol.DomainGetCpuStatsRet([], cpus)
        if args.start_cpu >= cpus:
            raise RpcError.of(
                ErrorCode.INVALID_ARG,
                f"start_cpu {args.start_cpu} larger than maximum of {cpus - 1}",
                domain=host.flavour.domain,
            )
        numbers = range(args.start_cpu, min(cpus, args.start_cpu + args.ncpus))
        made = [
            param for one in numbers for param in limited(_of_cpu(domain, one, cpus), args.nparams)
        ]
        return protocol.DomainGetCpuStatsRet(made, min(2, args.nparams))

    @answers(protocol.DOMAIN_MEMORY_STATS)
    def memory_stats(
        self, session: Session, args: protocol.DomainMemoryStatsArgs
    ) -> protocol.DomainMemoryStatsRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainMemoryStats")
        domain = find_domain(session, args.dom)
        domain.require_active()
        known = machine.memory_counts(domain)[: args.maxStats]
        return protocol.DomainMemoryStatsRet(
            [protocol.DomainMemoryStat(tag, value) for tag, value in known]
        )

    @answers(protocol.DOMAIN_BLOCK_STATS)
    def block_stats(
        self, session: Session, args: protocol.DomainBlockStatsArgs
    ) -> protocol.DomainBlockStatsRet:
        domain = find_domain(session, args.dom)
        if session.host.name == "test":
            if not args.path:
                raise RpcError.of(
                    ErrorCode.OPERATION_UNSUPPORTED,
                    "summary statistics are not supported yet",
                    domain=ErrorDomain.TEST,
                )
            domain.require_active()
            _disk(domain, args.path, "invalid path: {}")
            base = session.host.clock.now() // 1000
            return protocol.DomainBlockStatsRet(
                base // 10, base // 20, base // 30, base // 40, base // 2_000_000
            )
        counts = _block(domain, args.path)
        return protocol.DomainBlockStatsRet(
            counts.reads, counts.read_bytes, counts.writes, counts.written_bytes, -1
        )

    @answers(protocol.DOMAIN_BLOCK_STATS_FLAGS)
    def block_stats_flags(
        self, session: Session, args: protocol.DomainBlockStatsFlagsArgs
    ) -> protocol.DomainBlockStatsFlagsRet:
        session.host.flavour.check_flags(args.flags, STRING_OKAY, "DomainBlockStatsFlags")
        counts = _block(find_domain(session, args.dom), args.path)
        found = [
            llong("wr_bytes", counts.written_bytes),
            llong("wr_operations", counts.writes),
            llong("rd_bytes", counts.read_bytes),
            llong("rd_operations", counts.reads),
            llong("flush_operations", counts.flushes),
            llong("wr_total_times", counts.write_times),
            llong("rd_total_times", counts.read_times),
            llong("flush_total_times", counts.flush_times),
        ]
        if not args.nparams:
            return protocol.DomainBlockStatsFlagsRet([], len(found))
        return protocol.DomainBlockStatsFlagsRet(limited(found, args.nparams), 0)

    @answers(protocol.DOMAIN_GET_BLOCK_INFO)
    def block_info(
        self, session: Session, args: protocol.DomainPathFlagsArgs
    ) -> protocol.DomainGetBlockInfoRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainGetBlockInfo")
        domain = find_domain(session, args.dom)
        disk = _disk(domain, args.path, "invalid path {} not assigned to domain")
        if not disk.source:
            raise RpcError.of(
                ErrorCode.INVALID_ARG,
                f"disk '{args.path}' does not currently have a source assigned",
                domain=session.host.flavour.domain,
            )
        if session.host.name == "test":
            return protocol.DomainGetBlockInfoRet(1 << 40, 1_099_506_450_432, 1 << 40)
        return protocol.DomainGetBlockInfoRet(*machine.sizes(domain, disk))

    @answers(protocol.DOMAIN_INTERFACE_STATS)
    def interface_stats(
        self, session: Session, args: protocol.DomainInterfaceStatsArgs
    ) -> protocol.DomainInterfaceStatsRet:
        domain = find_domain(session, args.dom)
        domain.require_active()
        nic = domain.record.facts.nic(args.device)
        if nic is None:
            raise RpcError.of(
                ErrorCode.INVALID_ARG,
                f"'{args.device}' is not a known interface",
                domain=ErrorDomain.DOMAIN,
            )
        if session.host.name == "test":
            base = session.host.clock.now() // 1000
            return protocol.DomainInterfaceStatsRet(
                base // 10,
                base // 100,
                base // 1_000_000,
                base // 2_000_000,
                base // 20,
                base // 110,
                base // 3_000_000,
                base // 4_000_000,
            )
        counts = machine.net_counts(domain, nic.mac)
        return protocol.DomainInterfaceStatsRet(
            counts.rx_bytes, counts.rx_packets, 0, 0, counts.tx_bytes, counts.tx_packets, 0, 0
        )


def _encoded(domain: Domain, workers: tuple[statistics.Worker, ...]) -> bytes:
    """The encoding of a DomainStatsRecord."""
    found = statistics.collect(domain, workers)
    return b"".join((encoded_ref(domain), len(found).to_bytes(4, "big"), *found))


def _disk(domain: Domain, path: str, text: str) -> Disk:
    found = domain.record.facts.disk(path)
    if found is None:
        raise RpcError.of(
            ErrorCode.INVALID_ARG, text.format(path), domain=domain.host.flavour.domain
        )
    return found


def _block(domain: Domain, path: str) -> machine.BlockCounts:
    """The counters of one disk, or of all of them together for an empty path."""
    domain.require_active()
    if path:
        return machine.block_counts(domain, _disk(domain, path, "invalid path: {}"))
    disks = [machine.block_counts(domain, one) for one in domain.record.facts.disks]
    return machine.BlockCounts(*map(sum, zip(*disks, strict=True))) if disks else _NOTHING


_NOTHING: Final = machine.BlockCounts(0, 0, 0, 0, 0, 0, 0, 0)


def _total(domain: Domain) -> list[TypedParam]:
    if domain.host.name == "test":
        times = machine.Times(_TEST_TIME, 5_540_000_000, 6_460_000_000)
    else:
        times = machine.times(domain)
    return [
        ullong("cpu_time", times.total),
        ullong("user_time", times.user),
        ullong("system_time", times.system),
    ]


def _of_cpu(domain: Domain, number: int, cpus: int) -> list[TypedParam]:
    if domain.host.name == "test":
        time = _TEST_TIME // cpus + number
        return [ullong("cpu_time", time), ullong("vcpu_time", time - 1_234_567_890)]
    times = machine.times(domain)
    return [
        ullong("cpu_time", times.total // cpus),
        ullong("vcpu_time", (times.total - times.system) // cpus),
    ]
