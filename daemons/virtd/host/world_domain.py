"""A domain of a world: its document, and the state in which it begins.

The state is in elements of the test driver's name space, and whether the domain starts with the daemon
in an attribute of ours; none of them is part of the domain's own document.

Source: libvirt's src/test/test_driver.c (testDomainDefNamespaceParse, testParseDomains).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from aiovirt.daemons.virtd.constants.domain import DomainState
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotCreateFlags as Create
from aiovirt.daemons.virtd.host import lifecycle, snapshot
from aiovirt.daemons.virtd.host.world_file import AUTOSTART, TEST_SPACE
from aiovirt.daemons.virtd.xml import reading
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.host import Host


def add(host: Host, text: str) -> Domain:
    """Define a domain and bring it into its state; without one, it runs.

    Args:
        host: where.
        text: the document, with the elements of the state.

    Raises:
        RpcError: XML_ERROR for a state that is not possible; see `lifecycle.define` for the document.
    """
    element = reading.parse(text, "domain", name="domain_definition")
    state = _state(element)
    transient = element.find(f"{{{TEST_SPACE}}}transient") is not None
    saved = element.find(f"{{{TEST_SPACE}}}hasmanagedsave") is not None
    autostart = element.attrib.pop(AUTOSTART, "no") == "yes"
    if transient and state == DomainState.SHUTOFF:
        raise _impossible("transient domain cannot have runstate 'shutoff'")
    if saved and state != DomainState.SHUTOFF:
        raise _impossible("domain with managedsave data can only have runstate 'shutoff'")
    snapshots = element.findall(f"{{{TEST_SPACE}}}domainsnapshot")
    for child in element.findall(f"{{{TEST_SPACE}}}*"):
        element.remove(child)
    plain = etree.tostring(element, encoding="unicode")
    if transient:
        domain = lifecycle.create(host, plain)
    else:
        domain = lifecycle.define(host, plain)
        if state != DomainState.SHUTOFF:
            lifecycle.start(domain)
    _set(domain, state, saved=saved, autostart=autostart)
    _add_snapshots(domain, snapshots)
    return domain


def _add_snapshots(domain: Domain, elements: list[etree._Element]) -> None:
    """Add snapshots, in any order: one whose parent comes later waits for it."""
    waiting = elements
    while waiting:
        names = {one.findtext("name") for one in waiting}
        ready = [one for one in waiting if one.findtext("parent/name") not in names] or waiting
        for one in ready:
            made = etree.Element("domainsnapshot")
            made.extend(one)
            is_current = (made.findtext("active") or "0").strip() != "0"
            flags = Create.REDEFINE | (Create.CURRENT if is_current else 0)
            snapshot.create(domain, etree.tostring(made, encoding="unicode"), flags)
        waiting = [one for one in waiting if one not in ready]


def _set(domain: Domain, state: DomainState, *, saved: bool, autostart: bool) -> None:
    """Set the rest of the state; libvirt gives no reason for it."""
    runs = state in (DomainState.RUNNING, DomainState.BLOCKED)
    domain.change(
        state=int(state),
        reason=0,
        began=domain.host.clock.passed() if runs else None,
        saved=domain.record.config if saved else None,
        autostart=autostart,
    )


def _state(element: etree._Element) -> DomainState:
    text = (element.findtext(f"{{{TEST_SPACE}}}runstate") or "").strip()
    if not text:
        return DomainState.RUNNING
    if not text.isascii() or not text.isdigit():
        raise _impossible("invalid runstate")
    try:
        return DomainState(int(text))
    except ValueError:
        raise _impossible(f"runstate '{text}' out of range'") from None


def _impossible(detail: str) -> RpcError:
    return RpcError.of(ErrorCode.XML_ERROR, detail, domain=ErrorDomain.TEST)
