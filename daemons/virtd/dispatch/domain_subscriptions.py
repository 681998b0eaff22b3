"""Subscriptions to the events of domains, in the three styles that libvirt has had.

Source: libvirt's src/remote/remote_daemon_dispatch.c.
"""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.dispatch.subscriptions import Subscriptions, Wish
from aiovirt.daemons.virtd.host.events import Family
from aiovirt.rpc.wire.errors import ErrorCode, RpcError


def of_session(session: Session) -> Subscriptions:
    """Return the subscriptions of a client, which are made with the first."""
    if session.subscriptions is None:
        session.subscriptions = Subscriptions()
    return session.subscriptions


class DomainSubscriptions:
    """Serves the subscribing to events of domains."""

    @answers(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY)
    def register(
        self, session: Session, args: protocol.ConnectDomainEventCallbackRegisterAnyArgs
    ) -> protocol.CallbackRet:
        subject = b"" if args.dom is None else find_domain(session, args.dom).uuid
        wish = Wish(Family.DOMAIN, args.eventID, subject)
        return protocol.CallbackRet(of_session(session).add(wish))

    @answers(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY)
    def deregister(self, session: Session, args: protocol.CallbackArgs) -> None:
        of_session(session).remove(args.callbackID)

    @answers(protocol.CONNECT_DOMAIN_EVENT_REGISTER_ANY)
    def register_plain(self, session: Session, args: protocol.EventArgs) -> None:
        of_session(session).add(Wish(Family.DOMAIN, args.eventID, plain=True))

    @answers(protocol.CONNECT_DOMAIN_EVENT_DEREGISTER_ANY)
    def deregister_plain(self, session: Session, args: protocol.EventArgs) -> None:
        if not of_session(session).remove_plain(args.eventID):
            raise RpcError.of(
                ErrorCode.INTERNAL_ERROR, f"domain event {args.eventID} not registered"
            )

    @answers(protocol.CONNECT_DOMAIN_EVENT_REGISTER)
    def register_lifecycle(self, session: Session, args: None) -> protocol.CallbacksRet:
        of_session(session).add(Wish(Family.DOMAIN, DomainEventID.LIFECYCLE, plain=True))
        return protocol.CallbacksRet(1)

    @answers(protocol.CONNECT_DOMAIN_EVENT_DEREGISTER)
    def deregister_lifecycle(self, session: Session, args: None) -> protocol.CallbacksRet:
        return protocol.CallbacksRet(int(of_session(session).remove_plain(DomainEventID.LIFECYCLE)))
