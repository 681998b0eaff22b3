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
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar
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
from aiovirt.rpc.server import Client, Daemon, Handlers, Server, WithFds
from aiovirt.rpc.transport.link import close_all
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.logd.state import LogsState
    from aiovirt.daemons.runtime.settings.declaration import Value
    from aiovirt.rpc.server.restart import Keep

_log = get_logger("daemons.logd.dispatch")

T = TypeVar("T")

#: Seconds that logs on a slow disk have at a restart, and at the daemon's end.
_FINISH: Final = 3.0
#: Seconds that a call waits for a disk. It holds a worker, and there are not many of those.
ANSWER_WITHIN: Final = 30.0
#: A string of this protocol ends at a NUL byte, so one in a log is shown as SUBSTITUTE instead: the
#: rest is not lost, and the position behind it stays right.
_NUL: Final = b"\0"
_SUBSTITUTE: Final = b"\x1a"


@dataclass(slots=True)
class Ageing:
    """Which logs are too old. log_root: the folder above the drivers' folders; max_age_days: 0 for
    never."""

    log_root: str
    max_age_days: int


class LogManagerDispatch:
    """All open logs of the daemon, by path."""

    def __init__(self, daemon: Daemon, rotation: Rotation, ageing: Ageing | None = None) -> None:
        self._daemon = daemon
        self.rotation = rotation
        self.logs: dict[str, OpenLog] = {}
        self.movers = Movers()
        self.outside = Outside()
        self._paths: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._ageing = ageing or Ageing("", 0)
        self._cleaning: asyncio.Task[None] | None = None
        self._stop_cleaning = threading.Event()

    def serve_on(self, server: Server) -> None:
        """Add the program to a server."""
        bound = Handlers(protocol.LOG_MANAGER)
        bound.bind(protocol.DOMAIN_OPEN_LOG_FILE, self.open)
        bound.bind(protocol.DOMAIN_GET_LOG_FILE_POSITION, self.position)
        bound.bind(protocol.DOMAIN_READ_LOG_FILE, self.read)
        bound.bind(protocol.DOMAIN_APPEND_LOG_FILE, self.append)
        server.add_program(bound)
        self._daemon.on_ending.append(self.finish)

    # Procedures ----------------------------------------------------------------------------------

    async def open(self, client: Client, args: protocol.OpenArgs) -> WithFds[protocol.PositionRet]:
        self._refuse_if_open(args.path)
        async with self.in_time(args.path):
            return await self.outside.whole(
                self._in_order(args.path, lambda: self._open(args)),
                lambda unwanted: close_all(unwanted.descriptors),
            )

    async def _open(self, args: protocol.OpenArgs) -> WithFds[protocol.PositionRet]:
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
        except BaseException as error:
            os.close(reading)
            os.close(writing)
            if isinstance(error, OSError):
                raise _system_error(f"log {path} cannot be opened", error) from error
            raise
        self.keep(log)
        log.start()
        _log.info("log opened", path=path, guest=log.guest, driver=log.driver)
        return WithFds(protocol.PositionRet(position_of(log)), [writing])

    async def position(self, client: Client, args: protocol.PositionArgs) -> protocol.PositionRet:
        _no_flags(args.flags)
        log = self.logs.get(args.path)
        if log is not None:
            with contextlib.suppress(LogClosed):
                async with self.in_time(args.path):
                    await log.do(log.drain)
                return protocol.PositionRet(position_of(log))
        raise RpcError(
            ErrorCode.INTERNAL_ERROR, f"log {args.path} is not open", domain=ErrorDomain.LOGGING
        )

    async def read(self, client: Client, args: protocol.ReadArgs) -> protocol.ReadRet:
        if args.maxlen > protocol.READ_MAX:
            raise RpcError(
                ErrorCode.INTERNAL_ERROR,
                f"{args.maxlen} bytes are too many for one reply: {protocol.READ_MAX} at most",
            )
        _no_flags(args.flags)
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

    async def append(self, client: Client, args: protocol.AppendArgs) -> protocol.AppendRet:
        _no_flags(args.flags)
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
        """Take a log among the open ones; its `start` is left to the caller."""
        self.logs[log.path] = log
        self._daemon.inhibit_shutdown()  # an automatic end would break the guest's pipe

    def closed(self, log: OpenLog) -> None:
        """A log was closed."""
        del self.logs[log.path]
        self._daemon.allow_shutdown()
        _log.info("log closed", path=log.path, guest=log.guest)

    def apply(self, changes: Mapping[str, Value]) -> None:
        """Take changed settings; they count from the next write on, for open logs, too."""
        for name, value in changes.items():
            setattr(self.rotation if hasattr(self.rotation, name) else self._ageing, name, value)
        self._clean()

    # Old logs ------------------------------------------------------------------------------------

    def start(self) -> None:
        """A killed logd leaves nothing: its pipes broke when it ended."""
        self._clean()

    def _clean(self) -> None:
        """Remove old logs now and every day, if there is an age for that."""
        if self._cleaning is not None:
            self._cleaning.cancel()
            self._cleaning = None
            self._stop_cleaning.set()
        if self._ageing.max_age_days and self._ageing.log_root:
            self._cleaning = asyncio.get_running_loop().create_task(self._keep_clean())

    async def _keep_clean(self) -> None:
        from aiovirt.daemons.logd.cleaning import EVERY, Sweep

        stop = self._stop_cleaning = threading.Event()
        while True:
            root, days = self._ageing.log_root, self._ageing.max_age_days
            sweep = Sweep(root, days, self.open_files, stop)
            await self.outside.run(f"old logs in {root}", sweep.run)
            await asyncio.sleep(EVERY)

    def open_files(self) -> set[Identity]:
        """What is written to now. Called on threads, too."""
        return {log.file.identity for log in list(self.logs.values())}

    # Restart -------------------------------------------------------------------------------------

    @property
    def state_type(self) -> type[LogsState]:
        """See `daemons.runtime.kind.Own`, as for the four that follow."""
        from aiovirt.daemons.logd.state import LogsState

        return LogsState

    async def pause(self) -> None:
        self._stop_cleaning.set()
        try:
            async with asyncio.timeout(_FINISH):
                await self.outside.finished()
                await self.movers.pause()
        except TimeoutError:
            stuck = ", ".join(sorted({*self.outside.busy(), *self.movers.busy()}))
            raise TimeoutError(
                f"work that its disk holds up was not done in time: {stuck}"
            ) from None

    def resume(self) -> None:
        for log in list(self.logs.values()):
            log.start()
        self.movers.resume()
        if self._stop_cleaning.is_set():
            self._clean()

    def save(self, keep: Keep) -> LogsState:
        from aiovirt.daemons.logd.state import save

        return save(self, keep)

    def restore(self, state: LogsState) -> None:
        from aiovirt.daemons.logd.state import restore

        restore(self, state)
        self.resume()
        self._clean()

    # The end -------------------------------------------------------------------------------------

    async def finish(self) -> None:
        """The daemon ends: what guests have written is in their logs before the pipes are closed."""
        self._stop_cleaning.set()
        if self._cleaning is not None:
            self._cleaning.cancel()
        self.movers.resume()
        if self.logs:
            endings = {
                asyncio.create_task(log.finish()): log.path for log in list(self.logs.values())
            }
            _, late = await asyncio.wait(endings, timeout=_FINISH)
            for ending in late:
                _log.error(
                    "log not finished, its disk does not answer and its pipe's content is lost",
                    path=endings[ending],
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


def _no_flags(flags: int) -> None:
    if flags:
        raise RpcError(
            ErrorCode.INVALID_ARG,
            f"unsupported flags 0x{flags:x}; none are supported",
            domain=ErrorDomain.LOGGING,
        )


def _system_error(what: str, error: OSError) -> RpcError:
    reason = error.strerror or os.strerror(error.errno or errno.EIO)
    return RpcError(ErrorCode.SYSTEM_ERROR, f"{what}: {reason}", domain=ErrorDomain.NONE)
