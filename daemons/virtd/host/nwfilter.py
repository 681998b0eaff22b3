"""Network filters of a host; `nwfilter_binding` has those that are in use.

Source: libvirt's src/conf/virnwfilterobj.c and src/nwfilter/nwfilter_driver.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lxml import etree

from aiovirt.daemons.virtd.host import nwfilter_binding
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.host.entries import Entry, Record
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host


class FilterRecord(Record, frozen=True, kw_only=True, dict=True):
    """A filter. text: its document."""

    text: str


class Filter(Entry[FilterRecord]):
    """A filter of a host."""

    kind: ClassVar[str] = "nwfilter"
    record_type = FilterRecord

    @property
    def uses(self) -> set[str]:
        """The names of the filters that it refers to."""
        return _uses(cached("nwfilter", self.record.text).root)


def _uses(root: etree._Element) -> set[str]:
    return {one.get("filter") or "" for one in root.findall("filterref")}


def _refused(detail: str, code: ErrorCode = ErrorCode.OPERATION_FAILED) -> RpcError:
    return RpcError.of(code, detail, domain=ErrorDomain.NWFILTER)


def define(host: Host, text: str) -> Filter:
    """Define a filter, or change the definition of one.

    Args:
        host: where.
        text: the document.

    Raises:
        RpcError: OPERATION_FAILED for the name or the UUID of another filter, or for filters that would
            refer to each other.
    """
    made = host.documents.define("nwfilter", text)
    root = cached("nwfilter", made.text).root
    name = root.get("name") or ""
    uuid = root.findtext("uuid") or ""
    by_uuid = host.filters.by_uuid(bytes.fromhex(uuid.replace("-", "")))
    by_name = host.filters.by_name(name)
    if by_uuid is not None and by_uuid.name != name:
        detail = f"filter with same UUID but different name ('{by_uuid.name}') already exists"
        raise _refused(detail)
    if by_uuid is None and by_name is not None:
        raise _refused(f"filter '{name}' already exists with uuid {by_name.record.uuid}")
    if _loops(host, name, _uses(root)):
        raise _refused("filter would introduce a loop")
    if by_uuid is not None:
        by_uuid.change(text=made.text)
        return by_uuid
    found = Filter(host, FilterRecord(uuid=uuid, name=name, text=made.text))
    host.filters.add(found)
    return found


def _loops(host: Host, name: str, uses: set[str]) -> bool:
    """Whether a filter would refer to itself, by whatever way."""
    seen: set[str] = set()
    waiting = set(uses)
    while waiting:
        one = waiting.pop()
        if one == name:
            return True
        found = host.filters.by_name(one)
        if one not in seen and found is not None:
            waiting |= found.uses
        seen.add(one)
    return False


def undefine(found: Filter) -> None:
    """Remove a filter. Raises RpcError OPERATION_INVALID for one that is in use."""
    host = found.host
    used = any(found.name in one.uses for one in host.filters)
    if used or nwfilter_binding.uses(host, found.name):
        raise _refused("nwfilter is in use", ErrorCode.OPERATION_INVALID)
    host.filters.remove(found)
