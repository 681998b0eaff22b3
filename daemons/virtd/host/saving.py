"""Saved guests: images at a path, and the managed image that a domain has.

An image is an object of the host, found by its path; no file of the machine is written for it.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c, qemu_saveimage.c.
"""

from __future__ import annotations

import uuid as uuids
from typing import TYPE_CHECKING, ClassVar, Final

from aiovirt.daemons.virtd.constants.domain import (
    DomainJobOperation,
    DomainShutoffReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.domain_events import (
    DomainEventID,
    DomainEventStoppedDetailType,
    DomainEventSuspendedDetailType,
    DomainEventType,
)
from aiovirt.daemons.virtd.constants.domain_flags import DomainSaveRestoreFlags
from aiovirt.daemons.virtd.host import blockjobs, completed_job, lifecycle
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.host.entries import Entry, Record
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.host import Host


#: The folder of managed images, as refusals name it.
_MANAGED: Final = "/var/lib/libvirt/qemu/save"


class ImageRecord(Record, frozen=True, kw_only=True, dict=True):
    """A saved guest. name: the path; text: the document of the guest; paused: whether it is to be
    restored paused."""

    text: str
    paused: bool = False


class Image(Entry[ImageRecord]):
    """A saved guest at a path."""

    kind: ClassVar[str] = "image"
    record_type = ImageRecord


def paused(flags: int, *, otherwise: bool) -> bool:
    """Whether a guest is to be restored paused.

    Args:
        flags: DomainSaveRestoreFlags.
        otherwise: the answer when neither state is in the flags.
    """
    if flags & DomainSaveRestoreFlags.PAUSED:
        return True
    return otherwise and not flags & DomainSaveRestoreFlags.RUNNING


def _paused(domain: Domain, flags: int) -> bool:
    return paused(flags, otherwise=domain.record.state == DomainState.PAUSED)


def check_flags(host: Host, flags: int) -> None:
    """Raise RpcError INVALID_ARG for the flags of both states together."""
    if flags & DomainSaveRestoreFlags.PAUSED and flags & DomainSaveRestoreFlags.RUNNING:
        raise RpcError.of(
            ErrorCode.INVALID_ARG,
            "running and paused flags are mutually exclusive",
            domain=host.flavour.domain,
        )


def save(domain: Domain, path: str, flags: int = 0, text: str | None = None) -> None:
    """Save a guest to a path, and end it.

    Args:
        domain: the domain.
        path: of the image; an earlier one is replaced.
        flags: DomainSaveRestoreFlags.
        text: a document for the image, None for that of the guest.

    Raises:
        RpcError: the guest does not run, or the store cannot be written.
    """
    host = domain.host
    domain.require_active()
    domain.require_no_job()
    blockjobs.require_none(domain)
    made = (
        host.documents.define_same(text, domain.record.uuid, domain.name)
        if text is not None
        else None
    )
    with host.store.batch():
        found = host.images.by_name(path)
        if found is not None:
            host.images.remove(found)
        record = ImageRecord(
            uuid=str(uuids.uuid4()),
            name=path,
            text=made.text if made is not None else _image(domain),
            paused=_paused(domain, flags),
        )
        host.images.add(Image(host, record))
        _stopped(domain)


def _image(domain: Domain) -> str:
    """The document of the image of a guest: as it runs, with what was changed since it was started."""
    return cached("domain", domain.record.text).text(secure=True, inactive=True)


def _stopped(domain: Domain) -> None:
    """End a guest that is saved; qemu's driver pauses a running one first, and says so."""
    if domain.host.name == "qemu" and domain.record.state == DomainState.RUNNING:
        detail = DomainEventSuspendedDetailType.PAUSED
        domain.emit(DomainEventID.LIFECYCLE, DomainEventType.SUSPENDED, detail)
    completed_job.begin(domain)
    completed_job.finish(domain, DomainJobOperation.SAVE)
    lifecycle.stop(domain, DomainShutoffReason.SAVED, DomainEventStoppedDetailType.SAVED)


def restore(host: Host, path: str, flags: int = 0, text: str | None = None) -> Domain:
    """Start the guest of an image; the arguments and errors are those of `save`.

    Raises RpcError SYSTEM_ERROR for a path without an image.
    """
    image = find(host, path)
    # The test driver lets all guests run.
    stopped = paused(flags, otherwise=image.record.paused and host.name != "test")
    if text is not None:
        text = _same(image, text)
    given = text or image.record.text
    return lifecycle.create(host, given, paused=stopped, origin=lifecycle.RESTORED, own=True)


def redefine(host: Host, path: str, text: str, flags: int = 0) -> None:
    """Give an image another document; the arguments and errors are those of `restore`.

    Raises RpcError CONFIG_UNSUPPORTED of qemu's driver for the document of another guest.
    """
    image = find(host, path)
    state = paused(flags, otherwise=image.record.paused)
    image.change(text=_same(image, text), paused=state)


def _same(image: Image, text: str) -> str:
    root = cached("domain", image.record.text).root
    uuid, name = root.findtext("uuid") or "", root.findtext("name") or ""
    return image.host.documents.define_same(text, uuid, name).text


def find(host: Host, path: str) -> Image:
    """Return the image at a path. Raises RpcError."""
    image = host.images.by_name(path)
    if image is None:
        if host.name == "test":
            raise RpcError.of(
                ErrorCode.SYSTEM_ERROR,
                f"cannot read domain image '{path}': No such file or directory",
                domain=host.flavour.domain,
            )
        raise RpcError(
            ErrorCode.SYSTEM_ERROR,
            f"Failed to open file '{path}': No such file or directory",
            domain=host.flavour.domain,
        )
    return image


# The managed image -----------------------------------------------------------------------------------


def managed_save(domain: Domain, flags: int) -> None:
    """Save a guest to the image that it is started from next time. Raises RpcError."""
    domain.require_active()
    domain.require_no_job()
    if not domain.is_persistent:
        raise RpcError.of(
            ErrorCode.OPERATION_INVALID,
            "cannot do managed save for transient domain",
            domain=domain.host.flavour.domain,
        )
    blockjobs.require_none(domain)
    stopped = _paused(domain, flags)
    text = _image(domain)
    with domain.host.store.batch():
        _stopped(domain)
        domain.change(saved=text, saved_paused=stopped)


def remove_managed(domain: Domain) -> None:
    """Remove the managed image. Raises RpcError SYSTEM_ERROR of the qemu driver when there is none."""
    if domain.record.saved is None and domain.host.name == "qemu":
        path = f"{_MANAGED}/{domain.name}.save"
        raise RpcError(
            ErrorCode.SYSTEM_ERROR,
            f"Failed to remove managed save file '{path}': No such file or directory",
            domain=domain.host.flavour.domain,
        )
    domain.change(saved=None)
