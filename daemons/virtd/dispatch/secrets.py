"""Secrets of a host. The test driver has none.

Source: libvirt's src/secret/secret_driver.c.
"""

from __future__ import annotations

import uuid as uuids
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.secret import ConnectListAllSecretsFlags as Wanted
from aiovirt.daemons.virtd.dispatch.listing import Groups, check_flags, chosen
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import secret
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.secret import Secret

_GROUPS: Final[Groups] = (
    (
        (Wanted.EPHEMERAL, lambda one: one.is_ephemeral),
        (Wanted.NO_EPHEMERAL, lambda one: not one.is_ephemeral),
    ),
    (
        (Wanted.PRIVATE, lambda one: one.is_private),
        (Wanted.NO_PRIVATE, lambda one: not one.is_private),
    ),
)


def _none(what: str) -> RpcError:
    detail = f"no secret with matching {what}"
    return RpcError.of(ErrorCode.NO_SECRET, detail, domain=ErrorDomain.SECRET)


def _find(session: Session, uuid: bytes) -> Secret:
    found = session.host.secrets.by_uuid(uuid)
    if found is None:
        raise _none(f"uuid '{uuids.UUID(bytes=uuid)}'")
    return found


def _ref(found: Secret) -> protocol.NonnullSecret:
    return protocol.NonnullSecret(found.uuid, *found.usage)


def _check(session: Session, flags: int, supported: int, function: str) -> None:
    check_flags(session, ErrorDomain.SECRET, flags, supported, function)


class Secrets:
    """Serves secrets."""

    @answers(protocol.CONNECT_LIST_ALL_SECRETS)
    def list_all(
        self, session: Session, args: protocol.ListAllArgs
    ) -> protocol.ConnectListAllSecretsRet:
        _check(session, args.flags, int(sum(Wanted)), "ConnectListAllSecrets")
        refs = [_ref(one) for one in chosen(session.host.secrets, args.flags, _GROUPS)]
        return protocol.ConnectListAllSecretsRet(refs if args.need_results else [], len(refs))

    @answers(protocol.CONNECT_NUM_OF_SECRETS)
    def count(self, session: Session, args: None) -> protocol.NumRet:
        return protocol.NumRet(len(session.host.secrets))

    @answers(protocol.CONNECT_LIST_SECRETS)
    def uuids(
        self, session: Session, args: protocol.ConnectListSecretsArgs
    ) -> protocol.ConnectListSecretsRet:
        found = [one.record.uuid for one in session.host.secrets]
        return protocol.ConnectListSecretsRet(found[: max(0, args.maxuuids)])

    @answers(protocol.SECRET_LOOKUP_BY_UUID)
    def by_uuid(self, session: Session, args: protocol.UuidArgs) -> protocol.SecretRet:
        return protocol.SecretRet(_ref(_find(session, args.uuid)))

    @answers(protocol.SECRET_LOOKUP_BY_USAGE)
    def by_usage(
        self, session: Session, args: protocol.SecretLookupByUsageArgs
    ) -> protocol.SecretRet:
        found = secret.by_usage(session.host, args.usageType, args.usageID)
        if found is None:
            raise _none(f"usage '{args.usageID}'")
        return protocol.SecretRet(_ref(found))

    @answers(protocol.SECRET_DEFINE_XML)
    def define(self, session: Session, args: protocol.XmlFlagsArgs) -> protocol.SecretRet:
        _check(session, args.flags, 1, "SecretDefineXML")
        return protocol.SecretRet(_ref(secret.define(session.host, args.xml)))

    @answers(protocol.SECRET_GET_XML_DESC)
    def xml(self, session: Session, args: protocol.SecretFlagsArgs) -> protocol.XmlRet:
        _check(session, args.flags, 0, "SecretGetXMLDesc")
        return protocol.XmlRet(_find(session, args.secret.uuid).record.text)

    @answers(protocol.SECRET_SET_VALUE)
    def set_value(self, session: Session, args: protocol.SecretSetValueArgs) -> None:
        _check(session, args.flags, 0, "SecretSetValue")
        secret.set_value(_find(session, args.secret.uuid), args.value)

    @answers(protocol.SECRET_GET_VALUE)
    def get_value(
        self, session: Session, args: protocol.SecretFlagsArgs
    ) -> protocol.SecretGetValueRet:
        _check(session, args.flags, 0, "SecretGetValue")
        return protocol.SecretGetValueRet(secret.get_value(_find(session, args.secret.uuid)))

    @answers(protocol.SECRET_UNDEFINE)
    def undefine(self, session: Session, args: protocol.SecretUndefineArgs) -> None:
        secret.undefine(_find(session, args.secret.uuid))
