"""Processors of the host that processors, threads and the emulator of a guest may run on.

Source: libvirt's src/conf/domain_conf.c (virDomainDefGetVcpuPinInfoHelper), src/test/test_driver.c and
src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.host import cpumaps
from aiovirt.daemons.virtd.host.editing import Impact, edit
from aiovirt.daemons.virtd.xml import guests
from aiovirt.daemons.virtd.xml.placing import add
from aiovirt.daemons.virtd.xml.settings import reach, remove
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import string

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain, Facts
    from aiovirt.daemons.virtd.xml.documents import Document

#: The element and the attribute of each kind of thread that has a number.
_NUMBERED: Final = {"vcpu": ("vcpupin", "vcpu"), "iothread": ("iothreadpin", "iothread")}


def _set_of(facts: Facts, tag: str, attribute: str, number: int) -> str | None:
    for one in facts.root.iterfind(f"cputune/{tag}"):
        if not attribute or one.get(attribute) == str(number):
            return one.get("cpuset")
    return None


def allowed(domain: Domain, facts: Facts, kind: str, number: int = 0) -> set[int]:
    """Return the processors of the host that something of a guest may run on.

    Args:
        domain: the guest.
        facts: of its document.
        kind: "vcpu", "iothread" or "emulator".
        number: which of them.
    """
    tag, attribute = _NUMBERED.get(kind, ("emulatorpin", ""))
    vcpu = facts.root.find("vcpu")
    text = _set_of(facts, tag, attribute, number)
    if text is None and vcpu is not None:
        text = vcpu.get("cpuset")
    return set(range(domain.host.cpus)) if text is None else cpumaps.parse(text)


def pin(domain: Domain, kind: str, number: int, cpumap: bytes, meant: Impact) -> None:
    """Say where something of a guest may run.

    Args:
        domain: the guest.
        kind: "vcpu", "iothread" or "emulator".
        number: which of them.
        cpumap: the processors of the host, a bit for each.
        meant: the documents that change.

    Raises:
        RpcError: INVALID_ARG for no processor at all, or for a thread that does not exist.
    """
    cpus = cpumaps.text_of(cpumaps.numbers_of(cpumap))
    if not cpus:
        what = "iothread cpumap list" if kind == "iothread" else "cpu list"
        raise _invalid(domain, f"Empty {what} for pinning")
    for wanted, facts in (
        (meant.live, domain.record.facts),
        (meant.config, domain.record.config_facts),
    ):
        if wanted and kind == "iothread" and number not in facts.iothreads:
            raise _invalid(domain, f"iothreadid {number} not found")
        if wanted and kind == "vcpu" and number >= facts.vcpus:
            raise _missing_vcpu(domain, number, is_live=meant.live)
    edit(domain, meant, lambda document: _write(document, kind, number, cpus))
    if meant.live and domain.host.name == "qemu":
        names = {"vcpu": f"cputune.vcpupin{number}", "iothread": f"cputune.iothreadpin{number}"}
        name = names.get(kind, "cputune.emulatorpin")
        domain.emit(DomainEventID.TUNABLE, [string(name, cpus)])


def _write(document: Document, kind: str, number: int, cpus: str) -> None:
    if kind == "iothread":  # a thread that was pinned has its number written
        guests.set_iothreads(document, guests.iothreads(document), named=True)
    holder = reach(document, "cputune")
    rule = document.rules.below("cputune")
    tag, attribute = _NUMBERED.get(kind, ("emulatorpin", ""))
    if not attribute:
        found = holder.find(tag)
        if found is None:
            found = add(holder, rule, tag)
        found.set("cpuset", cpus)
        return
    pins = {int(one.get(attribute) or 0): one for one in holder.findall(tag)}
    if number in pins:
        pins[number].set("cpuset", cpus)
        return
    made = add(holder, rule, tag, **{attribute: str(number), "cpuset": cpus})
    pins[number] = made
    for _, one in sorted(pins.items()):  # in the order of their numbers
        holder.remove(one)
    previous = [child for child in holder if child.tag in ("shares", *_QUOTAS)]
    if tag == "iothreadpin":
        previous += holder.findall("vcpupin") + holder.findall("emulatorpin")
    at = len(previous)
    for _, one in sorted(pins.items()):
        holder.insert(at, one)
        at += 1


#: Elements that stand before those of the pinning.
_QUOTAS: Final = (
    "period",
    "quota",
    "global_period",
    "global_quota",
    "emulator_period",
    "emulator_quota",
    "iothread_period",
    "iothread_quota",
)


def forget(document: Document, number: int) -> None:
    """Remove the pinning of a thread for input and output.

    Args:
        document: of the guest.
        number: of the thread.
    """
    for one in document.root.findall(f"cputune/iothreadpin[@iothread='{number}']"):
        remove(one, document.root)


def _invalid(domain: Domain, text: str) -> RpcError:
    return RpcError.of(ErrorCode.INVALID_ARG, text, domain=domain.host.flavour.domain)


def _missing_vcpu(domain: Domain, number: int, *, is_live: bool) -> RpcError:
    if domain.host.name == "test":
        text = f"requested vcpu '{number}' is not present in the domain"
        return RpcError.of(ErrorCode.INVALID_ARG, text, domain=ErrorDomain.TEST)
    where = "live" if is_live else "persistent"
    text = f"vcpu {number} is out of range of {where} cpu count"
    return RpcError.of(ErrorCode.INVALID_ARG, text, domain=ErrorDomain.QEMU)
