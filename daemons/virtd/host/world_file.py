"""Worlds in files: XML in the form of libvirt's test driver, TOML, or what `world-save` wrote.

`read` gives a text that needs no other file: it runs on the side that has the files, so that a daemon
opens none that a client names. `nodes` gives what a text describes, as one `<node>` for each host.

Source: libvirt's src/test/test_driver.c (testParseXMLDocFromFile) for references to files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from string import ascii_lowercase
from types import UnionType
from typing import Any, Final

from lxml import etree

from aiovirt.daemons.virtd.xml import reading
from aiovirt.rpc.security.regular import read_regular
from aiovirt.rpc.wire.errors import RpcError

#: The name space of the test driver's elements.
TEST_SPACE: Final = "http://libvirt.org/schemas/domain/test/1.0"
#: Whether a domain starts with the daemon: the attribute of the domain, "yes" for one that does.
AUTOSTART: Final = "{urn:aiovirt:world}autostart"
#: Bytes of the text of a world.
TEXT_MAX: Final = 16 * 1024 * 1024
#: The host of a `<node>` that names none.
DEFAULT: Final = "test"
#: The states that a domain of a TOML file can have, with the numbers of virDomainState.
_STATES: Final = {"running": 1, "paused": 3, "shutoff": 5, "crashed": 6, "pmsuspended": 7}
#: The type of a domain's document, by host.
_TYPES: Final = {"test": "test", "qemu": "kvm"}


class WorldError(ValueError):
    """A world that cannot be used; the text says where and why."""


def file_text(path: str) -> str:
    """Return the text of a regular file.

    Raises WorldError if it is something else, cannot be read, or is too large.
    """
    try:
        return text_of(read_regular(path, TEXT_MAX), path)
    except (OSError, ValueError) as error:
        if isinstance(error, WorldError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise WorldError(f"{path}: {reason}") from error


def text_of(data: bytes, path: str) -> str:
    """Return the text that the bytes of a file are. Raises WorldError if they are none.

    Args:
        data: what was read, at most one byte more than TEXT_MAX.
        path: of the file, for the error.
    """
    if len(data) > TEXT_MAX:
        raise WorldError(f"{path}: a world has at most {TEXT_MAX} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise WorldError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error


def read(path: str, file: Callable[[str], str] = file_text) -> str:
    """Return the text of a world, with the files in it that it refers to.

    Args:
        path: of the file; a name that ends in `.toml` says that it is TOML, and without any ending
            the text tells. References are relative to its folder.
        file: returns the text of a file, or raises WorldError.

    Raises:
        WorldError: a file cannot be read, or is not a world.
    """
    text = file(path)
    if path.endswith(".toml") or (not os.path.splitext(path)[1] and _is_toml(text)):
        return _written(_from_toml(text, path, lambda name: file(_beside(path, name))))
    if text.lstrip().startswith("{"):
        return text
    root = _parsed(text, path)
    # Lists, since the tree changes; the snapshots may be in the documents of the domains.
    for element in list(root.iter("domain", "network", "interface", "pool", "device", "volume")):
        _inline(element, path, file)
    for snapshot in list(root.iter(f"{{{TEST_SPACE}}}domainsnapshot")):
        _inline(snapshot, path, file)
    return _written(root)


def _is_toml(text: str) -> bool:
    return not text.lstrip().startswith(("<", "{"))


def is_saved(text: str) -> bool:
    """Return whether a text is one of `world-save`."""
    return text.lstrip().startswith("{")


def nodes(text: str) -> dict[str, etree._Element]:
    """Return the `<node>` of each host that a text describes, by the name of the host.

    Args:
        text: XML or TOML, without references to files.

    Raises:
        WorldError: it is no such text.
    """
    root = _from_toml(text, "world", _no_files) if _is_toml(text) else _parsed(text, "world")
    found: dict[str, etree._Element] = {}
    for node in root if root.tag == "world" else [root]:
        host = node.get("driver", DEFAULT)
        if node.tag != "node" or host not in _TYPES or host in found:
            raise WorldError(
                f"a world has one <node driver='...'> each for {', '.join(_TYPES)}, not"
                f" <{node.tag!s} driver='{host}'>"
            )
        found[host] = node
    return found


def _no_files(name: str) -> str:
    raise WorldError(f"the file {name} cannot be referred to from here")


def _parsed(text: str, path: str) -> etree._Element:
    try:
        root = reading.parse(text, ("node", "world"), name=path, bounds=reading.WORLD)
    except RpcError as error:
        raise WorldError(error.message) from error
    return root


def _written(root: etree._Element) -> str:
    return etree.tostring(root, encoding="unicode", pretty_print=True)


# Files -----------------------------------------------------------------------------------------------


def _beside(path: str, name: str) -> str:
    return os.path.join(os.path.dirname(path), name)


def _inline(element: etree._Element, path: str, file: Callable[[str], str]) -> None:
    """Put the contents of the file that an element refers to into the element."""
    name = element.get("file")
    if not isinstance(name, str) or not _is_described(element):
        return
    found = _beside(path, name)
    local = etree.QName(element).localname
    try:
        root = reading.parse(file(found), local, name=found)
    except RpcError as error:
        raise WorldError(error.message) from error
    element.clear()
    for key, value in root.attrib.items():
        element.set(key, value)
    element.text = root.text
    element.extend(root)


def _is_described(element: etree._Element) -> bool:
    """Whether an element is an object of the world: a name within a document means something else."""
    parent = element.getparent()
    if parent is None:
        return False
    return parent.tag in ("node", "pool") or element.tag == f"{{{TEST_SPACE}}}domainsnapshot"


# TOML ------------------------------------------------------------------------------------------------


def _from_toml(text: str, path: str, file: Callable[[str], str]) -> etree._Element:
    import tomllib  # late: few starts need it

    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise WorldError(f"{path}: {error}") from error
    world = etree.Element("world")
    hosts: dict[str, etree._Element] = {}
    for kind, entries in tables.items():
        if kind not in _WRITERS or not isinstance(entries, list):
            raise WorldError(f"{path}: '{kind}' is not one of {_listed(_WRITERS)}")
        for entry in entries:
            table = _Table(kind, entry, path)
            host = table.text("host", DEFAULT)
            if host not in _TYPES:
                raise table.wrong("host", f"one of {', '.join(_TYPES)}")
            if host not in hosts:
                hosts[host] = etree.SubElement(world, "node", driver=host)
            hosts[host].append(_element(kind, table, host, file))
            table.finish()
    return world


def _listed(kinds: Mapping[str, object]) -> str:
    return ", ".join(f"[[{kind}]]" for kind in kinds)


class _Table:
    """One table of a TOML file; every key has to be asked for."""

    def __init__(self, kind: str, entries: Any, path: str) -> None:
        if not isinstance(entries, dict):
            raise WorldError(f"{path}: [[{kind}]] is not a table")
        self._kind = kind
        self._entries = dict(entries)
        self._path = path

    def wrong(self, key: str, right: str) -> WorldError:
        """Make the error for a key that has a wrong value."""
        return WorldError(f"{self._path}: '{key}' of [[{self._kind}]] has to be {right}")

    def take(self, key: str, kind: type | UnionType, right: str, default: Any = None) -> Any:
        """Return a value and note that it was asked for.

        Args:
            key: of the value.
            kind: its type.
            right: the description of that type in an error.
            default: for a key that is missing.

        Raises:
            WorldError: the value is of another type.
        """
        found = self._entries.pop(key, default)
        is_right = isinstance(found, kind) and isinstance(found, bool) <= (kind is bool)
        if found is not None and not is_right:
            raise self.wrong(key, right)
        return found

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; without a default, it has to exist."""
        found = self.take(key, str, "a text", default)
        if found is None:
            raise self.wrong(key, "given")
        return str(found)

    def flag(self, key: str) -> bool:
        """Return true or false, by default false."""
        return bool(self.take(key, bool, "true or false", default=False))

    def texts(self, key: str) -> list[str]:
        """Return a list of texts, by default an empty one."""
        found = self.take(key, list, "a list of texts", [])
        if not all(isinstance(one, str) for one in found):
            raise self.wrong(key, "a list of texts")
        return list(found)

    def size(self, key: str, default: str) -> tuple[str, str]:
        """Return a number and its unit: "512 MiB", or a number of MiB."""
        found = self.take(key, str | int, "a size such as '512 MiB'", default)
        number, _, unit = str(found).strip().partition(" ")
        if not number.isascii() or not number.isdigit():
            raise self.wrong(key, "a size such as '512 MiB'")
        return number, unit.strip() or "MiB"

    def tables(self, key: str) -> list[_Table]:
        """Return the tables below, by default none."""
        name = f"{self._kind}.{key}"
        return [_Table(name, one, self._path) for one in self.take(key, list, "tables", [])]

    def finish(self) -> None:
        """Raise WorldError for a key that nobody asked for."""
        if self._entries:
            raise WorldError(
                f"{self._path}: [[{self._kind}]] does not have the key '{next(iter(self._entries))}'"
            )


