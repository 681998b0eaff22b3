"""The machine of a host: its processors and its memory, in numbers.

Test's are those of libvirt's test driver. qemu's host is a machine with 8 processors and 16 GiB, on one
NUMA cell; its free memory is what its running guests leave.

Source: libvirt's src/test/test_driver.c (testNodeGetInfo and its like), src/util/virhostcpu.c and
virhostmem.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host

_GIB: Final = 1 << 20
"""One GiB in KiB."""
#: KiB that qemu's host itself uses.
_USED: Final = 1 * _GIB


class Machine(msgspec.Struct, frozen=True):
    """A machine.

    model: of its processors; memory: in KiB; cpus: how many; mhz: their frequency; nodes: NUMA cells;
    sockets, cores, threads: of one cell, socket and core; cells: the memory of each cell, in KiB.
    """

    model: str
    memory: int
    cpus: int
    mhz: int
    nodes: int
    sockets: int
    cores: int
    threads: int
    cells: tuple[int, ...]


TEST: Final = Machine("i686", 3145728, 16, 1400, 2, 2, 2, 2, (2048, 4096))
QEMU: Final = Machine("x86_64", 16 * _GIB, 8, 2400, 1, 1, 4, 2, (16 * _GIB,))
_TEST_TIMES: Final = {
    "user": 9797400000,
    "kernel": 34678723400000,
    "idle": 87264900000,
    "iowait": 763600000,
}
#: What of each thousandth of the time qemu's processors do.
_SHARES: Final = {"user": 40, "kernel": 15, "idle": 943, "iowait": 2}


def machine(host: Host) -> Machine:
    """Return the machine of a host."""
    return TEST if host.name == "test" else QEMU


def free_memory(host: Host) -> int:
    """Return the free memory of a host, in bytes."""
    if host.name == "test":
        return 3072 * 1024
    taken = sum(one.record.facts.memory for one in host.domains.active())
    return max(QEMU.memory // 64, QEMU.memory - _USED - taken) * 1024


def cells_free(host: Host, start: int, count: int) -> list[int]:
    """Return the free memory of NUMA cells, in bytes.

    Args:
        host: the host.
        start: the first cell; of free pages, -1 is the whole machine.
        count: how many at most.

    Raises:
        RpcError: INVALID_ARG or, of qemu, INTERNAL_ERROR for a cell that does not exist.
    """
    cells = machine(host).cells
    if host.name == "test":
        if start >= len(cells) or start < 0:
            detail = "Range exceeds available cells"
            raise RpcError.of(ErrorCode.INVALID_ARG, detail, domain=ErrorDomain.TEST)
        return [one * 1024 for one in cells[start : start + max(0, count)]]
    if start >= len(cells) or start < 0:
        detail = f"start cell {start} out of range (0-{len(cells) - 1})"
        raise RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=ErrorDomain.NONE)
    return [free_memory(host)][: max(0, count)]


def cpu_times(host: Host, number: int) -> dict[str, int]:
    """Return for what a processor was used, in nanoseconds.

    Args:
        host: the host.
        number: of the processor; -1 for all together.

    Raises:
        RpcError: INVALID_ARG for a processor that qemu's host does not have.
    """
    if host.name == "test":
        return _TEST_TIMES
    if not -1 <= number < QEMU.cpus:
        text = "Invalid cpuNum in virHostCPUGetStatsLinux"
        raise RpcError(ErrorCode.INVALID_ARG, text, domain=ErrorDomain.NONE)
    elapsed = host.uptime() * (QEMU.cpus if number == -1 else 1)
    return {name: elapsed * share // 1000 for name, share in _SHARES.items()}


def memory_stats(host: Host, cell: int) -> dict[str, int]:
    """Return for what memory is used, in KiB.

    Args:
        host: the host.
        cell: a NUMA cell; -1 for all together, which tells of buffers and the cache, too.

    Raises:
        RpcError: INVALID_ARG for a cell that does not exist.
    """
    found = {"total": QEMU.memory, "free": free_memory(host) // 1024}
    if cell == -1:
        return {**found, "buffers": _USED // 16, "cached": _USED // 4}
    if not 0 <= cell < QEMU.nodes:
        text = f"cellNum in virHostMemGetStats must be less than or equal to {QEMU.nodes - 1}"
        raise RpcError(ErrorCode.INVALID_ARG, text, domain=ErrorDomain.NONE)
    return found


def cpu_map(host: Host) -> tuple[bytes, int, int]:
    """Return the processors that are online, one bit each; how many they are; and how many exist."""
    if host.name == "test":
        return b"\x15", 3, 8
    return bytes([(1 << QEMU.cpus) - 1]), QEMU.cpus, QEMU.cpus


def free_pages(host: Host, pages: list[int], start: int, count: int) -> list[int]:
    """Return how many pages of memory are free, for each cell and each size.

    Args:
        host: qemu's.
        pages: sizes in KiB.
        start: the first cell; of free pages, -1 is the whole machine.
        count: how many cells.

    Raises:
        RpcError: INTERNAL_ERROR for a cell that does not exist, OPERATION_FAILED for an unknown size.
    """
    if not -1 <= start < QEMU.nodes:
        detail = f"start cell {start} out of range (0-{QEMU.nodes - 1})"
        raise RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=ErrorDomain.NONE)
    known = {4: free_memory(host) // 4096, 2048: 0, 1048576: 0}
    for size in pages:
        if size not in known:
            detail = f"page size {size} is not available on node {start}"
            raise RpcError.of(ErrorCode.OPERATION_FAILED, detail, domain=ErrorDomain.NONE)
    return [known[size] for size in pages] if count else []
