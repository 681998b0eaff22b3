"""Open logs on their way from one program to the next."""

from __future__ import annotations

import msgspec

from aiovirt.daemons.logd.dispatch import LogManagerDispatch
from aiovirt.daemons.logd.openlog import OpenLog
from aiovirt.daemons.logd.rotating import Identity, RotatingFile
from aiovirt.rpc.server.restart import Keep

# Texts come from the wire and need not be UTF-8: they travel as bytes.
_ERRORS = "surrogateescape"


class LogState(msgspec.Struct):
    """One open log: the descriptors of its file and its pipe, whose it is, and what was counted.

    waiting: bytes that were read from the pipe and could not be written; device, inode and
    position: of the file, so that the next program need not look, -1 where that is not known.
    """

    path: bytes
    file: int
    pipe: int
    driver: bytes
    uuid: bytes
    guest: bytes
    opened: float
    received: int
    lost: int
    rotations: int
    waiting: bytes = b""
    device: int = 0
    inode: int = 0
    position: int = -1


class LogsState(msgspec.Struct):
    """All open logs."""

    logs: list[LogState]


def save(service: LogManagerDispatch, keep: Keep) -> LogsState:
    """Write down the open logs of a paused service."""
    return LogsState([_save_log(log, keep) for log in service.logs.values() if log.pipe >= 0])


def restore(service: LogManagerDispatch, state: LogsState) -> None:
    """Have the logs that `save` wrote down, without touching their descriptors: see `OpenLog.start`."""
    for saved in state.logs:
        service.keep(_restore_log(service, saved))


def _save_log(log: OpenLog, keep: Keep) -> LogState:
    return LogState(
        path=log.path.encode(errors=_ERRORS),
        file=keep(log.file.fileno()),
        pipe=keep(log.pipe),
        driver=log.driver.encode(errors=_ERRORS),
        uuid=log.uuid,
        guest=log.guest.encode(errors=_ERRORS),
        opened=log.opened,
        received=log.received,
        lost=log.lost,
        rotations=log.file.rotations,
        waiting=log.waiting,
        device=log.file.identity.device,
        inode=log.file.identity.inode,
        position=log.file.position if log.file.regular else -1,
    )


def _restore_log(service: LogManagerDispatch, state: LogState) -> OpenLog:
    file = RotatingFile.take_over(
        state.path.decode(errors=_ERRORS),
        service.rotation,
        state.file,
        state.rotations,
        identity=Identity(state.device, state.inode),
        position=state.position,
    )
    log = OpenLog(
        file,
        state.pipe,
        service.movers,
        driver=state.driver.decode(errors=_ERRORS),
        uuid=state.uuid,
        guest=state.guest.decode(errors=_ERRORS),
        on_close=service.closed,
    )
    log.opened, log.received, log.lost = state.opened, state.received, state.lost
    log.waiting = state.waiting
    return log
