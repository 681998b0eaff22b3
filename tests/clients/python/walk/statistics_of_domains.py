"""Counters of domains: all at once, and one by one."""

from __future__ import annotations

import libvirt
from domains import document
from telling import attempt, quietly, tell

NAME = "walkstats"
UUID = "11111111-2222-3333-4444-000000000007"
GROUPS = {
    name: getattr(libvirt, f"VIR_DOMAIN_STATS_{name}")
    for name in (
        "STATE",
        "CPU_TOTAL",
        "BALLOON",
        "VCPU",
        "INTERFACE",
        "BLOCK",
        "PERF",
        "IOTHREAD",
        "MEMORY",
        "DIRTYRATE",
    )
}


def walk(host: libvirt.virConnect) -> None:
    """Go through the counters of a domain, off and on."""
    domain = host.defineXML(document(host, NAME, UUID))
    try:
        counters(host, domain)
        one_by_one(domain)
        domain.create()
        counters(host, domain)
        one_by_one(domain)
    finally:
        quietly(domain.destroy)
        quietly(domain.undefine)


def counters(host: libvirt.virConnect, domain: libvirt.virDomain) -> None:
    """The names of the counters of each group; the values of those that stand still."""
    for name, group in GROUPS.items():
        attempt(name, lambda group=group: keys(host.domainListGetStats([domain], group)))
    tell("state", host.domainListGetStats([domain], libvirt.VIR_DOMAIN_STATS_STATE)[0][1])
    attempt("all", lambda: NAME in [one.name() for one, _ in host.getAllDomainStats()])
    active = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
    attempt(
        "active", lambda: NAME in [one.name() for one, _ in host.getAllDomainStats(flags=active)]
    )
    enforce = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS
    attempt("no such group", host.domainListGetStats, [domain], 1 << 29, enforce)
    attempt("no such flag", host.domainListGetStats, [domain], 0, 1 << 20)


def keys(found: list[tuple[libvirt.virDomain, dict[str, object]]]) -> list[str]:
    """The names of all counters."""
    return sorted(name for _, counters in found for name in counters)


def one_by_one(domain: libvirt.virDomain) -> None:
    """The functions for one kind of counter each."""
    attempt("cpu", lambda: sorted(domain.getCPUStats(True)[0]))
    attempt("each cpu", lambda: len(domain.getCPUStats(False)) > 0)
    attempt("memory", lambda: len(domain.memoryStats()) > 0)
    attempt("block", domain.blockStats, "hdc")
    attempt("no block", domain.blockStats, "vdz")
    attempt("block flags", lambda: sorted(domain.blockStatsFlags("hdc")))
    attempt("block info", domain.blockInfo, "vdz")
    attempt("interface", domain.interfaceStats, "vnet99")
    attempt("scheduler", domain.schedulerType)
    attempt("scheduler parameters", domain.schedulerParameters)
    attempt("memory parameters", domain.memoryParameters)
    attempt("numa parameters", domain.numaParameters)
    attempt("block weight", domain.blkioParameters)
    attempt("bandwidth", domain.interfaceParameters, "52:54:00:11:22:33")
    attempt("bandwidth of none", domain.interfaceParameters, "vnet99")
    attempt("block limits of none", domain.blockIoTune, "vdz")
    attempt("perf", lambda: sorted(domain.perfEvents()))
    attempt("disk errors", domain.diskErrors)
    attempt("security", domain.securityLabel)
    attempt("iothreads", domain.ioThreadInfo)
    attempt("messages", domain.messages)
    attempt("launch security", domain.launchSecurityInfo)
