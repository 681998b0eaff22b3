"""Parameters of a domain that are settings of its document: memory, nodes, disks' weights, bandwidth.

Source: libvirt's src/test/test_driver.c, src/qemu/qemu_driver.c and
src/hypervisor/domain_driver.c (virDomainDriverParseBlkioDeviceStr).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aiovirt.daemons.virtd.host import cpumaps, guaranteed_rates, starting_interfaces
from aiovirt.daemons.virtd.host.editing import Impact, edit
from aiovirt.daemons.virtd.xml import devices
from aiovirt.daemons.virtd.xml.placing import add
from aiovirt.daemons.virtd.xml.settings import put, put_attributes, reach, remove
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import (
    ParamType,
    TypedParam,
    int_,
    llong,
    string,
    uint,
    ullong,
    validate,
)

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.domain import Domain, Facts
    from aiovirt.daemons.virtd.xml.documents import Document

#: No limit, in KiB (VIR_DOMAIN_MEMORY_PARAM_UNLIMITED).
UNLIMITED: Final = 9007199254740991

MEMORY: Final = {
    "hard_limit": ParamType.ULLONG,
    "soft_limit": ParamType.ULLONG,
    "swap_hard_limit": ParamType.ULLONG,
}
NUMA: Final = {"numa_mode": ParamType.INT, "numa_nodeset": ParamType.STRING}
NUMA_MODES: Final = ("strict", "preferred", "interleave", "restrictive")
BLKIO: Final = {
    "weight": ParamType.UINT,
    "device_weight": ParamType.STRING,
    "device_read_iops_sec": ParamType.STRING,
    "device_write_iops_sec": ParamType.STRING,
    "device_read_bytes_sec": ParamType.STRING,
    "device_write_bytes_sec": ParamType.STRING,
}
BANDWIDTH: Final = {
    f"{way}.{name}": ParamType.UINT
    for way, names in (
        ("inbound", ("average", "peak", "burst", "floor")),
        ("outbound", ("average", "peak", "burst")),
    )
    for name in names
}
#: Types of interface whose bandwidth the qemu driver limits.
_SHAPED: Final = ("ethernet", "network", "bridge", "direct")
#: The parameters of the scheduler, with the element below <cputune> and the value of a running guest
#: for which none was set.
SCHEDULER: Final[Mapping[str, tuple[str, ParamType, int]]] = {
    "cpu_shares": ("shares", ParamType.ULLONG, 1024),
    "vcpu_period": ("period", ParamType.ULLONG, 100_000),
    "vcpu_quota": ("quota", ParamType.LLONG, -1),
    "emulator_period": ("emulator_period", ParamType.ULLONG, 100_000),
    "emulator_quota": ("emulator_quota", ParamType.LLONG, -1),
    "global_period": ("global_period", ParamType.ULLONG, 100_000),
    "global_quota": ("global_quota", ParamType.LLONG, -1),
    "iothread_period": ("iothread_period", ParamType.ULLONG, 100_000),
    "iothread_quota": ("iothread_quota", ParamType.LLONG, -1),
}


def _refused(domain: Domain, text: str, code: ErrorCode = ErrorCode.INVALID_ARG) -> RpcError:
    return RpcError.of(code, text, domain=domain.host.flavour.domain)


# Memory --------------------------------------------------------------------------------------------


def memory(facts: Facts) -> list[TypedParam]:
    """Return the limits of a guest's memory, in KiB."""
    return [
        ullong(name, int(facts.root.findtext(f"memtune/{name}") or UNLIMITED)) for name in MEMORY
    ]


def set_memory(domain: Domain, params: list[TypedParam], meant: Impact) -> None:
    """Set limits of a guest's memory.

    Args:
        domain: the guest.
        params: those of MEMORY, in KiB.
        meant: the documents that change.

    Raises:
        RpcError: INVALID_ARG for a limit above that of memory and swap together.
    """
    values = validate(params, MEMORY)

    def change(document: Document) -> None:
        known = {
            name: int(document.root.findtext(f"memtune/{name}") or UNLIMITED) for name in MEMORY
        }
        known.update(values)
        if {"hard_limit", "swap_hard_limit"} & values.keys() and (
            known["hard_limit"] > known["swap_hard_limit"]
        ):
            raise _refused(
                domain,
                "memory hard_limit tunable value must be lower than or equal to swap_hard_limit",
            )
        for name, value in values.items():
            put(document, f"memtune/{name}", None if value >= UNLIMITED else str(value))
            made = document.root.find(f"memtune/{name}")
            if made is not None:
                made.set("unit", "KiB")

    edit(domain, meant, change)


# Nodes of memory -----------------------------------------------------------------------------------


