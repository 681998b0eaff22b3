"""Finding what a call is about, and naming objects in answers."""

from __future__ import annotations

import uuid as uuids
from typing import TYPE_CHECKING

from aiovirt.daemons.virtd import protocol
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.dispatch.serving import Session
    from aiovirt.daemons.virtd.host.domain import Domain


def find_domain(session: Session, wanted: protocol.NonnullDomain) -> Domain:
    """Return the domain that a call names, by its UUID. Raises RpcError NO_DOMAIN."""
    found = session.host.domains.by_uuid(wanted.uuid)
    if found is None:
        # Both drivers tell what was lost here; the test driver does not where it only looks for one.
        lost = f"no domain with matching uuid '{uuids.UUID(bytes=wanted.uuid)}' ({wanted.name})"
        raise RpcError.of(ErrorCode.NO_DOMAIN, lost, domain=session.host.flavour.domain)
    return found


def no_domain(session: Session, what: str) -> RpcError:
    """Make the error for a domain that does not exist.

    Args:
        session: whose driver says so; the test driver does not say what was looked for.
        what: kind and value of what was looked for: "name 'x'".
    """
    flavour = session.host.flavour
    detail = f"no domain with matching {what}" if flavour.names_lost else ""
    return RpcError.of(ErrorCode.NO_DOMAIN, detail, domain=flavour.domain)


def domain_ref(domain: Domain) -> protocol.NonnullDomain:
    """Return a domain as answers and events name it."""
    return protocol.NonnullDomain(domain.record.name, domain.uuid, domain.record.number)


def encoded_ref(domain: Domain) -> bytes:
    """Return the encoding of a domain's name in answers; made once for each of its records."""
    known = domain.record.__dict__
    found: bytes | None = known.get("encoded_ref")
    if found is None:
        found = known["encoded_ref"] = xdr.encode(domain_ref(domain))
    return found
