"""The work of a call on a guest grows with the guest's devices, not with the square of them.

Work is counted in calls of functions, so that it does not depend on the machine. How a document is
completed is in tests/unit/test_xml_growth.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from aiovirt.daemons.virtd.constants.domain import DomainShutoffReason
from aiovirt.daemons.virtd.constants.domain_events import DomainEventStoppedDetailType
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotCreateFlags
from aiovirt.daemons.virtd.host import (
    checkpoint,
    devices,
    guest_system,
    leases,
    lifecycle,
    monitor,
    saving,
    snapshot,
    statistics,
)
from aiovirt.daemons.virtd.host.domain import Domain
from aiovirt.daemons.virtd.host.editing import Impact
from aiovirt.daemons.virtd.host.hosts import Hosts
from tests.virtd.conftest import DOMAIN

#: Devices of each kind that are added at a time.
MORE = 40
#: What the second addition may cost, of what the first one did.
GROWTH = 1.15

DISK = (
    "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/{0}'/>"
    "<target dev='sd{1}' bus='scsi'/></disk>"
)
NIC = "<interface type='network'><source network='default'/><model type='usb-net'/></interface>"
CHANNEL = "<channel type='unix'><target type='virtio' name='c{0}'/></channel>"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
NAMES = [head + last for head in ("", *LETTERS) for last in LETTERS]

Work = Callable[[Domain], object]


def text_of(count: int) -> str:
    """Write a guest with so many devices of each kind."""
    head, _, rest = DOMAIN.format(title="qemu", name=f"guest{count}").partition("<devices>")
    made = "".join(
        DISK.format(number, NAMES[number]) + NIC + CHANNEL.format(number) for number in range(count)
    )
    return f"{head}<devices>{made}{rest[rest.index('</devices>') :]}"


def calls_of(work: Callable[[], object]) -> int:
    """Count the functions that are called."""
    counted = 0

    def call(frame: FrameType, event: str, arg: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    earlier = sys.getprofile()
    sys.setprofile(call)
    try:
        work()
    finally:
        sys.setprofile(earlier)
    return counted


def started(count: int) -> Domain:
    """Let a guest run on a host of qemu's driver, in memory."""
    hosts = Hosts(None)
    hosts.open()
    domain = lifecycle.define(hosts.all["qemu"], text_of(count))
    lifecycle.start(domain)
    leases.of_guest(domain)  # how long an address is looked for is a matter of chance
    return domain


def save_and_restore(domain: Domain) -> None:
    saving.save(domain, "/image")
    saving.restore(domain.host, "/image")


def snapshot_disks(domain: Domain) -> None:
    snapshot.create(domain, "<domainsnapshot/>", DomainSnapshotCreateFlags.DISK_ONLY)


def stop_and_start(domain: Domain) -> None:
    lifecycle.stop(domain, DomainShutoffReason.DESTROYED, DomainEventStoppedDetailType.DESTROYED)
    lifecycle.start(domain)


def collect(domain: Domain) -> None:
    statistics.collect(domain, tuple(worker for _, worker in statistics.groups("qemu")))


WORK: dict[str, Work] = {
    "defined again": lambda domain: lifecycle.define(domain.host, domain.record.config or ""),
    "stopped and started": stop_and_start,
    "saved and restored": save_and_restore,
    "attached": lambda domain: devices.attach(domain, CHANNEL.format("new"), Impact(True, True)),
    "detached": lambda domain: devices.detach(domain, CHANNEL.format(0), Impact(True, True)),
    "external snapshot": snapshot_disks,
    "internal snapshot": lambda domain: snapshot.create(domain, "<domainsnapshot/>", 0),
    "checkpoint": lambda domain: checkpoint.create(domain, "<domaincheckpoint/>", 0),
    "statistics": collect,
    "monitor": lambda domain: monitor.command(domain, "info blockstats", is_human=True),
    "addresses": leases.of_guest,
    "interfaces of the system": guest_system.interfaces,
}


@pytest.mark.parametrize("name", WORK)
def test_a_device_costs_the_same_however_many_a_guest_has(name: str) -> None:
    work = WORK[name]
    work(started(3 * MORE))  # what is loaded, or kept, at first use

    def cost(count: int) -> int:
        domain = started(count)
        return calls_of(lambda: work(domain))

    one, two, three = map(cost, (MORE, 2 * MORE, 3 * MORE))
    assert three - two <= GROWTH * (two - one)
