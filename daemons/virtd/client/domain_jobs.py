"""Jobs of a domain: saving, restoring, dumping, and their progress."""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import UuidObject
from aiovirt.daemons.virtd.client.parameters import Params, Values, to_dict, typed


class DomainJobs(UuidObject[protocol.NonnullDomain]):
    """The jobs of a domain; see `Domain`."""

    async def job_info(self) -> protocol.DomainGetJobInfoRet:
        """Return the progress of the job (virDomainGetJobInfo)."""
        return await self.call(protocol.DOMAIN_GET_JOB_INFO, protocol.DomainArgs(self.ref))

    async def job_stats(self, flags: int = 0) -> tuple[int, Values]:
        """Return the type of the job, DomainJobType, and its progress (virDomainGetJobStats).

        flags: DomainGetJobStatsFlags.
        """
        args = protocol.DomainFlagsArgs(self.ref, flags)
        found = await self.call(protocol.DOMAIN_GET_JOB_STATS, args)
        return found.type, to_dict(found.params)

    async def abort_job(self, flags: int = 0) -> None:
        """End the job (virDomainAbortJobFlags). flags: DomainAbortJobFlagsValues."""
        await self.call(protocol.DOMAIN_ABORT_JOB_FLAGS, protocol.DomainFlagsArgs(self.ref, flags))

    async def control_info(self, flags: int = 0) -> protocol.DomainGetControlInfoRet:
        """Return the state of the control interface (virDomainGetControlInfo)."""
        return await self.call(
            protocol.DOMAIN_GET_CONTROL_INFO, protocol.DomainFlagsArgs(self.ref, flags)
        )

    async def save(self, to: str, dxml: str | None = None, flags: int = 0) -> None:
        """Save the memory to a file and stop (virDomainSaveFlags).

        Args:
            to: the path of the file.
            dxml: a changed document, None for the saved one.
            flags: DomainSaveRestoreFlags.
        """
        await self.call(
            protocol.DOMAIN_SAVE_FLAGS, protocol.DomainSaveFlagsArgs(self.ref, to, dxml, flags)
        )

    async def save_params(self, params: Params, flags: int = 0) -> None:
        """Save the memory by parameters and stop (virDomainSaveParams).

        Args:
            params: by name, see `parameters`.
            flags: DomainSaveRestoreFlags.
        """
        await self.call(
            protocol.DOMAIN_SAVE_PARAMS,
            protocol.DomainSaveParamsArgs(self.ref, typed(params), flags),
        )

    async def core_dump(self, to: str, dumpformat: int, flags: int = 0) -> None:
        """Write a dump of the memory (virDomainCoreDumpWithFormat).

        Args:
            to: the path of the file.
            dumpformat: DomainCoreDumpFormat.
            flags: DomainCoreDumpFlags.
        """
        await self.call(
            protocol.DOMAIN_CORE_DUMP_WITH_FORMAT,
            protocol.DomainCoreDumpWithFormatArgs(self.ref, to, dumpformat, flags),
        )

    async def managed_save(self, flags: int = 0) -> None:
        """Save the memory to a file of the daemon and stop (virDomainManagedSave). flags:
        DomainSaveRestoreFlags."""
        await self.call(protocol.DOMAIN_MANAGED_SAVE, protocol.DomainFlagsArgs(self.ref, flags))

    async def has_managed_save(self, flags: int = 0) -> bool:
        """Return whether the daemon has a file with the memory (virDomainHasManagedSaveImage)."""
        found = await self.call(
            protocol.DOMAIN_HAS_MANAGED_SAVE_IMAGE,
            protocol.DomainFlagsArgs(self.ref, flags),
        )
        return bool(found.result)

    async def managed_save_remove(self, flags: int = 0) -> None:
        """Remove the daemon's file with the memory (virDomainManagedSaveRemove)."""
        await self.call(
            protocol.DOMAIN_MANAGED_SAVE_REMOVE, protocol.DomainFlagsArgs(self.ref, flags)
        )

    async def managed_save_xml(self, flags: int = 0) -> str:
        """Return the document in the daemon's file (virDomainManagedSaveGetXMLDesc). flags:
        DomainSaveImageXMLFlags."""
        found = await self.call(
            protocol.DOMAIN_MANAGED_SAVE_GET_XML_DESC, protocol.DomainFlagsArgs(self.ref, flags)
        )
        return found.xml

    async def managed_save_define_xml(self, dxml: str | None = None, flags: int = 0) -> None:
        """Change the document in the daemon's file (virDomainManagedSaveDefineXML).

        Args:
            dxml: a changed document, None for the saved one.
            flags: DomainSaveRestoreFlags.
        """
        await self.call(
            protocol.DOMAIN_MANAGED_SAVE_DEFINE_XML,
            protocol.DomainManagedSaveDefineXmlArgs(self.ref, dxml, flags),
        )

    async def start_dirty_rate_calc(self, seconds: int, flags: int = 0) -> None:
        """Measure the rate of changed memory (virDomainStartDirtyRateCalc).

        Args:
            seconds: since 1970.
            flags: DomainDirtyRateCalcFlags.
        """
        await self.call(
            protocol.DOMAIN_START_DIRTY_RATE_CALC,
            protocol.DomainStartDirtyRateCalcArgs(self.ref, seconds, flags),
        )

    async def migrate_set_max_downtime(self, downtime: int, flags: int = 0) -> None:
        """Set the longest pause of a migration (virDomainMigrateSetMaxDowntime).

        Args:
            downtime: in milliseconds.
            flags: none are defined.
        """
        await self.call(
            protocol.DOMAIN_MIGRATE_SET_MAX_DOWNTIME,
            protocol.DomainMigrateSetMaxDowntimeArgs(self.ref, downtime, flags),
        )

    async def migrate_max_downtime(self, flags: int = 0) -> int:
        """Return the longest pause of a migration in milliseconds (virDomainMigrateGetMaxDowntime)."""
        found = await self.call(
            protocol.DOMAIN_MIGRATE_GET_MAX_DOWNTIME, protocol.DomainFlagsArgs(self.ref, flags)
        )
        return found.downtime

    async def migrate_set_max_speed(self, bandwidth: int, flags: int = 0) -> None:
        """Set the bandwidth of a migration (virDomainMigrateSetMaxSpeed).

        Args:
            bandwidth: in MiB/s.
            flags: DomainMigrateMaxSpeedFlags.
        """
        await self.call(
            protocol.DOMAIN_MIGRATE_SET_MAX_SPEED,
            protocol.DomainMigrateSetMaxSpeedArgs(self.ref, bandwidth, flags),
        )

    async def migrate_max_speed(self, flags: int = 0) -> int:
        """Return the bandwidth of a migration in MiB/s (virDomainMigrateGetMaxSpeed). flags:
        DomainMigrateMaxSpeedFlags."""
        found = await self.call(
            protocol.DOMAIN_MIGRATE_GET_MAX_SPEED, protocol.DomainFlagsArgs(self.ref, flags)
        )
        return found.bandwidth

    async def backup_begin(
        self, backup_xml: str, checkpoint_xml: str | None = None, flags: int = 0
    ) -> None:
        """Start a backup (virDomainBackupBegin).

        Args:
            backup_xml: the document.
            checkpoint_xml: the document of a checkpoint to create, None for none.
            flags: DomainBackupBeginFlags.
        """
        await self.call(
            protocol.DOMAIN_BACKUP_BEGIN,
            protocol.DomainBackupBeginArgs(self.ref, backup_xml, checkpoint_xml, flags),
        )

    async def backup_xml(self, flags: int = 0) -> str:
        """Return the document of the backup under way (virDomainBackupGetXMLDesc)."""
        found = await self.call(
            protocol.DOMAIN_BACKUP_GET_XML_DESC, protocol.DomainFlagsArgs(self.ref, flags)
        )
        return found.xml
