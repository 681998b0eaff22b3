"""Where the virtual processors of a domain run, and their times.

A map of processors is bytes: bit 0 of byte 0 is the host's first processor.
"""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import UuidObject
from aiovirt.daemons.virtd.client.parameters import Values, to_dict

#: Processors that one call of DOMAIN_GET_CPU_STATS may ask about (libvirt's own bound).
_STATS_CPUS = 128


class DomainProcessors(UuidObject[protocol.NonnullDomain]):
    """The processors of a domain; see `Domain`."""

    async def vcpu_info(self) -> list[tuple[protocol.VcpuInfo, bytes]]:
        """Return each virtual processor, with the map of its processors (virDomainGetVcpus)."""
        count = (await self.call(protocol.DOMAIN_GET_INFO, protocol.DomainArgs(self.ref))).nrVirtCpu
        size = await self._map_size()
        args = protocol.DomainGetVcpusArgs(self.ref, count, size)
        found = await self.call(protocol.DOMAIN_GET_VCPUS, args)
        return list(zip(found.info, _divided(found.cpumaps, size), strict=False))

    async def vcpu_pin_info(self, flags: int = 0) -> list[bytes]:
        """Return the map of each virtual processor (virDomainGetVcpuPinInfo).

        flags: DomainModificationImpact.
        """
        size = await self._map_size()
        args = protocol.DomainFlagsArgs(self.ref, flags)
        count = (await self.call(protocol.DOMAIN_GET_VCPUS_FLAGS, args)).num
        asked = protocol.DomainGetVcpuPinInfoArgs(self.ref, count, size, flags)
        found = await self.call(protocol.DOMAIN_GET_VCPU_PIN_INFO, asked)
        return _divided(found.cpumaps, size)[: found.num]

    async def emulator_pin_info(self, flags: int = 0) -> bytes:
        """Return the map of the emulator (virDomainGetEmulatorPinInfo).

        flags: DomainModificationImpact.
        """
        args = protocol.DomainGetEmulatorPinInfoArgs(self.ref, await self._map_size(), flags)
        return (await self.call(protocol.DOMAIN_GET_EMULATOR_PIN_INFO, args)).cpumaps

    async def cpu_stats(self) -> Values:
        """Return the times of all processors together (virDomainGetCPUStats)."""
        size = await self._stats(0, -1, 1)
        found = await self._stats(size.nparams, -1, 1)
        return to_dict(found.params)

    async def cpu_stats_each(self) -> list[Values]:
        """Return the times on each processor of the host (virDomainGetCPUStats)."""
        count = (await self._stats(0, 0, 0)).nparams
        size = (await self._stats(0, 0, 1)).nparams
        made: list[Values] = []
        for start in range(0, count, _STATS_CPUS):
            asked = min(count - start, _STATS_CPUS)
            params = (await self._stats(size, start, asked)).params
            made += [to_dict(params[at : at + size]) for at in range(0, len(params), size)]
        return made

    async def _stats(self, nparams: int, start: int, count: int) -> protocol.DomainGetCpuStatsRet:
        flags = await self.host.string_okay()
        args = protocol.DomainGetCpuStatsArgs(self.ref, nparams, start, count, flags)
        return await self.call(protocol.DOMAIN_GET_CPU_STATS, args)

    async def _map_size(self) -> int:
        """Return the bytes of a map of the host's processors."""
        info = await self.call(protocol.NODE_GET_INFO, None)
        return (info.nodes * info.sockets * info.cores * info.threads + 7) // 8


def _divided(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] if size else []
