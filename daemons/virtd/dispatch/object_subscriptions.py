"""Subscriptions to the events of networks, storage pools, node devices and secrets.

Source: libvirt's src/remote/remote_daemon_dispatch.c.
"""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.dispatch.domain_subscriptions import of_session
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.dispatch.subscriptions import Wish
from aiovirt.daemons.virtd.host.events import Family


def _add(
    session: Session, family: Family, number: int, subject: bytes | str
) -> protocol.CallbackRet:
    return protocol.CallbackRet(of_session(session).add(Wish(family, number, subject)))


class ObjectSubscriptions:
    """Serves the subscribing to events of a host's objects other than domains."""

    @answers(protocol.CONNECT_NETWORK_EVENT_REGISTER_ANY)
    def networks(
        self, session: Session, args: protocol.ConnectNetworkEventRegisterAnyArgs
    ) -> protocol.CallbackRet:
        subject = b"" if args.net is None else args.net.uuid
        return _add(session, Family.NETWORK, args.eventID, subject)

    @answers(protocol.CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY)
    def pools(
        self, session: Session, args: protocol.ConnectStoragePoolEventRegisterAnyArgs
    ) -> protocol.CallbackRet:
        subject = b"" if args.pool is None else args.pool.uuid
        return _add(session, Family.STORAGE_POOL, args.eventID, subject)

    @answers(protocol.CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY)
    def devices(
        self, session: Session, args: protocol.ConnectNodeDeviceEventRegisterAnyArgs
    ) -> protocol.CallbackRet:
        subject = "" if args.dev is None else args.dev.name
        return _add(session, Family.NODE_DEVICE, args.eventID, subject)

    @answers(protocol.CONNECT_SECRET_EVENT_REGISTER_ANY)
    def secrets(
        self, session: Session, args: protocol.ConnectSecretEventRegisterAnyArgs
    ) -> protocol.CallbackRet:
        subject = b"" if args.secret is None else args.secret.uuid
        return _add(session, Family.SECRET, args.eventID, subject)

    @answers(protocol.CONNECT_NETWORK_EVENT_DEREGISTER_ANY)
    @answers(protocol.CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY)
    @answers(protocol.CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY)
    @answers(protocol.CONNECT_SECRET_EVENT_DEREGISTER_ANY)
    def remove(self, session: Session, args: protocol.CallbackArgs) -> None:
        of_session(session).remove(args.callbackID)
