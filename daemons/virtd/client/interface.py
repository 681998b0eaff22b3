"""Network interfaces of the host."""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import RemoteObject


class Interface(RemoteObject[protocol.NonnullInterface]):
    """A network interface of the host."""

    @property
    def mac(self) -> str:
        """The MAC address."""
        return self.ref.mac

    async def xml(self, flags: int = 0) -> str:
        """Return the document (virInterfaceGetXMLDesc)."""
        found = await self.call(
            protocol.INTERFACE_GET_XML_DESC, protocol.InterfaceFlagsArgs(self.ref, flags)
        )
        return found.xml

    async def create(self, flags: int = 0) -> None:
        """Start the interface (virInterfaceCreate)."""
        await self.call(protocol.INTERFACE_CREATE, protocol.InterfaceFlagsArgs(self.ref, flags))

    async def destroy(self, flags: int = 0) -> None:
        """Stop the interface (virInterfaceDestroy)."""
        await self.call(protocol.INTERFACE_DESTROY, protocol.InterfaceFlagsArgs(self.ref, flags))

    async def undefine(self) -> None:
        """Remove the configuration (virInterfaceUndefine)."""
        await self.call(protocol.INTERFACE_UNDEFINE, protocol.InterfaceArgs(self.ref))

    async def is_active(self) -> bool:
        """Return whether the interface is up (virInterfaceIsActive)."""
        return bool(
            (await self.call(protocol.INTERFACE_IS_ACTIVE, protocol.InterfaceArgs(self.ref))).active
        )
