"""The host itself, the hypervisor, and what both can do."""

from __future__ import annotations

from collections.abc import Sequence

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import Calling
from aiovirt.daemons.virtd.client.parameters import Params, Values, to_dict, typed
from aiovirt.daemons.virtd.protocol.limits import NODE_MAX_CELLS


class HostFacts(Calling):
    """Facts about a host; see `Host`."""

    async def type(self) -> str:
        """Return the name of the driver (virConnectGetType)."""
        found = await self.call(protocol.CONNECT_GET_TYPE, None)
        return found.type

    async def version(self) -> int:
        """Return the version of the hypervisor: major * 1000000 + minor * 1000 + release
        (virConnectGetVersion)."""
        found = await self.call(protocol.CONNECT_GET_VERSION, None)
        return found.hv_ver

    async def lib_version(self) -> int:
        """Return the version of libvirt: major * 1000000 + minor * 1000 + release
        (virConnectGetLibVersion)."""
        found = await self.call(protocol.CONNECT_GET_LIB_VERSION, None)
        return found.lib_ver

    async def hostname(self) -> str:
        """Return the host's name (virConnectGetHostname)."""
        found = await self.call(protocol.CONNECT_GET_HOSTNAME, None)
        return found.hostname

    async def remote_uri(self) -> str:
        """Return the URI of the driver on its own host (virConnectGetURI)."""
        found = await self.call(protocol.CONNECT_GET_URI, None)
        return found.uri

    async def sysinfo(self, flags: int = 0) -> str:
        """Return a document about the hardware (virConnectGetSysinfo)."""
        found = await self.call(protocol.CONNECT_GET_SYSINFO, protocol.FlagsArgs(flags))
        return found.sysinfo

    async def is_secure(self) -> bool:
        """Return whether the daemon reaches the hypervisor privately (virConnectIsSecure)."""
        found = await self.call(protocol.CONNECT_IS_SECURE, None)
        return bool(found.secure)

    async def supports_feature(self, feature: int) -> bool:
        """Return whether driver and daemon have a feature (virConnectSupportsFeature). feature:
        Feature."""
        found = await self.call(
            protocol.CONNECT_SUPPORTS_FEATURE, protocol.ConnectSupportsFeatureArgs(feature)
        )
        return bool(found.supported)

    async def capabilities(self) -> str:
        """Return the document of the host's capabilities (virConnectGetCapabilities)."""
        found = await self.call(protocol.CONNECT_GET_CAPABILITIES, None)
        return found.capabilities

    async def domain_capabilities(
        self,
        emulatorbin: str | None = None,
        arch: str | None = None,
        machine: str | None = None,
        virttype: str | None = None,
        flags: int = 0,
    ) -> str:
        """Return the document of the capabilities of domains (virConnectGetDomainCapabilities).

        Args:
            emulatorbin: the path of an emulator, None for the default.
            arch: an architecture, None for the host's.
            machine: a machine type, None for the default.
            virttype: a domain type, None for the default.
            flags: none are defined.
        """
        found = await self.call(
            protocol.CONNECT_GET_DOMAIN_CAPABILITIES,
            protocol.ConnectGetDomainCapabilitiesArgs(emulatorbin, arch, machine, virttype, flags),
        )
        return found.capabilities

    async def storage_pool_capabilities(self, flags: int = 0) -> str:
        """Return the document of the capabilities of storage pools
        (virConnectGetStoragePoolCapabilities)."""
        found = await self.call(
            protocol.CONNECT_GET_STORAGE_POOL_CAPABILITIES, protocol.FlagsArgs(flags)
        )
        return found.capabilities

    async def max_vcpus(self, type: str | None = None) -> int:
        """Return the maximum number of virtual processors of a domain (virConnectGetMaxVcpus).
        type: a domain type, None for the default."""
        found = await self.call(
            protocol.CONNECT_GET_MAX_VCPUS, protocol.ConnectGetMaxVcpusArgs(type)
        )
        return found.max_vcpus

    async def cpu_models(self, arch: str, flags: int = 0) -> list[str]:
        """Return the known models of processors (virConnectGetCPUModelNames).

        Args:
            arch: an architecture, None for the host's.
            flags: none are defined.
        """
        found = await self.call(
            protocol.CONNECT_GET_CPU_MODEL_NAMES,
            protocol.ConnectGetCpuModelNamesArgs(arch, 1, flags),
        )
        return found.models

    async def compare_cpu(self, xml: str, flags: int = 0) -> int:
        """Compare a processor with the host's: CPUCompareResult (virConnectCompareCPU).

        Args:
            xml: the document.
            flags: ConnectCompareCPUFlags.
        """
        found = await self.call(protocol.CONNECT_COMPARE_CPU, protocol.XmlFlagsArgs(xml, flags))
        return found.result

    async def compare_hypervisor_cpu(
        self,
        xml: str,
        emulator: str | None = None,
        arch: str | None = None,
        machine: str | None = None,
        virttype: str | None = None,
        flags: int = 0,
    ) -> int:
        """Compare a processor with the hypervisor's: CPUCompareResult
        (virConnectCompareHypervisorCPU).

        Args:
            xml: the document.
            emulator: the path of an emulator, None for the default.
            arch: an architecture, None for the host's.
            machine: a machine type, None for the default.
            virttype: a domain type, None for the default.
            flags: ConnectCompareCPUFlags.
        """
        found = await self.call(
            protocol.CONNECT_COMPARE_HYPERVISOR_CPU,
            protocol.ConnectCompareHypervisorCpuArgs(emulator, arch, machine, virttype, xml, flags),
        )
        return found.result

    async def baseline_cpu(self, xml_cpus: Sequence[str], flags: int = 0) -> str:
        """Return a processor that all given ones can be (virConnectBaselineCPU).

        Args:
            xml_cpus: the documents.
            flags: ConnectBaselineCPUFlags.
        """
        found = await self.call(
            protocol.CONNECT_BASELINE_CPU,
            protocol.ConnectBaselineCpuArgs(list(xml_cpus), flags),
        )
        return found.cpu

    async def baseline_hypervisor_cpu(
        self,
        xml_cpus: Sequence[str],
        emulator: str | None = None,
        arch: str | None = None,
        machine: str | None = None,
        virttype: str | None = None,
        flags: int = 0,
    ) -> str:
        """Return a processor that a hypervisor can give on all given ones
        (virConnectBaselineHypervisorCPU).

        Args:
            xml_cpus: the documents.
            emulator: the path of an emulator, None for the default.
            arch: an architecture, None for the host's.
            machine: a machine type, None for the default.
            virttype: a domain type, None for the default.
            flags: ConnectBaselineCPUFlags.
        """
        found = await self.call(
            protocol.CONNECT_BASELINE_HYPERVISOR_CPU,
            protocol.ConnectBaselineHypervisorCpuArgs(
                emulator, arch, machine, virttype, list(xml_cpus), flags
            ),
        )
        return found.cpu

    async def domain_xml_from_native(
        self, native_format: str, native_config: str, flags: int = 0
    ) -> str:
        """Turn a configuration of a hypervisor into a document (virConnectDomainXMLFromNative).

        Args:
            native_format: the format.
            native_config: the configuration.
            flags: none are defined.
        """
        found = await self.call(
            protocol.CONNECT_DOMAIN_XML_FROM_NATIVE,
            protocol.ConnectDomainXmlFromNativeArgs(native_format, native_config, flags),
        )
        return found.domainXml

    async def domain_xml_to_native(
        self, native_format: str, domain_xml: str, flags: int = 0
    ) -> str:
        """Turn a document into a configuration of a hypervisor (virConnectDomainXMLToNative).

        Args:
            native_format: the format.
            domain_xml: the document.
            flags: none are defined.
        """
        found = await self.call(
            protocol.CONNECT_DOMAIN_XML_TO_NATIVE,
            protocol.ConnectDomainXmlToNativeArgs(native_format, domain_xml, flags),
        )
        return found.nativeConfig

    async def find_storage_pool_sources(
        self, type: str, src_spec: str | None = None, flags: int = 0
    ) -> str:
        """Return a document of possible sources of a storage pool
        (virConnectFindStoragePoolSources).

        Args:
            type: see the enumeration.
            src_spec: the document of the source, None for the host itself.
            flags: none are defined.
        """
        found = await self.call(
            protocol.CONNECT_FIND_STORAGE_POOL_SOURCES,
            protocol.ConnectFindStoragePoolSourcesArgs(type, src_spec, flags),
        )
        return found.xml

    async def node_info(self) -> protocol.NodeGetInfoRet:
        """Return model, memory and processors (virNodeGetInfo)."""
        return await self.call(protocol.NODE_GET_INFO, None)

    async def node_cpu_stats(self, cpu: int = -1, flags: int = 0) -> dict[str, int]:
        """Return the times of processors (virNodeGetCPUStats).

        Args:
            cpu: the number of a processor, -1 for all.
            flags: none are defined.
        """

        def args(count: int) -> protocol.NodeGetCpuStatsArgs:
            return protocol.NodeGetCpuStatsArgs(cpu, count, flags)

        size = (await self.call(protocol.NODE_GET_CPU_STATS, args(0))).nparams
        found = await self.call(protocol.NODE_GET_CPU_STATS, args(size))
        return {one.field: one.value for one in found.params}

    async def node_memory_stats(self, cell: int = -1, flags: int = 0) -> dict[str, int]:
        """Return the use of memory (virNodeGetMemoryStats).

        Args:
            cell: the number of a NUMA cell, -1 for all.
            flags: none are defined.
        """

        def args(count: int) -> protocol.NodeGetMemoryStatsArgs:
            return protocol.NodeGetMemoryStatsArgs(count, cell, flags)

        size = (await self.call(protocol.NODE_GET_MEMORY_STATS, args(0))).nparams
        found = await self.call(protocol.NODE_GET_MEMORY_STATS, args(size))
        return {one.field: one.value for one in found.params}

    async def node_cpu_map(self) -> tuple[int, bytes, int]:
        """Return the number of processors, the map of those online, and its count (virNodeGetCPUMap)."""
        args = protocol.NodeGetCpuMapArgs(1, 1, 0)
        found = await self.call(protocol.NODE_GET_CPU_MAP, args)
        return found.ret, found.cpumap, found.online

    async def node_free_pages(
        self, pages: Sequence[int], start_cell: int = -1, cells: int = 1
    ) -> list[int]:
        """Return the number of free pages of each size, cell by cell (virNodeGetFreePages).

        Args:
            pages: sizes in KiB.
            start_cell: the first NUMA cell, -1 for the whole host.
            cells: the number of cells.
        """
        args = protocol.NodeGetFreePagesArgs(list(pages), start_cell, cells, 0)
        return (await self.call(protocol.NODE_GET_FREE_PAGES, args)).counts

    async def node_free_memory(self) -> int:
        """Return the free memory in bytes (virNodeGetFreeMemory)."""
        found = await self.call(protocol.NODE_GET_FREE_MEMORY, None)
        return found.freeMem

    async def node_cells_free_memory(
        self, start_cell: int = 0, maxcells: int = NODE_MAX_CELLS
    ) -> list[int]:
        """Return the free memory of NUMA cells in bytes (virNodeGetCellsFreeMemory).

        Args:
            start_cell: the first cell.
            maxcells: the maximum number.
        """
        found = await self.call(
            protocol.NODE_GET_CELLS_FREE_MEMORY,
            protocol.NodeGetCellsFreeMemoryArgs(start_cell, maxcells),
        )
        return found.cells

    async def node_memory_parameters(self, flags: int = 0) -> Values:
        """Return the parameters of shared memory (virNodeGetMemoryParameters)."""

        wanted = flags | await self.string_okay()

        def args(count: int) -> protocol.ParamsArgs:
            return protocol.ParamsArgs(count, wanted)

        size = (await self.call(protocol.NODE_GET_MEMORY_PARAMETERS, args(0))).nparams
        found = await self.call(protocol.NODE_GET_MEMORY_PARAMETERS, args(size))
        return to_dict(found.params)

    async def node_set_memory_parameters(self, params: Params, flags: int = 0) -> None:
        """Set parameters of shared memory (virNodeSetMemoryParameters).

        Args:
            params: by name, see `parameters`.
            flags: none are defined.
        """
        await self.call(
            protocol.NODE_SET_MEMORY_PARAMETERS,
            protocol.NodeSetMemoryParametersArgs(typed(params), flags),
        )

    async def node_security_model(self) -> protocol.NodeGetSecurityModelRet:
        """Return the security model (virNodeGetSecurityModel)."""
        return await self.call(protocol.NODE_GET_SECURITY_MODEL, None)

    async def node_suspend(self, target: int, duration: int, flags: int = 0) -> None:
        """Suspend the host (virNodeSuspendForDuration).

        Args:
            target: NodeSuspendTarget.
            duration: in seconds.
            flags: none are defined.
        """
        await self.call(
            protocol.NODE_SUSPEND_FOR_DURATION,
            protocol.NodeSuspendForDurationArgs(target, duration, flags),
        )

    async def node_sev_info(self, flags: int = 0) -> Values:
        """Return facts about AMD's protection of memory (virNodeGetSEVInfo)."""
        wanted = flags | await self.string_okay()

        def args(count: int) -> protocol.ParamsArgs:
            return protocol.ParamsArgs(count, wanted)

        size = (await self.call(protocol.NODE_GET_SEV_INFO, args(0))).nparams
        found = await self.call(protocol.NODE_GET_SEV_INFO, args(size))
        return to_dict(found.params)