def numa(facts: Facts) -> list[TypedParam]:
    """Return from where a guest's memory comes."""
    found = facts.root.find("numatune/memory")
    mode = "strict" if found is None else found.get("mode") or "strict"
    nodes = "" if found is None else found.get("nodeset") or ""
    return [int_("numa_mode", NUMA_MODES.index(mode)), string("numa_nodeset", nodes)]


def set_numa(domain: Domain, params: list[TypedParam], meant: Impact) -> None:
    """Say from where a guest's memory comes.

    Args:
        domain: the guest.
        params: those of NUMA.
        meant: the documents that change.

    Raises:
        RpcError: INVALID_ARG for a mode that does not exist, OPERATION_INVALID for another mode of a
            running guest.
    """
    values = validate(params, NUMA)
    mode, nodes = values.get("numa_mode"), values.get("numa_nodeset")
    if mode is not None and not 0 <= mode < len(NUMA_MODES):
        raise _refused(domain, f"unsupported numatune mode: '{mode}'")
    if nodes is not None:
        try:
            nodes = cpumaps.text_of(cpumaps.parse(nodes))
        except ValueError:
            raise _refused(domain, f"Failed to parse bitmap '{nodes}'") from None

    def change(document: Document) -> None:
        found = document.root.find("numatune/memory")
        if mode is not None and found is not None and document.root.get("id") is not None:
            known = found.get("mode") or "strict"
            if known != NUMA_MODES[mode]:
                raise _refused(
                    domain,
                    "can't change numatune mode for running domain",
                    ErrorCode.OPERATION_INVALID,
                )
        if found is None and nodes is None:
            raise RpcError.of(
                ErrorCode.CONFIG_UNSUPPORTED,
                "nodeset for NUMA memory tuning must be set if 'placement' is 'static'",
                domain=ErrorDomain.DOMAIN,
            )
        element = reach(document, "numatune/memory")
        new: dict[str, str | None] = {}
        if mode is not None or found is None:
            new["mode"] = NUMA_MODES[mode or 0]
        if nodes is not None:
            new["nodeset"], new["placement"] = nodes, None
        put_attributes(element, document.rules.below("numatune", "memory"), new)

    edit(domain, meant, change)


# Weights of disks ----------------------------------------------------------------------------------


def blkio(facts: Facts) -> list[TypedParam]:
    """Return how a guest shares the host's disks."""
    root = facts.root
    found = [uint("weight", int(root.findtext("blkiotune/weight") or 0))]
    for name in list(BLKIO)[1:]:
        parts: list[str] = []
        for one in root.iterfind("blkiotune/device"):
            value = one.findtext(name.removeprefix("device_"))
            if value and value != "0":
                parts += [one.findtext("path") or "", value]
        found.append(string(name, ",".join(parts)))
    return found


def set_blkio(domain: Domain, params: list[TypedParam], meant: Impact) -> None:
    """Say how a guest shares the host's disks.

    Args:
        domain: the guest.
        params: those of BLKIO; of those of devices "path,value,path,value".
        meant: the documents that change.

    Raises:
        RpcError: INVALID_ARG for a list that is no such list.
    """
    values = validate(params, BLKIO)
    pairs = {name: _pairs(domain, name, values[name]) for name in values if name != "weight"}

    def change(document: Document) -> None:
        if "weight" in values:
            put(document, "blkiotune/weight", str(values["weight"]) if values["weight"] else None)
        for name, known in pairs.items():
            for path, value in known.items():
                _set_device(document, path, name.removeprefix("device_"), value)

    edit(domain, meant, change)


def _pairs(domain: Domain, name: str, text: str) -> dict[str, int]:
    words = text.split(",")
    numbers = words[1::2]
    if len(words) % 2 or not all(word.isascii() and word.isdigit() for word in numbers):
        raise _refused(domain, f"unable to parse blkio device '{name}' '{text}'")
    return {path: int(number) for path, number in zip(words[::2], numbers, strict=True)}


def _set_device(document: Document, path: str, tag: str, value: int) -> None:
    rule = document.rules.below("blkiotune", "device")
    for one in document.root.iterfind("blkiotune/device"):
        if one.findtext("path") == path:
            device = one
            break
    else:
        if not value:
            return
        holder = reach(document, "blkiotune")
        device = add(holder, document.rules.below("blkiotune"), "device")
        add(device, rule, "path", path)
    put(document, tag, str(value) if value else None, within=device, rule=rule)
    if len(device) == 1:
        remove(device, document.root)


# Bandwidth of an interface -------------------------------------------------------------------------


