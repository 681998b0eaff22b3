"""The statistics of a domain in groups, as typed parameters, in libvirt's order and with its names.

A parameter is encoded at once: one call asks for a hundred of each of a thousand guests.

Source: libvirt's src/qemu/qemu_driver.c (qemuDomainGetStatsWorkers) and src/test/test_driver.c, which
has two of the groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.constants.domain import DomainMemoryStatTags as Tag
from aiovirt.daemons.virtd.constants.domain import VcpuState
from aiovirt.daemons.virtd.constants.domain_flags import DomainStatsTypes as Group
from aiovirt.daemons.virtd.host import machine
from aiovirt.rpc.wire.typedparams import ParamType, encoded

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

_SECOND: Final = 1_000_000_000
#: Where a guest keeps the measurement of how fast it writes to its memory.
DIRTY_RATE: Final = "dirty-rate"
#: The names of the statistics of memory among those of the balloon.
_BALLOON: Final[Mapping[int, str]] = {
    Tag.SWAP_IN: "swap_in",
    Tag.SWAP_OUT: "swap_out",
    Tag.MAJOR_FAULT: "major_fault",
    Tag.MINOR_FAULT: "minor_fault",
    Tag.UNUSED: "unused",
    Tag.AVAILABLE: "available",
    Tag.RSS: "rss",
    Tag.USABLE: "usable",
    Tag.LAST_UPDATE: "last-update",
    Tag.DISK_CACHES: "disk_caches",
    Tag.HUGETLB_PGALLOC: "hugetlb_pgalloc",
    Tag.HUGETLB_PGFAIL: "hugetlb_pgfail",
}


def _int(name: str, value: int) -> bytes:
    return encoded(ParamType.INT, name, value)


def _uint(name: str, value: int) -> bytes:
    return encoded(ParamType.UINT, name, value)


def _long(name: str, value: int) -> bytes:
    return encoded(ParamType.LLONG, name, value)


def _ulong(name: str, value: int) -> bytes:
    return encoded(ParamType.ULLONG, name, value)


def _string(name: str, value: str) -> bytes:
    return encoded(ParamType.STRING, name, value)


def _state(domain: Domain) -> list[bytes]:
    record = domain.record
    return [_int("state.state", record.state), _int("state.reason", record.reason)]


def _cpu(domain: Domain) -> list[bytes]:
    if not domain.is_active:
        return []
    times = machine.times(domain)
    return [
        _ulong("cpu.time", times.total),
        _ulong("cpu.user", times.user),
        _ulong("cpu.system", times.system),
        _uint("cpu.cache.monitor.count", 0),
        _ulong("cpu.haltpoll.success.time", 0),
        _ulong("cpu.haltpoll.fail.time", 0),
    ]


def _balloon(domain: Domain) -> list[bytes]:
    facts = domain.record.facts
    known = facts.memory if facts.has_balloon else facts.maximum
    found = [_ulong("balloon.current", known), _ulong("balloon.maximum", facts.maximum)]
    if domain.is_active:
        found += [
            _ulong(f"balloon.{_BALLOON[tag]}", value)
            for tag, value in machine.memory_counts(domain)
            if tag in _BALLOON
        ]
    return found


def _vcpu(domain: Domain) -> list[bytes]:
    facts = domain.record.facts
    found = [_uint("vcpu.current", facts.vcpus), _uint("vcpu.maximum", facts.vcpus_maximum)]
    if not domain.is_active:
        return found
    for number in range(facts.vcpus):
        time = machine.vcpu_time(domain, number)
        found += [
            _int(f"vcpu.{number}.state", VcpuState.RUNNING),
            _ulong(f"vcpu.{number}.time", time),
            _ulong(f"vcpu.{number}.wait", 0),
            _ulong(f"vcpu.{number}.delay", time // 50),
        ]
    return found


def _interface(domain: Domain) -> list[bytes]:
    if not domain.is_active:
        return []
    nics = domain.record.facts.nics
    found = [_uint("net.count", len(nics))]
    for at, nic in enumerate(nics):
        if not nic.name:
            continue
        counts, head = machine.net_counts(domain, nic.mac), f"net.{at}"
        found += [
            _string(f"{head}.name", nic.name),
            _ulong(f"{head}.rx.bytes", counts.rx_bytes),
            _ulong(f"{head}.rx.pkts", counts.rx_packets),
            _ulong(f"{head}.rx.errs", 0),
            _ulong(f"{head}.rx.drop", 0),
            _ulong(f"{head}.tx.bytes", counts.tx_bytes),
            _ulong(f"{head}.tx.pkts", counts.tx_packets),
            _ulong(f"{head}.tx.errs", 0),
            _ulong(f"{head}.tx.drop", 0),
        ]
    return found


def _block(domain: Domain) -> list[bytes]:
    disks = domain.record.facts.disks
    found = [_uint("block.count", len(disks))]
    for at, disk in enumerate(disks):
        head = f"block.{at}"
        found.append(_string(f"{head}.name", disk.target))
        if disk.source and disk.is_local:
            found.append(_string(f"{head}.path", disk.source))
        if domain.is_active:
            if disk.source:
                found.append(_uint(f"{head}.backingIndex", at + 1))
            counts = machine.block_counts(domain, disk)
            found += [
                _ulong(f"{head}.rd.reqs", counts.reads),
                _ulong(f"{head}.rd.bytes", counts.read_bytes),
                _ulong(f"{head}.rd.times", counts.read_times),
                _ulong(f"{head}.wr.reqs", counts.writes),
                _ulong(f"{head}.wr.bytes", counts.written_bytes),
                _ulong(f"{head}.wr.times", counts.write_times),
                _ulong(f"{head}.fl.reqs", counts.flushes),
                _ulong(f"{head}.fl.times", counts.flush_times),
            ]
        if not disk.source:
            continue
        sizes = machine.sizes(domain, disk)
        found += [
            _ulong(f"{head}.allocation", sizes.allocation),
            _ulong(f"{head}.capacity", sizes.capacity),
            _ulong(f"{head}.physical", sizes.physical),
        ]
    return found


def _iothread(domain: Domain) -> list[bytes]:
    threads = domain.record.facts.iothreads
    if not domain.is_active or not threads:
        return []
    polls = domain.detail("iothreads", {})
    found = [_uint("iothread.count", len(threads))]
    for number in threads:
        longest, grow, shrink = polls.get(str(number), (32768, 0, 0))
        found += [
            _ulong(f"iothread.{number}.poll-max-ns", longest),
            _uint(f"iothread.{number}.poll-grow", grow),
            _uint(f"iothread.{number}.poll-shrink", shrink),
        ]
    return found


def begin_dirty_rate(domain: Domain, seconds: int) -> None:
    """Begin to measure how fast a guest writes to its memory. Raises RpcError.

    Args:
        domain: the guest, which runs.
        seconds: how long.
    """
    clock = domain.host.clock
    domain.keep(DIRTY_RATE, (clock.now() // _SECOND, seconds, clock.passed()))


def _dirty_rate(domain: Domain) -> list[bytes]:
    if not domain.is_active:
        return []
    begun, seconds, *moment = domain.detail(DIRTY_RATE, (0, 0))
    ends = (moment[0] if moment else 0) + seconds * _SECOND  # earlier versions kept no moment
    measured = bool(seconds) and domain.host.clock.passed() >= ends
    status = 0 if not seconds else 2 if measured else 1
    found = [
        _int("dirtyrate.calc_status", status),
        _long("dirtyrate.calc_start_time", begun),
        _int("dirtyrate.calc_period", seconds),
        _string("dirtyrate.calc_mode", "page-sampling"),
    ]
    if measured:
        found.append(_long("dirtyrate.megabytes_per_second", 3 + domain.uuid[0] % 20))
    return found


def _nothing(domain: Domain) -> list[bytes]:
    return []


Worker = Callable[["Domain"], list[bytes]]

_QEMU: Final[tuple[tuple[int, Worker], ...]] = (
    (Group.STATE, _state),
    (Group.CPU_TOTAL, _cpu),
    (Group.BALLOON, _balloon),
    (Group.VCPU, _vcpu),
    (Group.INTERFACE, _interface),
    (Group.BLOCK, _block),
    (Group.PERF, _nothing),
    (Group.IOTHREAD, _iothread),
    (Group.MEMORY, _nothing),
    (Group.DIRTYRATE, _dirty_rate),
    (Group.VM, _nothing),
)
_TEST: Final[tuple[tuple[int, Worker], ...]] = (
    (Group.STATE, _state),
    (Group.IOTHREAD, _iothread),
)


#: Those whose parameters stay as they are until the record of the domain changes.
_OF_RECORD: Final = frozenset((_state, _iothread, _nothing))


def groups(driver: str) -> tuple[tuple[int, Worker], ...]:
    """Return the groups of a driver with what makes each, in libvirt's order."""
    return _TEST if driver == "test" else _QEMU


def collect(domain: Domain, workers: tuple[Worker, ...]) -> list[bytes]:
    """Return the statistics of a domain, each parameter encoded.

    Args:
        domain: the domain.
        workers: of `groups`, those that are wanted.
    """
    if not _OF_RECORD.issuperset(workers):
        return [made for worker in workers for made in worker(domain)]
    known = domain.record.__dict__
    found: dict[tuple[Worker, ...], list[bytes]] = known.setdefault("statistics", {})
    if workers not in found:
        found[workers] = [made for worker in workers for made in worker(domain)]
    return found[workers]
