"""The machine of a host: its numbers, its processors and what it can do.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.connect import ConnectBaselineCPUFlags, ConnectCompareCPUFlags
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.dispatch.storage_pools import check_storage_flags
from aiovirt.daemons.virtd.host import (
    capabilities,
    guest_capabilities,
    node,
    pool_capabilities,
    processors,
)
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

_MODEL_BYTES: Final = 32


class Node:
    """Serves the numbers of a host."""

    @answers(protocol.NODE_GET_INFO)
    def info(self, session: Session, args: None) -> protocol.NodeGetInfoRet:
        found = node.machine(session.host)
        return protocol.NodeGetInfoRet(
            found.model.encode().ljust(_MODEL_BYTES, b"\0"),
            found.memory,
            found.cpus,
            found.mhz,
            found.nodes,
            found.sockets,
            found.cores,
            found.threads,
        )

    @answers(protocol.NODE_GET_FREE_MEMORY)
    def free_memory(self, session: Session, args: None) -> protocol.NodeGetFreeMemoryRet:
        return protocol.NodeGetFreeMemoryRet(node.free_memory(session.host))

    @answers(protocol.NODE_GET_CELLS_FREE_MEMORY)
    def cells_free(
        self, session: Session, args: protocol.NodeGetCellsFreeMemoryArgs
    ) -> protocol.NodeGetCellsFreeMemoryRet:
        found = node.cells_free(session.host, args.startCell, args.maxcells)
        return protocol.NodeGetCellsFreeMemoryRet(found)

    @answers(protocol.NODE_GET_CPU_STATS)
    def cpu_stats(
        self, session: Session, args: protocol.NodeGetCpuStatsArgs
    ) -> protocol.NodeGetCpuStatsRet:
        session.host.flavour.check_flags(args.flags, 0, "NodeGetCPUStats")
        wanted = max(0, args.nparams)
        found = node.cpu_times(session.host, args.cpuNum if wanted else -1)
        params = [protocol.NodeGetCpuStats(name, value) for name, value in found.items()]
        return protocol.NodeGetCpuStatsRet(params[:wanted], 0 if wanted else len(params))

    @answers(protocol.NODE_GET_MEMORY_STATS)
    def memory_stats(
        self, session: Session, args: protocol.NodeGetMemoryStatsArgs
    ) -> protocol.NodeGetMemoryStatsRet:
        session.host.flavour.check_flags(args.flags, 0, "NodeGetMemoryStats")
        found = node.memory_stats(session.host, args.cellNum)
        params = [protocol.NodeGetMemoryStats(name, value) for name, value in found.items()]
        wanted = max(0, args.nparams)
        return protocol.NodeGetMemoryStatsRet(params[:wanted], 0 if wanted else len(params))

    @answers(protocol.NODE_GET_CPU_MAP)
    def cpu_map(
        self, session: Session, args: protocol.NodeGetCpuMapArgs
    ) -> protocol.NodeGetCpuMapRet:
        session.host.flavour.check_flags(args.flags, 0, "NodeGetCPUMap")
        found, online, count = node.cpu_map(session.host)
        return protocol.NodeGetCpuMapRet(
            found if args.need_map else b"", online if args.need_online else 0, count
        )

    @answers(protocol.NODE_GET_FREE_PAGES)
    def free_pages(
        self, session: Session, args: protocol.NodeGetFreePagesArgs
    ) -> protocol.NodeGetFreePagesRet:
        session.host.flavour.check_flags(args.flags, 0, "NodeGetFreePages")
        if (
            session.host.name == "test"
        ):  # the driver gives no count, which libvirtd takes for a failure
            raise RpcError(
                ErrorCode.INTERNAL_ERROR,
                "Library function returned error but did not set virError",
                domain=ErrorDomain.RPC,
            )
        found = node.free_pages(session.host, args.pages, args.startCell, args.cellCount)
        return protocol.NodeGetFreePagesRet(found)

    @answers(protocol.NODE_GET_SECURITY_MODEL)
    def security_model(self, session: Session, args: None) -> protocol.NodeGetSecurityModelRet:
        if session.host.name == "test":
            return protocol.NodeGetSecurityModelRet(b"testSecurity\0", b"\0")
        return protocol.NodeGetSecurityModelRet(b"none\0", b"0\0")


class Capabilities:
    """Serves what a host can do."""

    @answers(protocol.CONNECT_GET_CAPABILITIES)
    def capabilities(self, session: Session, args: None) -> protocol.CapabilitiesRet:
        return protocol.CapabilitiesRet(capabilities.text(session.host))

    @answers(protocol.CONNECT_GET_MAX_VCPUS)
    def max_vcpus(
        self, session: Session, args: protocol.ConnectGetMaxVcpusArgs
    ) -> protocol.ConnectGetMaxVcpusRet:
        host = session.host
        if host.name == "qemu" and (args.type or "qemu").lower() not in ("qemu", "kvm"):
            detail = f"unknown type '{args.type}'"
            raise RpcError.of(ErrorCode.INVALID_ARG, detail, domain=ErrorDomain.QEMU)
        # As in libvirt, where this is the number of QEMU without KVM, whatever a machine type allows.
        emulated = host.name == "qemu" and (args.type or "qemu").lower() == "qemu"
        return protocol.ConnectGetMaxVcpusRet(16 if emulated else host.max_vcpus)

    @answers(protocol.CONNECT_GET_SYSINFO)
    def sysinfo(self, session: Session, args: protocol.FlagsArgs) -> protocol.ConnectGetSysinfoRet:
        session.host.flavour.check_flags(args.flags, 0, "ConnectGetSysinfo")
        return protocol.ConnectGetSysinfoRet(capabilities.sysinfo(session.host))

    @answers(protocol.CONNECT_GET_DOMAIN_CAPABILITIES)
    def domain_capabilities(
        self, session: Session, args: protocol.ConnectGetDomainCapabilitiesArgs
    ) -> protocol.CapabilitiesRet:
        session.host.flavour.check_flags(args.flags, 0, "ConnectGetDomainCapabilities")
        return protocol.CapabilitiesRet(
            guest_capabilities.text(args.emulatorbin, args.arch, args.machine, args.virttype)
        )

    @answers(protocol.CONNECT_GET_STORAGE_POOL_CAPABILITIES)
    def pool_capabilities(
        self, session: Session, args: protocol.FlagsArgs
    ) -> protocol.CapabilitiesRet:
        check_storage_flags(session, args.flags, 0, "ConnectGetStoragePoolCapabilities")
        return protocol.CapabilitiesRet(pool_capabilities.text())


class Processors:
    """Serves the models of processors."""

    @answers(protocol.CONNECT_GET_CPU_MODEL_NAMES)
    def names(
        self, session: Session, args: protocol.ConnectGetCpuModelNamesArgs
    ) -> protocol.ConnectGetCpuModelNamesRet:
        flavour = session.host.flavour
        flavour.check_flags(args.flags, 0, "ConnectGetCPUModelNames")
        try:
            found = processors.names(args.arch)
        except RpcError as error:
            raise RpcError(error.code, error.message, domain=flavour.domain) from None
        return protocol.ConnectGetCpuModelNamesRet(found if args.need_results else [], len(found))

    @answers(protocol.CONNECT_BASELINE_CPU)
    def baseline(self, session: Session, args: protocol.ConnectBaselineCpuArgs) -> protocol.CpuRet:
        supported = int(ConnectBaselineCPUFlags.EXPAND_FEATURES)
        if session.host.name == "qemu":
            supported = int(sum(ConnectBaselineCPUFlags))
        session.host.flavour.check_flags(args.flags, supported, "ConnectBaselineCPU")
        return protocol.CpuRet(processors.baseline(args.xmlCPUs))

    @answers(protocol.CONNECT_BASELINE_HYPERVISOR_CPU)
    def baseline_of_hypervisor(
        self, session: Session, args: protocol.ConnectBaselineHypervisorCpuArgs
    ) -> protocol.CpuRet:
        supported = int(sum(ConnectBaselineCPUFlags))
        session.host.flavour.check_flags(args.flags, supported, "ConnectBaselineHypervisorCPU")
        guest_capabilities.text(args.emulator, args.arch, args.machine, args.virttype)
        return protocol.CpuRet(processors.baseline(args.xmlCPUs))

    @answers(protocol.CONNECT_COMPARE_CPU)
    def compare(self, session: Session, args: protocol.XmlFlagsArgs) -> protocol.ResultRet:
        self._check(session, args.flags, "ConnectCompareCPU")
        return self._compared(args.xml, args.flags)

    @answers(protocol.CONNECT_COMPARE_HYPERVISOR_CPU)
    def compare_with_hypervisor(
        self, session: Session, args: protocol.ConnectCompareHypervisorCpuArgs
    ) -> protocol.ResultRet:
        self._check(session, args.flags, "ConnectCompareHypervisorCPU")
        guest_capabilities.text(args.emulator, args.arch, args.machine, args.virttype)
        return self._compared(args.xmlCPU, args.flags)

    @staticmethod
    def _check(session: Session, flags: int, function: str) -> None:
        session.host.flavour.check_flags(flags, int(sum(ConnectCompareCPUFlags)), function)

    @staticmethod
    def _compared(text: str, flags: int) -> protocol.ResultRet:
        result = processors.compare(text)
        if not result and flags & ConnectCompareCPUFlags.FAIL_INCOMPATIBLE:
            raise RpcError.of(ErrorCode.CPU_INCOMPATIBLE, "", domain=ErrorDomain.CPU)
        return protocol.ResultRet(result)
