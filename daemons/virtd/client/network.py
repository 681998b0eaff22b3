"""Virtual networks and their ports."""

from __future__ import annotations

from uuid import UUID

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import RemoteObject, UuidObject, uuid_bytes
from aiovirt.daemons.virtd.client.parameters import Params, Values, to_dict, typed


class NetworkPort(RemoteObject[protocol.NonnullNetworkPort]):
    """A port of a network. It has a UUID and no name."""

    @property
    def name(self) -> str:
        """The UUID."""
        return str(UUID(bytes=self.ref.uuid))

    async def xml(self, flags: int = 0) -> str:
        """Return the document (virNetworkPortGetXMLDesc)."""
        found = await self.call(
            protocol.NETWORK_PORT_GET_XML_DESC, protocol.NetworkPortFlagsArgs(self.ref, flags)
        )
        return found.xml

    async def parameters(self, flags: int = 0) -> Values:
        """Return the limits (virNetworkPortGetParameters)."""

        wanted = flags | await self.host.string_okay()

        def args(count: int) -> protocol.NetworkPortGetParametersArgs:
            return protocol.NetworkPortGetParametersArgs(self.ref, count, wanted)

        size = (await self.call(protocol.NETWORK_PORT_GET_PARAMETERS, args(0))).nparams
        found = await self.call(protocol.NETWORK_PORT_GET_PARAMETERS, args(size))
        return to_dict(found.params)

    async def set_parameters(self, params: Params, flags: int = 0) -> None:
        """Set limits (virNetworkPortSetParameters).

        Args:
            params: by name, see `parameters`.
            flags: none are defined.
        """
        await self.call(
            protocol.NETWORK_PORT_SET_PARAMETERS,
            protocol.NetworkPortSetParametersArgs(self.ref, typed(params), flags),
        )

    async def delete(self, flags: int = 0) -> None:
        """Remove the port (virNetworkPortDelete)."""
        await self.call(
            protocol.NETWORK_PORT_DELETE, protocol.NetworkPortFlagsArgs(self.ref, flags)
        )


class Network(UuidObject[protocol.NonnullNetwork]):
    """A virtual network."""

    async def xml(self, flags: int = 0) -> str:
        """Return the document (virNetworkGetXMLDesc). flags: NetworkXMLFlags."""
        found = await self.call(
            protocol.NETWORK_GET_XML_DESC, protocol.NetworkGetXmlDescArgs(self.ref, flags)
        )
        return found.xml

    async def create(self) -> None:
        """Start the network (virNetworkCreate)."""
        await self.call(protocol.NETWORK_CREATE, protocol.NetworkArgs(self.ref))

    async def destroy(self) -> None:
        """Stop the network (virNetworkDestroy)."""
        await self.call(protocol.NETWORK_DESTROY, protocol.NetworkArgs(self.ref))

    async def undefine(self) -> None:
        """Remove the configuration (virNetworkUndefine)."""
        await self.call(protocol.NETWORK_UNDEFINE, protocol.NetworkArgs(self.ref))

    async def update(
        self, command: int, section: int, parent_index: int, xml: str, flags: int = 0
    ) -> None:
        """Change a section (virNetworkUpdate).

        Args:
            command: NetworkUpdateCommand.
            section: NetworkUpdateSection.
            parent_index: the index of the parent element, -1 for any.
            xml: the document.
            flags: NetworkUpdateFlags.
        """
        await self.call(
            protocol.NETWORK_UPDATE,
            protocol.NetworkUpdateArgs(self.ref, command, section, parent_index, xml, flags),
        )

    async def is_active(self) -> bool:
        """Return whether the network runs (virNetworkIsActive)."""
        return bool(
            (await self.call(protocol.NETWORK_IS_ACTIVE, protocol.NetworkArgs(self.ref))).active
        )

    async def is_persistent(self) -> bool:
        """Return whether the network has a stored configuration (virNetworkIsPersistent)."""
        found = await self.call(protocol.NETWORK_IS_PERSISTENT, protocol.NetworkArgs(self.ref))
        return bool(found.persistent)

    async def autostart(self) -> bool:
        """Return whether the network starts with the daemon (virNetworkGetAutostart)."""
        found = await self.call(protocol.NETWORK_GET_AUTOSTART, protocol.NetworkArgs(self.ref))
        return bool(found.autostart)

    async def set_autostart(self, autostart: bool) -> None:
        """Have the network start with the daemon or not (virNetworkSetAutostart). autostart:
        whether it starts with the daemon."""
        await self.call(
            protocol.NETWORK_SET_AUTOSTART,
            protocol.NetworkSetAutostartArgs(self.ref, int(autostart)),
        )

    async def bridge_name(self) -> str:
        """Return the name of the bridge (virNetworkGetBridgeName)."""
        found = await self.call(protocol.NETWORK_GET_BRIDGE_NAME, protocol.NetworkArgs(self.ref))
        return found.name

    async def dhcp_leases(
        self, mac: str | None = None, flags: int = 0
    ) -> list[protocol.NetworkDhcpLease]:
        """Return the DHCP leases (virNetworkGetDHCPLeases).

        Args:
            mac: the address, None for all.
            flags: none are defined.
        """
        found = await self.call(
            protocol.NETWORK_GET_DHCP_LEASES,
            protocol.NetworkGetDhcpLeasesArgs(self.ref, mac, 1, flags),
        )
        return found.leases

    async def list_ports(self, flags: int = 0) -> list[NetworkPort]:
        """Return the ports (virNetworkListAllPorts)."""
        found = await self.call(
            protocol.NETWORK_LIST_ALL_PORTS, protocol.NetworkListAllPortsArgs(self.ref, 1, flags)
        )
        return [NetworkPort(self.host, one) for one in found.ports]

    async def port(self, uuid: str | UUID) -> NetworkPort:
        """Return the port of a UUID (virNetworkPortLookupByUUID). uuid: the UUID."""
        found = await self.call(
            protocol.NETWORK_PORT_LOOKUP_BY_UUID,
            protocol.NetworkPortLookupByUuidArgs(self.ref, uuid_bytes(uuid)),
        )
        return NetworkPort(self.host, found.port)

    async def port_create(self, xml: str, flags: int = 0) -> NetworkPort:
        """Add a port (virNetworkPortCreateXML).

        Args:
            xml: the document.
            flags: NetworkPortCreateFlags.
        """
        found = await self.call(
            protocol.NETWORK_PORT_CREATE_XML,
            protocol.NetworkPortCreateXmlArgs(self.ref, xml, flags),
        )
        return NetworkPort(self.host, found.port)
