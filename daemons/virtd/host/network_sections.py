"""Changes of one section of a network: a host of its DHCP server, a record of its name server.

Source: libvirt's src/conf/network_conf.c (virNetworkDefUpdateSection and what it calls).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import msgspec
from lxml import etree

from aiovirt.daemons.virtd.constants.network import NetworkUpdateCommand as Command
from aiovirt.daemons.virtd.constants.network import NetworkUpdateFlags
from aiovirt.daemons.virtd.constants.network import NetworkUpdateSection as Section
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.xml import reading
from aiovirt.daemons.virtd.xml.documents import SHAPER, Document, read
from aiovirt.daemons.virtd.xml.kinds import KINDS
from aiovirt.daemons.virtd.xml.placing import add, holder, place
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.network import Network

_FIXED: Final = {
    Section.BRIDGE: "bridge",
    Section.DOMAIN: "domain",
    Section.IP: "ip",
    Section.FORWARD: "forward",
    Section.FORWARD_PF: "forward pf",
}
"""Sections that libvirt does not change either."""


class Place(msgspec.Struct, frozen=True):
    """A section that can be changed.

    path: of its parent below the network, or below the `<ip>` that a call names; tag: of its entries;
    keys: the values that identify one; any_key: whether one of them is enough; modify: the refusal of
    changing an entry, empty if it can be; texts: what is said of an entry that exists already, and of
    one that is missing.
    """

    path: tuple[str, ...]
    tag: str
    keys: tuple[str, ...]
    modify: str
    texts: tuple[str, str]
    any_key: bool = False


_PLACES: Final = {
    Section.IP_DHCP_HOST: Place(
        ("ip", "dhcp"),
        "host",
        ("@mac", "@name", "@ip"),
        "",
        (
            "there is an existing dhcp host entry in network '{net}' that matches"
            " \"<host mac='{0}' name='{1}' ip='{2}'/>\"",
            "couldn't locate a matching dhcp host entry in network '{net}'",
        ),
        any_key=True,
    ),
    Section.IP_DHCP_RANGE: Place(
        ("ip", "dhcp"),
        "range",
        ("@start", "@end"),
        "dhcp ranges cannot be modified, only added or deleted",
        (
            "there is an existing dhcp range entry in network '{net}' that matches"
            " \"<range start='{0}' end='{1}'/>\"",
            "couldn't locate a matching dhcp range entry in network '{net}'",
        ),
    ),
    Section.FORWARD_INTERFACE: Place(
        ("forward",),
        "interface",
        ("@dev",),
        "forward interface entries cannot be modified, only added or deleted",
        (
            "there is an existing interface entry in network '{net}' that matches"
            " \"<interface dev='{0}'>\"",
            "couldn't find an interface entry in network '{net}' matching <interface dev='{0}'>",
        ),
    ),
    Section.PORTGROUP: Place(
        (),
        "portgroup",
        ("@name",),
        "",
        (
            "there is an existing portgroup entry in network '{net}' that matches"
            " \"<portgroup name='{0}'>\"",
            "couldn't find a portgroup entry in network '{net}' matching <portgroup name='{0}'>",
        ),
    ),
    Section.DNS_HOST: Place(
        ("dns",),
        "host",
        ("@ip", "hostname"),
        "DNS HOST records cannot be modified, only added or deleted",
        (
            "there is already at least one DNS HOST record with a matching field in network {net}",
            "couldn't locate a matching DNS HOST record in network {net}",
        ),
        any_key=True,
    ),
    Section.DNS_TXT: Place(
        ("dns",),
        "txt",
        ("@name",),
        "DNS TXT records cannot be modified, only added or deleted",
        (
            "there is already a DNS TXT record with name '{0}' in network {net}",
            "couldn't locate a matching DNS TXT record in network {net}",
        ),
    ),
    Section.DNS_SRV: Place(
        ("dns",),
        "srv",
        ("@domain", "@service", "@protocol", "@target"),
        "DNS SRV records cannot be modified, only added or deleted",
        (
            "there is already at least one DNS SRV record matching all specified fields in"
            " network {net}",
            "couldn't locate a matching DNS SRV record in network {net}",
        ),
    ),
}


def _refused(code: ErrorCode, detail: str) -> RpcError:
    return RpcError.of(code, detail, domain=ErrorDomain.NETWORK)


def update(network: Network, command: int, section: int, index: int, text: str, flags: int) -> None:
    """Change one entry of a section, in the documents that flags ask for: all of them or none.

    Args:
        network: the network.
        command: NetworkUpdateCommand.
        section: NetworkUpdateSection.
        index: of the `<ip>` that is meant; -1 for the one that fits.
        text: the entry, as XML.
        flags: NetworkUpdateFlags.

    Raises:
        RpcError: OPERATION_INVALID for a document or an entry that is missing, or an entry that exists;
            OPERATION_UNSUPPORTED for a section or a command that cannot be served.
    """
    live = bool(flags & NetworkUpdateFlags.AFFECT_LIVE)
    config = bool(flags & NetworkUpdateFlags.AFFECT_CONFIG)
    if not live and not config:
        live, config = network.is_active, not network.is_active
    if live and not network.is_active:
        raise network.invalid("network is not running")
    if config and not network.is_persistent:
        raise network.invalid("cannot change persistent config of a transient network")
    record = network.record
    fields = {}
    for name, wanted, old in (("live", live, record.live), ("config", config, record.config)):
        if wanted and old is not None:
            document = cached("network", old).copy()
            _change(document, command, section, index, text)
            document.changed()
            written = document.text(secure=True)
            read("network", written, live=True).check()
            fields[name] = written
    network.change(**fields)


def _change(document: Document, command: int, section: int, index: int, text: str) -> None:
    """Change one document."""
    raw = reading.parse(text, (), name="network_update_xml", domain=ErrorDomain.NETWORK)
    root = document.root
    name = root.findtext("name") or ""
    if section in _FIXED:
        detail = f"can't update '{_FIXED[Section(section)]}' section of network '{name}'"
        raise _refused(ErrorCode.OPERATION_UNSUPPORTED, detail)
    where = _PLACES.get(Section(section)) if section in set(Section) else None
    if where is None:
        detail = "can't update unrecognized section of network"
        raise _refused(ErrorCode.OPERATION_UNSUPPORTED, detail)
    if command == Command.MODIFY and where.modify:
        raise _refused(ErrorCode.OPERATION_UNSUPPORTED, where.modify)
    if raw.tag != where.tag:
        detail = (
            f"unexpected element <{raw.tag!s}>, expecting <{where.tag}>,"
            f" while updating network '{name}'"
        )
        raise _refused(ErrorCode.XML_ERROR, detail)
    rule = KINDS["network"].rules.below(*where.path, where.tag)
    # What is to be removed may be named by a few of its values.
    entry = raw if command == Command.DELETE else SHAPER.shape(rule, raw)
    commands = {
        Command.MODIFY: _modify,
        Command.DELETE: _delete,
        Command.ADD_FIRST: _add_first,
        Command.ADD_LAST: _add_last,
    }
    if command not in commands:
        detail = f"unrecognized network update command code {command}"
        raise _refused(ErrorCode.OPERATION_UNSUPPORTED, detail)
    if where.path[:1] == ("ip",) and command != Command.DELETE:
        _check_family(_ip(root, index, name), entry)
    parent = _parent(root, where, index, name)
    if where.tag == "portgroup" and command != Command.DELETE:
        _check_default(parent, entry, name)
    commands[Command(command)](_Target(parent, where, name, entry))


class _Target(msgspec.Struct, frozen=True):
    """An entry, and where it belongs. parent: may have no entries yet; name: of the network."""

    parent: etree._Element
    where: Place
    name: str
    entry: etree._Element

    def text(self, number: int) -> str:
        """Say of the entry that it exists (0), or that it does not (1)."""
        keys = [", ".join(_values(self.entry, key)) for key in self.where.keys]
        if self.where.tag == "host":
            keys = [
                key or unknown
                for key, unknown in zip(keys, ("unknown", "(null)", "unknown"), strict=False)
            ]
        return self.where.texts[number].format(*keys, net=self.name)

    def matching(
        self, fits: Callable[[etree._Element, etree._Element, Place], bool]
    ) -> list[etree._Element]:
        """The entries that a function holds to be this one."""
        found = self.parent.findall(self.where.tag)
        return [one for one in found if fits(self.entry, one, self.where)]


def _values(element: etree._Element, key: str) -> list[str]:
    if key.startswith("@"):
        value = element.get(key[1:])
        return [] if value is None else [value.lower() if key == "@mac" else value]
    return [found.text or "" for found in element.findall(key)]


def _same(entry: etree._Element, other: etree._Element, where: Place) -> bool:
    """Whether two entries cannot both exist."""
    shared = _shared(entry, other, where)
    if where.tag == "host" and where.path == ("dns",):
        return entry.get("ip") == other.get("ip")  # one name may have several addresses
    return any(shared) if where.any_key else all(shared)


def _meant(entry: etree._Element, other: etree._Element, where: Place) -> bool:
    """Whether an entry to be removed is this one: every value that it gives must be there."""
    shared = _shared(entry, other, where)
    if where.tag == "host" and where.path == ("dns",):
        return any(shared)
    return all(shared)


def _shared(entry: etree._Element, other: etree._Element, where: Place) -> Iterator[bool]:
    """For each key that the entry gives, whether the other one has its value."""
    for key in where.keys:
        given = _values(entry, key)
        if given:
            yield bool(set(given) & set(_values(other, key)))


def _parent(root: etree._Element, where: Place, index: int, name: str) -> etree._Element:
    """The element that holds the entries; it is made if it is missing."""
    rules = KINDS["network"].rules
    parent, path = root, where.path
    if path[:1] == ("ip",):
        parent, path, rules = _ip(root, index, name), path[1:], rules.below("ip")
    for tag in path:
        found = parent.find(tag)
        parent = add(parent, rules, tag) if found is None else found
        rules = rules.below(tag)
    return parent


def _ip(root: etree._Element, index: int, name: str) -> etree._Element:
    found = root.findall("ip")
    if index >= 0:
        if index < len(found):
            return found[index]
        detail = (
            "couldn't update dhcp host entry - no <ip> element found at index"
            f" {index} in network '{name}'"
        )
        raise _refused(ErrorCode.OPERATION_INVALID, detail)
    for one in found:
        if one.find("dhcp/range") is not None or one.find("dhcp/host") is not None:
            return one
    for one in sorted(found, key=lambda one: one.get("family") == "ipv6"):
        return one
    detail = f"couldn't update dhcp host entry - no <ip> element found in network '{name}'"
    raise _refused(ErrorCode.OPERATION_INVALID, detail)


def _check_family(ip: etree._Element, entry: etree._Element) -> None:
    """Refuse an address of IPv4 for a network of IPv6, and the other way."""
    given = entry.get("ip") or entry.get("start")
    if given is not None and (":" in given) != (":" in (ip.get("address") or "")):
        what = "host entry IP" if entry.tag == "host" else "dhcp range"
        detail = (
            f"the address family of a {what} must match the address family of the dhcp"
            " element's parent"
        )
        raise _refused(ErrorCode.OPERATION_INVALID, detail)


def _check_default(parent: etree._Element, entry: etree._Element, name: str) -> None:
    if entry.get("default") != "yes":
        return
    for one in parent.findall("portgroup"):
        if one.get("default") == "yes" and one.get("name") != entry.get("name"):
            detail = (
                f"a different portgroup entry in network '{name}' is already set as the default."
                " Only one default is allowed."
            )
            raise _refused(ErrorCode.OPERATION_INVALID, detail)


def _modify(target: _Target) -> None:
    found = target.matching(_same)
    if not found:
        detail = target.text(1)
        if target.where.tag == "host":
            mac, host, address = (
                target.entry.get(key) or unknown
                for key, unknown in (("mac", "unknown"), ("name", "(null)"), ("ip", "unknown"))
            )
            detail = (
                f"couldn't locate an existing dhcp host entry with \"mac='{mac}'\""
                f" \"name='{host}'\" \"ip='{address}'\" in network '{target.name}'"
            )
        raise _refused(ErrorCode.OPERATION_INVALID, detail)
    target.parent.replace(found[0], target.entry)


def _delete(target: _Target) -> None:
    found = target.matching(_meant)
    if not found:
        raise _refused(ErrorCode.OPERATION_INVALID, target.text(1))
    if len(found) > 1 and target.where.path == ("dns",):
        words = target.where.texts[1].split()
        kind = f"{words[5]} {words[6]}"
        detail = f"multiple matching {kind} records were found in network {target.name}"
        raise _refused(ErrorCode.OPERATION_INVALID, detail)
    parent = target.parent
    parent.remove(found[0])
    if not len(parent) and not parent.attrib and parent.tag in ("dhcp", "dns"):
        holder(parent).remove(parent)


def _add_first(target: _Target) -> None:
    _refuse_second(target)
    first = target.parent.find(target.where.tag)
    if first is None:
        _add_last(target)
    else:
        target.parent.insert(target.parent.index(first), target.entry)


def _add_last(target: _Target) -> None:
    _refuse_second(target)
    place(target.parent, target.entry, KINDS["network"].rules.below(*target.where.path))


def _refuse_second(target: _Target) -> None:
    if target.matching(_same):
        raise _refused(ErrorCode.OPERATION_INVALID, target.text(0))
