"""Limits of a disk's input and output.

Source: libvirt's src/test/test_driver.c (testDomainSetBlockIoTune) and src/qemu/qemu_driver.c
(qemuDomainSetBlockIoTune).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiovirt.daemons.virtd.host.editing import Impact, edit
from aiovirt.daemons.virtd.xml import devices
from aiovirt.daemons.virtd.xml.settings import put
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.typedparams import ParamType, TypedParam, string, ullong, validate

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.domain import Domain, Facts
    from aiovirt.daemons.virtd.xml.documents import Document

_LIMITS: Final = tuple(
    f"{which}_{what}_sec" for what in ("bytes", "iops") for which in ("total", "read", "write")
)
_GROUP: Final = "group_name"
#: All parameters, in libvirt's order.
NAMES: Final = (
    *_LIMITS,
    *(f"{name}_max" for name in _LIMITS),
    "size_iops_sec",
    _GROUP,
    *(f"{name}_max_length" for name in _LIMITS),
)
_TYPES: Final = {name: ParamType.STRING if name == _GROUP else ParamType.ULLONG for name in NAMES}
#: Limits of which one is set with the others: those not given are 0 then.
_FAMILIES: Final = tuple(
    tuple(f"{which}_{what}_sec{tail}" for which in ("total", "read", "write"))
    for what in ("bytes", "iops")
    for tail in ("", "_max")
)
_MAX: Final = 1_000_000_000_000_000


def _refused(domain: Domain, text: str, code: ErrorCode = ErrorCode.INVALID_ARG) -> RpcError:
    return RpcError.of(code, text, domain=domain.host.flavour.domain)


def _known(disk: etree._Element) -> dict[str, Any]:
    found: dict[str, Any] = {name: int(disk.findtext(f"iotune/{name}") or 0) for name in NAMES[:13]}
    found.update({name: int(disk.findtext(f"iotune/{name}") or 0) for name in NAMES[14:]})
    found[_GROUP] = disk.findtext(f"iotune/{_GROUP}") or ""
    return found


def get(domain: Domain, facts: Facts, path: str) -> list[TypedParam]:
    """Return the limits of a disk.

    Args:
        domain: whose.
        facts: of the document.
        path: target or source of the disk.

    Raises:
        RpcError: INVALID_ARG for a disk that does not exist.
    """
    disk = devices.disk(facts.document, path)
    if disk is None:
        where = "domain" if domain.host.name == "qemu" else "the domain config"
        verb = "not found" if domain.host.name == "qemu" else "was not found"
        raise _refused(domain, f"disk '{path}' {verb} in {where}")
    known = _known(disk)
    return [
        string(name, known[name]) if name == _GROUP else ullong(name, known[name]) for name in NAMES
    ]


def set_(domain: Domain, path: str, params: list[TypedParam], meant: Impact) -> list[TypedParam]:
    """Set limits of a disk.

    Args:
        domain: whose.
        path: target or source of the disk.
        params: those of NAMES.
        meant: the documents that change.

    Returns:
        What an event about the running guest tells.

    Raises:
        RpcError: INVALID_ARG for a disk that does not exist, or limits that contradict each other.
    """
    values = validate(params, _TYPES)
    if any(name != _GROUP and value > _MAX for name, value in values.items()):
        raise _refused(
            domain,
            f"block I/O throttle limit value must be no more than {_MAX}",
            ErrorCode.ARGUMENT_UNSUPPORTED,
        )

    def change(document: Document) -> None:
        disk = devices.disk(document, path)
        if disk is None:
            where = "live" if document.root.get("id") else "persistent"
            raise _refused(domain, f"missing {where} configuration for disk '{path}'")
        _write(document, disk, _merged(domain, _known(disk), values))

    edit(domain, meant, change)
    told = [string("blkdeviotune.disk", path)]
    return told + [TypedParam(f"blkdeviotune.{one.field}", one.value) for one in params]


def _merged(domain: Domain, known: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    if domain.host.name == "qemu":
        for family in _FAMILIES:
            if any(name in values for name in family):
                known.update(dict.fromkeys(family, 0))
    known.update(values)
    for family in _FAMILIES:
        total, read, write = (known[name] for name in family)
        if total and (read or write):
            what = family[0].removeprefix("total_")
            raise _refused(domain, f"total and read/write of {what} cannot be set at the same time")
    for name in _LIMITS:
        limit = known[f"{name}_max"]
        if known[name] > limit and (limit or domain.host.name == "test"):
            raise _refused(domain, f"{name} cannot be set higher than {name}_max ")
        if known[f"{name}_max_length"] and not limit and domain.host.name == "qemu":
            raise _refused(
                domain,
                f"value '{name}_max' cannot be set if '{name}_max_length' is not set",
                ErrorCode.CONFIG_UNSUPPORTED,
            )
    return known


def _write(document: Document, disk: etree._Element, known: dict[str, Any]) -> None:
    rule = devices.rule_of("disk")
    for name, value in known.items():
        put(document, f"iotune/{name}", str(value) if value else None, within=disk, rule=rule)
