"""Events of the host's processors that are counted for a guest.

Source: libvirt's src/util/virperf.c and src/test/test_driver.c (testDomainSetPerfEvents).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.host.editing import Impact, edit
from aiovirt.daemons.virtd.xml.placing import add
from aiovirt.daemons.virtd.xml.settings import reach
from aiovirt.rpc.wire.typedparams import ParamType, TypedParam, boolean, validate

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain, Facts
    from aiovirt.daemons.virtd.xml.documents import Document

#: The events, in libvirt's order.
EVENTS: Final = (
    "cmt",
    "mbmt",
    "mbml",
    "cpu_cycles",
    "instructions",
    "cache_references",
    "cache_misses",
    "branch_instructions",
    "branch_misses",
    "bus_cycles",
    "stalled_cycles_frontend",
    "stalled_cycles_backend",
    "ref_cpu_cycles",
    "cpu_clock",
    "task_clock",
    "page_faults",
    "context_switches",
    "cpu_migrations",
    "page_faults_min",
    "page_faults_maj",
    "alignment_faults",
    "emulation_faults",
)


def get(facts: Facts) -> list[TypedParam]:
    """Return for each event whether it is counted."""
    states = {one.get("name"): one.get("enabled") for one in facts.root.iterfind("perf/event")}
    return [boolean(name, states.get(name) == "yes") for name in EVENTS]


def set_(domain: Domain, params: list[TypedParam], meant: Impact) -> None:
    """Say which events are counted.

    Args:
        domain: the guest.
        params: booleans by the names of EVENTS.
        meant: the documents that change.

    Raises:
        RpcError: ARGUMENT_UNSUPPORTED for an unknown event, INVALID_ARG for another type.
    """
    values = validate(params, dict.fromkeys(EVENTS, ParamType.BOOLEAN))

    def change(document: Document) -> None:
        holder = reach(document, "perf")
        states = {one.get("name") or "": one.get("enabled") or "" for one in holder}
        states.update({name: "yes" if value else "no" for name, value in values.items()})
        for child in list(holder):
            holder.remove(child)
        for name in EVENTS:
            if name in states:
                add(holder, document.rules.below("perf"), "event", name=name, enabled=states[name])
        if not len(holder):
            document.root.remove(holder)

    edit(domain, meant, change)
