"""Devices attached to, detached from and updated in a guest's document.

Source: libvirt's src/qemu/qemu_driver.c (qemuDomainAttachDeviceConfig, qemuDomainDetachDeviceConfig,
qemuDomainUpdateDeviceConfig).
"""

from __future__ import annotations

from copy import deepcopy
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import devices, refusals
from aiovirt.daemons.virtd.xml.completion import FLAVOURS, Flavour
from aiovirt.daemons.virtd.xml.documents import Document
from aiovirt.daemons.virtd.xml.kinds import domain_rules
from aiovirt.daemons.virtd.xml.placing import assign, holder, need, place
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

#: Devices that a guest has once at most, and what is said of a second one.
SINGLE: Final = {
    "watchdog": "domain already has a watchdog",
    "vsock": "domain already has a vsock device",
    "memballoon": "domain already has a memory balloon device",
    "iommu": "domain already has an IOMMU device",
    "nvram": "domain already has an nvram device",
}

#: Devices of which no two may have the same identity, and what is said of a second one.
DISTINCT: Final = {
    "disk": "target {0} already exists",
    "controller": "controller index='{1}' already exists",
    "channel": "chardev already exists",
    "filesystem": "Target already exists",
    "lease": "Lease {0} in lockspace {1} already exists",
    "hostdev": "device is already in the domain configuration",
    "shmem": "device is already in the domain configuration",
}

#: Kinds of device that an update may change, by libvirt's qemu driver.
UPDATABLE: Final = ("disk", "graphics", "interface", "memory")

#: What is said of a device to be updated that a definition does not have.
_UNKNOWN: Final = {
    "disk": "target {0} doesn't exist.",
    "graphics": "cannot find existing graphics type '{0}' device to modify",
}

#: Kinds of device that are neither attached to a definition nor detached from it.
LASTING: Final = (
    *("video", "graphics", "hub", "smartcard", "memballoon", "nvram", "tpm", "panic", "iommu"),
    "audio",
)


def _flavour(flavour: Flavour | str) -> Flavour:
    return FLAVOURS[flavour] if isinstance(flavour, str) else flavour


def attach(
    document: Document, device: etree._Element, flavour: Flavour | str = "test"
) -> etree._Element:
    """Add a device to a guest, with all that a definition would have added to it.

    Args:
        document: the guest; it is not changed if the device is refused.
        device: the device (devices.read_device).
        flavour: the driver's defaults, or their name.

    Raises:
        RpcError: OPERATION_INVALID for one that the guest has, or another code of libvirt's.
    """
    tag = str(device.tag)
    _require_changeable(document, tag, "attach")
    if tag == "controller" and device.get("index") is None:
        assign(device, devices.rule_of(tag), "index", str(_next_index(document, device)))
    if tag in SINGLE and document.root.find(f"devices/{tag}") is not None:
        raise _refused(ErrorCode.OPERATION_INVALID, SINGLE[tag])
    if tag in DISTINCT:
        _require_new(document, device)
    if tag == "disk" and _is_address_taken(document, device):
        detail = "Domain already contains a disk with that address"
        raise _refused(ErrorCode.OPERATION_INVALID, detail)
    trial = document.copy()
    place(need(trial.root, "devices"), device, domain_rules()["%devices"])
    devices.complete_device(trial, device, _flavour(flavour))
    trial.check()
    document.root = trial.root
    document.changed()
    return device


def _refused(code: ErrorCode, detail: str) -> RpcError:
    return refusals.refused(code, detail, ErrorDomain.QEMU)


def _is_live(document: Document) -> bool:
    return document.root.get("id") is not None


def _require_changeable(document: Document, tag: str, verb: str) -> None:
    if tag in LASTING and not _is_live(document):
        detail = f"persistent {verb} of device '{tag}' is not supported"
        raise _refused(ErrorCode.OPERATION_UNSUPPORTED, detail)


