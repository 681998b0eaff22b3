"""Disks of a domain: statistics, sizes, limits and block jobs."""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import UuidObject
from aiovirt.daemons.virtd.client.parameters import Params, Values, to_dict, typed
from aiovirt.daemons.virtd.protocol.limits import DOMAIN_DISK_ERRORS_MAX


class DomainDisks(UuidObject[protocol.NonnullDomain]):
    """The disks of a domain; see `Domain`."""

    async def block_stats(self, disk: str) -> protocol.DomainBlockStatsRet:
        """Return the counters of a disk (virDomainBlockStats). disk: the source or the target of a
        disk."""
        return await self.call(
            protocol.DOMAIN_BLOCK_STATS, protocol.DomainBlockStatsArgs(self.ref, disk)
        )

    async def block_stats_params(self, disk: str, flags: int = 0) -> Values:
        """Return all counters of a disk (virDomainBlockStatsFlags).

        Args:
            disk: the source or the target of a disk.
            flags: TypedParameterFlags.
        """

        wanted = flags | await self.host.string_okay()

        def args(count: int) -> protocol.DomainBlockStatsFlagsArgs:
            return protocol.DomainBlockStatsFlagsArgs(self.ref, disk, count, wanted)

        size = (await self.call(protocol.DOMAIN_BLOCK_STATS_FLAGS, args(0))).nparams
        found = await self.call(protocol.DOMAIN_BLOCK_STATS_FLAGS, args(size))
        return to_dict(found.params)

    async def block_info(self, disk: str, flags: int = 0) -> protocol.DomainGetBlockInfoRet:
        """Return the sizes of a disk (virDomainGetBlockInfo).

        Args:
            disk: the source or the target of a disk.
            flags: none are defined.
        """
        return await self.call(
            protocol.DOMAIN_GET_BLOCK_INFO, protocol.DomainPathFlagsArgs(self.ref, disk, flags)
        )

    async def block_resize(self, disk: str, size: int, flags: int = 0) -> None:
        """Change the size of a disk (virDomainBlockResize).

        Args:
            disk: the source or the target of a disk.
            size: in KiB, unless a flag says bytes.
            flags: DomainBlockResizeFlags.
        """
        await self.call(
            protocol.DOMAIN_BLOCK_RESIZE,
            protocol.DomainBlockResizeArgs(self.ref, disk, size, flags),
        )

    async def block_peek(self, disk: str, offset: int, size: int, flags: int = 0) -> bytes:
        """Read a part of a disk (virDomainBlockPeek).

        Args:
            disk: the source or the target of a disk.
            offset: in bytes.
            size: bytes.
            flags: none are defined.
        """
        found = await self.call(
            protocol.DOMAIN_BLOCK_PEEK,
            protocol.DomainBlockPeekArgs(self.ref, disk, offset, size, flags),
        )
        return found.buffer

    async def block_io_tune(self, disk: str | None = None, flags: int = 0) -> Values:
        """Return the limits of a disk (virDomainGetBlockIoTune).

        Args:
            disk: the source or the target of a disk.
            flags: DomainModificationImpact | TypedParameterFlags.
        """

        wanted = flags | await self.host.string_okay()

        def args(count: int) -> protocol.DomainGetBlockIoTuneArgs:
            return protocol.DomainGetBlockIoTuneArgs(self.ref, disk, count, wanted)

        size = (await self.call(protocol.DOMAIN_GET_BLOCK_IO_TUNE, args(0))).nparams
        found = await self.call(protocol.DOMAIN_GET_BLOCK_IO_TUNE, args(size))
        return to_dict(found.params)

    async def set_block_io_tune(self, disk: str, params: Params, flags: int = 0) -> None:
        """Set limits of a disk (virDomainSetBlockIoTune).

        Args:
            disk: the source or the target of a disk.
            params: by name, see `parameters`.
            flags: DomainModificationImpact.
        """
        await self.call(
            protocol.DOMAIN_SET_BLOCK_IO_TUNE,
            protocol.DomainSetBlockIoTuneArgs(self.ref, disk, typed(params), flags),
        )

    async def block_job_info(self, disk: str, flags: int = 0) -> protocol.DomainGetBlockJobInfoRet:
        """Return the progress of a disk's block job; found is 0 if none runs
        (virDomainGetBlockJobInfo).

        Args:
            disk: the source or the target of a disk.
            flags: DomainBlockJobInfoFlags.
        """
        return await self.call(
            protocol.DOMAIN_GET_BLOCK_JOB_INFO, protocol.DomainPathFlagsArgs(self.ref, disk, flags)
        )

    async def block_job_abort(self, disk: str, flags: int = 0) -> None:
        """End a disk's block job (virDomainBlockJobAbort).

        Args:
            disk: the source or the target of a disk.
            flags: DomainBlockJobAbortFlags.
        """
        await self.call(
            protocol.DOMAIN_BLOCK_JOB_ABORT, protocol.DomainPathFlagsArgs(self.ref, disk, flags)
        )

    async def block_job_set_speed(self, disk: str, bandwidth: int, flags: int = 0) -> None:
        """Limit a disk's block job (virDomainBlockJobSetSpeed).

        Args:
            disk: the source or the target of a disk.
            bandwidth: in MiB/s, unless a flag says bytes; 0 for no limit.
            flags: DomainBlockJobSetSpeedFlags.
        """
        await self.call(
            protocol.DOMAIN_BLOCK_JOB_SET_SPEED,
            protocol.DomainBandwidthArgs(self.ref, disk, bandwidth, flags),
        )

    async def block_pull(self, disk: str, bandwidth: int, flags: int = 0) -> None:
        """Fill an image from the one below it (virDomainBlockPull).

        Args:
            disk: the source or the target of a disk.
            bandwidth: in MiB/s, unless a flag says bytes; 0 for no limit.
            flags: DomainBlockPullFlags.
        """
        await self.call(
            protocol.DOMAIN_BLOCK_PULL,
            protocol.DomainBandwidthArgs(self.ref, disk, bandwidth, flags),
        )

    async def block_rebase(
        self, disk: str, bandwidth: int, base: str | None = None, flags: int = 0
    ) -> None:
        """Fill an image from those below it, down to another one, or copy it
        (virDomainBlockRebase).

        Args:
            disk: the source or the target of a disk.
            bandwidth: in MiB/s, unless a flag says bytes; 0 for no limit.
            base: the image at the lower end, None for the last.
            flags: DomainBlockRebaseFlags.
        """
        await self.call(
            protocol.DOMAIN_BLOCK_REBASE,
            protocol.DomainBlockRebaseArgs(self.ref, disk, base, bandwidth, flags),
        )

    async def block_copy(self, disk: str, destxml: str, params: Params, flags: int = 0) -> None:
        """Copy a disk to another one (virDomainBlockCopy).

        Args:
            disk: the source or the target of a disk.
            destxml: the document of the new disk.
            params: by name, see `parameters`.
            flags: DomainBlockCopyFlags.
        """
        await self.call(
            protocol.DOMAIN_BLOCK_COPY,
            protocol.DomainBlockCopyArgs(self.ref, disk, destxml, typed(params), flags),
        )

    async def block_commit(
        self,
        disk: str,
        bandwidth: int,
        base: str | None = None,
        top: str | None = None,
        flags: int = 0,
    ) -> None:
        """Merge images into one below them (virDomainBlockCommit).

        Args:
            disk: the source or the target of a disk.
            bandwidth: in MiB/s, unless a flag says bytes; 0 for no limit.
            base: the image at the lower end, None for the last.
            top: the image at the upper end, None for the current.
            flags: DomainBlockCommitFlags.
        """
        await self.call(
            protocol.DOMAIN_BLOCK_COMMIT,
            protocol.DomainBlockCommitArgs(self.ref, disk, base, top, bandwidth, flags),
        )

    async def disk_errors(self) -> dict[str, int]:
        """Return the disks with errors: DomainDiskErrorCode by target (virDomainGetDiskErrors)."""
        args = protocol.DomainGetDiskErrorsArgs(self.ref, DOMAIN_DISK_ERRORS_MAX, 0)
        found = await self.call(protocol.DOMAIN_GET_DISK_ERRORS, args)
        return {one.disk: one.error for one in found.errors}

    async def set_block_threshold(self, dev: str, threshold: int, flags: int = 0) -> None:
        """Ask for an event when a disk has grown to a size (virDomainSetBlockThreshold).

        Args:
            dev: the target of a disk, or the name of a node.
            threshold: bytes.
            flags: none are defined.
        """
        await self.call(
            protocol.DOMAIN_SET_BLOCK_THRESHOLD,
            protocol.DomainSetBlockThresholdArgs(self.ref, dev, threshold, flags),
        )
