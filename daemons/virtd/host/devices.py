"""Devices of a domain attached, detached and updated, in the running guest, its definition, or both.

A device of a running guest has an alias, by which events name it.

Source: libvirt's src/qemu/qemu_driver.c (qemuDomainAttachDeviceLiveAndConfig and its like) and
src/qemu/qemu_hotplug.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxml import etree

from aiovirt.daemons.virtd.constants.domain_events import (
    DomainEventID,
    DomainEventTrayChangeReason,
)
from aiovirt.daemons.virtd.host import agent, blockjobs, nwfilter_binding, starting_interfaces
from aiovirt.daemons.virtd.host.editing import Impact, edit
from aiovirt.daemons.virtd.xml import chains, changes, devices, displays, live
from aiovirt.daemons.virtd.xml.placing import add, holder
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.xml.documents import Document

#: Devices whose medium can be changed while the guest runs.
_REMOVABLE: Final = ("cdrom", "floppy")
#: Kinds of device that the qemu driver neither attaches to a running guest nor detaches from it.
_FIXED: Final = (
    "sound",
    "video",
    "graphics",
    "hub",
    "smartcard",
    "memballoon",
    "nvram",
    "tpm",
    "panic",
    "iommu",
    "audio",
    "parallel",
    "console",
)


def attach(domain: Domain, text: str, meant: Impact) -> None:
    """Add a device.

    Args:
        domain: the domain.
        text: the device; one of the media of a drive that exists changes that medium.
        meant: the documents that get it.

    Raises:
        RpcError: for a device that is broken, exists already, or cannot be attached.
    """
    domain.require_no_job()
    given = devices.read_device(text)
    if meant.live and meant.config and given.tag == "interface" and given.find("mac") is None:
        etree.SubElement(given, "mac", address=_new_address(domain, text))
    aliases: list[str] = []
    trays: list[str] = []

    def change(document: Document) -> None:
        device = devices.read_device(etree.tostring(given, encoding="unicode"))
        if not _is_live(document):
            changes.attach(document, device, domain.host.name)
            return
        if device.get("device") in _REMOVABLE and devices.matches(document, device):
            trays.append(_change_medium(domain, document, device))
            return
        _require_pluggable(device, "attached")
        _require_port(document, device)
        made = changes.attach(document, device, domain.host.name)
        live.assign_aliases(document)
        if made.tag == "disk":
            chains.number_one(document, made, domain.host.volumes.backing)
        domain.host.name_interfaces(document)
        _require_plug(domain, made)
        aliases.append(devices.value(made, "alias/@name") or "")

    edit(domain, meant, change, config_first=True)
    domain.host.emulators.plugged(domain)
    agent.wait(domain)
    _moved(domain, trays)
    for alias in filter(None, aliases):  # a lease has none, and no event
        domain.emit(DomainEventID.DEVICE_ADDED, alias)


def _require_plug(domain: Domain, device: etree._Element) -> None:
    """An interface of a running guest is plugged into its network and bound to its filter at once."""
    if device.tag == "interface" and domain.host.name == "qemu":
        starting_interfaces.require_interface(domain.host, device, besides=domain)
    name = devices.value(device, "filterref/@filter") if device.tag == "interface" else None
    if name is not None:
        nwfilter_binding.require_filter(domain.host, name)


def _new_address(domain: Domain, text: str) -> str:
    """The hardware address that a definition would give to an interface."""
    trial = domain.record.facts.document.copy()
    made = changes.attach(trial, devices.read_device(text), domain.host.name)
    return devices.value(made, "mac/@address") or ""


def _is_live(document: Document) -> bool:
    return document.root.get("id") is not None


def detach(domain: Domain, text: str, meant: Impact) -> None:
    """Remove a device.

    Args:
        domain: the domain.
        text: the device, or the parts that identify it.
        meant: the documents that lose it.

    Raises:
        RpcError: DEVICE_MISSING if it does not exist, OPERATION_UNSUPPORTED if it has to stay.
    """
    domain.require_no_job()
    given = devices.read_device(text)
    aliases: list[str] = []

    def change(document: Document) -> None:
        is_live = _is_live(document)
        if is_live:
            _require_pluggable(given, "detached")
        found = devices.find(document, given)
        if is_live and found.get("device") in _REMOVABLE and found.tag == "disk":
            raise RpcError.of(
                ErrorCode.OPERATION_UNSUPPORTED,
                f"disk device type '{found.get('device')}' cannot be detached",
                domain=ErrorDomain.QEMU,
            )
        if is_live:
            _require_idle(domain, found)
        changes.detach(document, given)
        if is_live:
            aliases.append(devices.value(found, "alias/@name") or "")

    edit(domain, meant, change, config_first=True)
    domain.host.emulators.plugged(domain)
    for alias in filter(None, aliases):
        domain.emit(DomainEventID.DEVICE_REMOVED, alias)


def _require_idle(domain: Domain, device: etree._Element) -> None:
    """Raise RpcError BLOCK_COPY_ACTIVE for a disk with a job."""
    if device.tag == "disk":
        blockjobs.require_idle(domain, devices.value(device, "target/@dev") or "")


def detach_alias(domain: Domain, alias: str, meant: Impact) -> None:
    """Remove the device with an alias; the arguments and errors are otherwise those of `detach`.

    Args:
        domain: the domain.
        alias: of the device.
        meant: the documents that lose it.
    """
    domain.require_no_job()
    removed: list[str] = []

    def change(document: Document) -> None:
        found = devices.by_alias(document, alias)
        if _is_live(document):
            _require_pluggable(found, "detached")
            _require_idle(domain, found)
            removed.append(alias)
        holder(found).remove(found)
        document.changed()

    edit(domain, meant, change, config_first=True)
    domain.host.emulators.plugged(domain)
    for one in removed:
        domain.emit(DomainEventID.DEVICE_REMOVED, one)


def update(domain: Domain, text: str, meant: Impact) -> None:
    """Change a device; of a drive this changes its medium.

    Args:
        domain: the domain.
        text: the device as it is to be.
        meant: the documents in which it changes.

    Raises:
        RpcError: DEVICE_MISSING if it does not exist, OPERATION_UNSUPPORTED for a change that it does
            not allow.
    """
    domain.require_no_job()
    given = devices.read_device(text)
    trays: list[str] = []

    def change(document: Document) -> None:
        device = devices.read_device(etree.tostring(given, encoding="unicode"))
        if not _is_live(document):
            changes.update(document, device, domain.host.name)
        elif device.tag == "disk":
            trays.append(_change_medium(domain, document, device))
        elif device.tag == "graphics":
            displays.update(document, device)
        else:
            changes.update(document, device, domain.host.name)
            live.assign_aliases(document)
            domain.host.name_interfaces(document)
            _require_plug(domain, device)

    edit(domain, meant, change, config_first=True)
    domain.host.emulators.plugged(domain)
    _moved(domain, trays)


def _change_medium(domain: Domain, document: Document, device: etree._Element) -> str:
    """Put another medium into a drive; gives the alias of the drive, or "" if the medium stays."""
    target = devices.value(device, "target/@dev") or ""
    found = devices.disk(document, target)
    if found is None:
        raise RpcError.of(
            ErrorCode.INTERNAL_ERROR, f"disk '{target}' not found", domain=ErrorDomain.QEMU
        )
    kind = found.get("device") or "disk"
    if found.get("device") != device.get("device"):
        raise RpcError.of(
            ErrorCode.OPERATION_UNSUPPORTED,
            "cannot modify field 'device' of the disk",
            domain=ErrorDomain.QEMU,
        )
    if kind not in _REMOVABLE and not _same_source(found, device):
        raise RpcError.of(
            ErrorCode.CONFIG_UNSUPPORTED,
            "disk source can be changed only in removable drives",
            domain=ErrorDomain.QEMU,
        )
    changed = not _same_source(found, device)
    old, made = changes.update(document, device, "qemu")
    if changed:
        if made.find("source") is None:
            add(made, devices.rule_of("disk"), "source")
        chains.number_one(document, made, domain.host.volumes.backing)
    else:
        chains.keep(document, old, made)
    return devices.value(found, "alias/@name") or "" if changed else ""


def _same_source(one: etree._Element, other: etree._Element) -> bool:
    def place(disk: etree._Element) -> list[tuple[str, str]]:
        source = disk.find("source")
        names = {} if source is None else dict(source.items())
        return sorted((key, value) for key, value in names.items() if key != "index")

    return place(one) == place(other)


def _moved(domain: Domain, aliases: list[str]) -> None:
    """Tell of trays that went out and in."""
    for alias in filter(None, aliases):
        domain.emit(DomainEventID.TRAY_CHANGE, alias, DomainEventTrayChangeReason.OPEN)
        domain.emit(DomainEventID.TRAY_CHANGE, alias, DomainEventTrayChangeReason.CLOSE)


def _require_pluggable(device: etree._Element, done: str) -> None:
    tag = str(device.tag)
    if tag in _FIXED:
        verb = "attach" if done == "attached" else "detach"
        raise RpcError.of(
            ErrorCode.OPERATION_UNSUPPORTED,
            f"live {verb} of device '{tag}' is not supported",
            domain=ErrorDomain.QEMU,
        )


def _require_port(document: Document, device: etree._Element) -> None:
    """A running guest gets no controller for a channel, as a definition does."""
    port = device.find("target[@type='virtio']")
    if device.tag != "channel" or port is None or device.find("address") is not None:
        return
    if document.root.find("devices/controller[@type='virtio-serial']") is None:
        raise RpcError.of(
            ErrorCode.INTERNAL_ERROR,
            "no virtio-serial controllers are available",
            domain=ErrorDomain.DOMAIN,
        )
