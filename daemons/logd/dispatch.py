"""The log manager program's server side.

Nothing that may hang with a disk is done on the loop. The file of an open log is used by the thread
that has this log (see `movers`); all other work with files has a thread of its own (see `outside`),
and what is done with one path is done in the order in which it was asked for.

Source: libvirt's src/logging/log_daemon_dispatch.c and log_handler.c; each refusal has its code and
domain.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from aiovirt.daemons.logd import protocol
from aiovirt.daemons.logd.movers import Movers
from aiovirt.daemons.logd.openlog import LogClosed, OpenLog, make_pipe
from aiovirt.daemons.logd.outside import Outside
from aiovirt.daemons.logd.protocol import OpenFlags, Position
from aiovirt.daemons.logd.reading import read_log
from aiovirt.daemons.logd.rotating import (
    Identity,
    RotatingFile,
    Rotation,
    WriteFailed,
)
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import Client, Daemon, Handlers, Server, WithFds, check_flags, serves
from aiovirt.rpc.transport.descriptors import close_all
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

_log = get_logger("daemons.logd.dispatch")

T = TypeVar("T")

#: Seconds that logs on a slow disk have at a restart, and at the daemon's end.
_FINISH: Final = 3.0
#: Seconds that a call waits for a disk. It holds a worker, and there are not many of those.
ANSWER_WITHIN: Final = 30.0
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
        self.movers = Movers()
        self.outside = Outside()
        self._paths: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def serve_on(self, server: Server) -> None:
        """Add the program to a server."""
        server.add_program(Handlers.of(self))
        self._daemon.on_ending.append(self.finish)

    # Procedures ----------------------------------------------------------------------------------

    @serves(protocol.DOMAIN_OPEN_LOG_FILE)
    async def open(self, client: Client, args: protocol.OpenArgs) -> WithFds[protocol.PositionRet]:
        self._refuse_if_open(args.path)
        async with self.in_time(args.path):
            return await self.outside.whole(
                self._in_order(args.path, lambda: self._open(client, args)),
                lambda unwanted: close_all(unwanted.descriptors),
            )

    async def _open(self, client: Client, args: protocol.OpenArgs) -> WithFds[protocol.PositionRet]:
        path = args.path
        self._refuse_if_open(path)
        try:
            reading, writing = make_pipe()
        except OSError as error:
            raise _system_error("a pipe cannot be made", error) from error
        try:
            truncate = bool(args.flags & OpenFlags.TRUNCATE)
            file = await self.outside.run(
                path, lambda: RotatingFile(path, self.rotation, truncate=truncate)
            )
            log = OpenLog(
                file,
                reading,
                self.movers,
                driver=args.driver,
                uuid=args.domain.uuid,
                guest=args.domain.name,
                on_close=self.closed,
            )
            await self._start(log)
        except BaseException as error:
            os.close(reading)
            os.close(writing)
            if isinstance(error, OSError):
                raise _system_error(f"log {path} cannot be opened", error) from error
            raise
        _log.info(
            "log opened",
            server=client.server.name,
            client=client.id,
            path=path,
            guest=log.guest,
            driver=log.driver,
        )
        return WithFds(protocol.PositionRet(position_of(log)), [writing])

    async def _start(self, log: OpenLog) -> None:
        """Take a new log among the open ones. Raises OSError: it cannot be served, and is closed."""
        try:
            log.start()
        except OSError:
            await self.outside.run(log.path, log.file.close)
            raise
        self.keep(log)

    @serves(protocol.DOMAIN_GET_LOG_FILE_POSITION)
    async def position(self, client: Client, args: protocol.PositionArgs) -> protocol.PositionRet:
        log = self.logs.get(args.path)
        if log is not None:
            with contextlib.suppress(LogClosed):
                async with self.in_time(args.path):
                    await log.do(log.drain)
                return protocol.PositionRet(position_of(log))
        raise RpcError(
            ErrorCode.INTERNAL_ERROR, f"log {args.path} is not open", domain=ErrorDomain.LOGGING
        )

    @serves(protocol.DOMAIN_READ_LOG_FILE, checks_flags=True)
    async def read(self, client: Client, args: protocol.ReadArgs) -> protocol.ReadRet:
        if args.maxlen > protocol.READ_MAX:
            raise RpcError(
                ErrorCode.INTERNAL_ERROR,
                f"{args.maxlen} bytes are too many for one reply: {protocol.READ_MAX} at most",
            )
        check_flags(protocol.DOMAIN_READ_LOG_FILE, args.flags)
        path, backups = args.path, self.rotation.max_backups
        try:
            async with self.in_time(path):
                piece = await self.outside.run(
                    path, read_log, path, backups, args.position, args.maxlen
                )
        except OSError as error:
            raise _system_error(f"log {path} cannot be read", error) from error
        text = piece.data.replace(_NUL, _SUBSTITUTE).decode(errors="surrogateescape")
        return protocol.ReadRet(text)

    @serves(protocol.DOMAIN_APPEND_LOG_FILE)
    async def append(self, client: Client, args: protocol.AppendArgs) -> protocol.AppendRet:
        message = memoryview(args.message.encode(errors="surrogateescape"))
        path = args.path
        try:
            async with self.in_time(path):
                await self.outside.whole(self._in_order(path, lambda: self._append(path, message)))
        except WriteFailed as failure:
            raise _system_error(f"log {path} cannot be written", failure.error) from failure
        except OSError as error:
            raise _system_error(f"log {path} cannot be opened", error) from error
        return protocol.AppendRet(0)

    async def _append(self, path: str, message: memoryview) -> None:
        """Add to a log, which may be open, also under another name. Raises OSError, WriteFailed."""
        log = self.logs.get(path)
        if log is not None and await self._append_to(log, message):
            return
        file = await self.outside.run(path, RotatingFile, path, self.rotation)
        try:
            log = self.log_of(file.identity) if file.regular else None
            if log is None or not await self._append_to(log, message):
                await self.outside.run(path, file.append, message)
        finally:
            await self.outside.run(path, file.close)

    async def _append_to(self, log: OpenLog, message: memoryview) -> bool:
        """Add to an open log; False if it was closed before. Raises WriteFailed."""
        try:
            await log.do(lambda: log.file.append(message))
        except LogClosed:
            return False
        return True

    async def _in_order(self, path: str, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """Do something with a path after everything that was begun with it earlier."""
        lock = self._paths.setdefault(path, asyncio.Lock())
        async with lock:
            return await work()

    @contextlib.asynccontextmanager
    async def in_time(self, path: str) -> AsyncIterator[None]:
        """Refuse what is done in a `with` if the disk does not answer, so that workers are left for
        others.

        What was begun goes on. Where something hangs already, nothing more is begun.
        Raises RpcError (OPERATION_TIMEOUT).
        """
        log = self.logs.get(path)
        if self.outside.is_stuck(path, ANSWER_WITHIN) or (
            log is not None and self.movers.is_stuck(log, ANSWER_WITHIN)
        ):
            raise _no_answer(path)
        try:
            async with asyncio.timeout(ANSWER_WITHIN) as limit:
                yield
        except TimeoutError as error:  # which may be the file system's own, too
            if not limit.expired():
                raise
            raise _no_answer(path) from error

    def _refuse_if_open(self, path: str) -> None:
        if path in self.logs:
            text = f"log {path} is open already, for guest {self.logs[path].guest}"
            raise RpcError(ErrorCode.SYSTEM_ERROR, text, domain=ErrorDomain.LOGGING)

    def log_of(self, identity: Identity) -> OpenLog | None:
        """The open log that is written to a file, whatever its path is called."""
        for log in self.logs.values():
            if log.file.identity == identity and log.file.regular:
                return log
        return None

    # Logs ----------------------------------------------------------------------------------------

    def keep(self, log: OpenLog) -> None:
        """Take a log among the open ones; it moves no bytes until its `start` or `go_on` is called."""
        self.logs[log.path] = log
        self._daemon.inhibit_shutdown()  # an automatic end would break the guest's pipe

    def closed(self, log: OpenLog) -> None:
        """A log was closed."""
        del self.logs[log.path]
        self._daemon.allow_shutdown()
        _log.info("log closed", path=log.path, guest=log.guest)

    def open_files(self) -> set[Identity]:
        """The files that are written to now. Called on threads, too."""
        return {log.file.identity for log in list(self.logs.values())}

    # Standing still ------------------------------------------------------------------------------

    def busy(self) -> list[str]:
        """The paths that threads work on at this moment."""
        return sorted({*self.outside.busy(), *self.movers.busy()})

    async def pause(self) -> None:
        """Move no bytes any more. Raises TimeoutError when a disk holds up what was begun."""
        try:
            async with asyncio.timeout(_FINISH):
                await self.outside.finished()
                await self.movers.pause()
        except TimeoutError:
            stuck = ", ".join(self.busy())
            raise TimeoutError(
                f"work that its disk holds up was not done in time: {stuck}"
            ) from None

    def resume(self) -> None:
        """Move the bytes of all open logs; the counterpart of `pause`, and what follows a restart."""
        self.movers.resume()
        for log in list(self.logs.values()):
            log.go_on()

    # The end -------------------------------------------------------------------------------------

    async def finish(self) -> None:
        """The daemon ends: what guests have written is in their logs before the pipes are closed."""
        self.movers.resume()
        if self.logs:
            endings = {asyncio.create_task(log.finish()): log for log in list(self.logs.values())}
            _, late = await asyncio.wait(endings, timeout=_FINISH)
            for ending in late:
                log = endings[ending]
                _log.error(
                    "log not finished in time, its pipe's content is lost",
                    path=log.path,
                    lost=log.lost + log.unwritten(),
                )


def position_of(log: OpenLog) -> Position:
    """Where a log is written now, as far as that is known."""
    return Position(log.file.inode, max(log.file.position, 0))


def _no_answer(path: str) -> RpcError:
    text = (
        f"the disk of log {path} has not answered for {ANSWER_WITHIN:g} s; what was begun is done when"
        " it does"
    )
    return RpcError(ErrorCode.OPERATION_TIMEOUT, text, domain=ErrorDomain.LOGGING)


def _system_error(what: str, error: OSError) -> RpcError:
    reason = error.strerror or os.strerror(error.errno or errno.EIO)
    return RpcError(ErrorCode.SYSTEM_ERROR, f"{what}: {reason}", domain=ErrorDomain.NONE)
