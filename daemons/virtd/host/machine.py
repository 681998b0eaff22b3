"""The work of a running guest: the counters of its processors, memory, disks and interfaces.

Counters grow with the time for which the guest has run and stand still while it is paused. How fast
they grow follows from the guest's UUID, so that a guest has the same rates after each start. The test
driver has constants instead, or the wall clock.

Source of the test driver's values: libvirt's src/test/test_driver.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from aiovirt.daemons.virtd.constants.domain import DomainMemoryStatTags as Tag

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Disk, Domain

_SECOND: Final = 1_000_000_000
#: The resolution of a process's times: that of the kernel's clock tick.
_TICK: Final = 10_000_000
#: Seconds for which a guest boots, and is busier than later.
_BOOT: Final = 8
#: Bytes of a disk of which nothing is known.
_CAPACITY: Final = 10 << 30


class Times(NamedTuple):
    """Processor time of a guest, in nanoseconds: all of it, and its parts."""

    total: int
    user: int
    system: int


class BlockCounts(NamedTuple):
    """The work of a disk. times: in nanoseconds."""

    reads: int
    read_bytes: int
    read_times: int
    writes: int
    written_bytes: int
    write_times: int
    flushes: int
    flush_times: int


class NetCounts(NamedTuple):
    """The work of an interface, as the guest sees it."""

    rx_bytes: int
    rx_packets: int
    tx_bytes: int
    tx_packets: int


class Sizes(NamedTuple):
    """Sizes of a disk in bytes."""

    allocation: int
    capacity: int
    physical: int


def _seed(domain: Domain, salt: str = "") -> int:
    """A number from 0 to 999 that is the guest's own."""
    value = int.from_bytes(domain.uuid[-4:], "big")
    for letter in salt:
        value = (value * 31 + ord(letter)) & 0xFFFFFFFF
    return (value ^ value >> 13) % 1000


def _work(domain: Domain) -> int:
    """Nanoseconds that the guest has run, those of booting counted several times."""
    ran = domain.ran()
    return ran + 4 * min(ran, _BOOT * _SECOND)


def vcpu_time(domain: Domain, number: int) -> int:
    """Return the nanoseconds that one processor of a guest has worked."""
    if domain.host.flavour.name == "test":
        return domain.host.clock.now() // 1000 // 10
    share = 20 + _seed(domain, "cpu") % 180  # thousandths of the time
    if number:
        share = share // 2
    return _work(domain) * share // 1000 // _TICK * _TICK


def times(domain: Domain) -> Times:
    """Return the processor time of a guest: of its processors, and of what emulates it."""
    if domain.host.flavour.name == "test":  # of one that is shut off, too
        now = domain.host.clock.now() // 1000 * 1000
        return Times(now, now, 0)
    if not domain.is_active:
        return Times(0, 0, 0)
    vcpus = sum(vcpu_time(domain, number) for number in range(domain.record.facts.vcpus))
    overhead = _work(domain) // 100
    user = (vcpus + overhead // 2) // _TICK * _TICK
    system = overhead // 2 // _TICK * _TICK
    return Times(user + system, user, system)


def block_counts(domain: Domain, disk: Disk) -> BlockCounts:
    """Return what a disk of a running guest has done."""
    if not disk.source or not domain.is_active:
        return BlockCounts(0, 0, 0, 0, 0, 0, 0, 0)
    seed, work = _seed(domain, disk.target), _work(domain)
    reads = work * (20 + seed % 60) // _SECOND
    writes = 0 if disk.device == "cdrom" else work * (5 + seed % 25) // _SECOND
    flushes = writes // 12
    return BlockCounts(
        reads,
        reads * (4096 + seed * 16) // 512 * 512,
        reads * 180_000,
        writes,
        writes * 8192,
        writes * 420_000,
        flushes,
        flushes * 900_000,
    )


def net_counts(domain: Domain, mac: str) -> NetCounts:
    """Return what an interface of a running guest has done.

    Args:
        domain: the guest.
        mac: the hardware address of the interface.
    """
    seed, work = _seed(domain, mac), _work(domain)
    received = work * (2 + seed % 9) // _SECOND
    sent = work * (1 + seed % 7) // _SECOND
    return NetCounts(received * (90 + seed % 400), received, sent * (80 + seed % 300), sent)


def sizes(domain: Domain, disk: Disk) -> Sizes:
    """Return the sizes of a disk: those of its volume if a pool has it, or else made up."""
    volume = domain.host.volumes.by_path(disk.source)
    known = 0 if volume is None else volume.capacity
    capacity = int(domain.detail("sizes", {}).get(disk.source, 0)) or known or _CAPACITY
    counts = block_counts(domain, disk)
    allocation = min(capacity, (1 << 20) * (200 + _seed(domain, disk.source)))
    return Sizes(min(capacity, allocation + counts.written_bytes // 8), capacity, capacity)


def memory_counts(domain: Domain) -> list[tuple[int, int]]:
    """Return the statistics of a guest's memory, as (tag, value); sizes in KiB."""
    facts = domain.record.facts
    size = facts.memory
    if domain.host.flavour.name == "test":
        return _test_memory(size) if facts.has_balloon else []
    if not facts.has_balloon:
        return [(Tag.RSS, size // 2)]
    ran = domain.ran() // _SECOND
    used = size * (200 + _seed(domain, "memory") % 500 + min(ran, 60) * 2) // 1000
    caches = (size - used) // 4
    known = [(Tag.ACTUAL_BALLOON, size)]
    if ran or domain.detail("memory-period"):
        known += [
            (Tag.SWAP_IN, 0),
            (Tag.SWAP_OUT, 0),
            (Tag.MAJOR_FAULT, 200 + ran // 10),
            (Tag.MINOR_FAULT, 40_000 + ran * 37),
            (Tag.UNUSED, size - used - caches),
            (Tag.AVAILABLE, size - size // 40),
            (Tag.USABLE, size - used - size // 40),
            (Tag.LAST_UPDATE, domain.host.clock.now() // _SECOND),
            (Tag.DISK_CACHES, caches),
            (Tag.HUGETLB_PGALLOC, 0),
            (Tag.HUGETLB_PGFAIL, 0),
        ]
    else:
        known.append((Tag.LAST_UPDATE, 0))
    known.append((Tag.RSS, used + 40_000))
    return [(int(tag), value) for tag, value in known]


def _test_memory(size: int) -> list[tuple[int, int]]:
    return [
        (Tag.ACTUAL_BALLOON, size),
        (Tag.SWAP_IN, 0),
        (Tag.SWAP_OUT, 0),
        (Tag.MAJOR_FAULT, 0),
        (Tag.MINOR_FAULT, 0),
        (Tag.UNUSED, size // 2),
        (Tag.AVAILABLE, size),
        (Tag.USABLE, size // 2),
        (Tag.LAST_UPDATE, 627_319_920),
        (Tag.DISK_CACHES, size // 8),
        (Tag.HUGETLB_PGALLOC, 0),
        (Tag.HUGETLB_PGFAIL, 0),
        (Tag.RSS, size // 2),
    ]
