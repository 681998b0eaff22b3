"""Checkpoints of domains."""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import RemoteObject


class Checkpoint(RemoteObject[protocol.NonnullDomainCheckpoint]):
    """A checkpoint of a domain."""

    async def xml(self, flags: int = 0) -> str:
        """Return the document (virDomainCheckpointGetXMLDesc). flags: DomainCheckpointXMLFlags."""
        found = await self.call(
            protocol.DOMAIN_CHECKPOINT_GET_XML_DESC,
            protocol.CheckpointFlagsArgs(self.ref, flags),
        )
        return found.xml

    async def list_children(self, flags: int = 0) -> list[Checkpoint]:
        """Return the checkpoints below (virDomainCheckpointListAllChildren). flags:
        DomainCheckpointListFlags."""
        found = await self.call(
            protocol.DOMAIN_CHECKPOINT_LIST_ALL_CHILDREN,
            protocol.DomainCheckpointListAllChildrenArgs(self.ref, 1, flags),
        )
        return [Checkpoint(self.host, one) for one in found.checkpoints]

    async def parent(self, flags: int = 0) -> Checkpoint:
        """Return the checkpoint above (virDomainCheckpointGetParent)."""
        found = await self.call(
            protocol.DOMAIN_CHECKPOINT_GET_PARENT, protocol.CheckpointFlagsArgs(self.ref, flags)
        )
        return Checkpoint(self.host, found.parent)

    async def delete(self, flags: int = 0) -> None:
        """Delete the checkpoint (virDomainCheckpointDelete). flags: DomainCheckpointDeleteFlags."""
        await self.call(
            protocol.DOMAIN_CHECKPOINT_DELETE, protocol.CheckpointFlagsArgs(self.ref, flags)
        )
