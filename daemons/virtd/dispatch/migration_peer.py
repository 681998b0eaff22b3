"""Migration from peer to peer: this daemon is the client of the other one, and drives the phases.

Source: libvirt's src/qemu/qemu_migration.c (qemuMigrationSrcPerformPeer2Peer3).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.connect import Feature
from aiovirt.daemons.virtd.constants.domain import DomainState
from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.daemons.virtd.host import leaving, migration
from aiovirt.daemons.virtd.host.domain import Domain
from aiovirt.daemons.virtd.host.migration import Request
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server.threads import run_blocking
from aiovirt.rpc.wire import typedparams
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import TypedParam

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.client import Host as Peer
    from aiovirt.rpc.client.connecting import Connecting

_log = get_logger("daemons.virtd.dispatch.migration_peer")

_LOST: Final = "Lost connection to destination host"
#: Seconds for the opening of a connection, and for each answer of the other daemon.
_PATIENCE: Final = 15.0
#: Transports by which the other daemon is reached. ssh would start programs that a client names.
_TRANSPORTS: Final = ("unix", "tcp", "tls")
#: Flags that the other side is not told of.
_OURS: Final = Flags.ABORT_ON_ERROR | Flags.AUTO_CONVERGE | Flags.CHANGE_PROTECTION


async def migrate(domain: Domain, request: Request, uri: str | None, cookie: bytes) -> None:
    """Move a guest to the host of another daemon.

    Args:
        domain: the guest.
        request: what is asked for.
        uri: of the other daemon.
        cookie: the message of the client, which has to be empty.

    Raises:
        RpcError: OPERATION_FAILED when the other daemon cannot be reached or is lost, and what the
            phases raise. The guest runs on here then, unless the other side has got all and has not
            answered: it stays paused here.
    """
    text = ""
    if cookie:
        text = "received unexpected cookie with P2P migration"
    elif uri is None:
        text = "dconnuri must be provided for PEER2PEER migration"
    if uri is None or text:
        raise domain.refused(ErrorCode.OPERATION_INVALID, text)
    plain = msgspec.structs.replace(request, flags=request.flags & ~int(Flags.CHANGE_PROTECTION))
    migration.require_no_other(domain)
    leaving.check(domain, plain)
    if not plain.has(Flags.OFFLINE):
        leaving.start(domain, plain, migration.PEER)
    task = asyncio.get_running_loop().create_task(_move(domain, plain, uri))
    tasks = domain.host.migrations.tasks
    tasks.add(task)
    task.add_done_callback(partial(_over, tasks))
    await asyncio.shield(task)  # it does not end with its client


def _over(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    tasks.discard(task)
    if not task.cancelled():
        task.exception()  # its client may be gone


async def _move(domain: Domain, request: Request, uri: str) -> None:
    """Connect and do all phases; the guest runs on one side then, or is paused here."""
    phases: _Phases | None = None
    try:
        try:
            connecting: Connecting[Peer] = await run_blocking(_connecting, uri)
            async with connecting as peer:
                phases = _Phases(domain, request, peer)
                await phases.run()
        except (OSError, ValueError) as error:  # ConnectionLost, TimeoutError; UriError
            if phases is None and isinstance(error, OSError) and error.filename is not None:
                text = f"Failed to connect socket to '{error.filename}': {error.strerror}"
                raise RpcError(ErrorCode.SYSTEM_ERROR, text, domain=ErrorDomain.RPC) from error
            words = " ".join(str(error).split()) or type(error).__name__
            if phases is None:
                text = f"Failed to connect to remote libvirt URI {uri}: {words}"
            elif phases.may_run_there:
                text = f"the answer of {uri} was lost, and the guest stays paused: {words}"
            else:
                text = _LOST
            raise domain.refused(ErrorCode.OPERATION_FAILED, text) from error
    except (RpcError, asyncio.CancelledError):
        if request.has(Flags.OFFLINE):
            pass
        elif phases is not None and phases.may_run_there:
            leaving.lose(domain)
        else:
            await leaving.stay_later(domain)
        raise


def _connecting(uri: str) -> Connecting[Peer]:
    """Prepare a connection; files are looked at for it. Raises UriError."""
    from aiovirt.daemons.virtd.client import RemoteUri, UriError, connect

    transport = RemoteUri.parse(uri).transport
    if transport not in _TRANSPORTS:
        raise UriError(f"the transport is one of {', '.join(_TRANSPORTS)}, not {transport}")
    return connect(uri, timeout=_PATIENCE)


class _Phases:
    """The phases of one migration.

    may_run_there: the other side was told that the guest is its own, and has not refused.
    """

    def __init__(self, domain: Domain, request: Request, peer: Peer) -> None:
        self.may_run_there = False
        self._domain = domain
        self._peer = peer
        flags = request.flags
        if domain.record.state == DomainState.PAUSED:
            flags |= Flags.PAUSED
        self._request = msgspec.structs.replace(request, flags=flags)
        self._flags = flags & ~int(_OURS)

    async def run(self) -> None:
        """Do all of them. Raises RpcError, OSError; see `may_run_there` for where the guest is then."""
        domain, request, peer = self._domain, self._request, self._peer
        await self._require_features()
        text, cookie = leaving.described(domain, request)
        params = self._params(text)
        asked = protocol.DomainMigratePrepare3ParamsArgs(params, cookie, self._flags)
        prepared = await peer.call(protocol.DOMAIN_MIGRATE_PREPARE3_PARAMS, asked)
        params = self._params(text, prepared.uri_out)
        farewell = b""
        if not request.has(Flags.OFFLINE):
            try:
                farewell = await leaving.send(domain, request, self._lost)
            except RpcError as error:
                await self._cancel(params, error)
                raise
        await self._arrive(params, farewell)

    async def _arrive(self, params: list[TypedParam], farewell: bytes) -> None:
        """Have the guest run on the other side, and end it here. Raises RpcError, OSError."""
        lost = self._lost()
        if lost is not None:
            raise self._domain.refused(ErrorCode.OPERATION_FAILED, lost)
        self.may_run_there = True
        try:
            await self._finish(params, farewell, cancelled=False)
        except RpcError:
            self.may_run_there = False
            raise
        try:
            await leaving.arrived(self._domain, self._request)
        except RpcError as error:  # as in libvirt, the migration has succeeded
            _log.error("a guest that has left cannot be ended yet", reason=str(error))

    def _lost(self) -> str | None:
        return None if self._peer.alive else _LOST

    async def _require_features(self) -> None:
        for feature in (
            Feature.MIGRATION_P2P,
            Feature.MIGRATION_V3,
            Feature.MIGRATION_PARAMS,
        ):
            if not await self._peer.supports_feature(feature):
                text = "Destination libvirt does not support peer-to-peer migration protocol"
                raise self._domain.refused(ErrorCode.OPERATION_FAILED, text)

    def _params(self, text: str, uri: str | None = None) -> list[TypedParam]:
        request = self._request
        found = [
            typedparams.string("destination_xml", text),
            typedparams.string("destination_name", request.name or self._domain.name),
        ]
        uri = uri or request.uri
        if uri is not None:
            found.append(typedparams.string("migrate_uri", uri))
        found += [typedparams.string("migrate_disks", one) for one in request.disks]
        if request.bandwidth:
            found.append(typedparams.ullong("bandwidth", request.bandwidth))
        return found

    async def _finish(self, params: list[TypedParam], cookie: bytes, *, cancelled: bool) -> None:
        args = protocol.DomainMigrateFinish3ParamsArgs(params, cookie, self._flags, int(cancelled))
        await self._peer.call(protocol.DOMAIN_MIGRATE_FINISH3_PARAMS, args)

    async def _cancel(self, params: list[TypedParam], why: RpcError) -> None:
        """Tell the other side that nothing comes; its own error counts if it has one."""
        try:
            await self._finish(params, b"", cancelled=True)
        except OSError:
            return
        except RpcError as error:
            failed = why.code == ErrorCode.OPERATION_FAILED
            of_guest = error.domain == ErrorDomain.QEMU
            if failed and of_guest and error.code != ErrorCode.MIGRATE_FINISH_OK:
                raise error from why
