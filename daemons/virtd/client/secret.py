"""Secrets."""

from __future__ import annotations

from uuid import UUID

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import RemoteObject


class Secret(RemoteObject[protocol.NonnullSecret]):
    """A secret. It has a UUID and no name."""

    @property
    def name(self) -> str:
        """The UUID."""
        return self.uuid

    @property
    def uuid(self) -> str:
        """The UUID, in lower case with hyphens."""
        return str(UUID(bytes=self.ref.uuid))

    @property
    def usage_type(self) -> int:
        """The kind of object that uses it, SecretUsageType."""
        return self.ref.usageType

    @property
    def usage_id(self) -> str:
        """The object that uses it."""
        return self.ref.usageID

    async def xml(self, flags: int = 0) -> str:
        """Return the document (virSecretGetXMLDesc)."""
        found = await self.call(
            protocol.SECRET_GET_XML_DESC, protocol.SecretFlagsArgs(self.ref, flags)
        )
        return found.xml

    async def value(self, flags: int = 0) -> bytes:
        """Return the value (virSecretGetValue)."""
        found = await self.call(
            protocol.SECRET_GET_VALUE, protocol.SecretFlagsArgs(self.ref, flags)
        )
        return found.value

    async def set_value(self, value: bytes, flags: int = 0) -> None:
        """Set the value (virSecretSetValue).

        Args:
            value: the value.
            flags: none are defined.
        """
        await self.call(
            protocol.SECRET_SET_VALUE, protocol.SecretSetValueArgs(self.ref, value, flags)
        )

    async def undefine(self) -> None:
        """Remove the secret (virSecretUndefine)."""
        await self.call(protocol.SECRET_UNDEFINE, protocol.SecretUndefineArgs(self.ref))
