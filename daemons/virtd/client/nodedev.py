"""Devices of the host."""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import RemoteObject
from aiovirt.daemons.virtd.protocol.limits import NODE_DEVICE_CAPS_LIST_MAX


class NodeDevice(RemoteObject[protocol.NonnullNodeDevice]):
    """A device of the host."""

    async def xml(self, flags: int = 0) -> str:
        """Return the document (virNodeDeviceGetXMLDesc)."""
        found = await self.call(
            protocol.NODE_DEVICE_GET_XML_DESC, protocol.NameFlagsArgs(self.name, flags)
        )
        return found.xml

    async def parent(self) -> str | None:
        """Return the name of the parent (virNodeDeviceGetParent)."""
        found = await self.call(protocol.NODE_DEVICE_GET_PARENT, protocol.NameArgs(self.name))
        return found.parentName

    async def list_caps(self, maxnames: int = NODE_DEVICE_CAPS_LIST_MAX) -> list[str]:
        """Return the kinds of capability (virNodeDeviceListCaps). maxnames: the maximum number."""
        found = await self.call(
            protocol.NODE_DEVICE_LIST_CAPS, protocol.NodeDeviceListCapsArgs(self.name, maxnames)
        )
        return found.names

    async def create(self, flags: int = 0) -> None:
        """Start the device (virNodeDeviceCreate)."""
        await self.call(protocol.NODE_DEVICE_CREATE, protocol.NameFlagsArgs(self.name, flags))

    async def destroy(self) -> None:
        """Stop the device (virNodeDeviceDestroy)."""
        await self.call(protocol.NODE_DEVICE_DESTROY, protocol.NameArgs(self.name))

    async def undefine(self, flags: int = 0) -> None:
        """Remove the configuration (virNodeDeviceUndefine)."""
        await self.call(protocol.NODE_DEVICE_UNDEFINE, protocol.NameFlagsArgs(self.name, flags))

    async def detach(self, driver_name: str | None = None, flags: int = 0) -> None:
        """Take the device from its driver on the host (virNodeDeviceDetachFlags).

        Args:
            driver_name: the name of a driver, None for the default.
            flags: none are defined.
        """
        await self.call(
            protocol.NODE_DEVICE_DETACH_FLAGS,
            protocol.NodeDeviceDetachFlagsArgs(self.name, driver_name, flags),
        )

    async def reattach(self) -> None:
        """Give the device back to its driver on the host (virNodeDeviceReAttach)."""
        await self.call(protocol.NODE_DEVICE_RE_ATTACH, protocol.NameArgs(self.name))

    async def reset(self) -> None:
        """Reset the device (virNodeDeviceReset)."""
        await self.call(protocol.NODE_DEVICE_RESET, protocol.NameArgs(self.name))

    async def is_active(self) -> bool:
        """Return whether the device is started (virNodeDeviceIsActive)."""
        return bool(
            (await self.call(protocol.NODE_DEVICE_IS_ACTIVE, protocol.NameArgs(self.name))).active
        )

    async def is_persistent(self) -> bool:
        """Return whether the device has a stored configuration (virNodeDeviceIsPersistent)."""
        found = await self.call(protocol.NODE_DEVICE_IS_PERSISTENT, protocol.NameArgs(self.name))
        return bool(found.persistent)

    async def autostart(self) -> bool:
        """Return whether the device starts with the daemon (virNodeDeviceGetAutostart)."""
        found = await self.call(protocol.NODE_DEVICE_GET_AUTOSTART, protocol.NameArgs(self.name))
        return bool(found.autostart)

    async def set_autostart(self, autostart: bool) -> None:
        """Have the device start with the daemon or not (virNodeDeviceSetAutostart). autostart:
        whether it starts with the daemon."""
        await self.call(
            protocol.NODE_DEVICE_SET_AUTOSTART,
            protocol.NodeDeviceSetAutostartArgs(self.name, int(autostart)),
        )
