"""Devices of a host.

Source: libvirt's src/node_device/node_device_driver.c and src/test/test_driver.c.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.nodedev import ConnectListAllNodeDeviceFlags as Wanted
from aiovirt.daemons.virtd.dispatch.listing import Groups, check_flags, chosen
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import device
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.device import Device

#: The flags whose capability is called otherwise than the flag.
_NAMES: Final = {
    Wanted.CAP_PCI_DEV: "pci",
    Wanted.CAP_USB_DEV: "usb_device",
    Wanted.CAP_USB_INTERFACE: "usb",
    Wanted.CAP_CCW_DEV: "ccw",
    Wanted.CAP_CSS_DEV: "css",
}
_CAPABILITIES: Final = [one for one in Wanted if (one.name or "").startswith("CAP_")]


def _other_type(code: ErrorCode) -> RpcError:
    return RpcError.of(code, "Unsupported device type", domain=ErrorDomain.NODEDEV)


def _has(capability: str, one: Any) -> bool:
    return capability in one.all_capabilities


def _fits(flag: Wanted) -> Callable[[Any], bool]:
    return partial(_has, _NAMES.get(flag) or (flag.name or "")[4:].lower())


#: All devices are active.
_GROUPS: Final[Groups] = (
    tuple((int(flag), _fits(flag)) for flag in _CAPABILITIES),
    ((Wanted.ACTIVE, lambda one: True), (Wanted.INACTIVE, lambda one: False)),
)


def _find(session: Session, name: str) -> Device:
    found = session.host.devices.by_name(name)
    if found is None:
        detail = f"no node device with matching name '{name}'"
        raise RpcError.of(ErrorCode.NO_NODE_DEVICE, detail, domain=session.host.flavour.nodedev)
    return found


def _check(session: Session, flags: int, supported: int, function: str) -> None:
    check_flags(session, session.host.flavour.nodedev, flags, supported, function)


class NodeDevices:
    """Serves the devices of a host."""

    @answers(protocol.CONNECT_LIST_ALL_NODE_DEVICES)
    def list_all(
        self, session: Session, args: protocol.ListAllArgs
    ) -> protocol.ConnectListAllNodeDevicesRet:
        known = _CAPABILITIES if session.host.name == "test" else Wanted
        _check(session, args.flags, int(sum(known)), "ConnectListAllNodeDevices")
        found = chosen(session.host.devices, args.flags, _GROUPS)
        refs = [protocol.NonnullNodeDevice(one.name) for one in found]
        return protocol.ConnectListAllNodeDevicesRet(refs if args.need_results else [], len(refs))

    @answers(protocol.NODE_NUM_OF_DEVICES)
    def count(self, session: Session, args: protocol.NodeNumOfDevicesArgs) -> protocol.NumRet:
        _check(session, args.flags, 0, "NodeNumOfDevices")
        return protocol.NumRet(len(self._names(session, args.cap)))

    @answers(protocol.NODE_LIST_DEVICES)
    def names(
        self, session: Session, args: protocol.NodeListDevicesArgs
    ) -> protocol.NodeListDevicesRet:
        _check(session, args.flags, 0, "NodeListDevices")
        names = self._names(session, args.cap)
        return protocol.NodeListDevicesRet(names[: max(0, args.maxnames)])

    @staticmethod
    def _names(session: Session, capability: str | None) -> list[str]:
        return [
            one.name
            for one in session.host.devices
            if capability is None or capability in one.all_capabilities
        ]

    @answers(protocol.NODE_DEVICE_LOOKUP_BY_NAME)
    def by_name(self, session: Session, args: protocol.NameArgs) -> protocol.NodeDeviceRet:
        return protocol.NodeDeviceRet(protocol.NonnullNodeDevice(_find(session, args.name).name))

    @answers(protocol.NODE_DEVICE_LOOKUP_SCSI_HOST_BY_WWN)
    def by_wwn(
        self, session: Session, args: protocol.NodeDeviceLookupScsiHostByWwnArgs
    ) -> protocol.NodeDeviceRet:
        _check(session, args.flags, 0, "NodeDeviceLookupSCSIHostByWWN")
        path = "capability/capability[@type='fc_host']/"
        for one in session.host.devices:
            names = one.root.findtext(f"{path}wwnn"), one.root.findtext(f"{path}wwpn")
            if names == (args.wwnn, args.wwpn):
                return protocol.NodeDeviceRet(protocol.NonnullNodeDevice(one.name))
        raise RpcError(
            ErrorCode.NO_NODE_DEVICE, "Node device not found", domain=ErrorDomain.NODEDEV
        )

    @answers(protocol.NODE_DEVICE_GET_XML_DESC)
    def xml(self, session: Session, args: protocol.NameFlagsArgs) -> protocol.XmlRet:
        _check(session, args.flags, 0, "NodeDeviceGetXMLDesc")
        return protocol.XmlRet(device.shown(_find(session, args.name)))

    @answers(protocol.NODE_DEVICE_GET_PARENT)
    def parent(self, session: Session, args: protocol.NameArgs) -> protocol.NodeDeviceGetParentRet:
        """libvirt's dispatcher looks the device up, and gives no error for one without a parent."""
        return protocol.NodeDeviceGetParentRet(_find(session, args.name).parent)

    @answers(protocol.NODE_DEVICE_NUM_OF_CAPS)
    def count_capabilities(self, session: Session, args: protocol.NameArgs) -> protocol.NumRet:
        return protocol.NumRet(len(self._capabilities(session, args.name)))

    @answers(protocol.NODE_DEVICE_LIST_CAPS)
    def capabilities(
        self, session: Session, args: protocol.NodeDeviceListCapsArgs
    ) -> protocol.NodeDeviceListCapsRet:
        names = self._capabilities(session, args.name)
        return protocol.NodeDeviceListCapsRet(names[: max(0, args.maxnames)])

    @staticmethod
    def _capabilities(session: Session, name: str) -> list[str]:
        found = _find(session, name)
        return found.capabilities if session.host.name == "test" else found.all_capabilities

    @answers(protocol.NODE_DEVICE_IS_ACTIVE)
    def is_active(self, session: Session, args: protocol.NameArgs) -> protocol.ActiveRet:
        _find(session, args.name)
        return protocol.ActiveRet(1)

    @answers(protocol.NODE_DEVICE_IS_PERSISTENT)
    def is_persistent(self, session: Session, args: protocol.NameArgs) -> protocol.PersistentRet:
        _find(session, args.name)
        return protocol.PersistentRet(1)

    @answers(protocol.NODE_DEVICE_GET_AUTOSTART)
    def autostart(self, session: Session, args: protocol.NameArgs) -> protocol.AutostartRet:
        _find(session, args.name)
        return protocol.AutostartRet(1)

    @answers(protocol.NODE_DEVICE_SET_AUTOSTART)
    def set_autostart(self, session: Session, args: protocol.NodeDeviceSetAutostartArgs) -> None:
        """Only mediated devices can be set, which no host here has."""
        _find(session, args.name)
        raise _other_type(ErrorCode.OPERATION_UNSUPPORTED)

    @answers(protocol.NODE_DEVICE_DEFINE_XML)
    def define(self, session: Session, args: protocol.XmlDescFlagsArgs) -> protocol.NodeDeviceRet:
        _check(session, args.flags, 1, "NodeDeviceDefineXML")
        device.require_definable(session.host, args.xml_desc)
        raise _other_type(ErrorCode.CONFIG_UNSUPPORTED)

    @answers(protocol.NODE_DEVICE_UNDEFINE)
    def undefine(self, session: Session, args: protocol.NameFlagsArgs) -> None:
        _check(session, args.flags, 0, "NodeDeviceUndefine")
        _find(session, args.name)
        raise _other_type(ErrorCode.CONFIG_UNSUPPORTED)

    @answers(protocol.NODE_DEVICE_CREATE)
    def start(self, session: Session, args: protocol.NameFlagsArgs) -> None:
        _check(session, args.flags, 0, "NodeDeviceCreate")
        _find(session, args.name)
        raise RpcError.of(
            ErrorCode.OPERATION_INVALID, "Device is already active", domain=ErrorDomain.NODEDEV
        )

    @answers(protocol.NODE_DEVICE_CREATE_XML)
    def create(self, session: Session, args: protocol.XmlDescFlagsArgs) -> protocol.NodeDeviceRet:
        _check(session, args.flags, 1, "NodeDeviceCreateXML")
        made = device.create_port(session.host, args.xml_desc)
        return protocol.NodeDeviceRet(protocol.NonnullNodeDevice(made.name))

    @answers(protocol.NODE_DEVICE_DESTROY)
    def destroy(self, session: Session, args: protocol.NameArgs) -> None:
        device.remove(_find(session, args.name))

    @answers(protocol.NODE_DEVICE_RESET)
    @answers(protocol.NODE_DEVICE_DETTACH)
    @answers(protocol.NODE_DEVICE_RE_ATTACH)
    def reset(self, session: Session, args: protocol.NameArgs) -> None:
        self._need_pci(session, args.name)

    @answers(protocol.NODE_DEVICE_DETACH_FLAGS)
    def detach(self, session: Session, args: protocol.NodeDeviceDetachFlagsArgs) -> None:
        session.host.flavour.check_flags(args.flags, 0, "NodeDeviceDetachFlags")
        if args.driverName not in (None, "vfio"):
            detail = f"unknown device driver '{args.driverName}'"
            raise RpcError.of(ErrorCode.INVALID_ARG, detail, domain=ErrorDomain.QEMU)
        self._need_pci(session, args.name)

    @staticmethod
    def _need_pci(session: Session, name: str) -> None:
        """A device on the PCI bus may be given to guests; nothing of it changes here."""
        if "pci" not in _find(session, name).capabilities:
            detail = f"device {name} is not a PCI device"
            raise RpcError.of(ErrorCode.INVALID_ARG, detail, domain=ErrorDomain.DOMAIN)
