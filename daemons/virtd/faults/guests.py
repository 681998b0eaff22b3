"""Finding the guest that a call is about, by its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.dispatch.serving import SESSION
from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.wire import xdr

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.rpc.server import Client
    from aiovirt.rpc.wire.program import Procedure

_NAME: Final = pattern(r"<name>\s*([^<]*?)\s*</name>")
#: Procedures whose document describes a domain.
_DOCUMENTS: Final = frozenset(
    (
        protocol.DOMAIN_CREATE_XML,
        protocol.DOMAIN_CREATE_XML_WITH_FILES,
        protocol.DOMAIN_DEFINE_XML,
        protocol.DOMAIN_DEFINE_XML_FLAGS,
    )
)


def guest_of(client: Client, procedure: Procedure[Any, Any], args: Any) -> str:
    """Return the name of the domain that a call is about, empty if it is about none.

    A call names it by a domain, a snapshot or a checkpoint among its arguments; by name, UUID or id, if
    it looks a domain up; or in the document that it defines or creates one by.
    """
    if args is None:
        return ""
    for name in xdr.names_of(type(args)):
        value = getattr(args, name)
        domain = value if isinstance(value, protocol.NonnullDomain) else getattr(value, "dom", None)
        if isinstance(domain, protocol.NonnullDomain):
            return domain.name
    if procedure is protocol.DOMAIN_LOOKUP_BY_NAME:
        return str(args.name)
    if procedure in _DOCUMENTS:
        found = _NAME.search(next((v for v in vars_of(args) if isinstance(v, str)), ""))
        return found[1] if found else ""
    known = _known(client, procedure, args)
    return known.name if known is not None else ""


def vars_of(args: Any) -> list[Any]:
    """Return the values of arguments, in order."""
    return [getattr(args, name) for name in xdr.names_of(type(args))]


def _known(client: Client, procedure: Procedure[Any, Any], args: Any) -> Domain | None:
    session = SESSION.get(client)
    if session is None:
        return None
    if procedure is protocol.DOMAIN_LOOKUP_BY_UUID:
        return session.host.domains.by_uuid(args.uuid)
    if procedure is protocol.DOMAIN_LOOKUP_BY_ID:
        return session.host.domains.by_number(args.id)
    return None
