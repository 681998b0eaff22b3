"""The life of a domain."""

from __future__ import annotations

import libvirt
from telling import attempt, names, quietly, tell

NAME = "walker"
UUID = "11111111-2222-3333-4444-000000000001"
DOCUMENT = """
<domain type='{type}'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <title>A walker</title>
  <description>Of the walk</description>
  <memory unit='MiB'>64</memory>
  <vcpu current='1'>2</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>
    <interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>
    <console type='pty'/>
    <graphics type='vnc' autoport='yes'/>
    <video><model type='vga' vram='16384' heads='1'/></video>
  </devices>
</domain>
"""


def document(host: libvirt.virConnect, name: str = NAME, uuid: str = UUID) -> str:
    """A domain for the driver of a host."""
    kind = "test" if host.getType() == "TEST" else "qemu"
    return DOCUMENT.format(type=kind, name=name, uuid=uuid)


def walk(host: libvirt.virConnect) -> None:
    """Go through the functions of a domain, from its definition to its end."""
    domain = host.defineXML(document(host))
    try:
        found(host, domain)
        defined(domain)
        started(host, domain)
        running(domain)
    finally:
        quietly(domain.destroy)
        quietly(domain.undefine)
    gone(host, domain)
    transient(host)


def found(host: libvirt.virConnect, domain: libvirt.virDomain) -> None:
    """The ways to find a domain, and those to define one that is there."""
    tell("by name", host.lookupByName(NAME))
    tell("by uuid", host.lookupByUUID(domain.UUID()))
    tell("by uuid text", host.lookupByUUIDString(UUID))
    attempt("no name", host.lookupByName, "nobody")
    attempt("no uuid", host.lookupByUUIDString, "99999999-2222-3333-4444-000000000001")
    attempt("bad uuid", host.lookupByUUIDString, "nothing")
    attempt("no id", host.lookupByID, 4711)
    attempt("again", host.defineXML, document(host))
    attempt(
        "same name", host.defineXML, document(host, uuid="11111111-2222-3333-4444-000000000009")
    )
    attempt("same uuid", host.defineXML, document(host, name="other"))
    attempt("broken", host.defineXML, "<domain")
    attempt("wrong root", host.defineXML, "<nothing/>")
    attempt("flags", host.defineXMLFlags, document(host), 1 << 20)
    tell("inactive", NAME in names(host.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE)))
    tell("active", NAME in names(host.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)))


