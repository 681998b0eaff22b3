"""A host: its connection, its machine, its capabilities, its lists."""

from __future__ import annotations

import libvirt
from telling import attempt, element, names, tell

CPU = "<cpu><arch>x86_64</arch><model>qemu64</model><vendor>AMD</vendor></cpu>"


def walk(host: libvirt.virConnect) -> None:
    """Go through the functions of a connection that need no other object."""
    connection(host)
    machine(host)
    capabilities(host)
    lists(host)


def connection(host: libvirt.virConnect) -> None:
    """The kind of the connection."""
    driver = host.getType()
    tell("type", driver)
    tell("library", host.getLibVersion())
    tell("version", host.getVersion() > 0)
    tell("uri", host.getURI())
    tell("secure", host.isSecure())
    tell("encrypted", host.isEncrypted())
    tell("alive", host.isAlive())
    attempt("keepalive", host.setKeepAlive, 5, 3)
    attempt("max vcpus", host.getMaxVcpus, "qemu" if driver == "QEMU" else "test")
    attempt("max vcpus of nothing", host.getMaxVcpus, "nothing")
    attempt("system info", host.getSysinfo)
    attempt("identity", host.setIdentity, {"uri": "x"}, 0)


def machine(host: libvirt.virConnect) -> None:
    """The machine; numbers only on the test driver, whose machine is always the same."""
    attempt("read only security", host.getSecurityModel)
    if host.getType() == "TEST":
        tell("info", host.getInfo())
        attempt("free memory", host.getFreeMemory)
        attempt("cells", host.getCellsFreeMemory, 0, 5)
        attempt("cpu map", host.getCPUMap)
        attempt("free pages", host.getFreePages, [4], 0, 1)
        attempt("alloc pages", host.allocPages, {2048: 1}, 0, 1)
    else:
        tell("info", [type(one).__name__ for one in host.getInfo()])
        tell("free memory", host.getFreeMemory() > 0)
        tell("cells", len(host.getCellsFreeMemory(0, 1)))
    attempt("free pages of no cell", host.getFreePages, [4], 99, 1)
    attempt("no cell", host.getCellsFreeMemory, 9999, 1)
    tell("cpu stats", sorted(host.getCPUStats(0)))
    attempt("cpu stats of no cpu", host.getCPUStats, 9999)
    attempt("memory stats", lambda: sorted(host.getMemoryStats(-1)))
    attempt("memory parameters", lambda: sorted(host.getMemoryParameters()))
    attempt("suspend", host.suspendForDuration, 99, 1)


def capabilities(host: libvirt.virConnect) -> None:
    """Documents of the host."""
    tell("capabilities", element(host.getCapabilities(), "capabilities"))
    attempt(
        "domain capabilities",
        lambda: element(host.getDomainCapabilities(None, "x86_64", None, None), "arch|domain"),
    )
    attempt("domain capabilities of nothing", host.getDomainCapabilities, None, "z80", None, None)
    attempt(
        "pool capabilities", lambda: element(host.getStoragePoolCapabilities(), "pool type='dir'")
    )
    tell("models", "qemu64" in host.getCPUModelNames("x86_64"))
    attempt("models of nothing", host.getCPUModelNames, "z80")
    attempt("compare", host.compareCPU, CPU)
    attempt("compare nothing", host.compareCPU, "<cpu/>")
    attempt("baseline", lambda: element(host.baselineCPU([CPU]), "model"))
    attempt("baseline of nothing", host.baselineCPU, [])
    attempt("native", host.domainXMLFromNative, "qemu-argv", "x", 0)
    attempt("sources", host.findStoragePoolSources, "dir", None, 0)
    attempt("no sources", host.findStoragePoolSources, "nothing", None, 0)


def lists(host: libvirt.virConnect) -> None:
    """The lists of objects that a new host has, in the old style and the new one."""
    tell("domains", names(host.listAllDomains()))
    tell("old domains", [len(host.listDomainsID()), host.numOfDomains()])
    tell("defined", [host.listDefinedDomains(), host.numOfDefinedDomains()])
    tell("pools", names(host.listAllStoragePools()))
    tell("old pools", [host.listStoragePools(), host.numOfStoragePools()])
    tell("defined pools", [host.listDefinedStoragePools(), host.numOfDefinedStoragePools()])
    tell("networks", names(host.listAllNetworks()))
    if host.getType() == "TEST":
        tell("old networks", [host.listNetworks(), host.numOfNetworks()])
        tell("interfaces", [host.listInterfaces(), host.numOfInterfaces()])
        tell("devices", sorted(host.listDevices(None)))
        tell("new devices", names(host.listAllDevices()))
    attempt("defined interfaces", host.listDefinedInterfaces)
    attempt("secrets", host.listSecrets)
    attempt("number of secrets", host.numOfSecrets)
    attempt("new secrets", host.listAllSecrets)
    attempt("filters", lambda: sorted(host.listNWFilters())[:0])
    attempt("number of filters", lambda: host.numOfNWFilters() >= 0)
    attempt("bindings", host.listAllNWFilterBindings)
    attempt("flags that nobody has", host.listAllDomains, 1 << 30)
