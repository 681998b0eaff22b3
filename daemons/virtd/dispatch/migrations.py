"""Domains: migration, in the phases of protocol 3, with and without typed parameters.

The client drives both sides; a client that asks for a peer-to-peer migration calls the third phase
only, and this side drives the other one (see `migration_peer`).

Source: libvirt's src/libvirt-domain.c (virDomainMigrateVersion3Full), src/qemu/qemu_driver.c and
src/qemu/qemu_migration.c.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.daemons.virtd.dispatch import migration_peer, migration_tuning
from aiovirt.daemons.virtd.dispatch.finding import domain_ref, find_domain, no_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import arriving, leaving, migration
from aiovirt.daemons.virtd.host.domain import Domain
from aiovirt.daemons.virtd.host.migration import Request
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import TypedParam


def _request(session: Session, function: str, flags: int, params: list[TypedParam]) -> Request:
    """The request of typed parameters."""
    found = migration_tuning.read(params, flags, function)
    request = Request(
        flags,
        found.get("migrate_uri"),
        found.get("destination_name"),
        found.get("destination_xml"),
        found.get("persistent_xml"),
        found.get("bandwidth", 0),
        tuple(found.get("migrate_disks", ())),
        function,
    )
    session.host.flavour.check_flags(flags, migration.KNOWN, function)
    return request


def _plain(session: Session, function: str, args: Any, xml: str | None = None) -> Request:
    """The request of a call without typed parameters."""
    request = Request(
        args.flags,
        getattr(args, "uri", None),
        getattr(args, "dname", None),
        xml,
        None,
        getattr(args, "resource", 0),
        function=function,
    )
    session.host.flavour.check_flags(args.flags, migration.KNOWN, function)
    return request


def _owner(session: Session) -> str:
    return str(session.client.id)


class Migrations:
    """Serves migration."""

    # Begin, on the host that the guest leaves ----------------------------------------------------

    @answers(protocol.DOMAIN_MIGRATE_BEGIN3)
    def begin(
        self, session: Session, args: protocol.DomainMigrateBegin3Args
    ) -> protocol.CookieOutXmlRet:
        request = _plain(session, "DomainMigrateBegin3", args, args.xmlin)
        return self._begin(session, args.dom, request)

    @answers(protocol.DOMAIN_MIGRATE_BEGIN3_PARAMS)
    def begin_params(
        self, session: Session, args: protocol.DomainMigrateBegin3ParamsArgs
    ) -> protocol.CookieOutXmlRet:
        request = _request(session, "DomainMigrateBegin3Params", args.flags, args.params)
        return self._begin(session, args.dom, request)

    @staticmethod
    def _begin(
        session: Session, dom: protocol.NonnullDomain, request: Request
    ) -> protocol.CookieOutXmlRet:
        text, cookie = leaving.begin(find_domain(session, dom), request, _owner(session))
        return protocol.CookieOutXmlRet(cookie, text)

    # Prepare, on the host where it arrives -------------------------------------------------------

    @answers(protocol.DOMAIN_MIGRATE_PREPARE3)
    async def prepare(
        self, session: Session, args: protocol.DomainMigratePrepare3Args
    ) -> protocol.CookieOutUriRet:
        function = "DomainMigratePrepare3"
        request = Request(args.flags, args.uri_in, args.dname, args.dom_xml, function=function)
        session.host.flavour.check_flags(args.flags, migration.KNOWN, function)
        return await self._prepare(session, request, args.cookie_in)

    @answers(protocol.DOMAIN_MIGRATE_PREPARE3_PARAMS)
    async def prepare_params(
        self, session: Session, args: protocol.DomainMigratePrepare3ParamsArgs
    ) -> protocol.CookieOutUriRet:
        request = _request(session, "DomainMigratePrepare3Params", args.flags, args.params)
        return await self._prepare(session, request, args.cookie_in)

    @staticmethod
    async def _prepare(
        session: Session, request: Request, cookie: bytes
    ) -> protocol.CookieOutUriRet:
        if request.xml is None:
            text = "no domain XML passed"
            raise RpcError.of(ErrorCode.INTERNAL_ERROR, text, domain=ErrorDomain.QEMU)
        act = partial(arriving.prepare, session.host, request, cookie, _owner(session))
        made, uri = await session.host.emulators.attempt(act)
        return protocol.CookieOutUriRet(made, uri)

    # Perform, on the host that it leaves ---------------------------------------------------------

    @answers(protocol.DOMAIN_MIGRATE_PERFORM3)
    async def perform(
        self, session: Session, args: protocol.DomainMigratePerform3Args
    ) -> protocol.CookieOutRet:
        request = _plain(session, "DomainMigratePerform3", args, args.xmlin)
        return await self._perform(session, args, request)

    @answers(protocol.DOMAIN_MIGRATE_PERFORM3_PARAMS)
    async def perform_params(
        self, session: Session, args: protocol.DomainMigratePerform3ParamsArgs
    ) -> protocol.CookieOutRet:
        request = _request(session, "DomainMigratePerform3Params", args.flags, args.params)
        return await self._perform(session, args, request)

    @staticmethod
    async def _perform(session: Session, args: Any, request: Request) -> protocol.CookieOutRet:
        domain = find_domain(session, args.dom)
        if request.has(Flags.PEER2PEER):
            await migration_peer.migrate(domain, request, args.dconnuri, args.cookie_in)
            return protocol.CookieOutRet(b"")
        if args.dconnuri is not None:
            text = "Unexpected dconnuri parameter with non-peer2peer migration"
            raise RpcError.of(ErrorCode.INTERNAL_ERROR, text, domain=ErrorDomain.QEMU)

        def is_lost() -> str | None:
            gone = session.client.closed or bool(session.client.input_over)
            return "the client is gone" if gone else None

        leaving.start(domain, request, _owner(session))
        try:
            return protocol.CookieOutRet(await leaving.send(domain, request, is_lost))
        except (RpcError, asyncio.CancelledError):
            await leaving.stay_later(domain)
            raise

    # Finish, on the host where it arrives --------------------------------------------------------

    @answers(protocol.DOMAIN_MIGRATE_FINISH3)
    async def finish(
        self, session: Session, args: protocol.DomainMigrateFinish3Args
    ) -> protocol.DomainCookieOutRet:
        request = _plain(session, "DomainMigrateFinish3", args)
        return await self._finish(session, args, request)

    @answers(protocol.DOMAIN_MIGRATE_FINISH3_PARAMS)
    async def finish_params(
        self, session: Session, args: protocol.DomainMigrateFinish3ParamsArgs
    ) -> protocol.DomainCookieOutRet:
        request = _request(session, "DomainMigrateFinish3Params", args.flags, args.params)
        return await self._finish(session, args, request)

    @staticmethod
    async def _finish(session: Session, args: Any, request: Request) -> protocol.DomainCookieOutRet:
        name = request.name or ""
        if request.has(Flags.OFFLINE):
            made = arriving.finish_offline(session.host, name, arrived=not args.cancelled)
            return protocol.DomainCookieOutRet(domain_ref(made), b"")
        domain = session.host.domains.by_name(name)
        if domain is None:
            raise no_domain(session, f"name '{name}'")
        if args.cancelled:
            await arriving.give_up_later(domain)
            raise arriving.cancelled()
        act = partial(arriving.finish, domain, request, args.cookie_in)
        return await _finished(domain, act)

    # Confirm, on the host that it leaves ---------------------------------------------------------

    @answers(protocol.DOMAIN_MIGRATE_CONFIRM3)
    async def confirm(self, session: Session, args: protocol.DomainMigrateConfirm3Args) -> None:
        request = _plain(session, "DomainMigrateConfirm3", args)
        await self._confirm(session, args, request)

    @answers(protocol.DOMAIN_MIGRATE_CONFIRM3_PARAMS)
    async def confirm_params(
        self, session: Session, args: protocol.DomainMigrateConfirm3ParamsArgs
    ) -> None:
        request = _request(session, "DomainMigrateConfirm3Params", args.flags, args.params)
        await self._confirm(session, args, request)

    @staticmethod
    async def _confirm(session: Session, args: Any, request: Request) -> None:
        domain = find_domain(session, args.dom)
        if not args.cancelled:
            await leaving.arrived(domain, request)
            return
        act = partial(leaving.confirm, domain, request, arrived=False)
        await session.host.emulators.attempt(act)


async def _finished(domain: Domain, act: partial[bytes]) -> protocol.DomainCookieOutRet:
    """Finish, or end the guest here, since it runs on where it came from.

    Nothing is waited for between the success and the reply: a restart that came between would answer
    that the guest does not run.
    """
    try:
        cookie = await domain.host.emulators.attempt(act, settled=False)
    except (RpcError, asyncio.CancelledError):
        await arriving.give_up_later(domain)
        raise
    return protocol.DomainCookieOutRet(domain_ref(domain), cookie)