def _element(kind: str, table: _Table, host: str, file: Callable[[str], str]) -> etree._Element:
    """Make the element of an object, from its document or from the keys that stand for one."""
    text = table.take("xml", str, "a document")
    name = table.take("file", str, "the path of a document")
    if name is not None:
        text = file(name)
    if text is None:
        element = etree.Element(kind)
        _WRITERS[kind](element, table, host)
    else:
        try:
            element = reading.parse(text, kind, name=name or f"{kind}_definition")
        except RpcError as error:
            raise WorldError(error.message) from error
    if kind == "domain":
        _write_state(element, table)
    return element


def _sub(parent: etree._Element, tag: str, text: str = "", **attributes: str) -> etree._Element:
    made = etree.SubElement(parent, tag, attributes)
    made.text = text or None
    return made


def _write_state(element: etree._Element, table: _Table) -> None:
    state = table.text("state", "running")
    if state not in _STATES:
        raise table.wrong("state", f"one of {', '.join(_STATES)}")
    _sub(element, f"{{{TEST_SPACE}}}runstate", str(_STATES[state]))
    if table.flag("transient"):
        _sub(element, f"{{{TEST_SPACE}}}transient")
    if table.flag("autostart"):
        element.set(AUTOSTART, "yes")


def _domain(element: etree._Element, table: _Table, host: str) -> None:
    element.set("type", _TYPES[host])
    _sub(element, "name", table.text("name"))
    number, unit = table.size("memory", "1024 MiB")
    _sub(element, "memory", number, unit=unit)
    _sub(element, "vcpu", str(table.take("vcpus", int, "a number", 1)))
    _sub(_sub(element, "os"), "type", "hvm")
    devices = _sub(element, "devices")
    disks = table.texts("disks")
    if len(disks) > len(ascii_lowercase):
        raise table.wrong("disks", f"a list of at most {len(ascii_lowercase)} paths")
    for letter, path in zip(ascii_lowercase, disks, strict=False):
        disk = _sub(devices, "disk", type="file", device="disk")
        _sub(disk, "source", file=path)
        _sub(disk, "target", dev=f"vd{letter}", bus="virtio")
    for network in table.texts("networks"):
        _sub(_sub(devices, "interface", type="network"), "source", network=network)


