"""Domains."""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.checkpoint import Checkpoint
from aiovirt.daemons.virtd.client.domain_disks import DomainDisks
from aiovirt.daemons.virtd.client.domain_guest import DomainGuest
from aiovirt.daemons.virtd.client.domain_jobs import DomainJobs
from aiovirt.daemons.virtd.client.domain_processors import DomainProcessors
from aiovirt.daemons.virtd.client.domain_tuning import DomainTuning
from aiovirt.daemons.virtd.client.snapshot import Snapshot
from aiovirt.daemons.virtd.protocol.limits import DOMAIN_MEMORY_STATS_MAX


class Domain(DomainTuning, DomainProcessors, DomainDisks, DomainJobs, DomainGuest):
    """A domain; the base classes have the calls about its tuning, processors, disks, jobs and guest."""

    @property
    def id(self) -> int:
        """The number while it runs, else -1, as of the call that gave this object."""
        return self.ref.id

    async def info(self) -> protocol.DomainGetInfoRet:
        """Return state, memory and times (virDomainGetInfo)."""
        return await self.call(protocol.DOMAIN_GET_INFO, protocol.DomainArgs(self.ref))

    async def state(self, flags: int = 0) -> protocol.DomainGetStateRet:
        """Return the state and its reason (virDomainGetState)."""
        return await self.call(protocol.DOMAIN_GET_STATE, protocol.DomainFlagsArgs(self.ref, flags))

    async def xml(self, flags: int = 0) -> str:
        """Return the document (virDomainGetXMLDesc). flags: DomainXMLFlags."""
        found = await self.call(
            protocol.DOMAIN_GET_XML_DESC, protocol.DomainFlagsArgs(self.ref, flags)
        )
        return found.xml

    async def create(self, flags: int = 0) -> None:
        """Start the domain (virDomainCreateWithFlags). flags: DomainCreateFlags."""
        self.ref = (
            await self.call(
                protocol.DOMAIN_CREATE_WITH_FLAGS, protocol.DomainFlagsArgs(self.ref, flags)
            )
        ).dom

    async def shutdown(self, flags: int = 0) -> None:
        """Ask the guest to shut down (virDomainShutdownFlags). flags: DomainShutdownFlagValues."""
        await self.call(protocol.DOMAIN_SHUTDOWN_FLAGS, protocol.DomainFlagsArgs(self.ref, flags))

    async def reboot(self, flags: int = 0) -> None:
        """Ask the guest to restart (virDomainReboot). flags: DomainRebootFlagValues."""
        await self.call(protocol.DOMAIN_REBOOT, protocol.DomainFlagsArgs(self.ref, flags))

    async def reset(self, flags: int = 0) -> None:
        """Press the reset button (virDomainReset)."""
        await self.call(protocol.DOMAIN_RESET, protocol.DomainFlagsArgs(self.ref, flags))

    async def destroy(self, flags: int = 0) -> None:
        """Stop the domain at once (virDomainDestroyFlags). flags: DomainDestroyFlagsValues."""
        await self.call(protocol.DOMAIN_DESTROY_FLAGS, protocol.DomainFlagsArgs(self.ref, flags))

    async def suspend(self) -> None:
        """Pause the guest (virDomainSuspend)."""
        await self.call(protocol.DOMAIN_SUSPEND, protocol.DomainArgs(self.ref))

    async def resume(self) -> None:
        """Let a paused guest go on (virDomainResume)."""
        await self.call(protocol.DOMAIN_RESUME, protocol.DomainArgs(self.ref))

    async def undefine(self, flags: int = 0) -> None:
        """Remove the configuration (virDomainUndefineFlags). flags: DomainUndefineFlagsValues."""
        await self.call(protocol.DOMAIN_UNDEFINE_FLAGS, protocol.DomainFlagsArgs(self.ref, flags))

    async def rename(self, new_name: str | None = None, flags: int = 0) -> int:
        """Give the domain another name (virDomainRename).

        Args:
            new_name: the new name.
            flags: none are defined.
        """
        found = await self.call(
            protocol.DOMAIN_RENAME, protocol.DomainRenameArgs(self.ref, new_name, flags)
        )
        return found.retcode

    async def is_active(self) -> bool:
        """Return whether the domain runs (virDomainIsActive)."""
        return bool(
            (await self.call(protocol.DOMAIN_IS_ACTIVE, protocol.DomainArgs(self.ref))).active
        )

    async def is_persistent(self) -> bool:
        """Return whether the domain has a stored configuration (virDomainIsPersistent)."""
        found = await self.call(protocol.DOMAIN_IS_PERSISTENT, protocol.DomainArgs(self.ref))
        return bool(found.persistent)

    async def is_updated(self) -> bool:
        """Return whether the running domain differs from its configuration (virDomainIsUpdated)."""
        return bool(
            (await self.call(protocol.DOMAIN_IS_UPDATED, protocol.DomainArgs(self.ref))).updated
        )

    async def autostart(self) -> bool:
        """Return whether the domain starts with the daemon (virDomainGetAutostart)."""
        found = await self.call(protocol.DOMAIN_GET_AUTOSTART, protocol.DomainArgs(self.ref))
        return bool(found.autostart)

    async def set_autostart(self, autostart: bool) -> None:
        """Have the domain start with the daemon or not (virDomainSetAutostart). autostart: whether
        it starts with the daemon."""
        await self.call(
            protocol.DOMAIN_SET_AUTOSTART, protocol.DomainSetAutostartArgs(self.ref, int(autostart))
        )

    async def os_type(self) -> str:
        """Return the type of the guest's operating system (virDomainGetOSType)."""
        found = await self.call(protocol.DOMAIN_GET_OS_TYPE, protocol.DomainArgs(self.ref))
        return found.type

    async def metadata(self, type: int, uri: str | None = None, flags: int = 0) -> str:
        """Return a text or an element of the metadata (virDomainGetMetadata).

        Args:
            type: DomainMetadataType.
            uri: the namespace of an element, None otherwise.
            flags: DomainModificationImpact.
        """
        found = await self.call(
            protocol.DOMAIN_GET_METADATA,
            protocol.DomainGetMetadataArgs(self.ref, type, uri, flags),
        )
        return found.metadata

    async def set_metadata(
        self,
        type: int,
        metadata: str | None,
        key: str | None = None,
        uri: str | None = None,
        flags: int = 0,
    ) -> None:
        """Set a text or an element of the metadata (virDomainSetMetadata).

        Args:
            type: DomainMetadataType.
            metadata: the text or the element, None to remove it.
            key: the prefix of an element, None otherwise.
            uri: the namespace of an element, None otherwise.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_SET_METADATA,
            protocol.DomainSetMetadataArgs(self.ref, type, metadata, key, uri, flags),
        )

    async def security_label(self) -> protocol.DomainGetSecurityLabelRet:
        """Return the security label (virDomainGetSecurityLabel)."""
        return await self.call(protocol.DOMAIN_GET_SECURITY_LABEL, protocol.DomainArgs(self.ref))

    async def security_labels(self) -> list[protocol.DomainGetSecurityLabelRet]:
        """Return all security labels (virDomainGetSecurityLabelList)."""
        found = await self.call(
            protocol.DOMAIN_GET_SECURITY_LABEL_LIST, protocol.DomainArgs(self.ref)
        )
        return found.labels

    async def interface_stats(self, device: str) -> protocol.DomainInterfaceStatsRet:
        """Return the counters of a network interface (virDomainInterfaceStats). device: the target
        of an interface, or its MAC address."""
        return await self.call(
            protocol.DOMAIN_INTERFACE_STATS, protocol.DomainInterfaceStatsArgs(self.ref, device)
        )

    async def memory_stats(self) -> dict[int, int]:
        """Return the statistics of the memory by DomainMemoryStatTags (virDomainMemoryStats)."""
        args = protocol.DomainMemoryStatsArgs(self.ref, DOMAIN_MEMORY_STATS_MAX, 0)
        found = await self.call(protocol.DOMAIN_MEMORY_STATS, args)
        return {one.tag: one.val for one in found.stats}

    async def attach_device(self, xml: str, flags: int = 0) -> None:
        """Attach a device (virDomainAttachDeviceFlags).

        Args:
            xml: the document.
            flags: DomainDeviceModifyFlags.
        """
        await self.call(
            protocol.DOMAIN_ATTACH_DEVICE_FLAGS, protocol.DomainXmlFlagsArgs(self.ref, xml, flags)
        )

    async def detach_device(self, xml: str, flags: int = 0) -> None:
        """Detach a device (virDomainDetachDeviceFlags).

        Args:
            xml: the document.
            flags: DomainDeviceModifyFlags.
        """
        await self.call(
            protocol.DOMAIN_DETACH_DEVICE_FLAGS, protocol.DomainXmlFlagsArgs(self.ref, xml, flags)
        )

    async def detach_device_alias(self, alias: str, flags: int = 0) -> None:
        """Detach the device of an alias (virDomainDetachDeviceAlias).

        Args:
            alias: the name of the device.
            flags: DomainDeviceModifyFlags.
        """
        await self.call(
            protocol.DOMAIN_DETACH_DEVICE_ALIAS,
            protocol.DomainDetachDeviceAliasArgs(self.ref, alias, flags),
        )

    async def update_device(self, xml: str, flags: int = 0) -> None:
        """Change a device (virDomainUpdateDeviceFlags).

        Args:
            xml: the document.
            flags: DomainDeviceModifyFlags.
        """
        await self.call(
            protocol.DOMAIN_UPDATE_DEVICE_FLAGS, protocol.DomainXmlFlagsArgs(self.ref, xml, flags)
        )

    async def snapshot_create(self, xml: str, flags: int = 0) -> Snapshot:
        """Take a snapshot (virDomainSnapshotCreateXML).

        Args:
            xml: the document.
            flags: DomainSnapshotCreateFlags.
        """
        found = await self.call(
            protocol.DOMAIN_SNAPSHOT_CREATE_XML,
            protocol.DomainXmlDescFlagsArgs(self.ref, xml, flags),
        )
        return Snapshot(self.host, found.snap)

    async def snapshot(self, name: str, flags: int = 0) -> Snapshot:
        """Return the snapshot of a name (virDomainSnapshotLookupByName).

        Args:
            name: the name.
            flags: none are defined.
        """
        found = await self.call(
            protocol.DOMAIN_SNAPSHOT_LOOKUP_BY_NAME,
            protocol.DomainNameFlagsArgs(self.ref, name, flags),
        )
        return Snapshot(self.host, found.snap)

    async def list_snapshots(self, flags: int = 0) -> list[Snapshot]:
        """Return the snapshots (virDomainListAllSnapshots). flags: DomainSnapshotListFlags."""
        found = await self.call(
            protocol.DOMAIN_LIST_ALL_SNAPSHOTS, protocol.DomainListAllArgs(self.ref, 1, flags)
        )
        return [Snapshot(self.host, one) for one in found.snapshots]

    async def snapshot_num(self, flags: int = 0) -> int:
        """Return the number of snapshots (virDomainSnapshotNum). flags: DomainSnapshotListFlags."""
        found = await self.call(
            protocol.DOMAIN_SNAPSHOT_NUM, protocol.DomainFlagsArgs(self.ref, flags)
        )
        return found.num

    async def has_current_snapshot(self, flags: int = 0) -> bool:
        """Return whether a snapshot is current (virDomainHasCurrentSnapshot)."""
        found = await self.call(
            protocol.DOMAIN_HAS_CURRENT_SNAPSHOT, protocol.DomainFlagsArgs(self.ref, flags)
        )
        return bool(found.result)

    async def current_snapshot(self, flags: int = 0) -> Snapshot:
        """Return the current snapshot (virDomainSnapshotCurrent)."""
        found = await self.call(
            protocol.DOMAIN_SNAPSHOT_CURRENT, protocol.DomainFlagsArgs(self.ref, flags)
        )
        return Snapshot(self.host, found.snap)

    async def checkpoint_create(self, xml: str, flags: int = 0) -> Checkpoint:
        """Make a checkpoint (virDomainCheckpointCreateXML).

        Args:
            xml: the document.
            flags: DomainCheckpointCreateFlags.
        """
        found = await self.call(
            protocol.DOMAIN_CHECKPOINT_CREATE_XML,
            protocol.DomainXmlDescFlagsArgs(self.ref, xml, flags),
        )
        return Checkpoint(self.host, found.checkpoint)

    async def checkpoint(self, name: str, flags: int = 0) -> Checkpoint:
        """Return the checkpoint of a name (virDomainCheckpointLookupByName).

        Args:
            name: the name.
            flags: none are defined.
        """
        found = await self.call(
            protocol.DOMAIN_CHECKPOINT_LOOKUP_BY_NAME,
            protocol.DomainNameFlagsArgs(self.ref, name, flags),
        )
        return Checkpoint(self.host, found.checkpoint)

    async def list_checkpoints(self, flags: int = 0) -> list[Checkpoint]:
        """Return the checkpoints (virDomainListAllCheckpoints). flags: DomainCheckpointListFlags."""
        found = await self.call(
            protocol.DOMAIN_LIST_ALL_CHECKPOINTS, protocol.DomainListAllArgs(self.ref, 1, flags)
        )
        return [Checkpoint(self.host, one) for one in found.checkpoints]
