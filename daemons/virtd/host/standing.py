"""Objects with a definition and a running form: networks and storage pools.

Source: libvirt's src/conf/virnetworkobj.c (virNetworkObjAssignDef) and virstorageobj.c
(virStoragePoolObjListAdd): both do the same, with the name of their kind in what they say.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

from aiovirt.daemons.virtd.host.documents import Definition
from aiovirt.daemons.virtd.host.entries import Collection, Entry, Record
from aiovirt.daemons.virtd.host.events import Event, Family, Subject
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError


class StandingRecord(Record, frozen=True, kw_only=True, dict=True):
    """An object that is defined, started and stopped.

    config: the document of its definition; None for a transient object. live: its document while it is
    active, else None. autostart: whether it starts with the daemon.
    """

    config: str | None = None
    live: str | None = None
    autostart: bool = False

    @property
    def text(self) -> str:
        """The document in force: the running one, or else the definition."""
        return self.live if self.live is not None else self.config or ""


StandingT = TypeVar("StandingT", bound=StandingRecord)
EntryT = TypeVar("EntryT", bound="Standing")  # type: ignore[type-arg]  # of any record


class Standing(Entry[StandingT]):
    """Such an object. noun: what errors call it; family: of its events; document: its kind of document;
    domain: the part of libvirt that keeps the list."""

    noun: ClassVar[str]
    family: ClassVar[Family]
    document: ClassVar[str]
    domain: ClassVar[ErrorDomain]

    @property
    def is_active(self) -> bool:
        """Whether it runs."""
        return self.record.live is not None

    @property
    def is_persistent(self) -> bool:
        """Whether it has a definition."""
        return self.record.config is not None

    def emit(self, number: int, *details: object) -> None:
        """Tell of an event of this object; see `Event`."""
        subject = Subject(self.record.name, self.uuid)
        self.host.events.emit(Event(self.family, number, subject, details))

    def invalid(self, detail: str, domain: ErrorDomain | None = None) -> RpcError:
        """Make the refusal of something that its state does not allow.

        Args:
            detail: the reason.
            domain: who says so, its own part of libvirt by default.
        """
        return RpcError.of(ErrorCode.OPERATION_INVALID, detail, domain=domain or self.domain)


def assign(
    collection: Collection[EntryT], entry_type: type[EntryT], made: Definition, *, live: bool
) -> EntryT:
    """Take a document for an object that exists, or make the object; it is stored.

    Args:
        collection: the objects of this kind.
        entry_type: their type.
        made: the complete document.
        live: it becomes the document of the running object, else the definition.

    Raises:
        RpcError: OPERATION_FAILED for a name or a UUID of another object, OPERATION_INVALID for one
            that is active and is to be started.
    """
    found = existing(collection, entry_type, made, live=live)
    field = "live" if live else "config"
    if found is None:
        record = entry_type.record_type(uuid=made.uuid, name=made.name, **{field: made.text})
        found = entry_type(collection.host, record)
        collection.add(found)
        return found
    found.change(**{field: made.text})
    return found


def existing(
    collection: Collection[EntryT],
    entry_type: type[EntryT],
    made: Definition,
    *,
    live: bool = False,
) -> EntryT | None:
    """Return the object that a document is about, or None.

    Args:
        collection: the objects of this kind.
        entry_type: their type.
        made: the complete document.
        live: the object is to be started.

    Raises:
        RpcError: as `assign` does.
    """
    noun, domain = entry_type.noun, entry_type.domain
    by_uuid = collection.by_uuid(bytes.fromhex(made.uuid.replace("-", "")))
    by_name = collection.by_name(made.name)
    detail = ""
    if by_uuid is not None and by_uuid.name != made.name:
        detail = f"{noun} '{by_uuid.name}' is already defined with uuid {made.uuid}"
    elif by_uuid is None and by_name is not None:
        detail = f"{noun} '{made.name}' already exists with uuid {by_name.record.uuid}"
    if detail:
        raise RpcError.of(ErrorCode.OPERATION_FAILED, detail, domain=domain)
    if live and by_uuid is not None and by_uuid.is_active:
        raise by_uuid.invalid(f"{noun} is already active as '{by_uuid.name}'")
    return by_uuid


def stop(collection: Collection[EntryT], entry: EntryT, **fields: object) -> None:
    """Make an object inactive; one without a definition is gone. The caller tells of it.

    Args:
        collection: where it is listed.
        entry: the object.
        fields: of its record, that change as well.
    """
    if entry.is_persistent:
        entry.change(live=None, **fields)
    else:
        collection.remove(entry)


def forget(collection: Collection[EntryT], entry: EntryT) -> None:
    """Remove the definition; an active object becomes transient.

    Args:
        collection: where it is listed.
        entry: the object.
    """
    if entry.is_active:
        entry.change(config=None, autostart=False)
    else:
        collection.remove(entry)
