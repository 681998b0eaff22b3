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
from aiovirt.daemons.virtd.xml.placing import holder, need, place
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain

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
    "filesystem": "Target already exists",
    "lease": "Lease {0} in lockspace {1} already exists",
    "hostdev": "device is already in the domain configuration",
    "shmem": "device is already in the domain configuration",
}

#: What of a device an update may change, by libvirt's qemu driver: the rest must stay.
UPDATABLE: Final = ("disk", "graphics", "interface", "memballoon", "memory")


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
    if tag in SINGLE and document.root.find(f"devices/{tag}") is not None:
        raise refusals.refused(ErrorCode.OPERATION_INVALID, SINGLE[tag], ErrorDomain.QEMU)
    # A running guest gets no second disk of a name either, but in the words of a document's check.
    is_live_disk = tag == "disk" and document.root.get("id") is not None
    if tag in DISTINCT and not is_live_disk and devices.IDENTITY[tag]:
        keys = [devices.value(device, path) for path in devices.IDENTITY[tag]]
        if any(keys) and devices.matches(document, device):
            detail = DISTINCT[tag].format(*(key or "" for key in keys))
            raise refusals.refused(ErrorCode.OPERATION_INVALID, detail, ErrorDomain.QEMU)
    trial = document.copy()
    place(need(trial.root, "devices"), device, domain_rules()["%devices"])
    devices.complete_device(trial, device, _flavour(flavour))
    trial.check()
    document.root = trial.root
    document.changed()
    return device


def detach(document: Document, device: etree._Element) -> etree._Element:
    """Remove the device that a client means, and give it.

    Args:
        document: the guest.
        device: the client's device (devices.read_device).

    Raises:
        RpcError: DEVICE_MISSING if the guest has none such.
    """
    found = devices.find(document, device)
    holder(found).remove(found)
    document.changed()
    return found


def update(
    document: Document, device: etree._Element, flavour: Flavour | str = "test"
) -> tuple[etree._Element, etree._Element]:
    """Put a device in the place of the one that it means, and give the old and the new one.

    Address and alias stay those of the old device, if the new one has none.

    Args:
        document: the guest; it is not changed if the device is refused.
        device: the client's device (devices.read_device).
        flavour: the driver's defaults, or their name.

    Raises:
        RpcError: DEVICE_MISSING if the guest has none such, OPERATION_UNSUPPORTED for a kind of device
            that cannot be updated.
    """
    tag = str(device.tag)
    if tag not in UPDATABLE:
        detail = f"persistent update of device '{tag}' is not supported"
        raise refusals.refused(ErrorCode.OPERATION_UNSUPPORTED, detail)
    trial = document.copy()
    old = devices.find(trial, device)
    for name in ("address", "alias"):
        kept = old.find(name)
        if kept is not None and device.find(name) is None:
            place(device, deepcopy(kept), devices.rule_of(tag))
    holder(old).replace(old, device)
    devices.complete_device(trial, device, _flavour(flavour))
    trial.check()
    document.root = trial.root
    document.changed()
    return old, device
