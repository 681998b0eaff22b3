"""Storage pools: the record of one, and what it can hold.

A pool is a record: nothing of it is on the machine. Its allocation is that of its volumes.

Source: libvirt's src/storage/storage_driver.c and, for the test driver, src/test/test_driver.c.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.constants.storage import (
    StoragePoolEventID,
    StoragePoolEventLifecycleType,
)
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.host.events import Family
from aiovirt.daemons.virtd.host.standing import Standing, StandingRecord
from aiovirt.daemons.virtd.host.volume import Volume
from aiovirt.daemons.virtd.xml.completion.pools import set_sizes
from aiovirt.daemons.virtd.xml.kinds import KINDS
from aiovirt.daemons.virtd.xml.placing import add
from aiovirt.rpc.wire.errors import ErrorDomain

#: The kinds of pool that are a folder.
_FOLDERS: Final = ("dir", "fs", "netfs")


class PoolRecord(StandingRecord, frozen=True, kw_only=True, dict=True):
    """A storage pool."""


class Pool(Standing[PoolRecord]):
    """A storage pool of a host."""

    kind = "pool"
    record_type = PoolRecord
    noun = "pool"
    family = Family.STORAGE_POOL
    document = "pool"
    domain = ErrorDomain.STORAGE

    @property
    def root(self) -> etree._Element:
        """The document in force, which is not to be changed."""
        return cached("pool", self.record.text).root

    @property
    def type(self) -> str:
        """Its kind: "dir" for one."""
        return self.root.get("type") or ""

    @property
    def target(self) -> str:
        """The path of its target, empty if it has none."""
        return self.root.findtext("target/path") or ""

    @property
    def folder(self) -> str:
        """The beginning of the paths of its volumes."""
        return self.target or self.root.findtext("source/name") or ""

    @property
    def volumes(self) -> list[Volume]:
        """Its volumes, in the order in which they were made; an inactive pool of qemu shows none."""
        return self.host.volumes.of_pool(self.record.uuid)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Capacity, allocation and available space, in bytes; qemu knows them of active pools only."""
        if self.host.name == "qemu" and not self.is_active:
            return 0, 0, 0
        capacity = int(self.root.findtext("capacity") or 0)
        allocation = sum(one.allocation for one in self.volumes)
        return capacity, allocation, max(0, capacity - allocation)

    def lifecycle(self, event: StoragePoolEventLifecycleType) -> None:
        """Tell of a change of its life."""
        self.emit(StoragePoolEventID.LIFECYCLE, event, 0)

    def need_active(self) -> Pool:
        """Return the pool, which has to be active. Raises RpcError OPERATION_INVALID."""
        if not self.is_active:
            detail = f"storage pool '{self.name}' is not active"
            raise self.invalid(detail, self.host.flavour.storage)
        return self

    def need_inactive(self, word: str = "still active") -> Pool:
        """Return the pool, which has to be inactive.

        Args:
            word: how qemu's driver says that it is not.

        Raises:
            RpcError: OPERATION_INVALID.
        """
        if self.is_active:
            words = "active" if self.host.name == "test" else word
            detail = f"storage pool '{self.name}' is {words}"
            raise self.invalid(detail, self.host.flavour.storage)
        return self


def shown(pool: Pool, *, inactive: bool = False) -> str:
    """Return the document as a client wants it, with its present sizes.

    Args:
        pool: the pool.
        inactive: the definition rather than what runs.
    """
    text = (pool.record.config if inactive else None) or pool.record.text
    document = cached("pool", text).copy()
    set_sizes(document.root, *pool.sizes)
    target = document.root.find("target")
    if pool.host.name == "qemu" and pool.is_active and pool.type in _FOLDERS and target is not None:
        _permit(target)
    document.changed()
    return document.text()


def _permit(target: etree._Element) -> None:
    """Add the permissions that a folder has which is made for a pool."""
    if target.find("permissions") is None:
        permissions = add(target, KINDS["pool"].rules.below("target"), "permissions")
        for tag, text in (("mode", "0711"), ("owner", "0"), ("group", "0")):
            etree.SubElement(permissions, tag).text = text
