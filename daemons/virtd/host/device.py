"""Devices of a host, as a tree of documents.

Source: libvirt's src/conf/virnodedeviceobj.c and src/test/test_driver.c (testNodeDevice*).
"""

from __future__ import annotations

import uuid as uuids
from typing import TYPE_CHECKING, ClassVar, Final

from lxml import etree

from aiovirt.daemons.virtd.constants.nodedev import NodeDeviceEventID, NodeDeviceEventLifecycleType
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.host.entries import Entry, Record
from aiovirt.daemons.virtd.host.events import Event, Family, Subject
from aiovirt.daemons.virtd.xml.documents import read
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host

#: Capabilities that are called otherwise where lists of devices ask for them.
_NAMES: Final = {"vport_ops": "vports"}
#: The UUID of the machine in the world that every host begins with.
_UNSET: Final = "00000000-0000-0000-0000-000000000000"
_SPACE: Final = uuids.UUID("0d8c4a3e-6c9b-4a54-9c8e-2f6a1b7c5d10")


class DeviceRecord(Record, frozen=True, kw_only=True, dict=True):
    """A device; its UUID is made of its name. text: its document."""

    text: str


class Device(Entry[DeviceRecord]):
    """A device of a host."""

    kind: ClassVar[str] = "node-device"
    record_type = DeviceRecord

    @property
    def root(self) -> etree._Element:
        """The document, which is not to be changed."""
        return cached("node-device", self.record.text).root

    @property
    def parent(self) -> str | None:
        """The name of the device that it is part of."""
        return self.root.findtext("parent")

    @property
    def capabilities(self) -> list[str]:
        """The kinds of device that it is: "scsi_host"."""
        return [one.get("type") or "" for one in self.root.findall("capability")]

    @property
    def all_capabilities(self) -> list[str]:
        """The same, with those that are part of another: "fc_host"."""
        inner = [one.get("type") or "" for one in self.root.findall("capability/capability")]
        return [*self.capabilities, *(_NAMES.get(one, one) for one in inner)]

    def lifecycle(self, event: NodeDeviceEventLifecycleType) -> None:
        """Tell of a change of its life."""
        subject = Subject(self.name)
        self.host.events.emit(
            Event(Family.NODE_DEVICE, NodeDeviceEventID.LIFECYCLE, subject, (event, 0))
        )


def shown(device: Device) -> str:
    """Return the document of a device; of the machine itself, with the UUID of this host."""
    text = device.record.text
    return text.replace(_UNSET, device.host.uuid) if _UNSET in text else text


def add(host: Host, text: str) -> Device:
    """Add a device.

    Args:
        host: where.
        text: the document.

    Raises:
        RpcError: for a document that cannot be read.
    """
    document = read("node-device", text)
    name = document.root.findtext("name") or ""
    record = DeviceRecord(uuid=str(uuids.uuid5(_SPACE, name)), name=name, text=document.text())
    device = Device(host, record)
    host.devices.add(device)
    return device


def _unsupported() -> RpcError:
    detail = "Unsupported device type"
    return RpcError.of(ErrorCode.CONFIG_UNSUPPORTED, detail, domain=ErrorDomain.NODEDEV)


def create_port(host: Host, text: str) -> Device:
    """Make a virtual port of a fibre channel adapter, as the test driver does: it is the device
    "scsi_host12", a copy of "scsi_host11" with the names that the document has.

    Args:
        host: where.
        text: the document of the port.

    Raises:
        RpcError: XML_ERROR for a document without the names, NO_NODE_DEVICE for an unknown parent.
    """
    root = read("node-device", text).root
    speaker = host.flavour.nodedev
    if host.name == "qemu":  # its host has no adapter that could have ports
        raise _unsupported()
    names = [
        root.findtext(f"capability/capability[@type='fc_host']/{tag}") for tag in ("wwnn", "wwpn")
    ]
    if not all(names):
        detail = "Device is not a fibre channel HBA"
        raise RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=speaker)
    parent = host.devices.by_name(root.findtext("parent") or "")
    if parent is None or "vports" not in parent.all_capabilities:
        detail = f"Parent device '{root.findtext('parent')}' is not capable of vport operations"
        raise RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=speaker)
    model = host.devices.by_name("scsi_host11")
    if model is None:
        detail = "no node device with matching name 'scsi_host11'"
        raise RpcError.of(ErrorCode.NO_NODE_DEVICE, detail, domain=speaker)
    made = cached("node-device", model.record.text).copy()
    element = made.root.find("name")
    if element is not None:
        element.text = "scsi_host12"
    for tag, name in zip(("wwnn", "wwpn"), names, strict=True):
        element = made.root.find(f"capability/capability[@type='fc_host']/{tag}")
        if element is not None:
            element.text = name
    made.changed()
    device = add(host, made.text())
    device.lifecycle(NodeDeviceEventLifecycleType.CREATED)
    return device


def require_definable(host: Host, text: str) -> None:
    """Refuse the document of a device that cannot be defined. Raises RpcError.

    Args:
        host: where.
        text: the document; a mediated device needs a parent that exists.
    """
    root = read("node-device", text).root
    parent = root.findtext("parent")
    detail = "missing parent device" if parent is None else ""
    if parent is not None and host.devices.by_name(parent) is None:
        detail = f"invalid parent device '{parent}'"
    if detail and root.find("capability[@type='mdev']") is not None:
        raise RpcError.of(ErrorCode.CONFIG_UNSUPPORTED, detail, domain=host.flavour.nodedev)


def remove(device: Device) -> None:
    """Remove a virtual port. Raises RpcError CONFIG_UNSUPPORTED for another device; the test driver
    leaves it where it is, and says nothing."""
    speaker = device.host.flavour.nodedev
    if "fc_host" not in device.all_capabilities:
        if device.host.name == "test":
            return
        raise _unsupported()
    if device.parent is None or device.host.devices.by_name(device.parent) is None:
        detail = f"cannot find parent '{device.parent}' definition"
        raise RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=speaker)
    device.host.devices.remove(device)
    device.lifecycle(NodeDeviceEventLifecycleType.DELETED)
