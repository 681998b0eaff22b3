"""The log manager program's server side.

Opening a log and adding to it are done at once, on the loop: on a local disk that takes microseconds.
A log whose disk has turned out to be slow is worked on by a thread instead (see `openlog`), and what
is read for a client always is.

Source: libvirt's src/logging/log_daemon_dispatch.c and log_handler.c; each refusal has its code and
domain.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Final

from aiovirt.daemons.logd import protocol
from aiovirt.daemons.logd.openlog import OpenLog, make_pipe
from aiovirt.daemons.logd.protocol import OpenFlags, Position
from aiovirt.daemons.logd.reading import read_log
from aiovirt.daemons.logd.rotating import RotatingFile, Rotation, WriteFailed
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import (
    Client,
    Daemon,
    Handlers,
    Server,
    WithFds,
    check_flags,
    run_blocking,
    serves,
)
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

_log = get_logger("daemons.logd.dispatch")

#: Seconds that logs on a slow disk have at the daemon's end.
_FINISH: Final = 3.0
#: A string of this protocol ends at a NUL byte, so one in a log is shown as SUBSTITUTE instead: the
#: rest is not lost, and the position after it stays right.
_NUL: Final = b"\0"
_SUBSTITUTE: Final = b"\x1a"


class LogManagerDispatch:
    """All open logs of the daemon, by path."""

    def __init__(self, daemon: Daemon, rotation: Rotation) -> None:
        self._daemon = daemon
        self.rotation = rotation
        self.logs: dict[str, OpenLog] = {}

    def serve_on(self, server: Server) -> None:
        """Add the program to a server."""
        server.add_program(Handlers.of(self))
        self._daemon.on_ending.append(self.finish)

    # Procedures ----------------------------------------------------------------------------------

    @serves(protocol.DOMAIN_OPEN_LOG_FILE)
    def open(self, client: Client, args: protocol.OpenArgs) -> WithFds[protocol.PositionRet]:
        path = args.path
        if path in self.logs:
            guest = self.logs[path].guest
            raise RpcError(
                ErrorCode.SYSTEM_ERROR,
                f"log {path} is open already, for guest {guest}",
                domain=ErrorDomain.LOGGING,
            )
        try:
            reading, writing = make_pipe()
        except OSError as error:
            raise _system_error("a pipe cannot be made", error) from error
        try:
            truncate = bool(args.flags & OpenFlags.TRUNCATE)
            file = RotatingFile(path, self.rotation, truncate=truncate)
        except OSError as error:
            os.close(reading)
            os.close(writing)
            raise _system_error(f"log {path} cannot be opened", error) from error
        log = OpenLog(
            file,
            reading,
            driver=args.driver,
            uuid=args.domain.uuid,
            guest=args.domain.name,
            on_close=self.closed,
        )
        self.keep(log)
        log.start()
        _log.info(
            "log opened",
            server=client.server.name,
            client=client.id,
            path=path,
            guest=log.guest,
            driver=log.driver,
        )
        return WithFds(protocol.PositionRet(Position(file.inode, file.position)), [writing])

    @serves(protocol.DOMAIN_GET_LOG_FILE_POSITION)
    async def position(self, client: Client, args: protocol.PositionArgs) -> protocol.PositionRet:
        log = self.logs.get(args.path)
        if log is None:
            raise RpcError(
                ErrorCode.INTERNAL_ERROR,
                f"log {args.path} is not open",
                domain=ErrorDomain.LOGGING,
            )
        await log.do(log.drain)
        return protocol.PositionRet(Position(log.file.inode, log.file.position))

    @serves(protocol.DOMAIN_READ_LOG_FILE, checks_flags=True)
    async def read(self, client: Client, args: protocol.ReadArgs) -> protocol.ReadRet:
        if args.maxlen > protocol.READ_MAX:
            raise RpcError(
                ErrorCode.INTERNAL_ERROR,
                f"{args.maxlen} bytes are too many for one reply: {protocol.READ_MAX} at most",
            )
        check_flags(protocol.DOMAIN_READ_LOG_FILE, args.flags)
        try:
            piece = await run_blocking(
                read_log, args.path, self.rotation.max_backups, args.position, args.maxlen
            )
        except OSError as error:
            raise _system_error(f"log {args.path} cannot be read", error) from error
        text = piece.data.replace(_NUL, _SUBSTITUTE).decode(errors="surrogateescape")
        return protocol.ReadRet(text)

    @serves(protocol.DOMAIN_APPEND_LOG_FILE)
    async def append(self, client: Client, args: protocol.AppendArgs) -> protocol.AppendRet:
        message = memoryview(args.message.encode(errors="surrogateescape"))
        log = self.logs.get(args.path)
        try:
            if log is not None:
                await log.do(lambda: log.file.append(message))
                log.grown()
            else:
                self._append_once(args.path, message)
        except WriteFailed as failure:
            raise _system_error(f"log {args.path} cannot be written", failure.error) from failure
        except OSError as error:
            raise _system_error(f"log {args.path} cannot be opened", error) from error
        return protocol.AppendRet(0)

    def _append_once(self, path: str, message: memoryview) -> None:
        file = RotatingFile(path, self.rotation)
        try:
            file.append(message)
        finally:
            file.close()

    # Logs ----------------------------------------------------------------------------------------

    def keep(self, log: OpenLog) -> None:
        """Take a log, which does not move any bytes yet, among the open ones."""
        self.logs[log.path] = log
        self._daemon.inhibit_shutdown()  # an automatic end would break the guest's pipe

    def closed(self, log: OpenLog) -> None:
        """A log was closed."""
        del self.logs[log.path]
        self._daemon.allow_shutdown()
        _log.info("log closed", path=log.path, guest=log.guest)

    # The end -------------------------------------------------------------------------------------

    async def finish(self) -> None:
        """The daemon ends: what guests have written is in their logs before the pipes are closed."""
        if self.logs:
            endings = [asyncio.create_task(log.finish()) for log in list(self.logs.values())]
            await asyncio.wait(endings, timeout=_FINISH)


def _system_error(what: str, error: OSError) -> RpcError:
    reason = error.strerror or os.strerror(error.errno or errno.EIO)
    return RpcError(ErrorCode.SYSTEM_ERROR, f"{what}: {reason}", domain=ErrorDomain.NONE)