def _network(element: etree._Element, table: _Table, host: str) -> None:
    _sub(element, "name", table.text("name"))
    _sub(element, "forward", mode=table.text("forward", "nat"))
    bridge = table.take("bridge", str, "a text")
    if bridge:
        _sub(element, "bridge", name=bridge)
    address = table.take("address", str, "an address such as '192.168.122.1/24'")
    if address:
        number, _, prefix = address.partition("/")
        ip = _sub(element, "ip", address=number, prefix=prefix or "24")
        span = table.texts("dhcp")
        if span:
            if len(span) != 2:
                raise table.wrong("dhcp", "the first and the last address")
            _sub(_sub(ip, "dhcp"), "range", start=span[0], end=span[1])


def _pool(element: etree._Element, table: _Table, host: str) -> None:
    element.set("type", table.text("type", "dir"))
    name = table.text("name")
    _sub(element, "name", name)
    _sub(_sub(element, "target"), "path", table.text("path", f"/{name}"))
    for volume in table.tables("volume"):
        made = _sub(element, "volume")
        _sub(made, "name", volume.text("name"))
        number, unit = volume.size("capacity", "1024 MiB")
        _sub(made, "capacity", number, unit=unit)
        _sub(_sub(made, "target"), "format", type=volume.text("format", "raw"))
        volume.finish()


_WRITERS: Final[Mapping[str, Callable[[etree._Element, _Table, str], None]]] = {
    "domain": _domain,
    "network": _network,
    "pool": _pool,
}
