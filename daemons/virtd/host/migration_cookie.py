"""The messages that the two sides of a migration give each other, by way of the client.

They look like those of libvirt's QEMU driver, and have what virtd's guests are beside their document.
A guest of virtd exists nowhere else: libvirt refuses these messages for the feature that they name, and
virtd refuses libvirt's.

Source: libvirt's src/qemu/qemu_migration_cookie.c.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from lxml import etree

from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.host.job_statistics import NOTHING
from aiovirt.daemons.virtd.xml import reading
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.host import Host

#: The feature that both sides need.
_FEATURE: Final = "aiovirt-guest"
_GUEST: Final = "aiovirt-guest"
_NO_DISKS: Final[Mapping[str, int]] = {}
#: Above all numbers of statistics.
_MOST: Final = 2**63


class Luggage(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The things that go along with a guest beside its document.

    ran: nanoseconds that it has run; age: since it was started; now: the time of day on the host that it
    left, in nanoseconds; agent: whether its agent was connected; postcopy: whether the rest of its
    memory follows it. The others are small things of the record, see `SMALL`. numbers: of the
    migration, see `job_statistics`.
    """

    ran: int = 0
    age: int = 0
    now: int = 0
    agent: bool = False
    offset: int | None = None
    frozen: list[str] | None = None
    offline: list[int] | None = None
    keys: dict[str, list[str]] | None = None
    sizes: dict[str, int] | None = None
    vcpus: int | None = None
    numbers: dict[str, int] = {}
    postcopy: bool = False


#: The fields of `Luggage`, by the name that a record has for each.
SMALL: Final = {
    "clock-offset": "offset",
    "frozen": "frozen",
    "offline": "offline",
    "keys": "keys",
    "sizes": "sizes",
    "first-vcpus": "vcpus",
}


class Cookie(msgspec.Struct, frozen=True):
    """A message that was read. config: the definition for the other side; luggage: None unless the
    guest is on its way; disks: the capacities of those that are copied, in bytes by target."""

    name: str
    uuid: str
    hostname: str
    host_uuid: str
    config: str | None = None
    luggage: Luggage | None = None
    disks: dict[str, int] = {}


def write(
    domain: Domain,
    *,
    name: str,
    config: str | None = None,
    luggage: Luggage | None = None,
    disks: Mapping[str, int] = _NO_DISKS,
) -> bytes:
    """Write a message about a guest.

    Args:
        domain: the guest, on this side.
        name: of the guest on the side that it comes from.
        config: a definition for the other side.
        luggage: what goes along.
        disks: the capacities of those that are copied, by target.
    """
    return written(domain.host, name, domain.record.uuid, config, luggage, disks)


def written(
    host: Host,
    name: str,
    uuid: str,
    config: str | None = None,
    luggage: Luggage | None = None,
    disks: Mapping[str, int] = _NO_DISKS,
) -> bytes:
    """Write a message about a domain that may have no entry here; the arguments are those of `write`,
    with the UUID of the domain."""
    root = etree.Element("qemu-migration")
    for tag, text in (
        ("name", name),
        ("uuid", uuid),
        ("hostname", socket.gethostname()),
        ("hostuuid", host.uuid),
    ):
        etree.SubElement(root, tag).text = text
    etree.SubElement(root, "feature", name=_FEATURE)
    if disks:
        copied = etree.SubElement(root, "nbd", port="0")
        for target, capacity in disks.items():
            etree.SubElement(copied, "disk", target=target, capacity=str(capacity))
    if luggage is not None:
        etree.SubElement(root, _GUEST).text = msgspec.json.encode(luggage).decode()
    if config is not None:
        root.append(cached("domain", config).copy().root)
    data: bytes = etree.tostring(root, encoding="utf-8")
    return data + b"\0"


def read(host: Host, data: bytes, *, name: str | None, uuid: str) -> Cookie:
    """Read a message of the other side.

    Args:
        host: the host that it came to.
        data: the message.
        name: of the guest on the side that it comes from, None if that is not known here.
        uuid: of the guest.

    Raises:
        RpcError: INTERNAL_ERROR for a message about another guest, from this very host, or from another
            kind of host than virtd; XML_DETAIL for one that cannot be read.
    """
    try:
        text = data.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        raise _refused("the migration cookie is not in UTF-8") from None
    root = reading.parse(text, "qemu-migration", name="qemu_migration", domain=ErrorDomain.QEMU)
    found = {}
    for tag in ("name", "uuid", "hostname", "hostuuid"):
        value = root.findtext(tag)
        if not value:
            raise _refused(f"missing {tag} element in migration data")
        found[tag] = value
    for tag, words, wanted in (("name", "name", name), ("uuid", "UUID", uuid)):
        if wanted is not None and found[tag] != wanted:
            text = f"Incoming cookie data had unexpected {words} {found[tag]} vs {wanted}"
            raise _refused(text)
    if found["hostuuid"] == host.uuid:
        raise _refused(f"Attempt to migrate guest to the same host {host.uuid}")
    features = {one.get("name") for one in root.iterfind("feature")}
    if _FEATURE not in features:
        raise _refused(
            f"the host {found['hostname']} is not a virtd: guests move between two virtds only"
        )
    foreign = sorted(str(one) for one in features - {_FEATURE})
    if foreign:
        raise _refused(f"Unsupported migration cookie feature {foreign[0]}")
    return Cookie(
        found["name"],
        found["uuid"],
        found["hostname"],
        found["hostuuid"],
        _config(root),
        _luggage(root.findtext(_GUEST)),
        _disks(root),
    )


def _disks(root: etree._Element) -> dict[str, int]:
    found = {}
    for one in root.iterfind("nbd/disk"):
        target, capacity = one.get("target"), one.get("capacity", "")
        if not target:
            raise _refused("Malformed disk target")
        if not (capacity.isascii() and capacity.isdecimal() and int(capacity) < _MOST):
            raise _refused(f"Malformed disk capacity: '{capacity}'")
        found[target] = int(capacity)
    return found


def _config(root: etree._Element) -> str | None:
    found = root.find("domain")
    if found is None:
        return None
    return etree.tostring(found, encoding="unicode", with_tail=False)


def _luggage(text: str | None) -> Luggage | None:
    if text is None:
        return None
    try:
        found = msgspec.json.decode(text, type=Luggage)
    except msgspec.MsgspecError as error:
        raise _refused(f"the migration cookie has another kind of guest: {error}") from None
    if found.numbers:
        if not NOTHING.keys() <= found.numbers.keys():
            raise _refused("the migration cookie has incomplete statistics")
        for name, value in found.numbers.items():
            if not 0 <= value < _MOST:
                raise _refused(f"the migration cookie has {value} for {name}, not 0 to {_MOST - 1}")
    return found


def _refused(text: str) -> RpcError:
    return RpcError.of(ErrorCode.INTERNAL_ERROR, text, domain=ErrorDomain.QEMU)
