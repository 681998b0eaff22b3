"""Events of all kinds, heard in the order in which they are told."""

from __future__ import annotations

from typing import Any

import domains
import libvirt
import networks
import objects
import storage
from telling import attempt, quietly, tell

NAME = "walkheard"
UUID = "11111111-2222-3333-4444-000000000008"


class Ear:
    """Collects what callbacks are told."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.done = False

    def hears(self, label: str) -> Any:
        """A callback for one kind of event."""

        def callback(host: libvirt.virConnect, source: Any, *details: Any) -> None:
            *values, _opaque = details
            name = source.usageID() if hasattr(source, "usageID") else source.name()
            self.heard.append(f"heard {label}: {name} {values}")
            self.done = self.done or name == "walklast"

        return callback


def walk(host: libvirt.virConnect) -> None:
    """Subscribe to every kind of event, let things happen, and print what was heard."""
    ear = Ear()
    tokens = [
        host.domainEventRegisterAny(None, kind, ear.hears(label), None)
        for label, kind in sorted(kinds("VIR_DOMAIN_EVENT_ID_").items())
    ]
    quiet = [
        attempt(f"register {label}", register, None, 0, ear.hears(label), None)
        for label, register in (
            ("network", host.networkEventRegisterAny),
            ("pool", host.storagePoolEventRegisterAny),
            ("device", host.nodeDeviceEventRegisterAny),
            ("secret", host.secretEventRegisterAny),
        )
    ]
    host.domainEventRegister(legacy(ear), None)
    happen(host)
    last = host.defineXML(domains.document(host, "walklast", UUID.replace("8", "9")))
    for _ in range(100):
        if ear.done:
            break
        libvirt.virEventRunDefaultImpl()
    last.undefine()
    print("\n".join(ear.heard))
    attempt("deregister", host.domainEventDeregisterAny, tokens[0])
    attempt("deregister again", host.domainEventDeregisterAny, tokens[0])
    for token in tokens[1:]:
        host.domainEventDeregisterAny(token)
    undo = (
        host.networkEventDeregisterAny,
        host.storagePoolEventDeregisterAny,
        host.nodeDeviceEventDeregisterAny,
        host.secretEventDeregisterAny,
    )
    for deregister, token in zip(undo, quiet, strict=True):
        if token is not None:
            deregister(token)


def kinds(prefix: str) -> dict[str, int]:
    """The kinds of event that the binding knows, by name."""
    return {
        name.removeprefix(prefix).lower(): getattr(libvirt, name)
        for name in dir(libvirt)
        if name.startswith(prefix) and isinstance(getattr(libvirt, name), int)
    }


def legacy(ear: Ear) -> Any:
    """The oldest style of callback."""

    def callback(
        host: libvirt.virConnect, domain: libvirt.virDomain, event: int, detail: int, opaque: Any
    ) -> None:
        ear.heard.append(f"heard legacy: {domain.name()} {event} {detail}")

    return callback


def happen(host: libvirt.virConnect) -> None:
    """Change each kind of object."""
    domain = host.defineXML(domains.document(host, NAME, UUID))
    domain.create()
    domain.suspend()
    domain.resume()
    domain.reboot() if host.getType() == "TEST" else domain.reset()
    quietly(domain.setMemory, 32768)
    quietly(domain.setMetadata, libvirt.VIR_DOMAIN_METADATA_ELEMENT, "<a/>", "x", "http://x/y", 1)
    quietly(domain.setMetadata, libvirt.VIR_DOMAIN_METADATA_TITLE, "new", None, None, 1)
    quietly(domain.snapshotCreateXML, "<domainsnapshot><name>s</name></domainsnapshot>")
    domain.managedSave()
    domain.create()
    domain.destroy()
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)
    network = host.networkDefineXML(networks.document("walkheardnet", UUID))
    if host.getType() == "TEST":
        network.create()
        network.destroy()
    network.undefine()
    pool = host.storagePoolDefineXML(storage.POOL.format(name=NAME, uuid=UUID, path="/tmp"))
    pool.create()
    pool.refresh()
    pool.destroy()
    pool.undefine()
    secret = quietly(
        host.secretDefineXML, objects.SECRET.format(uuid=UUID, usage=NAME, private="no")
    )
    if secret is not None:
        secret.setValue(b"x")
        secret.undefine()
    tell("happened", True)


def poke(host: libvirt.virConnect) -> None:
    """Define a domain, and undefine it: whoever listens hears of it."""
    host.defineXML(domains.document(host, "walkpoke", UUID.replace("8", "7"))).undefine()
