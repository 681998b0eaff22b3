"""Jobs on the disks of a running guest: pull, commit, copy.

A job takes a while (`Pace.block`); then a pull or a commit is done, and a copy or the commit of the
active file is ready, and waits to be pivoted to or given up. No file of the machine is touched.

Source: libvirt's src/qemu/qemu_driver.c (qemuDomainBlockJobAbort and its like) and qemu_blockjob.c.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from lxml import etree

from aiovirt.daemons.virtd.constants.domain import DomainBlockJobType as Type
from aiovirt.daemons.virtd.constants.domain_events import (
    ConnectDomainEventBlockJobStatus as Status,
)
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.host import blockjob_documents, machine
from aiovirt.daemons.virtd.xml import chains, devices, reading
from aiovirt.daemons.virtd.xml.placing import writable
from aiovirt.rpc.wire.errors import ErrorCode

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Disk, Domain

_SECOND: Final = 1_000_000_000
#: Jobs that wait when they are ready.
_WAITING: Final = (Type.COPY, Type.ACTIVE_COMMIT)


class Progress(msgspec.Struct, frozen=True):
    """A job as it stands. bandwidth: bytes per second, 0 for no limit; cur, end: in bytes."""

    type: int
    bandwidth: int
    cur: int
    end: int


def find_disk(domain: Domain, path: str) -> Disk:
    """Return a disk of a running guest.

    Args:
        domain: the guest.
        path: target or source of the disk.

    Raises:
        RpcError: OPERATION_INVALID for a guest that does not run, INVALID_ARG for an unknown disk.
    """
    domain.require_active()
    return _disk_of(domain, path)


def _disk_of(domain: Domain, path: str) -> Disk:
    """The disk, also of a guest that does not run. Raises RpcError INVALID_ARG for an unknown one."""
    found = domain.record.facts.disk(path)
    if found is None:
        raise domain.refused(ErrorCode.INVALID_ARG, f"disk '{path}' not found in domain")
    return found


def _jobs(domain: Domain) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = domain.detail("jobs", {})
    return found


def _keep(domain: Domain, target: str, job: dict[str, Any] | None) -> None:
    jobs = {**_jobs(domain)}
    jobs.pop(target, None)
    if job is not None:
        jobs[target] = job
    domain.keep("jobs", jobs or None)


# From the client -----------------------------------------------------------------------------------


def start(
    domain: Domain,
    path: str,
    kind: Type,
    *,
    bandwidth: int = 0,
    mirror: etree._Element | None = None,
    base: str | None = None,
    more: Mapping[str, int] | None = None,
) -> None:
    """Begin a job.

    Args:
        domain: the guest.
        path: target or source of the disk.
        kind: of the job.
        bandwidth: bytes per second, 0 for no limit.
        mirror: the new file of a copy, as a <disk> or a <mirror>.
        base: the file that a pull leaves below the disk; None for none.
        more: is kept with the job, for its end.

    Raises:
        RpcError: as `find_disk` does; BLOCK_COPY_ACTIVE for a disk that has a job, INVALID_ARG for one
            without a medium, or for a base that is not there.
    """
    disk = find_disk(domain, path)
    require_idle(domain, disk.target)
    if not disk.source:
        text = f"disk '{disk.target}' has no source file to be {_VERBS[kind]}"
        raise domain.refused(ErrorCode.INVALID_ARG, text)
    details = dict(more or {})
    if base is not None:
        chain = _chain(domain, disk.target)
        details["base"] = chains.index(chains.find(disk.target, chain, base, chain[0]))
    begun = domain.host.clock.passed()
    job = {"type": int(kind), "begun": begun, "bandwidth": bandwidth, **details}
    with domain.host.store.batch():
        _keep(domain, disk.target, job)
        if kind in _WAITING:
            blockjob_documents.set_mirror(domain, disk.target, job, mirror)
    domain.host.timers.after(
        domain.host.pace.block, (domain.uuid, f"job {disk.target}"), _worked, domain, disk.target
    )


def require_idle(domain: Domain, target: str) -> None:
    """Raise RpcError BLOCK_COPY_ACTIVE for a disk with a job."""
    if target in _jobs(domain):
        detail = f"disk '{target}' already in active block job"
        raise domain.refused(ErrorCode.BLOCK_COPY_ACTIVE, detail)


def require_none(domain: Domain) -> None:
    """Raise RpcError OPERATION_INVALID for a guest with a job on any disk."""
    if _jobs(domain):
        raise domain.refused(ErrorCode.OPERATION_INVALID, "domain has active block job")


def _chain(domain: Domain, target: str) -> list[etree._Element]:
    disk = devices.disk(domain.record.facts.document, target)
    return [] if disk is None else chains.files(disk)


def commit(
    domain: Domain,
    path: str,
    names: tuple[str | None, str | None],
    *,
    shallow: bool,
    active: bool,
    bandwidth: int,
) -> None:
    """Begin to write what a file of a chain has into one below it.

    Args:
        domain: the guest.
        path: target or source of the disk.
        names: of the file, and of the one below; None for the disk, and for the lowest file.
        shallow: the one below is the next.
        active: the file may be that of the disk.
        bandwidth: bytes per second, 0 for no limit.

    Raises:
        RpcError: as `start` does; INVALID_ARG for files that are not in the chain in this order.
    """
    disk = _disk_of(domain, path)
    chain = _chain(domain, disk.target)
    top = chain[0] if names[0] is None else chains.find(disk.target, chain, names[0])
    after = chain.index(top) + 1
    if names[1] is not None:
        base = chains.find(disk.target, chain, names[1], top)
    elif shallow and after == len(chain):
        text = f"top '{chains.path_of(top)}' in chain for '{disk.source}' has no backing file"
        raise domain.refused(ErrorCode.INVALID_ARG, text)
    elif after == len(chain) and (active or after > 1 or not domain.is_active):
        text = f"could not find base image in chain for '{disk.target}'"
        raise domain.refused(ErrorCode.INVALID_ARG, text)
    else:
        base = chain[after] if shallow else chain[-1]
    domain.require_active()
    require_idle(domain, disk.target)
    is_active = after == 1
    if is_active and not active:
        text = f"commit of '{disk.target}' active layer requires active flag"
        raise domain.refused(ErrorCode.INVALID_ARG, text)
    if active and not is_active:
        text = f"active commit requested but '{chains.path_of(top)}' is not active"
        raise domain.refused(ErrorCode.INVALID_ARG, text)
    kind = Type.ACTIVE_COMMIT if is_active else Type.COMMIT
    numbers = {"into": chains.index(base), "above": chains.index(chain[max(0, after - 2)])}
    start(domain, path, kind, bandwidth=bandwidth, more=numbers)


_VERBS: Final = {
    Type.PULL: "pulled",
    Type.COPY: "copied",
    Type.COMMIT: "committed",
    Type.ACTIVE_COMMIT: "committed",
}


def progress(domain: Domain, path: str) -> Progress | None:
    """Return how far the job of a disk is, None without a job.

    Args:
        domain: the guest.
        path: target or source of the disk.

    Raises:
        RpcError: as `find_disk` does.
    """
    disk = find_disk(domain, path)
    _settle(domain, disk.target)
    job = _jobs(domain).get(disk.target)
    if job is None:
        return None
    end = machine.sizes(domain, disk).capacity
    pace = max(domain.host.pace.block, 0.001)
    share = min(1.0, (domain.host.clock.passed() - job["begun"]) / _SECOND / pace)
    cur = end if job.get("ready") else min(end - 1, int(end * share))
    return Progress(job["type"], job["bandwidth"], cur, end)


def set_speed(domain: Domain, path: str, bandwidth: int) -> None:
    """Limit a job.

    Args:
        domain: the guest.
        path: target or source of the disk.
        bandwidth: bytes per second, 0 for no limit.

    Raises:
        RpcError: as `find_disk` does; INVALID_ARG without a job.
    """
    disk = find_disk(domain, path)
    job = _job_of(domain, disk)
    _keep(domain, disk.target, {**job, "bandwidth": bandwidth})


def abort(domain: Domain, path: str, *, pivot: bool) -> None:
    """End a job.

    Args:
        domain: the guest.
        path: target or source of the disk.
        pivot: use the new file from now on; the job has to be ready.

    Raises:
        RpcError: as `find_disk` does; INVALID_ARG without a job, BLOCK_COPY_ACTIVE for one that is not
            ready.
    """
    disk = find_disk(domain, path)
    _settle(domain, disk.target)
    job = _job_of(domain, disk)
    if pivot and not job.get("ready"):
        raise domain.refused(
            ErrorCode.BLOCK_COPY_ACTIVE,
            f"block job '{disk.target}' not ready for pivot yet",
        )
    domain.host.timers.cancel((domain.uuid, f"job {disk.target}"))
    _finish(domain, disk.target, Status.COMPLETED if pivot else Status.CANCELED)


def _job_of(domain: Domain, disk: Disk) -> dict[str, Any]:
    job = _jobs(domain).get(disk.target)
    if job is None:
        text = f"disk {disk.target} does not have an active block job"
        raise domain.refused(ErrorCode.INVALID_ARG, text)
    return job


def new_file(path: str, form: str) -> etree._Element:
    """Describe the new file of a copy.

    Args:
        path: of the file.
        form: its format.

    Raises:
        RpcError: INVALID_ARG for a path that no document can have.
    """
    disk = etree.Element("disk")
    etree.SubElement(disk, "source", file=writable(path))
    etree.SubElement(disk, "format", type=form)
    return disk


def destination(domain: Domain, text: str) -> etree._Element:
    """Read the new file of a copy from a client's <disk>.

    Args:
        domain: the guest.
        text: the document.

    Raises:
        RpcError: XML_DETAIL or XML_ERROR for a document that does not say where.
    """
    disk = reading.parse(text, "disk", name="disk_definition")
    if disk.find("source") is None:
        raise domain.refused(ErrorCode.XML_ERROR, "missing source of the copy")
    driver = disk.find("driver")
    if driver is not None and driver.get("type"):
        etree.SubElement(disk, "format", type=driver.get("type") or "raw")
    return disk


# As time passes ------------------------------------------------------------------------------------


def _settle(domain: Domain, target: str) -> None:
    """Do what a timer would have done that went with an earlier process."""
    job = _jobs(domain).get(target)
    if job is None or job.get("ready"):
        return
    if domain.host.clock.passed() >= job["begun"] + int(domain.host.pace.block * _SECOND):
        domain.host.timers.cancel((domain.uuid, f"job {target}"))
        _worked(domain, target)


def _worked(domain: Domain, target: str) -> None:
    job = _jobs(domain).get(target)
    if job is None or not domain.is_active:
        return
    if job["type"] not in _WAITING:
        _finish(domain, target, Status.COMPLETED)
        return
    with domain.host.store.batch():
        _keep(domain, target, {**job, "ready": True})
        blockjob_documents.mark_ready(domain, target)
    tell(domain, target, job["type"], Status.READY)


def _finish(domain: Domain, target: str, status: Status) -> None:
    job = _jobs(domain)[target]
    with domain.host.store.batch():
        _keep(domain, target, None)
        if status == Status.COMPLETED:
            blockjob_documents.complete(domain, target, job)
        elif job["type"] in _WAITING:
            blockjob_documents.remove_mirror(domain, target)
    tell(domain, target, job["type"], status)


def tell(domain: Domain, target: str, kind: int, status: Status) -> None:
    """Tell of a job on a disk.

    Args:
        domain: the guest.
        target: of the disk.
        kind: a DomainBlockJobType.
        status: what has become of it.
    """
    disk = domain.record.facts.disk(target)
    shown = "" if disk is None else disk.source
    domain.emit(DomainEventID.BLOCK_JOB, shown, kind, status)
    domain.emit(DomainEventID.BLOCK_JOB_2, target, kind, status)


# Sizes ---------------------------------------------------------------------------------------------


def resize(domain: Domain, path: str, size: int) -> None:
    """Change the capacity of a disk.

    Args:
        domain: the guest.
        path: target or source of the disk.
        size: in bytes.

    Raises:
        RpcError: OPERATION_INVALID for a guest that does not run, INVALID_ARG for an unknown disk,
            OPERATION_UNSUPPORTED for one without a medium.
    """
    domain.require_active()
    disk = domain.record.facts.disk(path)
    if disk is None:
        text = f"disk '{path}' was not found in the domain config"
        raise domain.refused(ErrorCode.INVALID_ARG, text)
    if not disk.source:
        text = f"can't resize empty or readonly disk '{disk.target}'"
        raise domain.refused(ErrorCode.OPERATION_UNSUPPORTED, text)
    domain.keep("sizes", {**domain.detail("sizes", {}), disk.source: size})
