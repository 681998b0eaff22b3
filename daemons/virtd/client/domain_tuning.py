"""Tuning of a domain: processors, memory, schedulers, threads, limits."""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import UuidObject
from aiovirt.daemons.virtd.client.parameters import Params, Values, to_dict, typed


class DomainTuning(UuidObject[protocol.NonnullDomain]):
    """The tuning of a domain; see `Domain`."""

    async def max_memory(self) -> int:
        """Return the maximum of memory in KiB (virDomainGetMaxMemory)."""
        found = await self.call(protocol.DOMAIN_GET_MAX_MEMORY, protocol.DomainArgs(self.ref))
        return found.memory

    async def set_max_memory(self, memory: int) -> None:
        """Set the maximum of memory (virDomainSetMaxMemory). memory: in KiB."""
        await self.call(protocol.DOMAIN_SET_MAX_MEMORY, protocol.DomainMemoryArgs(self.ref, memory))

    async def set_memory(self, memory: int, flags: int = 0) -> None:
        """Set the memory (virDomainSetMemoryFlags).

        Args:
            memory: in KiB.
            flags: DomainMemoryModFlags.
        """
        await self.call(
            protocol.DOMAIN_SET_MEMORY_FLAGS,
            protocol.DomainSetMemoryFlagsArgs(self.ref, memory, flags),
        )

    async def set_memory_stats_period(self, period: int, flags: int = 0) -> None:
        """Set the time between two updates of the memory statistics
        (virDomainSetMemoryStatsPeriod).

        Args:
            period: in seconds.
            flags: DomainMemoryModFlags.
        """
        await self.call(
            protocol.DOMAIN_SET_MEMORY_STATS_PERIOD,
            protocol.DomainSetMemoryStatsPeriodArgs(self.ref, period, flags),
        )

    async def max_vcpus(self) -> int:
        """Return the maximum number of virtual processors (virDomainGetMaxVcpus)."""
        found = await self.call(protocol.DOMAIN_GET_MAX_VCPUS, protocol.DomainArgs(self.ref))
        return found.num

    async def vcpus(self, flags: int = 0) -> int:
        """Return the number of virtual processors (virDomainGetVcpusFlags). flags: DomainVcpuFlags."""
        found = await self.call(
            protocol.DOMAIN_GET_VCPUS_FLAGS, protocol.DomainFlagsArgs(self.ref, flags)
        )
        return found.num

    async def set_vcpus(self, count: int, flags: int = 0) -> None:
        """Set the number of virtual processors (virDomainSetVcpusFlags).

        Args:
            count: the number of virtual processors.
            flags: DomainVcpuFlags.
        """
        await self.call(
            protocol.DOMAIN_SET_VCPUS_FLAGS,
            protocol.DomainSetVcpusFlagsArgs(self.ref, count, flags),
        )

    async def set_vcpu(self, cpumap: str, state: int, flags: int = 0) -> None:
        """Add or remove single virtual processors (virDomainSetVcpu).

        Args:
            cpumap: numbers and ranges, as in "0-3,5".
            state: 1 to add it, 0 to remove it.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_SET_VCPU, protocol.DomainCpumapStateArgs(self.ref, cpumap, state, flags)
        )

    async def pin_vcpu(self, vcpu: int, cpumap: bytes, flags: int = 0) -> None:
        """Pin a virtual processor to processors of the host (virDomainPinVcpuFlags).

        Args:
            vcpu: the number of the virtual processor.
            cpumap: one bit for each processor, from bit 0 of byte 0.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_PIN_VCPU_FLAGS,
            protocol.DomainPinVcpuFlagsArgs(self.ref, vcpu, cpumap, flags),
        )

    async def pin_emulator(self, cpumap: bytes, flags: int = 0) -> None:
        """Pin the emulator to processors of the host (virDomainPinEmulator).

        Args:
            cpumap: one bit for each processor, from bit 0 of byte 0.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_PIN_EMULATOR, protocol.DomainPinEmulatorArgs(self.ref, cpumap, flags)
        )

    async def pin_iothread(self, thread: int, cpumap: bytes, flags: int = 0) -> None:
        """Pin a thread for input and output to processors of the host (virDomainPinIOThread).

        Args:
            thread: the number of the thread.
            cpumap: one bit for each processor, from bit 0 of byte 0.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_PIN_IOTHREAD,
            protocol.DomainPinIothreadArgs(self.ref, thread, cpumap, flags),
        )

    async def iothreads(self, flags: int = 0) -> list[protocol.DomainIothreadInfo]:
        """Return the threads for input and output (virDomainGetIOThreadInfo). flags:
        DomainModificationImpact."""
        found = await self.call(
            protocol.DOMAIN_GET_IOTHREAD_INFO, protocol.DomainFlagsArgs(self.ref, flags)
        )
        return found.info

    async def add_iothread(self, thread: int, flags: int = 0) -> None:
        """Add a thread for input and output (virDomainAddIOThread).

        Args:
            thread: the number of the thread.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_ADD_IOTHREAD, protocol.DomainIothreadArgs(self.ref, thread, flags)
        )

    async def delete_iothread(self, thread: int, flags: int = 0) -> None:
        """Remove a thread for input and output (virDomainDelIOThread).

        Args:
            thread: the number of the thread.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_DEL_IOTHREAD, protocol.DomainIothreadArgs(self.ref, thread, flags)
        )

    async def set_iothread_params(self, thread: int, params: Params, flags: int = 0) -> None:
        """Set parameters of a thread for input and output (virDomainSetIOThreadParams).

        Args:
            thread: the number of the thread.
            params: by name, see `parameters`.
            flags: DomainModificationImpact | TypedParameterFlags.
        """
        await self.call(
            protocol.DOMAIN_SET_IOTHREAD_PARAMS,
            protocol.DomainSetIothreadParamsArgs(self.ref, thread, typed(params), flags),
        )

    async def scheduler_type(self) -> protocol.DomainGetSchedulerTypeRet:
        """Return the name of the scheduler and the number of its parameters
        (virDomainGetSchedulerType)."""
        return await self.call(protocol.DOMAIN_GET_SCHEDULER_TYPE, protocol.DomainArgs(self.ref))

    async def scheduler_parameters(self, flags: int = 0) -> Values:
        """Return the parameters of the scheduler (virDomainGetSchedulerParametersFlags).

        Without flags the older virDomainGetSchedulerParameters is called, which all drivers have.
        flags: DomainModificationImpact.
        """
        size = (await self.scheduler_type()).nparams
        if not flags:
            plain = protocol.DomainGetSchedulerParametersArgs(self.ref, size)
            return to_dict(
                (await self.call(protocol.DOMAIN_GET_SCHEDULER_PARAMETERS, plain)).params
            )
        wanted = flags | await self.host.string_okay()
        args = protocol.DomainParamsArgs(self.ref, size, wanted)
        found = await self.call(protocol.DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS, args)
        return to_dict(found.params)

    async def set_scheduler_parameters(self, params: Params, flags: int = 0) -> None:
        """Set parameters of the scheduler (virDomainSetSchedulerParametersFlags).

        Without flags the older virDomainSetSchedulerParameters is called, which all drivers have.

        Args:
            params: by name, see `parameters`.
            flags: DomainModificationImpact.
        """
        if not flags:
            plain = protocol.DomainSetSchedulerParametersArgs(self.ref, typed(params))
            await self.call(protocol.DOMAIN_SET_SCHEDULER_PARAMETERS, plain)
            return
        args = protocol.DomainSetSchedulerParametersFlagsArgs(self.ref, typed(params), flags)
        await self.call(protocol.DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS, args)

    async def blkio_parameters(self, flags: int = 0) -> Values:
        """Return the parameters of disks' input and output (virDomainGetBlkioParameters). flags:
        DomainModificationImpact | TypedParameterFlags."""

        wanted = flags | await self.host.string_okay()

        def args(count: int) -> protocol.DomainParamsArgs:
            return protocol.DomainParamsArgs(self.ref, count, wanted)

        size = (await self.call(protocol.DOMAIN_GET_BLKIO_PARAMETERS, args(0))).nparams
        found = await self.call(protocol.DOMAIN_GET_BLKIO_PARAMETERS, args(size))
        return to_dict(found.params)

    async def set_blkio_parameters(self, params: Params, flags: int = 0) -> None:
        """Set parameters of disks' input and output (virDomainSetBlkioParameters).

        Args:
            params: by name, see `parameters`.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_SET_BLKIO_PARAMETERS,
            protocol.DomainSetBlkioParametersArgs(self.ref, typed(params), flags),
        )

    async def memory_parameters(self, flags: int = 0) -> Values:
        """Return the limits of memory (virDomainGetMemoryParameters). flags:
        DomainModificationImpact | TypedParameterFlags."""

        wanted = flags | await self.host.string_okay()

        def args(count: int) -> protocol.DomainParamsArgs:
            return protocol.DomainParamsArgs(self.ref, count, wanted)

        size = (await self.call(protocol.DOMAIN_GET_MEMORY_PARAMETERS, args(0))).nparams
        found = await self.call(protocol.DOMAIN_GET_MEMORY_PARAMETERS, args(size))
        return to_dict(found.params)

    async def set_memory_parameters(self, params: Params, flags: int = 0) -> None:
        """Set limits of memory (virDomainSetMemoryParameters).

        Args:
            params: by name, see `parameters`.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_SET_MEMORY_PARAMETERS,
            protocol.DomainSetMemoryParametersArgs(self.ref, typed(params), flags),
        )

    async def numa_parameters(self, flags: int = 0) -> Values:
        """Return the parameters of NUMA (virDomainGetNumaParameters). flags:
        DomainModificationImpact | TypedParameterFlags."""

        wanted = flags | await self.host.string_okay()

        def args(count: int) -> protocol.DomainParamsArgs:
            return protocol.DomainParamsArgs(self.ref, count, wanted)

        size = (await self.call(protocol.DOMAIN_GET_NUMA_PARAMETERS, args(0))).nparams
        found = await self.call(protocol.DOMAIN_GET_NUMA_PARAMETERS, args(size))
        return to_dict(found.params)

    async def set_numa_parameters(self, params: Params, flags: int = 0) -> None:
        """Set parameters of NUMA (virDomainSetNumaParameters).

        Args:
            params: by name, see `parameters`.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_SET_NUMA_PARAMETERS,
            protocol.DomainSetNumaParametersArgs(self.ref, typed(params), flags),
        )

    async def perf_events(self, flags: int = 0) -> Values:
        """Return the performance events and whether they are counted (virDomainGetPerfEvents).
        flags: DomainModificationImpact | TypedParameterFlags."""
        return to_dict(
            (
                await self.call(
                    protocol.DOMAIN_GET_PERF_EVENTS, protocol.DomainFlagsArgs(self.ref, flags)
                )
            ).params
        )

    async def set_perf_events(self, params: Params, flags: int = 0) -> None:
        """Choose the performance events that are counted (virDomainSetPerfEvents).

        Args:
            params: by name, see `parameters`.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_SET_PERF_EVENTS,
            protocol.DomainSetPerfEventsArgs(self.ref, typed(params), flags),
        )

    async def interface_parameters(self, device: str, flags: int = 0) -> Values:
        """Return the limits of a network interface (virDomainGetInterfaceParameters).

        Args:
            device: the target of an interface, or its MAC address.
            flags: DomainModificationImpact | TypedParameterFlags.
        """

        wanted = flags | await self.host.string_okay()

        def args(count: int) -> protocol.DomainGetInterfaceParametersArgs:
            return protocol.DomainGetInterfaceParametersArgs(self.ref, device, count, wanted)

        size = (await self.call(protocol.DOMAIN_GET_INTERFACE_PARAMETERS, args(0))).nparams
        found = await self.call(protocol.DOMAIN_GET_INTERFACE_PARAMETERS, args(size))
        return to_dict(found.params)

    async def set_interface_parameters(self, device: str, params: Params, flags: int = 0) -> None:
        """Set limits of a network interface (virDomainSetInterfaceParameters).

        Args:
            device: the target of an interface, or its MAC address.
            params: by name, see `parameters`.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_SET_INTERFACE_PARAMETERS,
            protocol.DomainSetInterfaceParametersArgs(self.ref, device, typed(params), flags),
        )

    async def guest_vcpus(self, flags: int = 0) -> Values:
        """Return the processors as the guest sees them (virDomainGetGuestVcpus)."""
        return to_dict(
            (
                await self.call(
                    protocol.DOMAIN_GET_GUEST_VCPUS, protocol.DomainFlagsArgs(self.ref, flags)
                )
            ).params
        )

    async def set_guest_vcpus(self, cpumap: str, state: int, flags: int = 0) -> None:
        """Have the guest use or leave processors (virDomainSetGuestVcpus).

        Args:
            cpumap: numbers and ranges, as in "0-3,5".
            state: 1 to use them, 0 to leave them.
            flags: none are defined.
        """
        await self.call(
            protocol.DOMAIN_SET_GUEST_VCPUS,
            protocol.DomainCpumapStateArgs(self.ref, cpumap, state, flags),
        )

    async def set_lifecycle_action(self, type: int, action: int, flags: int = 0) -> None:
        """Set what follows an end of the guest (virDomainSetLifecycleAction).

        Args:
            type: see the enumeration.
            action: DomainLifecycleAction.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_SET_LIFECYCLE_ACTION,
            protocol.DomainSetLifecycleActionArgs(self.ref, type, action, flags),
        )
