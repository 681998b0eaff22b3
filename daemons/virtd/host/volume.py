"""Storage volumes: the record of one, and finding one.

A volume is a document. Contents that a client has uploaded are in a file of the run directory, see
`contents`; no other file of the machine is touched.

Source: libvirt's src/conf/storage_conf.h (virStorageVolDef).
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, ClassVar

from lxml import etree

from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.host.entries import Collection, Entry, Record
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host
    from aiovirt.daemons.virtd.xml.documents import Document


class VolumeRecord(Record, frozen=True, kw_only=True, dict=True):
    """A volume. pool: the UUID of its pool; text: its document, complete; made: in nanoseconds of the
    host's clock; has_content: whether a file holds what was uploaded; reserved: bytes at its beginning
    that count as taken even where it has a hole."""

    pool: str
    text: str
    made: int = 0
    has_content: bool = False
    reserved: int = 0

    @cached_property
    def sizes(self) -> tuple[int, int]:
        """Capacity and allocation, in bytes."""
        root = cached("volume", self.text).root
        return int(root.findtext("capacity") or 0), int(root.findtext("allocation") or 0)

    @cached_property
    def key(self) -> str:
        """The key, as the document says."""
        return cached("volume", self.text).root.findtext("key") or self.path

    @cached_property
    def path(self) -> str:
        """Where it is on the host, as the document says."""
        return cached("volume", self.text).root.findtext("target/path") or ""


class Volume(Entry[VolumeRecord]):
    """A volume of a host. busy: how many transfers are under way."""

    kind: ClassVar[str] = "volume"
    record_type = VolumeRecord

    def __init__(self, host: Host, record: VolumeRecord) -> None:
        super().__init__(host, record)
        self.busy = 0

    @property
    def document(self) -> Document:
        """The document, shared: whoever changes it makes a copy first."""
        return cached("volume", self.record.text)

    @property
    def root(self) -> etree._Element:
        """The document, which is not to be changed."""
        return cached("volume", self.record.text).root

    @property
    def key(self) -> str:
        """Its key, unique on its host."""
        return self.record.key

    @property
    def capacity(self) -> int:
        """The bytes that a guest sees."""
        return self.record.sizes[0]

    @property
    def allocation(self) -> int:
        """The bytes that it takes."""
        return self.record.sizes[1]

    @property
    def physical(self) -> int:
        """The bytes of its file."""
        return int(self.root.findtext("physical") or self.allocation)

    @property
    def reserved(self) -> int:
        """The bytes at the beginning of its file that are taken even if nothing was uploaded."""
        return self.record.reserved if self.record.has_content else self.allocation

    @property
    def format(self) -> str:
        """Its format: "raw", "qcow2"."""
        found = self.root.find("target/format")
        return (found.get("type") if found is not None else None) or "raw"

    def need_idle(self) -> None:
        """Refuse if a transfer is under way: RpcError OPERATION_INVALID."""
        if self.busy:
            detail = f"volume '{self.name}' is still in use."
            raise RpcError.of(ErrorCode.OPERATION_INVALID, detail, domain=ErrorDomain.STORAGE)

    def resize(self, *, capacity: int, allocation: int | None = None) -> str:
        """Return the document with other sizes.

        Args:
            capacity: in bytes.
            allocation: likewise, None for the present one.
        """
        document = cached("volume", self.record.text).copy()
        physical = capacity if self.format == "raw" else allocation
        for tag, size in (
            ("capacity", capacity),
            ("allocation", allocation),
            ("physical", physical),
        ):
            element = document.root.find(tag)
            if element is not None and size is not None:
                element.text = str(size)
        document.changed()
        return document.text(secure=True)


class Volumes(Collection[Volume]):
    """The volumes of a host, by pool and name, by path, and by key."""

    def __init__(self, host: Host) -> None:
        super().__init__(host, Volume)
        self._pools: dict[str, dict[str, Volume]] = {}
        self._paths: dict[str, Volume] = {}

    def of_pool(self, pool: str) -> list[Volume]:
        """Return the volumes of the pool with this UUID."""
        return list(self._pools.get(pool, {}).values())

    def in_pool(self, pool: str, name: str) -> Volume | None:
        """Return a volume of a pool, or None.

        Args:
            pool: the UUID of the pool.
            name: the volume's name.
        """
        return self._pools.get(pool, {}).get(name)

    def by_path(self, path: str) -> Volume | None:
        """Return the volume with this path, or None."""
        return self._paths.get(path)

    def backing(self, path: str) -> tuple[str, str] | None:
        """Return the path and the format of what lies below the volume with this path, or None."""
        volume = self._paths.get(path)
        store = None if volume is None else volume.root.find("backingStore")
        below = "" if store is None else store.findtext("path") or ""
        if store is None or not below:
            return None
        form = store.find("format")
        return below, (None if form is None else form.get("type")) or "raw"

    def add(self, entry: Volume) -> None:
        """See `Collection`."""
        super().add(entry)
        self.host.store.undo(partial(self._unlist, entry, entry.record))
        self._list(entry)

    def remove(self, entry: Volume) -> None:
        """See `Collection`; the content is removed by the caller, see `Contents.remove`."""
        super().remove(entry)
        self.host.store.undo(partial(self._list, entry))
        self._unlist(entry, entry.record)

    def load(self) -> None:
        """See `Collection`."""
        super().load()
        for volume in sorted(self, key=lambda one: one.record.made):
            self._list(volume)

    def clear(self) -> None:
        """See `Collection`."""
        super().clear()
        self._pools.clear()
        self._paths.clear()

    def move(self, volume: Volume, pool: str) -> None:
        """Give a volume to another pool; to none, "", when its pool is forgotten: what is in a folder
        stays there, and a pool that is made for that folder later finds it.

        Args:
            volume: the volume.
            pool: the UUID of the pool.
        """
        old = volume.record
        self.host.store.undo(partial(self._list, volume))  # after the record is the old one again
        volume.change(pool=pool)
        self.host.store.undo(partial(self._unlist, volume, volume.record))
        self._unlist(volume, old)
        self._list(volume)

    def _list(self, volume: Volume) -> None:
        pool = volume.record.pool
        self._pools.setdefault(pool, {})[_name(volume.record)] = volume
        self._paths[volume.record.path] = volume

    def _unlist(self, volume: Volume, record: VolumeRecord) -> None:
        self._pools.get(record.pool, {}).pop(_name(record), None)
        if self._paths.get(record.path) is volume:
            del self._paths[record.path]


def _name(record: VolumeRecord) -> str:
    """The name of a volume in its pool; of those that have none, the path."""
    return record.name if record.pool else record.path
