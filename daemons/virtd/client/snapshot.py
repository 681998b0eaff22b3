"""Snapshots of domains."""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import RemoteObject
from aiovirt.daemons.virtd.protocol.limits import DOMAIN_SNAPSHOT_LIST_MAX


class Snapshot(RemoteObject[protocol.NonnullDomainSnapshot]):
    """A snapshot of a domain."""

    async def xml(self, flags: int = 0) -> str:
        """Return the document (virDomainSnapshotGetXMLDesc). flags: DomainSnapshotXMLFlags."""
        found = await self.call(
            protocol.DOMAIN_SNAPSHOT_GET_XML_DESC, protocol.SnapshotFlagsArgs(self.ref, flags)
        )
        return found.xml

    async def num_children(self, flags: int = 0) -> int:
        """Return the number of snapshots below (virDomainSnapshotNumChildren). flags:
        DomainSnapshotListFlags."""
        found = await self.call(
            protocol.DOMAIN_SNAPSHOT_NUM_CHILDREN, protocol.SnapshotFlagsArgs(self.ref, flags)
        )
        return found.num

    async def list_children_names(
        self, maxnames: int = DOMAIN_SNAPSHOT_LIST_MAX, flags: int = 0
    ) -> list[str]:
        """Return the names of the snapshots below (virDomainSnapshotListChildrenNames).

        Args:
            maxnames: the maximum number.
            flags: DomainSnapshotListFlags.
        """
        found = await self.call(
            protocol.DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES,
            protocol.DomainSnapshotListChildrenNamesArgs(self.ref, maxnames, flags),
        )
        return found.names

    async def list_children(self, flags: int = 0) -> list[Snapshot]:
        """Return the snapshots below (virDomainSnapshotListAllChildren). flags:
        DomainSnapshotListFlags."""
        found = await self.call(
            protocol.DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN,
            protocol.DomainSnapshotListAllChildrenArgs(self.ref, 1, flags),
        )
        return [Snapshot(self.host, one) for one in found.snapshots]

    async def parent(self, flags: int = 0) -> Snapshot:
        """Return the snapshot above (virDomainSnapshotGetParent)."""
        found = await self.call(
            protocol.DOMAIN_SNAPSHOT_GET_PARENT, protocol.SnapshotFlagsArgs(self.ref, flags)
        )
        return Snapshot(self.host, found.snap)

    async def is_current(self, flags: int = 0) -> bool:
        """Return whether it is the current snapshot (virDomainSnapshotIsCurrent)."""
        found = await self.call(
            protocol.DOMAIN_SNAPSHOT_IS_CURRENT, protocol.SnapshotFlagsArgs(self.ref, flags)
        )
        return bool(found.current)

    async def has_metadata(self, flags: int = 0) -> bool:
        """Return whether libvirt keeps its document (virDomainSnapshotHasMetadata)."""
        found = await self.call(
            protocol.DOMAIN_SNAPSHOT_HAS_METADATA,
            protocol.SnapshotFlagsArgs(self.ref, flags),
        )
        return bool(found.metadata)

    async def revert(self, flags: int = 0) -> None:
        """Take the domain back to this snapshot (virDomainRevertToSnapshot). flags:
        DomainSnapshotRevertFlags."""
        await self.call(
            protocol.DOMAIN_REVERT_TO_SNAPSHOT, protocol.SnapshotFlagsArgs(self.ref, flags)
        )

    async def delete(self, flags: int = 0) -> None:
        """Delete the snapshot (virDomainSnapshotDelete). flags: DomainSnapshotDeleteFlags."""
        await self.call(
            protocol.DOMAIN_SNAPSHOT_DELETE, protocol.SnapshotFlagsArgs(self.ref, flags)
        )
