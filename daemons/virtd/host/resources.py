"""Memory and processors of a domain, as calls set them.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c (qemuDomainSetMemoryFlags,
qemuDomainSetVcpusFlags).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.constants.domain_flags import DomainMemoryModFlags, DomainVcpuFlags
from aiovirt.daemons.virtd.host import cpumaps
from aiovirt.daemons.virtd.host.editing import Impact, edit, impact, one_of
from aiovirt.daemons.virtd.xml import devices, guests
from aiovirt.daemons.virtd.xml.placing import add
from aiovirt.daemons.virtd.xml.settings import put, reach
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.xml.documents import Document


def set_memory(domain: Domain, kib: int, flags: int) -> None:
    """Set the memory of a guest, or its maximum.

    Args:
        domain: the domain.
        kib: how much, in KiB.
        flags: DomainMemoryModFlags.

    Raises:
        RpcError: INVALID_ARG for more than the maximum, and for both documents of the test driver;
            OPERATION_INVALID for the maximum of a guest that runs, or a document that does not exist.
    """
    speaker = domain.host.flavour.domain
    meant = one_of(domain, flags) if domain.host.name == "test" else impact(domain, flags)
    if flags & DomainMemoryModFlags.MAXIMUM:
        if meant.live:
            raise RpcError.of(
                ErrorCode.OPERATION_INVALID,
                "cannot resize the maximum memory on an active domain",
                domain=speaker,
            )

        edit(domain, meant, lambda document: guests.set_max_memory(document, kib))
        return
    for wanted, facts in (
        (meant.live, domain.record.facts),
        (meant.config, domain.record.config_facts),
    ):
        if wanted and kib > facts.maximum:
            raise RpcError.of(
                ErrorCode.INVALID_ARG,
                "cannot set memory higher than max memory",
                domain=speaker,
            )
    edit(domain, meant, lambda document: guests.set_memory(document, kib))
    if meant.live and domain.host.name == "qemu":
        domain.emit(DomainEventID.BALLOON_CHANGE, kib)


def set_vcpus(domain: Domain, count: int, flags: int) -> None:
    """Set the number of processors of a guest, or its maximum.

    Args:
        domain: the domain.
        count: how many.
        flags: DomainVcpuFlags.

    Raises:
        RpcError: INVALID_ARG for more than the maximum, OPERATION_INVALID for the maximum of a guest
            that runs, or a document that does not exist.
    """
    host = domain.host
    speaker = host.flavour.domain
    meant = impact(domain, flags)
    maximum = bool(flags & DomainVcpuFlags.MAXIMUM)
    if count > host.max_vcpus:
        raise RpcError.of(
            ErrorCode.INVALID_ARG,
            f"requested cpu amount exceeds maximum supported amount ({count} > {host.max_vcpus})",
            domain=speaker,
        )
    if maximum and meant.live and host.name == "qemu":
        raise RpcError.of(
            ErrorCode.OPERATION_UNSUPPORTED,
            "maximum vcpu count of a live domain can't be modified",
            domain=speaker,
        )
    for wanted, facts in (
        (meant.live, domain.record.facts),
        (meant.config and not maximum, domain.record.config_facts),
    ):
        if wanted and count > facts.vcpus_maximum:
            where = "live domain" if wanted is meant.live and meant.live else "persistent domain"
            text = (
                f"requested cpu amount exceeds maximum ({count} > {facts.vcpus_maximum})"
                if host.name == "test"
                else f"requested vcpus is greater than max allowable vcpus for the {where}:"
                f" {count} > {facts.vcpus_maximum}"
            )
            raise RpcError.of(ErrorCode.INVALID_ARG, text, domain=speaker)
    if meant.live and host.name == "qemu" and count < domain.detail("first-vcpus", 0):
        raise RpcError.of(
            ErrorCode.CONFIG_UNSUPPORTED,
            "failed to find appropriate hotpluggable vcpus to reach the desired target vcpu count",
            domain=speaker,
        )
    edit(domain, meant, lambda document: guests.set_vcpus(document, count, maximum=maximum))


def set_single_vcpus(domain: Domain, text: str, state: int, meant: Impact) -> None:
    """Switch single processors of a guest on or off.

    Args:
        domain: the domain.
        text: which: "1-2,4".
        state: 1 for on, 0 for off.
        meant: the documents that change.

    Raises:
        RpcError: INVALID_ARG for processors that the guest cannot have, and for the first one.
    """
    try:
        numbers = cpumaps.parse(text)
    except ValueError:
        numbers = set()
    known = domain.record.facts if meant.live else domain.record.config_facts
    if not numbers or max(numbers) >= known.vcpus_maximum or state not in (0, 1):
        raise RpcError.of(
            ErrorCode.INVALID_ARG,
            f"failed to parse vcpumap '{text}' of {known.vcpus_maximum} vcpus",
            domain=domain.host.flavour.domain,
        )
    edit(domain, meant, lambda document: _enable(document, numbers, bool(state)))


def _enable(document: Document, numbers: set[int], on: bool) -> None:
    """Switch single processors of a guest on or off."""
    maximum, current = guests.max_vcpus(document), guests.vcpus(document)
    states = {
        int(one.get("id") or 0): one.get("enabled") == "yes"
        for one in document.root.iterfind("vcpus/vcpu")
    }
    enabled = {number for number in range(maximum) if states.get(number, number < current)}
    enabled = enabled | numbers if on else enabled - numbers
    if not enabled or 0 not in enabled:
        raise RpcError.of(
            ErrorCode.INVALID_ARG, "vcpu '0' must be always enabled", domain=ErrorDomain.QEMU
        )
    guests.set_vcpus(document, len(enabled))
    holder = reach(document, "vcpus")
    for child in list(holder):
        holder.remove(child)
    for number in range(maximum):
        add(
            holder,
            document.rules.below("vcpus"),
            "vcpu",
            id=str(number),
            enabled="yes" if number in enabled else "no",
            hotpluggable="no" if number == 0 else "yes",
        )


def set_memory_period(domain: Domain, seconds: int, meant: Impact) -> None:
    """Set how often the statistics of a guest's memory are collected.

    Args:
        domain: the domain.
        seconds: between two collections; 0 for none.
        meant: the documents that change.

    Raises:
        RpcError: for a guest without a balloon, INTERNAL_ERROR of the test driver, INVALID_ARG of
            qemu's.
    """
    is_test = domain.host.name == "test"

    def change(document: Document) -> None:
        balloon = document.root.find("devices/memballoon")
        if balloon is None or balloon.get("model") == "none":
            where = "live" if document.root.get("id") else "persistent"
            text = (
                "No memory balloon device configured, can not set the collection period"
                if is_test
                else "Memory balloon model must be virtio to set the collection period"
                if where == "live"
                else "No memory balloon device configured, can not set the collection period"
            )
            code = ErrorCode.INTERNAL_ERROR if is_test else ErrorCode.INVALID_ARG
            raise RpcError.of(code, text, domain=domain.host.flavour.domain)
        text_of = str(seconds) if seconds else None
        stats = reach(document, "stats", balloon, devices.rule_of("memballoon"))
        if text_of is None:
            balloon.remove(stats)
        else:
            stats.set("period", text_of)

    edit(domain, meant, change)


#: The elements of what becomes of a guest, by DomainLifecycle, and their words, by
#: DomainLifecycleAction.
_ENDS: Final = ("on_poweroff", "on_reboot", "on_crash")
_ACTIONS: Final = (
    "destroy",
    "restart",
    "rename-restart",
    "preserve",
    "coredump-destroy",
    "coredump-restart",
)


def set_lifecycle_action(domain: Domain, end: int, action: int, meant: Impact) -> None:
    """Set what becomes of a guest after an end.

    Args:
        domain: the domain.
        end: a DomainLifecycle.
        action: a DomainLifecycleAction.
        meant: the documents that change.

    Raises:
        RpcError: INVALID_ARG for an end or an action that does not exist, or do not go together.
    """
    if not 0 <= end < len(_ENDS) or not 0 <= action < len(_ACTIONS):
        text = f"unknown lifecycle {end} or action {action}"
        raise RpcError.of(ErrorCode.INVALID_ARG, text, domain=ErrorDomain.DOMAIN)
    if _ENDS[end] != "on_crash" and _ACTIONS[action].startswith("coredump"):
        name = _ENDS[end].removeprefix("on_")
        raise RpcError.of(
            ErrorCode.CONFIG_UNSUPPORTED,
            f"Lifecycle event '{name}' doesn't support '{_ACTIONS[action]}' action",
            domain=ErrorDomain.DOMAIN,
        )
    edit(domain, meant, lambda document: put(document, _ENDS[end], _ACTIONS[action]))
