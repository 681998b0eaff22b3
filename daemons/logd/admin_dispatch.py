"""logd's administration: what logs are open, rotating one now, following one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.logd import admin_protocol as protocol
from aiovirt.daemons.logd.admin_protocol import FollowFlags, OpenLogInfo
from aiovirt.daemons.logd.dispatch import position_of
from aiovirt.daemons.logd.following import Follower
from aiovirt.daemons.logd.openlog import LogClosed, OpenLog
from aiovirt.daemons.logd.protocol import Domain, Position, PositionRet
from aiovirt.daemons.logd.tailing import Tail
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import Client, Handlers, Server, WithStream, serves
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.logd.dispatch import LogManagerDispatch

_log = get_logger("daemons.logd.admin_dispatch")

#: No file has this number: reading begins with the oldest one that there is.
_OLDEST: Final = Position(0, 0)


class LogAdminDispatch:
    """Serves the administration program for the logs of a service."""

    def __init__(self, service: LogManagerDispatch) -> None:
        self._service = service

    def serve_on(self, server: Server) -> None:
        """Add the program to the admin server."""
        server.add_program(Handlers.of(self))

    @serves(protocol.LOG_LIST)
    def list(self, client: Client, args: protocol.ListArgs) -> protocol.ListRet:
        paths = sorted(
            path for path in self._service.logs if args.after is None or path > args.after
        )
        page: list[OpenLogInfo] = []
        room = protocol.PAGE_SIZE
        for path in paths[: protocol.PAGE]:
            info = _info(self._service.logs[path])
            room -= len(xdr.encode(info))
            if page and room < 0:
                break
            page.append(info)
        return protocol.ListRet(page, len(paths) > len(page))

    @serves(protocol.LOG_ROTATE)
    async def rotate(self, client: Client, args: protocol.RotateArgs) -> PositionRet:
        log = self._service.logs.get(args.path)
        if log is None:
            raise _refused(f"log {args.path} is not open")

        def rotate() -> Position:
            log.drain()
            log.file.rotate()
            return position_of(log)

        try:
            async with self._service.in_time(args.path):
                position = await log.do(rotate)
        except LogClosed:
            raise _refused(f"log {args.path} is not open") from None
        except OSError as error:
            raise RpcError(
                ErrorCode.SYSTEM_ERROR,
                f"log {args.path} cannot be rotated: {error.strerror}",
                domain=ErrorDomain.LOGGING,
            ) from error
        _log.info(
            "log rotated on request",
            server=client.server.name,
            client=client.id,
            path=args.path,
        )
        return PositionRet(position)

    @serves(protocol.LOG_FOLLOW)
    async def follow(self, client: Client, args: protocol.FollowArgs) -> WithStream[PositionRet]:
        log = self._service.logs.get(args.path)
        position = args.position
        if args.flags & FollowFlags.FROM_OLDEST:
            if position is not None:
                raise _refused("following begins at a position or with the oldest, not both")
            position = _OLDEST
        elif position is None:
            position = await self._end_of(args.path, log)
        tail = Tail(
            args.path,
            self._service.rotation,
            position,
            fresh=position is _OLDEST,
            marks=None if log is None else lambda: log.file.marks,
        )
        follower = Follower(args.path, log, tail, self._service.outside)
        return WithStream(PositionRet(position), follower.serve)

    async def _end_of(self, path: str, log: OpenLog | None) -> Position:
        """Where an open log is written now; it may have been cut short since it was written last."""
        if log is not None:
            with contextlib.suppress(LogClosed):
                async with self._service.in_time(path):
                    await log.do(log.look)
                return position_of(log)
        raise _refused(f"log {path} is not open, so nothing comes")


def _refused(text: str) -> RpcError:
    return RpcError(ErrorCode.INVALID_ARG, text, domain=ErrorDomain.LOGGING)


def _info(log: OpenLog) -> OpenLogInfo:
    return OpenLogInfo(
        path=log.path,
        driver=log.driver,
        domain=Domain(log.uuid, log.guest),
        opened=int(log.opened),
        position=position_of(log),
        received=log.received,
        lost=log.lost,
        rate=round(log.rate()),
        rotations=log.file.rotations,
        trouble=log.trouble or None,
    )