def defined(domain: libvirt.virDomain) -> None:
    """A domain that does not run."""
    tell("name", domain.name())
    tell("uuid", domain.UUIDString())
    tell("id", domain.ID())
    tell("os", domain.OSType())
    tell("state", domain.state())
    tell("info", domain.info()[:4])
    tell("flags", [domain.isActive(), domain.isPersistent(), domain.isUpdated()])
    tell("autostart", domain.autostart())
    attempt("set autostart", domain.setAutostart, 1)
    tell("autostart", domain.autostart())
    domain.setAutostart(0)
    tell("memory", domain.maxMemory())
    attempt("set memory", domain.setMemory, 32768)
    attempt("set maximum", domain.setMaxMemory, 131072)
    tell("memory", [domain.maxMemory(), domain.info()[2]])
    attempt("max vcpus", domain.maxVcpus)
    attempt("vcpus of config", domain.vcpusFlags, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    attempt("vcpus of live", domain.vcpusFlags, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    attempt("set vcpus", domain.setVcpusFlags, 2, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    attempt("too many", domain.setVcpusFlags, 9, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    for name in ("suspend", "resume", "shutdown", "reboot", "reset", "destroy", "injectNMI"):
        attempt(f"{name} while off", getattr(domain, name))
    attempt("vcpus while off", domain.vcpus)
    attempt("job while off", domain.jobInfo)
    attempt("job stats while off", domain.jobStats)
    attempt("control while off", domain.controlInfo)
    attempt("save while off", domain.save, "/nowhere/file")
    attempt("managed save while off", domain.managedSave)
    attempt("managed image", domain.hasManagedSaveImage)
    attempt("time", domain.getTime)
    attempt("hostname", domain.hostname)
    metadata(domain)
    renamed(domain)


def metadata(domain: libvirt.virDomain) -> None:
    """Title, description, and the elements of others."""
    kinds = {
        "title": libvirt.VIR_DOMAIN_METADATA_TITLE,
        "description": libvirt.VIR_DOMAIN_METADATA_DESCRIPTION,
    }
    for name, kind in kinds.items():
        tell(name, domain.metadata(kind, None))
        domain.setMetadata(kind, f"new {name}", None, None)
        tell(name, domain.metadata(kind, None))
    element = libvirt.VIR_DOMAIN_METADATA_ELEMENT
    attempt("no element", domain.metadata, element, "http://x/y")
    attempt("set element", domain.setMetadata, element, "<a b='c'/>", "x", "http://x/y")
    attempt("element", domain.metadata, element, "http://x/y")
    attempt("remove element", domain.setMetadata, element, None, "x", "http://x/y")
    attempt("no element", domain.metadata, element, "http://x/y")
    attempt("broken element", domain.setMetadata, element, "<a", "x", "http://x/y")
    attempt("title of two lines", domain.setMetadata, kinds["title"], "a\nb", None, None)


def renamed(domain: libvirt.virDomain) -> None:
    """Another name, and back."""
    attempt("rename to itself", domain.rename, NAME)
    if attempt("rename", domain.rename, "walker2") is not None:
        quietly(domain.rename, NAME)


def started(host: libvirt.virConnect, domain: libvirt.virDomain) -> None:
    """The states of a domain, each with its reason."""
    attempt("start", domain.create)
    tell("state", domain.state())
    tell("id", domain.ID() > 0)
    tell("by id", host.lookupByID(domain.ID()))
    attempt("start again", domain.create)
    attempt("rename while on", domain.rename, "walker3")
    attempt("suspend", domain.suspend)
    tell("state", domain.state())
    attempt("suspend again", domain.suspend)
    attempt("resume", domain.resume)
    tell("state", domain.state())
    attempt("reset", domain.reset)
    attempt("destroy", domain.destroy)
    tell("state", domain.state())
    attempt("start paused", domain.createWithFlags, libvirt.VIR_DOMAIN_START_PAUSED)
    tell("state", domain.state())
    attempt("destroy gracefully", domain.destroyFlags, libvirt.VIR_DOMAIN_DESTROY_GRACEFUL)
    attempt("strange start", domain.createWithFlags, 1 << 20)
    attempt("start", domain.createWithFlags, 0)
    attempt("managed save", domain.managedSave)
    attempt("managed image", domain.hasManagedSaveImage)
    tell("state", domain.state())
    attempt("start from image", domain.create)
    tell("state", domain.state())
    attempt("managed image", domain.hasManagedSaveImage)


def running(domain: libvirt.virDomain) -> None:
    """A domain that runs."""
    tell("os", domain.OSType())
    tell("memory", domain.maxMemory())
    attempt("max vcpus", domain.maxVcpus)
    attempt("vcpus", lambda: len(domain.vcpus()[0]))
    attempt("set vcpus", domain.setVcpus, 9)
    attempt("pin", domain.pinVcpu, 0, (True,))
    attempt("emulator", lambda: len(domain.emulatorPinInfo()) > 0)
    attempt("vcpu pins", lambda: len(domain.vcpuPinInfo()))
    attempt("job", domain.jobInfo)
    attempt("job stats", domain.jobStats)
    attempt("abort", domain.abortJob)
    attempt("control", lambda: domain.controlInfo()[:2])
    attempt("send key", domain.sendKey, 0, 0, [1], 1)
    attempt("nmi", domain.injectNMI)
    attempt("agent", domain.setUserPassword, "root", "x")
    attempt("file systems", domain.fsInfo)
    attempt("freeze", domain.fsFreeze)
    attempt("trim", domain.fSTrim, None, 0)
    attempt("guest info", domain.guestInfo)
    attempt("guest vcpus", domain.guestVcpus)
    attempt("hostname", domain.hostname)
    attempt("addresses", domain.interfaceAddresses, 1)
    attempt("leases", domain.interfaceAddresses, 0)
    attempt("no source", domain.interfaceAddresses, 9)
    attempt("keys", domain.authorizedSSHKeysGet, "root")
    attempt("memory stats", lambda: "actual" in domain.memoryStats())
    attempt(
        "undefine with image flag", domain.undefineFlags, libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    )
    tell("persistent", domain.isPersistent())


def gone(host: libvirt.virConnect, domain: libvirt.virDomain) -> None:
    """A domain that was undefined."""
    attempt("gone", domain.info)
    attempt("start gone", domain.create)
    attempt("undefine gone", domain.undefine)
    attempt("lookup gone", host.lookupByName, NAME)


def transient(host: libvirt.virConnect) -> None:
    """A domain without a definition."""
    domain = attempt("create", host.createXML, document(host))
    if domain is None:
        return
    tell("persistent", domain.isPersistent())
    attempt("autostart", domain.setAutostart, 1)
    attempt("undefine", domain.undefine)
    attempt("create again", host.createXML, document(host))
    attempt("destroy", domain.destroy)
    attempt("gone", domain.state)
