"""Network filters and their bindings."""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import RemoteObject, UuidObject


class NwFilter(UuidObject[protocol.NonnullNwfilter]):
    """A network filter."""

    async def xml(self, flags: int = 0) -> str:
        """Return the document (virNWFilterGetXMLDesc)."""
        found = await self.call(
            protocol.NWFILTER_GET_XML_DESC, protocol.NwfilterGetXmlDescArgs(self.ref, flags)
        )
        return found.xml

    async def undefine(self) -> None:
        """Remove the filter (virNWFilterUndefine)."""
        await self.call(protocol.NWFILTER_UNDEFINE, protocol.NwfilterUndefineArgs(self.ref))


class NwFilterBinding(RemoteObject[protocol.NonnullNwfilterBinding]):
    """A binding of a network filter to an interface."""

    @property
    def name(self) -> str:
        """The interface on the host."""
        return self.ref.portdev

    @property
    def filter_name(self) -> str:
        """The name of the filter."""
        return self.ref.filtername

    async def xml(self, flags: int = 0) -> str:
        """Return the document (virNWFilterBindingGetXMLDesc)."""
        found = await self.call(
            protocol.NWFILTER_BINDING_GET_XML_DESC,
            protocol.NwfilterBindingGetXmlDescArgs(self.ref, flags),
        )
        return found.xml

    async def delete(self) -> None:
        """Remove the binding (virNWFilterBindingDelete)."""
        await self.call(
            protocol.NWFILTER_BINDING_DELETE, protocol.NwfilterBindingDeleteArgs(self.ref)
        )
