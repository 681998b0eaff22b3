"""The rules about processors, threads and memory of a guest.

Source: libvirt's src/conf (domain_conf.c, domain_validate.c, numa_conf.c, cpu_conf.c).
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml.checking import Computed, Keys, Line, References
from aiovirt.daemons.virtd.xml.values import Unfit, members_of
from aiovirt.rpc.wire.errors import ErrorCode

#: The threads that a guest has: those named, and as many others as there are in all.
THREADS: Final = ("iothreadids/iothread/@id", "iothreads")


def _no_zero(element: str, attribute: str, path: str) -> tuple[str, ...]:
    """The rule that a number is not zero."""
    words = (
        f"Invalid value for attribute '{attribute}' in element '{element}': Zero is not permitted"
    )
    return (element, "xml@xml", f"{path}[@{attribute}='0']", words)


#: Looked at as the document was given, before libvirt's additions.
GIVEN: Final[tuple[Line, ...]] = (
    (
        "vcpu",
        "unsupported",
        "vcpu/@current > number(vcpu)",
        "maximum vCPU count must not be less than current vCPU count",
    ),
    (
        "vcpus",
        "xml",
        "vcpus/vcpu/@id >= number(vcpu)",
        "vcpu id '{}' is out of range of maximum vcpu count",
        "string(vcpus/vcpu[@id >= number(../../vcpu)]/@id)",
    ),
    *(
        _no_zero("topology", name, "cpu/topology")
        for name in ("sockets", "dies", "cores", "threads")
    ),
    _no_zero("iothread", "id", "iothreadids/iothread"),
    Keys("iothread", "xml", "iothreadids/iothread", "@id", "duplicate iothread id '{0}' found"),
    Keys("vcpupin", "internal", "cputune/vcpupin", "@vcpu", "duplicate vcpupin for vcpu '{0}'"),
    Keys("cell", "xml", "cpu/numa/cell", "@id", "Duplicate NUMA cell info for cell id '{0}'"),
    Keys("feature", "xml", "cpu/feature", "@name", "CPU feature '{0}' specified more than once"),
    (
        "feature",
        "xml@cpu",
        "cpu[not(@mode) or @mode='custom'][feature][not(string(model))]",
        "Non-empty feature list specified without CPU model",
    ),
    (
        "model",
        "xml@cpu",
        "cpu/model[@vendor_id][string-length(@vendor_id) != 12]",
        "vendor_id must be exactly 12 characters long",
    ),
)


def _range(names: tuple[str, ...], low: int, high: int, least: int) -> tuple[tuple[str, ...], ...]:
    """The rules that numbers are in a range; below `least` they mean something else."""
    return tuple(
        (
            name,
            "unsupported",
            f"cputune/{name}[. >= {least}][. < {low} or . > {high}]",
            f"Value of cputune '{name}' must be in range [{low}, {high}]",
        )
        for name in names
    )


_PERIODS: Final = ("period", "global_period", "emulator_period", "iothread_period")
_QUOTAS: Final = ("quota", "global_quota", "emulator_quota", "iothread_quota")

#: Looked at after libvirt's additions.
COMPLETED: Final[tuple[Line, ...]] = (
    (
        "maxMemory",
        "xml",
        "maxMemory[@slots='0']",
        "both maximum memory size and memory slot count must be specified",
    ),
    (
        "memory",
        "xml",
        "sum(devices/memory/target/size) > number(memory)",
        "Total size of memory devices exceeds the total memory size",
    ),
    (
        "page",
        "detail",
        "memoryBacking/hugepages/page[@nodeset != '0']/@nodeset >= count(cpu/numa/cell)",
        "hugepages: node {} not found",
        "string(memoryBacking/hugepages/page[@nodeset >= count(/*/cpu/numa/cell)]/@nodeset)",
    ),
    *_range(("shares",), 2, 262144, 0),
    *_range(_PERIODS, 1000, 1000000, 1),
    *_range(_QUOTAS, 1000, 17592186044415, 1),
    References(
        "iothreadpin",
        "unsupported",
        "cputune/iothreadpin",
        "@iothread",
        *THREADS,
        "Cannot find 'iothread' : {}",
    ),
)


def _cells(root: etree._Element) -> tuple[ErrorCode, str] | None:
    """No processor is on two nodes of memory, and a node has those of the guest only."""
    count = int(root.findtext("vcpu") or 1)
    taken: dict[int, int] = {}
    for place, cell in enumerate(root.iterfind("cpu/numa/cell")):
        number = int(cell.get("id") or place)
        try:
            members = members_of(cell.get("cpus") or "")
        except Unfit:
            continue
        for one in members:
            if one in taken:
                detail = f"NUMA cells {number} and {taken[one]} have overlapping vCPU ids"
                return ErrorCode.CONFIG_UNSUPPORTED, detail
            taken[one] = number
    if len(taken) > count:
        return ErrorCode.INTERNAL_ERROR, "Number of CPUs in <numa> exceeds the <vcpu> count"
    if taken and max(taken) >= count:
        return ErrorCode.INTERNAL_ERROR, "CPU IDs in <numa> exceed the <vcpu> count"
    return None


COMPUTED: Final = (Computed("cell", _cells),)
