"""Entries: the objects of a host, each an immutable record that a change replaces as a whole."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import msgspec

from aiovirt.daemons.virtd.xml.refusals import shown
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host

RecordT = TypeVar("RecordT", bound="Record")
EntryT = TypeVar("EntryT", bound="Entry[Any]")


class Record(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The stored knowledge of an object. uuid: 32 hexadecimal digits with hyphens."""

    uuid: str
    name: str

    def inherit(self, replaced: Self) -> None:
        """Take over what was read out of the record that this one replaces, and is still true."""


class Entry(Generic[RecordT]):
    """One object of a host.

    kind: the name of its kind in the store. record: what is known of it; `change` replaces it. Every
    subclass says what its record is.
    """

    kind: ClassVar[str]
    record_type: ClassVar[type[Record]]

    def __init__(self, host: Host, record: RecordT) -> None:
        self.host = host
        self.record = record
        self.uuid = uuids.UUID(record.uuid).bytes

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.record.name}>"

    @property
    def name(self) -> str:
        """Its name."""
        return self.record.name

    def change(self, **fields: Any) -> None:
        """Replace fields of the record, in the store and then here.

        Raises RpcError when the store cannot be written, or for a text that is not in UTF-8; nothing
        has changed then.
        """
        replaced = msgspec.structs.replace(self.record, **fields)
        try:
            data = msgspec.msgpack.encode(replaced)
        except UnicodeEncodeError as error:
            text = f"'{shown(error.object)}' is not in UTF-8"
            domain = self.host.flavour.domain
            raise RpcError.of(ErrorCode.INVALID_ARG, text, domain=domain) from None
        self.host.store.put(self.host.name, self.kind, self.record.uuid, data)
        self.host.store.undo(partial(setattr, self, "record", self.record))
        replaced.inherit(self.record)
        self.record = replaced

    @classmethod
    def loaded(cls, host: Host, data: bytes) -> Self:
        """Make the entry that was stored. Raises msgspec.MsgspecError for data that do not fit."""
        record: Any = msgspec.msgpack.decode(data, type=cls.record_type)
        return cls(host, record)


class Collection(Generic[EntryT]):
    """The objects of one kind on one host, by UUID and by name; in the order in which they were made."""

    def __init__(self, host: Host, entry_type: type[EntryT]) -> None:
        self.host = host
        self._type = entry_type
        self._by_uuid: dict[bytes, EntryT] = {}
        self._by_name: dict[str, EntryT] = {}

    @property
    def kind(self) -> str:
        """The name of their kind in the store."""
        return self._type.kind

    def __iter__(self) -> Iterator[EntryT]:
        return iter(tuple(self._by_uuid.values()))

    def __len__(self) -> int:
        return len(self._by_uuid)

    def by_uuid(self, uuid: bytes) -> EntryT | None:
        """Return the object with this UUID, 16 bytes, or None."""
        return self._by_uuid.get(uuid)

    def by_name(self, name: str) -> EntryT | None:
        """Return the object with this name, or None."""
        return self._by_name.get(name)

    def add(self, entry: EntryT) -> None:
        """Store an object and list it. Raises RpcError when the store cannot be written."""
        entry.change()
        self.host.store.undo(partial(self._forget, entry, entry.name))
        self._by_uuid[entry.uuid] = entry
        self._by_name[entry.name] = entry

    def remove(self, entry: EntryT) -> None:
        """Remove an object, from the store first. Raises RpcError when that cannot be written."""
        store = self.host.store
        store.delete(self.host.name, entry.kind, entry.record.uuid)
        if store.is_batch:  # listed where it was, not as the last one
            store.undo(partial(self._put_back, self._by_uuid.copy(), self._by_name.copy()))
        self._forget(entry, entry.name)

    def _forget(self, entry: EntryT, name: str) -> None:
        self._by_uuid.pop(entry.uuid, None)
        self._by_name.pop(name, None)

    def _put_back(self, by_uuid: dict[bytes, EntryT], by_name: dict[str, EntryT]) -> None:
        self._by_uuid, self._by_name = by_uuid, by_name

    def renamed(self, entry: EntryT, old: str) -> None:
        """List an object under its new name."""
        self.host.store.undo(partial(self._rename, entry, entry.name, old))
        self._rename(entry, old, entry.name)

    def _rename(self, entry: EntryT, old: str, new: str) -> None:
        self._by_name.pop(old, None)
        self._by_name[new] = entry

    def load(self) -> None:
        """List what the store has. Raises msgspec.MsgspecError or StoreError for a damaged store."""
        for _, data in self.host.store.load(self.host.name, self._type.kind):
            entry = self._type.loaded(self.host, data)
            self._by_uuid[entry.uuid] = entry
            self._by_name[entry.name] = entry

    @property
    def entry_type(self) -> type[EntryT]:
        """The type of its objects."""
        return self._type

    def clear(self) -> None:
        """Forget all of them; the store is not touched."""
        self._by_uuid.clear()
        self._by_name.clear()
