"""Snapshots and checkpoints of a domain."""

from __future__ import annotations

import libvirt
import storage
from domains import document
from telling import attempt, quietly, tell

SNAPSHOT = (
    "<domainsnapshot><name>{name}</name><description>Of the walk</description></domainsnapshot>"
)
CHECKPOINT = "<domaincheckpoint><name>{name}</name></domaincheckpoint>"
DISK = """<devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{path}'/>
      <target dev='vda' bus='virtio'/>
    </disk>"""
NAME = "walksnap"
UUID = "11111111-2222-3333-4444-000000000006"


def walk(host: libvirt.virConnect) -> None:
    """Go through the functions of snapshots and of checkpoints."""
    with storage.one_pool(host, NAME, UUID) as pool:
        walk_through(host, pool.createXML(storage.volume_document("snap", 4096, "qcow2"), 0).path())


def walk_through(host: libvirt.virConnect, path: str) -> None:
    """Go through the functions with a domain that has this disk."""
    text = document(host, NAME, UUID).replace("<devices>", DISK.format(path=path))
    domain = host.defineXML(text)
    try:
        none(domain)
        tree(domain)
        reverted(domain)
        deleted(domain)
        checkpoints(domain)
    finally:
        quietly(domain.destroy)
        quietly(
            domain.undefineFlags,
            libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA,
        )


def none(domain: libvirt.virDomain) -> None:
    """A domain without snapshots."""
    tell("snapshots", [domain.snapshotNum(), domain.listAllSnapshots(), domain.snapshotListNames()])
    tell("has current", domain.hasCurrentSnapshot())
    attempt("current", domain.snapshotCurrent)
    attempt("no snapshot", domain.snapshotLookupByName, "nobody")
    attempt("broken", domain.snapshotCreateXML, "<domainsnapshot")
    attempt("wrong root", domain.snapshotCreateXML, "<nothing/>")


def tree(domain: libvirt.virDomain) -> None:
    """A snapshot, and one below it."""
    one = attempt("one", domain.snapshotCreateXML, SNAPSHOT.format(name="one"))
    two = attempt("two", domain.snapshotCreateXML, SNAPSHOT.format(name="two"))
    attempt("one again", domain.snapshotCreateXML, SNAPSHOT.format(name="one"))
    tell("names", [one.getName(), two.getName()])
    tell("parent", two.getParent())
    attempt("no parent", one.getParent)
    tell("children", [one.numChildren(), one.listChildrenNames(), one.listAllChildren()])
    tell("current", domain.snapshotCurrent())
    tell("is current", [one.isCurrent(), two.isCurrent(), one.hasMetadata()])
    tell("listed", sorted(domain.snapshotListNames()))
    roots = libvirt.VIR_DOMAIN_SNAPSHOT_LIST_ROOTS
    tell("roots", [domain.snapshotNum(roots), domain.snapshotListNames(roots)])
    tell("state", "<state>shutoff</state>" in one.getXMLDesc())
    attempt("undefine", domain.undefine)


def reverted(domain: libvirt.virDomain) -> None:
    """Back to a snapshot."""
    one = domain.snapshotLookupByName("one")
    attempt("revert", domain.revertToSnapshot, one)
    tell("state", domain.state())
    tell("current", domain.snapshotCurrent())
    running = libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING
    attempt("revert and run", domain.revertToSnapshot, one, running)
    tell("state", domain.state())
    attempt("strange revert", domain.revertToSnapshot, one, 1 << 20)
    quietly(domain.destroy)


def deleted(domain: libvirt.virDomain) -> None:
    """Snapshots go."""
    one = domain.snapshotLookupByName("one")
    two = domain.snapshotLookupByName("two")
    attempt("delete", one.delete)
    attempt("no parent", two.getParent)
    attempt("delete gone", one.delete)
    attempt("document of gone", one.getXMLDesc)
    attempt("delete children", two.delete, libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN)
    tell("left", domain.snapshotNum())


def checkpoints(domain: libvirt.virDomain) -> None:
    """Checkpoints, which only a running guest takes."""
    attempt("checkpoints", domain.listAllCheckpoints)
    attempt("no checkpoint", domain.checkpointLookupByName, "nobody")
    attempt("checkpoint while off", domain.checkpointCreateXML, CHECKPOINT.format(name="first"))
    attempt("broken checkpoint", domain.checkpointCreateXML, "<domaincheckpoint")
    domain.create()
    made = attempt("checkpoint", domain.checkpointCreateXML, CHECKPOINT.format(name="first"))
    if made is None:
        return
    tell("checkpoints", names_of(domain))
    attempt("no parent", made.getParent)
    attempt("delete", made.delete)
    tell("checkpoints", names_of(domain))


def names_of(domain: libvirt.virDomain) -> list[str]:
    """The names of the checkpoints of a domain."""
    return sorted(one.getName() for one in domain.listAllCheckpoints())
