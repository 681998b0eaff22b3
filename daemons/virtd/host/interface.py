"""Network interfaces of a host, with changes that can be taken back.

Source: libvirt's src/test/test_driver.c (testInterface*) and src/conf/virinterfaceobj.c.
"""

from __future__ import annotations

import uuid as uuids
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.host.entries import Collection, Entry, Record
from aiovirt.daemons.virtd.xml.documents import read
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host

_SPACE: Final = uuids.UUID("6b1f7f0a-5d5c-4a5e-8f58-3f4b8d6a9c21")
#: The row of the store with the interfaces as they were when a change began.
_BACKUP: Final = "interface-backup"


class InterfaceRecord(Record, frozen=True, kw_only=True, dict=True):
    """An interface; its UUID is made of its name. text: its document; active: whether it is up."""

    text: str
    active: bool = False


class Interface(Entry[InterfaceRecord]):
    """An interface of a host."""

    kind: ClassVar[str] = "interface"
    record_type = InterfaceRecord

    @property
    def is_active(self) -> bool:
        """Whether it is up."""
        return self.record.active

    @property
    def mac(self) -> str:
        """Its hardware address, empty if it has none."""
        found = cached("interface", self.record.text).root.find("mac")
        return "" if found is None else found.get("address") or ""


def _invalid(detail: str, host: Host) -> RpcError:
    return RpcError.of(ErrorCode.OPERATION_INVALID, detail, domain=host.flavour.interface)


class Interfaces(Collection[Interface]):
    """The interfaces of a host. A change that has begun is kept in the store until it ends."""

    def __init__(self, host: Host) -> None:
        super().__init__(host, Interface)
        self._backup: list[InterfaceRecord] | None = None

    def begin(self) -> None:
        """Begin a change. Raises RpcError OPERATION_INVALID if one has begun."""
        if self._backup is not None:
            raise _invalid("there is another transaction running.", self.host)
        backup = [one.record for one in self]
        data = msgspec.msgpack.encode(backup)
        self.host.store.put(self.host.name, _BACKUP, "", data)
        self._backup = backup

    def commit(self) -> None:
        """Keep what was changed. Raises RpcError OPERATION_INVALID if nothing has begun."""
        if self._backup is None:
            raise _invalid("no transaction running, nothing to be committed.", self.host)
        self.host.store.delete(self.host.name, _BACKUP, "")
        self._backup = None

    def rollback(self) -> None:
        """Take back what was changed; as in libvirt, all interfaces are down then.

        Raises RpcError OPERATION_INVALID if nothing has begun.
        """
        backup = self._backup
        if backup is None:
            raise _invalid("no transaction running, nothing to rollback.", self.host)
        with self.host.store.batch():
            for one in self:
                self.host.store.delete(self.host.name, one.kind, one.record.uuid)
            for record in backup:
                data = msgspec.msgpack.encode(msgspec.structs.replace(record, active=False))
                self.host.store.put(self.host.name, Interface.kind, record.uuid, data)
            self.host.store.delete(self.host.name, _BACKUP, "")
        self.clear()
        self.load()

    def load(self) -> None:
        """See `Collection`."""
        super().load()
        for _, data in self.host.store.load(self.host.name, _BACKUP):
            self._backup = msgspec.msgpack.decode(data, type=list[InterfaceRecord])

    def clear(self) -> None:
        """See `Collection`."""
        super().clear()
        self._backup = None


def define(host: Host, text: str, *, active: bool = False) -> Interface:
    """Define an interface, or change the definition of one.

    Args:
        host: where.
        text: the document.
        active: a new one is up.

    Raises:
        RpcError: for a document that cannot be read.
    """
    document = read("interface", text)
    name = document.root.get("name") or ""
    found = host.interfaces.by_name(name)
    if found is not None:
        found.change(text=document.text())
        return found
    uuid = str(uuids.uuid5(_SPACE, name))
    record = InterfaceRecord(uuid=uuid, name=name, text=document.text(), active=active)
    made = Interface(host, record)
    host.interfaces.add(made)
    return made


def set_active(interface: Interface, wanted: bool) -> None:
    """Bring an interface up or down.

    Args:
        interface: the interface.
        wanted: whether it is to be up.

    Raises:
        RpcError: OPERATION_INVALID if it is so already, in libvirt's words.
    """
    if interface.is_active == wanted:
        raise RpcError(
            ErrorCode.OPERATION_INVALID,
            "Requested operation is not valid",
            domain=interface.host.flavour.interface,
        )
    interface.change(active=wanted)


def by_mac(host: Host, mac: str) -> Interface:
    """Return the interface with a hardware address.

    Args:
        host: where.
        mac: the address.

    Raises:
        RpcError: NO_INTERFACE, or MULTIPLE_INTERFACES.
    """
    found = [one for one in host.interfaces if one.mac.lower() == mac.lower()]
    test = host.name == "test"
    if not found:
        what = f"no interface with matching mac '{mac}'"
        detail = what if test else f"couldn't find interface with MAC address '{mac}'"
        raise RpcError.of(ErrorCode.NO_INTERFACE, detail, domain=host.flavour.interface)
    if len(found) > 1:
        detail = "" if test else f"the MAC address '{mac}' matches multiple interfaces"
        speaker = ErrorDomain.TEST if test else ErrorDomain.INTERFACE
        raise RpcError.of(ErrorCode.MULTIPLE_INTERFACES, detail, domain=speaker)
    return found[0]
