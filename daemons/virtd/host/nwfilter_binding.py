"""Bindings of network filters: of the interfaces of running guests, and those that clients create.

The interfaces of a running guest with a <filterref> are bound as long as it runs; this follows from its
document, unless a client has deleted the binding.

Source: libvirt's src/nwfilter/nwfilter_driver.c, src/conf/virnwfilterbindingdef.c and
src/conf/domain_nwfilter.c.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from lxml import etree

from aiovirt.daemons.virtd.host.entries import Entry, Record
from aiovirt.daemons.virtd.xml import devices, reading, values, writing
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.host import Host

#: The detail of a running guest with the ports whose bindings were deleted.
UNBOUND: Final = "unbound-ports"


class BindingRecord(Record, frozen=True, kw_only=True, dict=True):
    """A binding that a client has created. name: of the port; filter: its name; text: the document."""

    filter: str
    text: str


class CreatedBinding(Entry[BindingRecord]):
    """A binding that a client has created."""

    kind: ClassVar[str] = "nwfilterbinding"
    record_type = BindingRecord


class Binding(NamedTuple):
    """A binding. port: the interface on the host; filter: its name; domain: None for a created one;
    element: the interface of the domain."""

    port: str
    filter: str
    domain: Domain | None = None
    element: etree._Element | None = None
    created: CreatedBinding | None = None

    def text(self) -> str:
        """Return its document."""
        if self.created is not None:
            return self.created.record.text
        if self.domain is None or self.element is None:
            raise RuntimeError("a binding belongs to a guest or to a client")
        reference = self.element.find("filterref")
        return _document(
            self.domain.name,
            self.domain.record.uuid,
            self.port,
            devices.value(self.element, "mac/@address") or "",
            etree.Element("filterref") if reference is None else reference,
        )


def _document(
    owner: str,
    uuid: str,
    port: str,
    mac: str,
    reference: etree._Element,
    link: str | None = None,
) -> str:
    """Write a binding as libvirt does: parameters by name, values of one in their order."""
    root = etree.Element("filterbinding")
    holder = etree.SubElement(root, "owner")
    etree.SubElement(holder, "name").text = owner
    etree.SubElement(holder, "uuid").text = uuid
    etree.SubElement(root, "portdev", name=port)
    if link is not None:
        etree.SubElement(root, "linkdev", name=link)
    etree.SubElement(root, "mac", address=mac)
    made = etree.SubElement(root, "filterref", filter=reference.get("filter") or "")
    given = [(one.get("name"), one.get("value")) for one in reference.iterfind("parameter")]
    pairs = [(name, value) for name, value in given if name and value is not None]
    for name, value in sorted(pairs, key=lambda pair: pair[0]):
        etree.SubElement(made, "parameter", name=name, value=value)
    return writing.write(root)


def _refused(detail: str, code: ErrorCode = ErrorCode.INTERNAL_ERROR) -> RpcError:
    return RpcError.of(code, detail, domain=ErrorDomain.NWFILTER)


def bindings(host: Host) -> Iterator[Binding]:
    """Give all bindings: those of running guests, then those of clients."""
    for domain in host.domains.active():
        unbound = domain.detail(UNBOUND, ())
        for number, element in enumerate(domain.record.facts.root.iterfind("devices/interface")):
            name = devices.value(element, "filterref/@filter")
            if name is None:
                continue
            port = devices.value(element, "target/@dev") or f"vnet{number}"
            if port not in unbound:
                yield Binding(port, name, domain, element)
    for one in host.bindings:
        yield Binding(one.name, one.record.filter, created=one)


def uses(host: Host, name: str) -> bool:
    """Return whether a filter is in use; a binding to a port that does not exist uses none.

    Args:
        host: where.
        name: of the filter.
    """
    return any(
        one.filter == name and (one.created is None or _exists(host, one.port))
        for one in bindings(host)
    )


def _exists(host: Host, port: str) -> bool:
    """Whether an interface of the host or of a running guest has this name."""
    return host.interfaces.by_name(port) is not None or any(
        devices.value(element, "target/@dev") == port
        for domain in host.domains.active()
        for element in domain.record.facts.root.iterfind("devices/interface")
    )


def find(host: Host, port: str) -> Binding:
    """Return the binding of a port.

    Args:
        host: where.
        port: the name of the interface.

    Raises:
        RpcError: NO_NWFILTER_BINDING if it has none.
    """
    for one in bindings(host):
        if one.port == port:
            return one
    detail = f"no nwfilter binding for port dev '{port}'"
    raise _refused(detail, ErrorCode.NO_NWFILTER_BINDING)


def create(host: Host, text: str) -> Binding:
    """Bind a filter to a port.

    Args:
        host: where.
        text: the document.

    Raises:
        RpcError: XML_DETAIL or XML_ERROR for what is not such a document, INTERNAL_ERROR for an
            incomplete one, OPERATION_FAILED for a port that is bound. libvirt looks for the filter, and
            refuses with INTERNAL_ERROR without it, when the port exists.
    """
    root = reading.parse(
        text, "filterbinding", name="nwfilterbinding_definition", domain=ErrorDomain.NWFILTER
    )
    port = _part(root, "portdev/@name", "port dev name")
    link = None
    if root.find("linkdev") is not None:
        link = _part(root, "linkdev/@name", "link dev name")
    owner = _part(root, "owner/name", "owner name")
    uuid = _read(values.uuid, "UUID", _part(root, "owner/uuid", "owner UUID"))
    mac = _read(values.mac, "MAC", _part(root, "mac/@address", "MAC address"))
    name = _part(root, "filterref/@filter", "filter reference")
    _require_unbound(host, port)
    if _exists(host, port):
        require_filter(host, name)
    reference = root.find("filterref")
    if reference is None:
        raise _refused("filter binding has no filter reference")
    written = _document(owner, uuid, port, mac, reference, link)
    record = BindingRecord(uuid=str(uuids.uuid4()), name=port, filter=name, text=written)
    made = CreatedBinding(host, record)
    host.bindings.add(made)
    return Binding(port, name, created=made)


def _part(root: etree._Element, path: str, what: str) -> str:
    found = devices.value(root, path)
    if not found:
        raise _refused(f"filter binding has no {what}")
    return found


def _read(read: Callable[[str], str], what: str, text: str) -> str:
    try:
        return read(text)
    except values.Unfit:
        raise _refused(f"Unable to parse {what} '{text}'") from None


def delete(host: Host, port: str) -> None:
    """Remove the binding of a port, also that of a running guest. Raises RpcError as `find` does.

    Args:
        host: where.
        port: the name of the interface.
    """
    found = find(host, port)
    if found.created is not None:
        host.bindings.remove(found.created)
    elif found.domain is not None:
        found.domain.keep(UNBOUND, [*found.domain.detail(UNBOUND, ()), port])


def require(host: Host, root: etree._Element, owner: Domain) -> None:
    """Require that the interfaces of a guest can be bound.

    Args:
        host: where.
        root: the document of the guest as it is to run.
        owner: the guest.

    Raises:
        RpcError: INTERNAL_ERROR for a filter that does not exist, OPERATION_FAILED for a port that is
            bound already.
    """
    for element in root.iterfind("devices/interface"):
        name = devices.value(element, "filterref/@filter")
        if name is not None:
            port = devices.value(element, "target/@dev")
            if port is not None:
                _require_unbound(host, port, owner)
            require_filter(host, name)


def _require_unbound(host: Host, port: str, owner: Domain | None = None) -> None:
    for one in bindings(host):
        if one.port == port and (one.domain is None or one.domain is not owner):
            raise _refused(f"binding '{port}' already exists", ErrorCode.OPERATION_FAILED)


def require_filter(host: Host, name: str) -> None:
    """Require that a filter and all that it refers to exist. name: of the filter. Raises RpcError."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        found = host.filters.by_name(one)
        if found is None:
            raise _refused(f"referenced filter '{one}' is missing")
        seen.add(one)
        waiting += found.uses - seen
