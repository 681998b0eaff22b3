"""Secrets: values that other objects use, and that nobody else is shown.

The value of an ephemeral secret, and the secret itself, is in memory only. Other values are sealed in
memory and in the store; see `sealing`. Stores and saved worlds of earlier versions have them in the
clear: `seal_record` and `seal_all` seal those before they are written again.

Source: libvirt's src/secret/secret_driver.c and src/conf/virsecretobj.c.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from lxml import etree

from aiovirt.daemons.virtd.constants.secret import (
    SecretEventID,
    SecretEventLifecycleType,
    SecretUsageType,
)
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.host.entries import Entry, Record
from aiovirt.daemons.virtd.host.events import Event, Family, Subject
from aiovirt.daemons.virtd.host.sealing import SealError
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host
    from aiovirt.daemons.virtd.host.sealing import Seal


class SecretRecord(Record, frozen=True, kw_only=True, dict=True):
    """A secret; its name is its UUID. text: its document; value: of an ephemeral secret, in the clear;
    sealed: the sealed value of another one. Both are None if it has no value."""

    text: str
    value: bytes | None = None
    sealed: bytes | None = None

    def __repr__(self) -> str:
        return f"<SecretRecord {self.uuid}>"


class Secret(Entry[SecretRecord]):
    """A secret of a host."""

    kind: ClassVar[str] = "secret"
    record_type = SecretRecord

    @property
    def root(self) -> etree._Element:
        """The document, which is not to be changed."""
        return cached("secret", self.record.text).root

    @property
    def is_ephemeral(self) -> bool:
        """Whether it ends with the daemon."""
        return is_ephemeral(self.record)

    @property
    def is_private(self) -> bool:
        """Whether clients may set its value only."""
        return self.root.get("private") == "yes"

    @property
    def usage(self) -> tuple[int, str]:
        """Its kind of use, SecretUsageType, and the object that uses it."""
        return usage(self.root)

    def change(self, **fields: Any) -> None:
        """See `Entry`; an ephemeral secret is not written, and an earlier one is forgotten."""
        replaced = msgspec.structs.replace(self.record, **fields)
        if is_ephemeral(replaced):
            if replaced.sealed is not None and replaced.value is None:
                replaced = msgspec.structs.replace(replaced, value=self.opened())
            replaced = msgspec.structs.replace(replaced, sealed=None)
            self.host.store.delete(self.host.name, self.kind, self.record.uuid)
            self.host.store.undo(partial(setattr, self, "record", self.record))
            self.record = replaced
        else:
            sealed = seal_record(self.host.store.seal, replaced)
            super().change(text=sealed.text, value=None, sealed=sealed.sealed)

    def opened(self) -> bytes | None:
        """The value; None if it has none, or one that the key of the store does not open."""
        record = self.record
        if record.sealed is None:
            return record.value
        with suppress(SealError):
            return self.host.store.seal.open(record.sealed, record.uuid)
        return None

    def emit(self, number: int, *details: object) -> None:
        """Tell of an event of this secret; see `Event`."""
        kind, name = self.usage
        subject = Subject(name, self.uuid, kind)
        self.host.events.emit(Event(Family.SECRET, number, subject, details))


def is_ephemeral(record: SecretRecord) -> bool:
    """Whether a secret ends with the daemon."""
    return cached("secret", record.text).root.get("ephemeral") == "yes"


def seal_record(seal: Seal, record: SecretRecord) -> SecretRecord:
    """Return a record as it may be stored: with its value sealed.

    Args:
        seal: of the store.
        record: may have a value in the clear.

    Raises:
        RpcError: SYSTEM_ERROR, the value cannot be sealed.
    """
    if record.value is None:
        return record
    try:
        sealed = seal.seal(record.value, record.uuid)
    except SealError as error:
        raise _unsealed(error) from error
    return msgspec.structs.replace(record, value=None, sealed=sealed)


def _unsealed(error: SealError) -> RpcError:
    text = f"cannot seal values of secrets: {error}"
    return RpcError(ErrorCode.SYSTEM_ERROR, text, domain=ErrorDomain.SECRET)


def seal_all(host: Host) -> bool:
    """Seal the values that a host has read in the clear. Returns whether there was one.

    Raises RpcError as `seal_record`, or when the store cannot be written.
    """
    clear = [one for one in host.secrets if one.record.value is not None and not one.is_ephemeral]
    for one in clear:
        one.change()
    return bool(clear)


def usage(root: etree._Element) -> tuple[int, str]:
    """Return the use of a secret, as `Secret.usage` does."""
    found = root.find("usage")
    if found is None:
        return SecretUsageType.NONE, ""
    kind = SecretUsageType[(found.get("type") or "none").upper()]
    return kind, next((one.text or "" for one in found), "")


def _refused(detail: str) -> RpcError:
    return RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=ErrorDomain.SECRET)


def define(host: Host, text: str) -> Secret:
    """Define a secret, or change the definition of one; its value stays.

    Args:
        host: where.
        text: the document.

    Raises:
        RpcError: INTERNAL_ERROR for another use, for the use of another secret, or for a private secret
            that would not be private any more; SYSTEM_ERROR for a first secret without a key.
    """
    made = host.documents.define("secret", text)
    root = cached("secret", made.text).root
    wanted = usage(root)
    found = host.secrets.by_uuid(bytes.fromhex(made.uuid.replace("-", "")))
    if found is not None:
        if found.usage != wanted:
            detail = f"a secret with UUID {made.uuid} is already defined for use with"
            raise _refused(f"{detail} {found.usage[1]}")
        if found.is_private and root.get("private") != "yes":
            raise _refused("cannot change private flag on existing secret")
        found.change(text=made.text)
    else:
        other = by_usage(host, *wanted) if wanted[0] else None
        if other is not None:
            detail = f"a secret with UUID {other.record.uuid} already defined for use with"
            raise _refused(f"{detail} {wanted[1]}")
        try:
            host.store.seal.prepare()
        except SealError as error:
            raise _unsealed(error) from error
        found = Secret(host, SecretRecord(uuid=made.uuid, name=made.uuid, text=made.text))
        host.secrets.add(found)
    found.emit(SecretEventID.LIFECYCLE, SecretEventLifecycleType.DEFINED, 0)
    return found


def by_usage(host: Host, kind: int, name: str) -> Secret | None:
    """Return the secret with a use, or None.

    Args:
        host: where.
        kind: SecretUsageType.
        name: the object that uses it.
    """
    return next((one for one in host.secrets if one.usage == (kind, name)), None)


def set_value(secret: Secret, value: bytes) -> None:
    """Set a value.

    Args:
        secret: the secret.
        value: any bytes.

    Raises:
        RpcError: the store cannot be written, or the value cannot be sealed.
    """
    secret.change(value=value)
    secret.emit(SecretEventID.VALUE_CHANGED)


def get_value(secret: Secret) -> bytes:
    """Return a value. Raises RpcError INVALID_SECRET for a private secret, NO_SECRET without a value."""
    if secret.is_private:
        raise RpcError.of(ErrorCode.INVALID_SECRET, "secret is private", domain=ErrorDomain.SECRET)
    value = secret.opened()
    if value is None:
        detail = f"secret '{secret.record.uuid}' does not have a value"
        raise RpcError.of(ErrorCode.NO_SECRET, detail, domain=ErrorDomain.SECRET)
    return value


def undefine(secret: Secret) -> None:
    """Remove a secret with its value. Raises RpcError if the store cannot be written."""
    secret.host.secrets.remove(secret)
    secret.emit(SecretEventID.LIFECYCLE, SecretEventLifecycleType.UNDEFINED, 0)
