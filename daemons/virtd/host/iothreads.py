"""Threads for input and output of a guest: added, removed, tuned.

Source: libvirt's src/hypervisor/domain_driver.c (virDomainDriverAddIOThreadCheck and its like),
src/test/test_driver.c and src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.host import pinning
from aiovirt.daemons.virtd.host.editing import Impact, edit
from aiovirt.daemons.virtd.xml import guests
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import ParamType, TypedParam, validate

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.xml.documents import Document

_PARAMETERS: Final = {
    "poll_max_ns": ParamType.ULLONG,
    "poll_grow": ParamType.UINT,
    "poll_shrink": ParamType.UINT,
}


def _check(domain: Domain, number: int) -> None:
    if number == 0:
        raise _invalid("invalid value of 0 for iothread_id", domain.host.flavour.domain)


def _invalid(text: str, speaker: ErrorDomain) -> RpcError:
    return RpcError.of(ErrorCode.INVALID_ARG, text, domain=speaker)


def add_thread(domain: Domain, number: int, meant: Impact) -> None:
    """Add a thread.

    Args:
        domain: the guest.
        number: of the thread, from 1.
        meant: the documents that change.

    Raises:
        RpcError: INVALID_ARG for 0 or a number in use.
    """
    _check(domain, number)

    def change(document: Document) -> None:
        known = guests.iothreads(document)
        if number in known:
            text = f"an IOThread is already using iothread_id '{number}'"
            raise _invalid(text, ErrorDomain.DOMAIN)
        guests.set_iothreads(document, (*known, number), named=True)

    edit(domain, meant, change)


def remove_thread(domain: Domain, number: int, meant: Impact) -> None:
    """Remove a thread; the arguments are those of `add_thread`.

    Args:
        domain: the guest.
        number: of the thread.
        meant: the documents that change.

    Raises:
        RpcError: INVALID_ARG for a thread that does not exist, or that a disk or a controller uses.
    """
    _check(domain, number)

    def change(document: Document) -> None:
        known = guests.iothreads(document)
        if number not in known:
            text = f"cannot find IOThread '{number}' in iothreadids list"
            raise _invalid(text, ErrorDomain.NONE)
        users = document.root.findall(f"devices/*/driver[@iothread='{number}']")
        if users:
            kind = "disk" if users[0].getparent().tag == "disk" else "controller"  # type: ignore[union-attr]  # a driver has one
            text = f"cannot remove IOThread {number} since it is being used by {kind}"
            raise _invalid(text, ErrorDomain.NONE)
        pinning.forget(document, number)
        left = tuple(one for one in known if one != number)
        pinned = document.root.find("cputune/iothreadpin") is not None
        guests.set_iothreads(document, left, named=pinned)

    edit(domain, meant, change)


def tune(domain: Domain, number: int, params: list[TypedParam]) -> None:
    """Set how a thread of a running guest polls.

    Args:
        domain: the guest.
        number: of the thread.
        params: poll_max_ns, poll_grow, poll_shrink.

    Raises:
        RpcError: INVALID_ARG for a thread that does not exist, or parameters of another type.
    """
    _check(domain, number)
    if number not in domain.record.facts.iothreads:
        text = f"cannot find IOThread '{number}' in iothreadids"
        raise _invalid(text, domain.host.flavour.domain)
    values = validate(params, _PARAMETERS)
    known = domain.detail("iothreads", {})
    old = known.get(str(number), (32768, 0, 0))
    new = [values.get(name, before) for name, before in zip(_PARAMETERS, old, strict=True)]
    domain.keep("iothreads", {**known, str(number): new})
