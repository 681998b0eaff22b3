"""Finding, listing and making the objects of a host."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.domain import Domain
from aiovirt.daemons.virtd.client.interface import Interface
from aiovirt.daemons.virtd.client.network import Network
from aiovirt.daemons.virtd.client.nodedev import NodeDevice
from aiovirt.daemons.virtd.client.nwfilter import NwFilter, NwFilterBinding
from aiovirt.daemons.virtd.client.objects import Calling, uuid_bytes
from aiovirt.daemons.virtd.client.parameters import Values, to_dict
from aiovirt.daemons.virtd.client.secret import Secret
from aiovirt.daemons.virtd.client.storage import StoragePool, StorageVol


class HostObjects(Calling):
    """Objects of a host; see `Host`."""

    async def list_domains(self, flags: int = 0) -> list[Domain]:
        """Return the domains (virConnectListAllDomains). flags: ConnectListAllDomainsFlags."""
        found = await self.call(protocol.CONNECT_LIST_ALL_DOMAINS, protocol.ListAllArgs(1, flags))
        return [Domain(self, one) for one in found.domains]

    async def domain(self, name: str) -> Domain:
        """Return the domain of a name (virDomainLookupByName). name: the name."""
        found = await self.call(protocol.DOMAIN_LOOKUP_BY_NAME, protocol.NameArgs(name))
        return Domain(self, found.dom)

    async def domain_by_uuid(self, uuid: str | UUID) -> Domain:
        """Return the domain of a UUID (virDomainLookupByUUID). uuid: the UUID."""
        found = await self.call(protocol.DOMAIN_LOOKUP_BY_UUID, protocol.UuidArgs(uuid_bytes(uuid)))
        return Domain(self, found.dom)

    async def domain_by_id(self, id: int) -> Domain:
        """Return the running domain of a number (virDomainLookupByID). id: the number."""
        found = await self.call(protocol.DOMAIN_LOOKUP_BY_ID, protocol.DomainLookupByIdArgs(id))
        return Domain(self, found.dom)

    async def define(self, xml: str, flags: int = 0) -> Domain:
        """Store the configuration of a domain (virDomainDefineXMLFlags).

        Args:
            xml: the document.
            flags: DomainDefineFlags.
        """
        found = await self.call(protocol.DOMAIN_DEFINE_XML_FLAGS, protocol.XmlFlagsArgs(xml, flags))
        return Domain(self, found.dom)

    async def create(self, xml: str, flags: int = 0) -> Domain:
        """Start a transient domain (virDomainCreateXML).

        Args:
            xml: the document.
            flags: DomainCreateFlags.
        """
        found = await self.call(protocol.DOMAIN_CREATE_XML, protocol.XmlDescFlagsArgs(xml, flags))
        return Domain(self, found.dom)

    async def restore(self, source: str, dxml: str | None = None, flags: int = 0) -> None:
        """Start a domain from a file with its memory (virDomainRestoreFlags).

        Args:
            source: the path of the file.
            dxml: a changed document, None for the saved one.
            flags: DomainSaveRestoreFlags.
        """
        await self.call(
            protocol.DOMAIN_RESTORE_FLAGS, protocol.DomainRestoreFlagsArgs(source, dxml, flags)
        )

    async def save_image_xml(self, file: str, flags: int = 0) -> str:
        """Return the document in a file with memory (virDomainSaveImageGetXMLDesc).

        Args:
            file: the path of the file.
            flags: DomainSaveImageXMLFlags.
        """
        found = await self.call(
            protocol.DOMAIN_SAVE_IMAGE_GET_XML_DESC,
            protocol.DomainSaveImageGetXmlDescArgs(file, flags),
        )
        return found.xml

    async def save_image_define_xml(self, file: str, dxml: str, flags: int = 0) -> None:
        """Change the document in a file with memory (virDomainSaveImageDefineXML).

        Args:
            file: the path of the file.
            dxml: the new document.
            flags: DomainSaveRestoreFlags.
        """
        await self.call(
            protocol.DOMAIN_SAVE_IMAGE_DEFINE_XML,
            protocol.DomainSaveImageDefineXmlArgs(file, dxml, flags),
        )

    async def domain_stats(
        self, stats: int = 0, flags: int = 0, domains: Sequence[Domain] = ()
    ) -> list[tuple[Domain, Values]]:
        """Return statistics of domains (virConnectGetAllDomainStats).

        Args:
            stats: DomainStatsTypes, 0 for all.
            flags: ConnectGetAllDomainStatsFlags.
            domains: the domains, empty for all.
        """
        refs = [domain.ref for domain in domains]
        args = protocol.ConnectGetAllDomainStatsArgs(refs, stats, flags)
        found = await self.call(protocol.CONNECT_GET_ALL_DOMAIN_STATS, args)
        return [(Domain(self, one.dom), to_dict(one.params)) for one in found.retStats]

    async def list_networks(self, flags: int = 0) -> list[Network]:
        """Return the networks (virConnectListAllNetworks). flags: ConnectListAllNetworksFlags."""
        found = await self.call(protocol.CONNECT_LIST_ALL_NETWORKS, protocol.ListAllArgs(1, flags))
        return [Network(self, one) for one in found.nets]

    async def network(self, name: str) -> Network:
        """Return the network of a name (virNetworkLookupByName). name: the name."""
        found = await self.call(protocol.NETWORK_LOOKUP_BY_NAME, protocol.NameArgs(name))
        return Network(self, found.net)

    async def network_by_uuid(self, uuid: str | UUID) -> Network:
        """Return the network of a UUID (virNetworkLookupByUUID). uuid: the UUID."""
        found = await self.call(
            protocol.NETWORK_LOOKUP_BY_UUID, protocol.UuidArgs(uuid_bytes(uuid))
        )
        return Network(self, found.net)

    async def network_define(self, xml: str, flags: int = 0) -> Network:
        """Store the configuration of a network (virNetworkDefineXMLFlags).

        Args:
            xml: the document.
            flags: NetworkDefineFlags.
        """
        if flags:
            args = protocol.XmlFlagsArgs(xml, flags)
            found = await self.call(protocol.NETWORK_DEFINE_XML_FLAGS, args)
        else:  # libvirt before 7.8 has nothing else
            found = await self.call(protocol.NETWORK_DEFINE_XML, protocol.XmlArgs(xml))
        return Network(self, found.net)

    async def network_create(self, xml: str, flags: int = 0) -> Network:
        """Start a transient network (virNetworkCreateXMLFlags).

        Args:
            xml: the document.
            flags: NetworkCreateFlags.
        """
        if flags:
            args = protocol.XmlFlagsArgs(xml, flags)
            found = await self.call(protocol.NETWORK_CREATE_XML_FLAGS, args)
        else:  # libvirt before 7.8 has nothing else
            found = await self.call(protocol.NETWORK_CREATE_XML, protocol.XmlArgs(xml))
        return Network(self, found.net)

    async def list_pools(self, flags: int = 0) -> list[StoragePool]:
        """Return the storage pools (virConnectListAllStoragePools). flags:
        ConnectListAllStoragePoolsFlags."""
        found = await self.call(
            protocol.CONNECT_LIST_ALL_STORAGE_POOLS, protocol.ListAllArgs(1, flags)
        )
        return [StoragePool(self, one) for one in found.pools]

    async def pool(self, name: str) -> StoragePool:
        """Return the storage pool of a name (virStoragePoolLookupByName). name: the name."""
        found = await self.call(protocol.STORAGE_POOL_LOOKUP_BY_NAME, protocol.NameArgs(name))
        return StoragePool(self, found.pool)

    async def pool_by_uuid(self, uuid: str | UUID) -> StoragePool:
        """Return the storage pool of a UUID (virStoragePoolLookupByUUID). uuid: the UUID."""
        found = await self.call(
            protocol.STORAGE_POOL_LOOKUP_BY_UUID, protocol.UuidArgs(uuid_bytes(uuid))
        )
        return StoragePool(self, found.pool)

    async def pool_by_target_path(self, path: str) -> StoragePool:
        """Return the storage pool at a path (virStoragePoolLookupByTargetPath). path: the path."""
        found = await self.call(
            protocol.STORAGE_POOL_LOOKUP_BY_TARGET_PATH, protocol.PathArgs(path)
        )
        return StoragePool(self, found.pool)

    async def pool_define(self, xml: str, flags: int = 0) -> StoragePool:
        """Store the configuration of a storage pool (virStoragePoolDefineXML).

        Args:
            xml: the document.
            flags: StoragePoolDefineFlags.
        """
        found = await self.call(protocol.STORAGE_POOL_DEFINE_XML, protocol.XmlFlagsArgs(xml, flags))
        return StoragePool(self, found.pool)

    async def pool_create(self, xml: str, flags: int = 0) -> StoragePool:
        """Start a transient storage pool (virStoragePoolCreateXML).

        Args:
            xml: the document.
            flags: StoragePoolCreateFlags.
        """
        found = await self.call(protocol.STORAGE_POOL_CREATE_XML, protocol.XmlFlagsArgs(xml, flags))
        return StoragePool(self, found.pool)

    async def volume_by_key(self, key: str) -> StorageVol:
        """Return the volume of a key (virStorageVolLookupByKey). key: the key."""
        found = await self.call(
            protocol.STORAGE_VOL_LOOKUP_BY_KEY, protocol.StorageVolLookupByKeyArgs(key)
        )
        return StorageVol(self, found.vol)

    async def volume_by_path(self, path: str) -> StorageVol:
        """Return the volume at a path (virStorageVolLookupByPath). path: the path."""
        found = await self.call(protocol.STORAGE_VOL_LOOKUP_BY_PATH, protocol.PathArgs(path))
        return StorageVol(self, found.vol)

    async def list_secrets(self, flags: int = 0) -> list[Secret]:
        """Return the secrets (virConnectListAllSecrets). flags: ConnectListAllSecretsFlags."""
        found = await self.call(protocol.CONNECT_LIST_ALL_SECRETS, protocol.ListAllArgs(1, flags))
        return [Secret(self, one) for one in found.secrets]

    async def secret_by_uuid(self, uuid: str | UUID) -> Secret:
        """Return the secret of a UUID (virSecretLookupByUUID). uuid: the UUID."""
        found = await self.call(protocol.SECRET_LOOKUP_BY_UUID, protocol.UuidArgs(uuid_bytes(uuid)))
        return Secret(self, found.secret)

    async def secret_by_usage(self, usage_type: int, usage_id: str) -> Secret:
        """Return the secret that an object uses (virSecretLookupByUsage).

        Args:
            usage_type: SecretUsageType.
            usage_id: the object.
        """
        found = await self.call(
            protocol.SECRET_LOOKUP_BY_USAGE, protocol.SecretLookupByUsageArgs(usage_type, usage_id)
        )
        return Secret(self, found.secret)

    async def secret_define(self, xml: str, flags: int = 0) -> Secret:
        """Make a secret or change it (virSecretDefineXML).

        Args:
            xml: the document.
            flags: SecretDefineFlags.
        """
        found = await self.call(protocol.SECRET_DEFINE_XML, protocol.XmlFlagsArgs(xml, flags))
        return Secret(self, found.secret)

    async def list_interfaces(self, flags: int = 0) -> list[Interface]:
        """Return the network interfaces (virConnectListAllInterfaces). flags:
        ConnectListAllInterfacesFlags."""
        found = await self.call(
            protocol.CONNECT_LIST_ALL_INTERFACES, protocol.ListAllArgs(1, flags)
        )
        return [Interface(self, one) for one in found.ifaces]

    async def interface(self, name: str) -> Interface:
        """Return the network interface of a name (virInterfaceLookupByName). name: the name."""
        found = await self.call(protocol.INTERFACE_LOOKUP_BY_NAME, protocol.NameArgs(name))
        return Interface(self, found.iface)

    async def interface_by_mac(self, mac: str) -> Interface:
        """Return the network interface of a MAC address (virInterfaceLookupByMACString). mac: the
        address."""
        found = await self.call(
            protocol.INTERFACE_LOOKUP_BY_MAC_STRING, protocol.InterfaceLookupByMacStringArgs(mac)
        )
        return Interface(self, found.iface)

    async def interface_define(self, xml: str, flags: int = 0) -> Interface:
        """Store the configuration of a network interface (virInterfaceDefineXML).

        Args:
            xml: the document.
            flags: InterfaceDefineFlags.
        """
        found = await self.call(protocol.INTERFACE_DEFINE_XML, protocol.XmlFlagsArgs(xml, flags))
        return Interface(self, found.iface)

    async def interface_change_begin(self, flags: int = 0) -> None:
        """Keep the configuration of the interfaces, to go back to (virInterfaceChangeBegin)."""
        await self.call(protocol.INTERFACE_CHANGE_BEGIN, protocol.FlagsArgs(flags))

    async def interface_change_commit(self, flags: int = 0) -> None:
        """Forget the kept configuration of the interfaces (virInterfaceChangeCommit)."""
        await self.call(protocol.INTERFACE_CHANGE_COMMIT, protocol.FlagsArgs(flags))

    async def interface_change_rollback(self, flags: int = 0) -> None:
        """Go back to the kept configuration of the interfaces (virInterfaceChangeRollback)."""
        await self.call(protocol.INTERFACE_CHANGE_ROLLBACK, protocol.FlagsArgs(flags))

    async def list_node_devices(self, flags: int = 0) -> list[NodeDevice]:
        """Return the devices (virConnectListAllNodeDevices). flags: ConnectListAllNodeDeviceFlags."""
        found = await self.call(
            protocol.CONNECT_LIST_ALL_NODE_DEVICES, protocol.ListAllArgs(1, flags)
        )
        return [NodeDevice(self, one) for one in found.devices]

    async def node_device(self, name: str) -> NodeDevice:
        """Return the device of a name (virNodeDeviceLookupByName). name: the name."""
        found = await self.call(protocol.NODE_DEVICE_LOOKUP_BY_NAME, protocol.NameArgs(name))
        return NodeDevice(self, found.dev)

    async def node_device_by_wwn(self, wwnn: str, wwpn: str, flags: int = 0) -> NodeDevice:
        """Return the SCSI host of a WWN (virNodeDeviceLookupSCSIHostByWWN).

        Args:
            wwnn: the node name.
            wwpn: the port name.
            flags: none are defined.
        """
        found = await self.call(
            protocol.NODE_DEVICE_LOOKUP_SCSI_HOST_BY_WWN,
            protocol.NodeDeviceLookupScsiHostByWwnArgs(wwnn, wwpn, flags),
        )
        return NodeDevice(self, found.dev)

    async def node_device_create(self, xml: str, flags: int = 0) -> NodeDevice:
        """Make a transient device (virNodeDeviceCreateXML).

        Args:
            xml: the document.
            flags: NodeDeviceCreateXMLFlags.
        """
        found = await self.call(
            protocol.NODE_DEVICE_CREATE_XML, protocol.XmlDescFlagsArgs(xml, flags)
        )
        return NodeDevice(self, found.dev)

    async def node_device_define(self, xml: str, flags: int = 0) -> NodeDevice:
        """Store the configuration of a device (virNodeDeviceDefineXML).

        Args:
            xml: the document.
            flags: NodeDeviceDefineXMLFlags.
        """
        found = await self.call(
            protocol.NODE_DEVICE_DEFINE_XML, protocol.XmlDescFlagsArgs(xml, flags)
        )
        return NodeDevice(self, found.dev)

    async def list_nwfilters(self, flags: int = 0) -> list[NwFilter]:
        """Return the network filters (virConnectListAllNWFilters)."""
        found = await self.call(protocol.CONNECT_LIST_ALL_NWFILTERS, protocol.ListAllArgs(1, flags))
        return [NwFilter(self, one) for one in found.filters]

    async def nwfilter(self, name: str) -> NwFilter:
        """Return the network filter of a name (virNWFilterLookupByName). name: the name."""
        found = await self.call(protocol.NWFILTER_LOOKUP_BY_NAME, protocol.NameArgs(name))
        return NwFilter(self, found.nwfilter)

    async def nwfilter_by_uuid(self, uuid: str | UUID) -> NwFilter:
        """Return the network filter of a UUID (virNWFilterLookupByUUID). uuid: the UUID."""
        found = await self.call(
            protocol.NWFILTER_LOOKUP_BY_UUID, protocol.UuidArgs(uuid_bytes(uuid))
        )
        return NwFilter(self, found.nwfilter)

    async def nwfilter_define(self, xml: str, flags: int = 0) -> NwFilter:
        """Store a network filter (virNWFilterDefineXMLFlags).

        Args:
            xml: the document.
            flags: NWFilterDefineFlags.
        """
        if flags:
            args = protocol.XmlFlagsArgs(xml, flags)
            found = await self.call(protocol.NWFILTER_DEFINE_XML_FLAGS, args)
        else:  # libvirt before 7.8 has nothing else
            found = await self.call(protocol.NWFILTER_DEFINE_XML, protocol.XmlArgs(xml))
        return NwFilter(self, found.nwfilter)

    async def list_nwfilter_bindings(self, flags: int = 0) -> list[NwFilterBinding]:
        """Return the bindings of network filters (virConnectListAllNWFilterBindings)."""
        found = await self.call(
            protocol.CONNECT_LIST_ALL_NWFILTER_BINDINGS, protocol.ListAllArgs(1, flags)
        )
        return [NwFilterBinding(self, one) for one in found.bindings]

    async def nwfilter_binding(self, name: str) -> NwFilterBinding:
        """Return the binding of an interface (virNWFilterBindingLookupByPortDev). name: the
        interface."""
        found = await self.call(
            protocol.NWFILTER_BINDING_LOOKUP_BY_PORT_DEV, protocol.NameArgs(name)
        )
        return NwFilterBinding(self, found.nwfilter)

    async def nwfilter_binding_create(self, xml: str, flags: int = 0) -> NwFilterBinding:
        """Bind a network filter (virNWFilterBindingCreateXML).

        Args:
            xml: the document.
            flags: NWFilterBindingCreateFlags.
        """
        found = await self.call(
            protocol.NWFILTER_BINDING_CREATE_XML, protocol.XmlFlagsArgs(xml, flags)
        )
        return NwFilterBinding(self, found.nwfilter)
