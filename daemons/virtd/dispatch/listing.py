"""Lists of a host's objects: the flags of a list, and who refuses unknown ones.

Source: libvirt's src/conf/virnetworkobj.c (virNetworkObjMatch) and its like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.dispatch.serving import Session

T = TypeVar("T")

#: Groups of flags: an object passes a group of which no flag is set, or one flag of which fits.
Groups = tuple[tuple[tuple[int, Callable[[Any], bool]], ...], ...]

#: Those of networks and storage pools: INACTIVE, ACTIVE, PERSISTENT, TRANSIENT, (NO_)AUTOSTART.
STANDING: Final[Groups] = (
    ((1, lambda one: not one.is_active), (2, lambda one: one.is_active)),
    ((4, lambda one: one.is_persistent), (8, lambda one: not one.is_persistent)),
    ((16, lambda one: one.record.autostart), (32, lambda one: not one.record.autostart)),
)
#: How the names of the functions of libvirt's other drivers begin, by the domain of their errors.
_PREFIXES: Final = {
    ErrorDomain.NETWORK: "network",
    ErrorDomain.STORAGE: "storage",
    ErrorDomain.NODEDEV: "node",
    ErrorDomain.INTERFACE: "udev",
    ErrorDomain.SECRET: "secret",
    ErrorDomain.NWFILTER: "nwfilter",
}


def chosen(objects: Iterable[T], flags: int, groups: Groups) -> list[T]:
    """Return the objects that the flags of a list ask for.

    Args:
        objects: all of them.
        flags: what is wanted; 0 for all.
        groups: what each flag means.
    """
    asked = [
        [fits for flag, fits in group if flags & flag]
        for group in groups
        if any(flags & flag for flag, _ in group)
    ]
    return [one for one in objects if all(any(fits(one) for fits in group) for group in asked)]


def check_flags(
    session: Session, domain: ErrorDomain, flags: int, supported: int, function: str
) -> None:
    """Refuse flags that a function of a driver of networks, storage and so on does not have.

    Args:
        session: whose driver is asked.
        domain: of the errors of this kind of object.
        flags: what came.
        supported: all that may be set.
        function: the public function without `vir`.

    Raises:
        RpcError: INVALID_ARG, with libvirt's text.
    """
    foreign = flags & ~int(supported)  # an IntFlag inverts within its own members
    if not foreign:
        return
    prefix = _PREFIXES.get(domain)
    if prefix is None:
        name = session.host.flavour.function + function
    elif function.startswith("Connect") or prefix == "udev":
        name = prefix + function
    else:
        name = function[0].lower() + function[1:]
    raise RpcError(
        ErrorCode.INVALID_ARG,
        f"unsupported flags (0x{foreign & 0xFFFFFFFF:x}) in function {name}",
        domain=domain,
    )
