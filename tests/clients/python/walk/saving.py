"""Guests saved to files and restored, dumps of their memory, and jobs on their disks."""

from __future__ import annotations

import os
import tempfile
import time

import libvirt
import storage
from domains import document
from telling import attempt, quietly, tell

NAME = "walksave"
UUID = "11111111-2222-3333-4444-000000000023"
DISK = """<devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='{path}'/><target dev='vda' bus='virtio'/>
    </disk>"""


def walk(host: libvirt.virConnect) -> None:
    """Go through images of guests, then through jobs on disks."""
    with storage.one_pool(host, NAME, UUID) as pool:
        path = pool.createXML(storage.volume_document("disk", 1024, "qcow2"), 0).path()
        text = document(host, NAME, UUID).replace("<devices>", DISK.format(path=path))
        domain = host.defineXML(text)
        try:
            domain.create()
            with tempfile.TemporaryDirectory(prefix="av-walk-") as folder:
                os.chmod(folder, 0o755)
                images(host, domain, f"{folder}/image")
                dumps(domain, folder)
            jobs(domain, path)
        finally:
            quietly(domain.destroy)
            domain.undefine()


def images(host: libvirt.virConnect, domain: libvirt.virDomain, path: str) -> None:
    """An image of a guest, looked at, changed, and restored."""
    attempt("no image", host.restore, "/nowhere/image")
    attempt("document of none", host.saveImageGetXMLDesc, "/nowhere/image")
    attempt("strange save", domain.saveFlags, path, None, 1 << 20)
    attempt("save", domain.save, path)
    tell("state", domain.state())
    attempt("save again", domain.save, path)
    attempt("document", lambda: "<name>walksave</name>" in host.saveImageGetXMLDesc(path))
    attempt("restore", host.restore, path)
    tell("state", domain.state())
    attempt("restore again", host.restore, path)
    paused = libvirt.VIR_DOMAIN_SAVE_PAUSED
    attempt("save to be paused", domain.saveFlags, path, None, paused)
    attempt("restore paused", host.restoreFlags, path, None, 0)
    tell("state", domain.state())
    attempt("both states", domain.saveFlags, path, None, paused | libvirt.VIR_DOMAIN_SAVE_RUNNING)
    attempt("managed save", domain.managedSave)
    attempt("managed document", lambda: len(domain.managedSaveGetXMLDesc()) > 0)
    attempt("remove it", domain.managedSaveRemove)
    attempt("remove it again", domain.managedSaveRemove)
    attempt("no managed document", domain.managedSaveGetXMLDesc)
    domain.create()


def dumps(domain: libvirt.virDomain, folder: str) -> None:
    """Dumps of the memory of a guest."""
    attempt("dump", domain.coreDump, f"{folder}/dump")
    tell("state", domain.state())
    attempt("strange dump", domain.coreDump, f"{folder}/dump", 1 << 20)
    attempt("dump and crash", domain.coreDump, f"{folder}/dump", libvirt.VIR_DUMP_CRASH)
    tell("state", domain.state())
    quietly(domain.create)


def jobs(domain: libvirt.virDomain, path: str) -> None:
    """Jobs on disks that are refused, and one that has nothing to do."""
    attempt("no job", domain.blockJobInfo, "vda")
    attempt("no disk", domain.blockJobInfo, "vdz")
    attempt("abort none", domain.blockJobAbort, "vda")
    attempt("speed of none", domain.blockJobSetSpeed, "vda", 5)
    attempt("pull", domain.blockPull, "vda")
    attempt("pull none", domain.blockPull, "vdz")
    ended(domain)
    attempt("commit", domain.blockCommit, "vda", None, None)
    attempt("commit none", domain.blockCommit, "vdz", None, None)
    attempt("rebase", domain.blockRebase, "vda", "/nowhere")
    attempt("copy", domain.blockCopy, "vda", "<disk")
    attempt("copy none", domain.blockCopy, "vdz", "<disk type='file'><source file='/x'/></disk>")
    attempt("backup", domain.backupGetXMLDesc)
    attempt("stats", lambda: len(domain.blockStats("vda")))
    attempt("stats by path", lambda: len(domain.blockStats(path)))
    attempt("info by path", lambda: domain.blockInfo(path)[0])


def ended(domain: libvirt.virDomain) -> None:
    """Wait for the end of the job of the disk."""
    deadline = time.monotonic() + 20
    while quietly(domain.blockJobInfo, "vda") and time.monotonic() < deadline:
        time.sleep(0.02)
