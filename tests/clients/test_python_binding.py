"""libvirt's Python binding gets the same answers from virtd as from libvirtd, on both hosts.

`python/walk` is the program: it goes through hosts, domains, networks, pools, volumes and their
contents, secrets, node devices, interfaces, filters, snapshots, checkpoints, counters and events, with
the refusals of each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests import harness
from tests.clients import walking
from tests.virtd.interop.performing import libvirtd

TOPICS = (
    "host",
    "domains",
    "networks",
    "storage",
    "secrets",
    "devices",
    "interfaces",
    "filters",
    "snapshots",
    "statistics",
    "saving",
    "hotplug",
    "tuning",
    "events",
)

#: Labels of answers that may differ, by driver and topic; a reason stands before each group.
DIFFERENCES: dict[tuple[str, str], tuple[str, ...]] = {
    ("test", "host"): (
        # Our text names the right values.
        "identity",
    ),
    ("test", "networks"): (
        # libvirt calls this one document by its name without parentheses.
        "broken host",
    ),
    ("test", "snapshots"): (
        # The test driver says that the guest runs, and it does not.
        "state",
    ),
    ("test", "statistics"): (
        # These count the wall clock.
        "block",
    ),
    ("qemu", "host"): (
        "identity",
        # The machine and its packages: what QEMU there can do, what the machine is.
        "system info",
        "defined interfaces",
        # virtd does not let the machine sleep, and it has no shared pages.
        "suspend",
        "memory parameters",
    ),
    ("qemu", "networks"): ("broken host",),
    ("qemu", "devices"): (
        # libvirtd forgets the error here.
        "no adapter",
        # libvirtd looks at the machine's IOMMU first.
        "detach",
    ),
    ("qemu", "statistics"): (
        # libvirtd has no control groups in these tests.
        "CPU_TOTAL",
        "each cpu",
        "block weight",
        # A guest of ours answers its balloon device after the first second.
        "BALLOON",
        # libvirt has several texts for a disk that a domain does not have.
        "block limits of none",
        # libvirtd runs QEMU as root in these tests.
        "messages",
    ),
    ("qemu", "saving"): (
        # Disks of virtd have no chains of images.
        "commit",
        "rebase",
    ),
    ("qemu", "hotplug"): (
        # virtd looks at no file of the machine.
        "capacity",
    ),
    ("qemu", "tuning"): (
        # virtd has no server for the screen of a guest.
        "graphics",
    ),
    ("qemu", "events"): (
        # A guest without an operating system does not give memory back.
        "heard balloon_change",
        # QEMU tells of a reset twice, and whether libvirtd hears both is chance.
        "heard reboot",
        # virtd copies no memory for an image.
        "heard migration_iteration",
        "heard job_completed",
    ),
}
#: Events of QEMU's end, which libvirtd may miss or take for an error.
CHANCE = (
    "heard lifecycle: walkheard [6, 2]",
    "heard legacy: walkheard 6 2",
    "heard control_error: walkheard []",
)

Sides = dict[str, tuple[walking.Topics, walking.Topics]]


def topics(driver: str) -> tuple[str, ...]:
    """The topics of a driver; a real default network is not active in these tests."""
    return ("addresses", *TOPICS) if driver == "test" else TOPICS


@pytest.fixture(scope="module")
def sides() -> Iterator[Sides]:
    """The output of the program for libvirtd and for virtd, by driver."""
    walking.require_binding()
    drivers = walking.URIS if os.geteuid() == 0 else ("test",)
    with libvirtd() as real, harness.running("virtd") as ours:
        walks = {
            driver: [
                (walking.start(driver, path, *topics(driver)), path) for path in (real, ours.socket)
            ]
            for driver in drivers
        }
        found = {
            driver: tuple(walking.finish(walk, path) for walk, path in started)
            for driver, started in walks.items()
        }
        yield {driver: (pair[0], pair[1]) for driver, pair in found.items()}
        assert "Traceback" not in ours.log.read_text()


@pytest.mark.parametrize(
    ("driver", "topic"), [(one, topic) for one in walking.URIS for topic in topics(one)]
)
def test_the_binding_gets_the_same_answers(sides: Sides, driver: str, topic: str) -> None:
    if driver not in sides:
        pytest.skip("qemu:///system needs root")
    real, ours = ([line for line in side[topic] if line not in CHANCE] for side in sides[driver])
    assert real
    assert not walking.compare(real, ours, DIFFERENCES.get((driver, topic), ()))
    assert not [line for line in ours if "Traceback" in line], ours