def find_interface(domain: Domain, facts: Facts, device: str) -> etree._Element:
    """Return an interface of a document.

    Args:
        domain: whose.
        facts: of the document.
        device: the name on the host, or the hardware address.

    Raises:
        RpcError: INVALID_ARG if it has none such.
    """
    found = devices.interface(facts.document, device)
    if found is None:
        raise RpcError.of(
            ErrorCode.INVALID_ARG,
            f"'{device}' is not a known interface",
            domain=ErrorDomain.DOMAIN,
        )
    return found


def bandwidth(domain: Domain, facts: Facts, device: str) -> list[TypedParam]:
    """Return the limits of an interface; the arguments and errors are those of `find_interface`."""
    element = find_interface(domain, facts, device)
    return [
        uint(name, int(devices.value(element, f"bandwidth/{way}/@{key}") or 0))
        for name in BANDWIDTH
        for way, key in (name.split("."),)
    ]


def set_bandwidth(domain: Domain, device: str, params: list[TypedParam], meant: Impact) -> None:
    """Set the limits of an interface; one without an average is removed.

    Args:
        domain: whose.
        device: the name on the host, or the hardware address.
        params: those of BANDWIDTH, in KiB/s and KiB.
        meant: the documents that change.

    Raises:
        RpcError: INVALID_ARG if there is no such interface.
    """
    values = validate(params, BANDWIDTH)

    def change(document: Document) -> None:
        element = devices.interface(document, device)
        if element is None:
            raise _refused(domain, f"'{device}' is not a known interface")
        kind = element.get("type") or ""
        if domain.host.name == "qemu" and kind not in _SHAPED:
            raise _refused(
                domain,
                f"setting bandwidth on interfaces of type '{kind}' is not implemented yet",
                ErrorCode.CONFIG_UNSUPPORTED,
            )
        for way in ("inbound", "outbound"):
            _set_way(document, element, way, values)
        if domain.host.name == "qemu" and document.root.get("id") is not None:
            if kind == "network":
                starting_interfaces.require_interface(domain.host, element, besides=domain)
            elif values.get("inbound.floor"):
                raise guaranteed_rates.unsupported(element, domain=ErrorDomain.QEMU)

    edit(domain, meant, change)


def _set_way(
    document: Document, element: etree._Element, way: str, values: Mapping[str, int]
) -> None:
    asked = {
        name.partition(".")[2]: value for name, value in values.items() if name.startswith(way)
    }
    if not {"average", "floor"} & asked.keys():
        return
    found = element.find(f"bandwidth/{way}")
    if found is not None:
        remove(found, element)
    if asked.get("average") or asked.get("floor"):
        rule = devices.rule_of("interface")
        made = reach(document, f"bandwidth/{way}", element, rule)
        put_attributes(
            made,
            rule.below("bandwidth", way),
            {name: str(value) if value else None for name, value in asked.items()},
        )


# The scheduler -------------------------------------------------------------------------------------


def scheduler(domain: Domain, facts: Facts, *, is_live: bool) -> list[TypedParam]:
    """Return the parameters of the scheduler.

    Args:
        domain: the guest.
        facts: of its document.
        is_live: of the running guest, which has values for all of them.
    """
    if domain.host.name == "test":
        return [uint("weight", 50)]
    found = []
    for name, (tag, kind, usual) in SCHEDULER.items():
        value = int(facts.root.findtext(f"cputune/{tag}") or (usual if is_live else 0))
        found.append(llong(name, value) if kind == ParamType.LLONG else ullong(name, value))
    return found


def set_scheduler(domain: Domain, params: list[TypedParam], meant: Impact) -> list[TypedParam]:
    """Set parameters of the scheduler; the test driver takes a weight and forgets it.

    Args:
        domain: the guest.
        params: those of SCHEDULER.
        meant: the documents that change.

    Returns:
        What an event about the running guest tells.

    Raises:
        RpcError: INVALID_ARG for a value out of range.
    """
    if domain.host.name == "test":
        validate(params, {"weight": ParamType.UINT})
        return []
    values = validate(params, {name: kind for name, (_, kind, _) in SCHEDULER.items()})
    _check_scheduler(domain, values)

    def change(document: Document) -> None:
        for name, value in values.items():
            put(document, f"cputune/{SCHEDULER[name][0]}", str(value) if value else None)

    edit(domain, meant, change)
    made: list[TypedParam] = []
    for param in params:
        made.append(TypedParam(f"cputune.{param.field}", param.value))
    return made


def _check_scheduler(domain: Domain, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name.endswith("period") and value and not 1000 <= value <= 1_000_000:
            text = f"value of '{name}' is out of range [1000, 1000000]"
        elif name.endswith("quota") and value > 0 and not 1000 <= value <= 18446744073709551:
            text = f"value of '{name}' is out of range [1000, 18446744073709551]"
        else:
            continue
        raise _refused(domain, text)
