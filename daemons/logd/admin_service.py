"""logd's administration: what logs are open, rotating one now, following one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemons.logd import admin_protocol as protocol
from daemons.logd.admin_protocol import OpenLogInfo
from daemons.logd.openlog import OpenLog
from daemons.logd.protocol import Domain, Position
from rpc.logs import get_logger
from rpc.server import Client, Handlers, Server
from rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from daemons.logd.service import LogService

_log = get_logger("daemons.logd.admin_service")


class LogAdminService:
    """Serves the administration program for the logs of a service."""

    def __init__(self, service: LogService) -> None:
        self._service = service

    def serve_on(self, server: Server) -> None:
        """Add the program to the admin server."""
        bound = Handlers(protocol.LOG_ADMIN)
        bound.bind(protocol.LOG_LIST, self.list)
        bound.bind(protocol.LOG_ROTATE, self.rotate)
        server.add_program(bound)

    def list(self, client: Client, args: protocol.ListArgs) -> protocol.ListRet:
        _check_flags(args.flags)
        paths = sorted(
            path for path in self._service.logs if args.after is None or path > args.after
        )
        page = [_info(self._service.logs[path]) for path in paths[: protocol.PAGE]]
        return protocol.ListRet(page, len(paths) > len(page))

    async def rotate(self, client: Client, args: protocol.RotateArgs) -> protocol.PositionRet:
        _check_flags(args.flags)
        log = self._service.logs.get(args.path)
        if log is None:
            raise RpcError(
                ErrorCode.INVALID_ARG, f"log {args.path} is not open", domain=ErrorDomain.LOGGING
            )

        def rotate() -> None:
            log.drain()
            log.file.rotate()

        try:
            await log.do(rotate)
        except OSError as error:
            raise RpcError(
                ErrorCode.SYSTEM_ERROR,
                f"log {args.path} cannot be rotated: {error.strerror}",
                domain=ErrorDomain.LOGGING,
            ) from error
        log.grown()
        _log.info("log rotated on request", path=args.path, client=client.id)
        return protocol.PositionRet(_position(log))


def _check_flags(flags: int, supported: int = 0) -> None:
    unsupported = flags & ~supported
    if unsupported:
        raise RpcError(
            ErrorCode.INVALID_ARG,
            f"unsupported flags 0x{unsupported:x}; supported are 0x{supported:x}",
            domain=ErrorDomain.LOGGING,
        )


def _info(log: OpenLog) -> OpenLogInfo:
    return OpenLogInfo(
        path=log.path,
        driver=log.driver,
        domain=Domain(log.uuid, log.guest),
        opened=int(log.opened),
        position=_position(log),
        received=log.received,
        lost=log.lost,
        rate=round(log.rate()),
        rotations=log.file.rotations,
        trouble=log.trouble or None,
    )


def _position(log: OpenLog) -> Position:
    return Position(log.file.inode, log.file.position)
