"""Addresses of a guest by the leases of its network, by its agent, and by the host's ARP table."""

from __future__ import annotations

import time

import libvirt
from telling import attempt, quietly, tell

#: Seconds that a guest may take until its agent answers.
PATIENCE = 20.0
DOCUMENT = """
<domain type='{type}'>
  <name>walkaddr</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <interface type='network'>
      <mac address='52:54:00:11:22:44'/>
      <source network='default'/>
    </interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  </devices>
</domain>
"""


def walk(host: libvirt.virConnect) -> None:
    """Ask all three sources, and the network."""
    kind = "test" if host.getType() == "TEST" else "qemu"
    domain = host.defineXML(DOCUMENT.format(type=kind))
    try:
        attempt("while off", domain.interfaceAddresses, 0)
        domain.create()
        if kind == "qemu":
            connected(domain)
        for name in ("LEASE", "AGENT", "ARP"):
            source = getattr(libvirt, f"VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_{name}")
            attempt(name.lower(), domain.interfaceAddresses, source)
        attempt("unknown source", domain.interfaceAddresses, 9)
        attempt("leases", lambda: [described(one) for one in leases(host)])
        attempt("hostname", domain.hostname)
        domain.suspend()
        attempt("while paused", domain.interfaceAddresses, 0)
    finally:
        quietly(domain.destroy)
        domain.undefine()
    attempt("leases afterwards", leases, host)


def connected(domain: libvirt.virDomain) -> None:
    """Wait until the agent of a guest answers."""
    deadline = time.monotonic() + PATIENCE
    while quietly(domain.hostname, libvirt.VIR_DOMAIN_GET_HOSTNAME_AGENT) is None:
        if time.monotonic() > deadline:
            tell("agent", "silent")
            return
        time.sleep(0.02)


def leases(host: libvirt.virConnect) -> list[dict[str, object]]:
    """The leases of the default network for the guest."""
    found = host.networkLookupByName("default").DHCPLeases("52:54:00:11:22:44")
    return list(found)


def described(lease: dict[str, object]) -> dict[str, object]:
    """A lease without the time of its end."""
    return {key: value for key, value in lease.items() if key != "expirytime"}
