"""Goes through libvirt's Python binding on one host: `python3 tests/clients/python/walk URI TOPIC...`.

Each topic makes its own objects and removes them. The output is for a comparison of two daemons.
"""

from __future__ import annotations

import sys
import traceback

import addresses
import domains
import events
import hosts
import hotplug
import libvirt
import networks
import objects
import saving
import snapshots
import statistics_of_domains
import storage
import tuning
from telling import section

TOPICS = {
    "host": hosts.walk,
    "domains": domains.walk,
    "networks": networks.walk,
    "storage": storage.walk,
    "secrets": objects.walk_secrets,
    "devices": objects.walk_devices,
    "interfaces": objects.walk_interfaces,
    "filters": objects.walk_filters,
    "snapshots": snapshots.walk,
    "statistics": statistics_of_domains.walk,
    "saving": saving.walk,
    "hotplug": hotplug.walk,
    "tuning": tuning.walk,
    "events": events.walk,
    "addresses": addresses.walk,
    "poke": events.poke,
}


def main() -> None:
    """Go through the topics that the arguments name."""
    uri, *chosen = sys.argv[1:]
    libvirt.registerErrorHandler(lambda context, error: None, None)
    libvirt.virEventRegisterDefaultImpl()
    connection = libvirt.open(uri)
    for name in chosen:
        section(name)
        try:
            TOPICS[name](connection)
        except Exception:
            print(traceback.format_exc())
    section("end")
    connection.close()


main()
