"""The daemon's log, as a stream for each of those who follow it.

What is sent is passed on a moment after it was logged, in batches: a task for each follower takes what
has come, and waits while its client does not read. Records that are logged by these tasks are not
followed, by anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from math import inf
from typing import Final

from aiovirt.admin.arguments import settable_filters
from aiovirt.admin.extension.protocol import logs as protocol
from aiovirt.admin.extension.protocol.logs import BATCH_MAX, FollowFlags, LogBatch
from aiovirt.rpc.logs import (
    Batch,
    Following,
    LogControl,
    LogSettingError,
    TooManyFollowers,
    get_logger,
    unfollowed,
)
from aiovirt.rpc.server import Client, Daemon, Stream, WithStream, serves
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

_log = get_logger("admin.extension.logs")

#: Seconds for which further records are waited for, so that many travel in one packet.
_GATHER: Final = 0.02


class LogsDispatch:
    """Serves the procedures about the log."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @serves(protocol.LOG_FOLLOW)
    def follow(self, client: Client, args: protocol.FollowArgs) -> WithStream[protocol.FollowRet]:
        control = self._control()
        bell = _Bell()
        filters = args.filters
        if not args.level and not filters:  # what the daemon itself logs
            filters = settable_filters(control.filters_text())
        try:
            following = control.audience.follow(
                bell.ring,
                level=args.level or control.level,
                filters=filters,
                last=args.last,
                since=args.since,
            )
        except LogSettingError as error:
            raise RpcError(ErrorCode[error.code_name], str(error)) from None
        except TooManyFollowers as error:
            raise RpcError(ErrorCode.RESOURCE_BUSY, str(error)) from None
        only_last = bool(args.flags & FollowFlags.ONLY_LAST)

        async def serve(stream: Stream) -> None:
            with unfollowed(), contextlib.closing(following):
                await _send(stream, *_joined(following.take_earlier()))
                if not only_last:
                    await _send_on(stream, following, bell)

        return WithStream(protocol.FollowRet(control.audience.ring_size), serve)

    @serves(protocol.LOG_FILTERS_FOR_NOW)
    def filters_for_now(
        self, client: Client, args: protocol.FiltersForNowArgs
    ) -> WithStream[protocol.FiltersForNowRet]:
        if not 0 <= args.at_most < inf:  # a NaN is refused, too
            text = f"at_most is a number of seconds or 0, not {args.at_most}"
            raise RpcError.of(ErrorCode.INVALID_ARG, text)
        control = self._control()
        found = settable_filters(control.filters_text())
        bell = _Bell()
        try:
            ours = control.set_filters_for_now(args.filters, bell.ring)
        except LogSettingError as error:
            raise RpcError(ErrorCode[error.code_name], str(error)) from None
        told = {"server": client.server.name, "client": client.id, "filters": args.filters}
        _log.warning("temporary log filters set", **told)

        async def serve(stream: Stream) -> None:
            try:
                async with asyncio.timeout(args.at_most or None):
                    await bell.rung.wait()
            except TimeoutError:
                return
            finally:
                control.end_filters(ours)
                _log.warning("temporary log filters ended", **told)
            raise RpcError.of(ErrorCode.OPERATION_INVALID, "other log filters were set meanwhile")

        return WithStream(protocol.FiltersForNowRet(found), serve)

    def _control(self) -> LogControl:
        control = self._daemon.logging
        if control is None:
            raise RpcError(
                ErrorCode.OPERATION_UNSUPPORTED,
                f"daemon {self._daemon.name} runs without log control",
            )
        return control


class _Bell:
    """Wakes the task that sends, from whatever thread."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def ring(self) -> None:
        if threading.get_ident() == self._thread:
            self.rung.set()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self.rung.set)


async def _send_on(stream: Stream, following: Following, bell: _Bell) -> None:
    """Send what comes, until cancelled."""
    follower = following.follower
    while True:
        await bell.rung.wait()
        bell.rung.clear()
        if not follower.is_ample:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GATHER):
                    await bell.rung.wait()
            bell.rung.clear()
        async with stream.room():
            pass  # what comes while the client does not read is dropped from the other buffer
        await _send(stream, *_joined(following.take()))


async def _send(stream: Stream, lines: bytes, lost: int = 0) -> None:
    """Send records, and after them the number of those that are missing."""
    for packet, is_last in _packets(lines):
        if packet or lost:
            batch = LogBatch(packet, lost if is_last else 0)
            async with stream.room():
                await stream.send(xdr.encode(batch))


def _joined(batch: Batch) -> tuple[bytes, int]:
    return b"\n".join(batch.records), batch.lost


def _packets(lines: bytes) -> Iterator[tuple[bytes, bool]]:
    """Divide lines into pieces that fit a batch; one, perhaps empty, at least. True with the last."""
    start = 0
    while len(lines) - start > BATCH_MAX:
        end = lines.rindex(b"\n", start, start + BATCH_MAX + 1)
        yield lines[start:end], False
        start = end + 1
    yield lines[start:], True
