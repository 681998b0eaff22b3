"""Settings of a domain by typed parameters, and the streams of its screen and its console."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import libvirt
from domains import document
from telling import attempt, quietly, tell

NAME = "walktune"
UUID = "11111111-2222-3333-4444-000000000022"
CONFIG, LIVE = libvirt.VIR_DOMAIN_AFFECT_CONFIG, libvirt.VIR_DOMAIN_AFFECT_LIVE
MAC = "52:54:00:11:22:33"


def walk(host: libvirt.virConnect) -> None:
    """Go through the settings of a domain, off and on."""
    domain = host.defineXML(document(host, NAME, UUID))
    try:
        settings(domain, CONFIG)
        attempt("live while off", domain.setMemoryParameters, {"hard_limit": 1 << 20}, LIVE)
        attempt("pin", domain.pinVcpuFlags, 0, (True, False), CONFIG)
        attempt("pins", lambda: [one[:2] for one in domain.vcpuPinInfo(CONFIG)])
        attempt("emulator", domain.pinEmulator, (True, False), CONFIG)
        attempt("period", domain.setMemoryStatsPeriod, 5, CONFIG)
        attempt("iothread", domain.addIOThread, 1, CONFIG)
        attempt("iothread again", domain.addIOThread, 1, CONFIG)
        attempt("iothreads", lambda: [one[0] for one in domain.ioThreadInfo(CONFIG)])
        attempt("no iothread", domain.delIOThread, 1, CONFIG)
        attempt("perf", domain.setPerfEvents, {"cpu_cycles": True}, CONFIG)
        attempt("screen while off", lambda: domain.screenshot(host.newStream(), 0))
        attempt("console while off", domain.openConsole, None, host.newStream())
        domain.undefine()
        domain = host.defineXML(document(host, NAME, UUID))
        domain.create()
        attempt("memory", domain.setMemoryFlags, 49152, LIVE)
        attempt("too much", domain.setMemoryFlags, 1 << 30, LIVE)
        attempt("maximum", domain.setMemoryFlags, 1 << 20, LIVE | libvirt.VIR_DOMAIN_MEM_MAXIMUM)
        attempt("vcpus", domain.setVcpusFlags, 2, LIVE)
        attempt("none", domain.setVcpusFlags, 0, LIVE)
        attempt("both", domain.memoryParameters, LIVE | CONFIG)
        attempt("screen", lambda: screen(host, domain, 0))
        attempt("second screen", lambda: screen(host, domain, 1))
        attempt("no console", domain.openConsole, "wonder", host.newStream())
        attempt("channel", domain.openChannel, None, host.newStream())
        attempt("graphics", domain.openGraphicsFD, 7)
    finally:
        quietly(domain.destroy)
        domain.undefine()


def screen(host: libvirt.virConnect, domain: libvirt.virDomain, number: int) -> bool:
    """Whether a picture of a screen has bytes."""
    stream = host.newStream()
    domain.screenshot(stream, number)
    found: list[bytes] = []
    stream.recvAll(lambda stream, data, opaque: found.append(data), None)
    stream.finish()
    return len(b"".join(found)) > 0


def settings(domain: libvirt.virDomain, flags: int) -> None:
    """Each group of parameters: set, read, and refused."""
    groups: tuple[tuple[str, Callable[..., Any], Callable[..., Any], dict[str, Any]], ...] = (
        ("memory", domain.setMemoryParameters, domain.memoryParameters, {"hard_limit": 1 << 20}),
        ("numa", domain.setNumaParameters, domain.numaParameters, {"numa_nodeset": "0"}),
        ("blkio", domain.setBlkioParameters, domain.blkioParameters, {"weight": 500}),
    )
    for name, change, read, given in groups:
        attempt(f"set {name}", change, given, flags)
        attempt(name, read, flags)
        attempt(f"strange {name}", read, 1 << 20)
    scheduler = domain.schedulerParametersFlags
    attempt("scheduler", scheduler, flags)
    attempt("set scheduler", domain.setSchedulerParametersFlags, {"cpu_shares": 2048}, flags)
    attempt("scheduler", scheduler, flags)
    bandwidth = {"inbound.average": 100, "outbound.average": 200}
    attempt("set bandwidth", domain.setInterfaceParameters, MAC, bandwidth, flags)
    attempt("bandwidth", domain.interfaceParameters, MAC, flags)
    attempt("set limits", domain.setBlockIoTune, "hdc", {"total_bytes_sec": 1 << 20}, flags)
    attempt("limits", domain.blockIoTune, "hdc", flags)
    tell("document", sorted(set(domain.XMLDesc().split("<")) & {"hard_limit unit='KiB'>1048576"}))