def _require_same_model(old: etree._Element, new: etree._Element) -> None:
    """A running guest's interface stays what it is. Raises RpcError."""
    models = [devices.value(one, "model/@type") or "" for one in (old, new)]
    if all(models) and models[0] != models[1]:
        detail = f"cannot modify network device model from {models[0]} to {models[1]}"
        raise _refused(ErrorCode.OPERATION_UNSUPPORTED, detail)


def _require_new(document: Document, device: etree._Element) -> None:
    """No two devices have the same identity. Raises RpcError."""
    tag = str(device.tag)
    is_live = _is_live(document)
    keys = [devices.value(device, path) for path in devices.IDENTITY[tag]]
    if not any(keys) or not devices.matches(document, device) or (tag == "disk" and is_live):
        return  # a disk's target is looked at with the whole document of a running guest
    if tag == "controller" and is_live:
        detail = f"target {keys[0]}:{keys[1]} already exists"
        raise _refused(ErrorCode.OPERATION_FAILED, detail)
    detail = DISTINCT[tag].format(*(key or "" for key in keys))
    raise _refused(ErrorCode.OPERATION_INVALID, detail)


def _next_index(document: Document, device: etree._Element) -> int:
    """The first index after those of the controllers of this type."""
    found = document.root.findall("devices/controller")
    same = [int(one.get("index") or 0) for one in found if one.get("type") == device.get("type")]
    return max(same, default=-1) + 1


def _is_address_taken(document: Document, device: etree._Element) -> bool:
    """Whether another disk of the same bus has the address of this one."""
    address = device.find("address[@type='drive']")
    bus = devices.value(device, "target/@bus")
    return address is not None and any(
        devices.value(other, "target/@bus") == bus
        and (theirs := other.find("address[@type='drive']")) is not None
        and dict(theirs.attrib) == dict(address.attrib)
        for other in document.root.findall("devices/disk")
    )


def detach(document: Document, device: etree._Element) -> etree._Element:
    """Remove the device that a client means, and give it.

    Args:
        document: the guest.
        device: the client's device (devices.read_device).

    Raises:
        RpcError: DEVICE_MISSING if the guest has none such, OPERATION_UNSUPPORTED for a kind of device
            that stays in its definition.
    """
    _require_changeable(document, str(device.tag), "detach")
    found = devices.find(document, device)
    holder(found).remove(found)
    document.changed()
    return found


def update(
    document: Document, device: etree._Element, flavour: Flavour | str = "test"
) -> tuple[etree._Element, etree._Element]:
    """Put a device in the place of the one that it means, and give the old and the new one.

    The address stays that of the old device, if the new one has none; so does a running guest's alias.

    Args:
        document: the guest; it is not changed if the device is refused.
        device: the client's device (devices.read_device).
        flavour: the driver's defaults, or their name.

    Raises:
        RpcError: DEVICE_MISSING if the guest has none such, OPERATION_UNSUPPORTED for a kind of device
            that cannot be updated.
    """
    tag = str(device.tag)
    is_live = _is_live(document)
    if tag not in UPDATABLE:
        where = "live" if is_live else "persistent"
        code = ErrorCode.CONFIG_UNSUPPORTED if is_live else ErrorCode.OPERATION_UNSUPPORTED
        raise _refused(code, f"{where} update of device '{tag}' is not supported")
    trial = document.copy()
    if tag in _UNKNOWN and not is_live and not devices.matches(trial, device):
        keys = [devices.value(device, path) or "" for path in devices.IDENTITY[tag]]
        raise _refused(ErrorCode.INVALID_ARG, _UNKNOWN[tag].format(*keys))
    old = devices.find(trial, device)
    if tag == "interface" and is_live:
        _require_same_model(old, device)
    for name in ("address", "alias") if is_live else ("address",):
        kept = old.find(name)
        if kept is not None and device.find(name) is None:
            place(device, deepcopy(kept), devices.rule_of(tag))
    holder(old).replace(old, device)
    devices.complete_device(trial, device, _flavour(flavour))
    trial.check()
    document.root = trial.root
    document.changed()
    return old, device
