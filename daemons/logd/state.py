"""Open logs on their way from one program to the next."""

from __future__ import annotations

import os

import msgspec

from aiovirt.daemons.logd.dispatch import LogManagerDispatch
from aiovirt.daemons.logd.openlog import OpenLog
from aiovirt.daemons.logd.rotating import RotatingFile
from aiovirt.rpc.server.restart import Keep

# Texts come from the wire and need not be UTF-8: they travel as bytes.
_ERRORS = "surrogateescape"


class LogState(msgspec.Struct):
    """One open log: the descriptors of its file and its pipe, whose it is, and what was counted.

    waiting: bytes that were read from the pipe and could not be written.
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


class LogsState(msgspec.Struct):
    """All open logs."""

    logs: list[LogState]


def save(service: LogManagerDispatch, keep: Keep) -> LogsState:
    """Write down the open logs of a paused service."""
    return LogsState([_save_log(log, keep) for log in service.logs.values()])


def restore(service: LogManagerDispatch, state: LogsState) -> list[OpenLog]:
    """Have the logs again that `save` wrote down; they move no bytes until they are started."""
    logs = [_restore_log(service, saved) for saved in state.logs]
    for log in logs:
        service.keep(log)
    return logs


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
    )


def _restore_log(service: LogManagerDispatch, state: LogState) -> OpenLog:
    for descriptor in (state.file, state.pipe):
        os.set_inheritable(descriptor, False)
    file = RotatingFile.take_over(
        state.path.decode(errors=_ERRORS), service.rotation, state.file, state.rotations
    )
    log = OpenLog(
        file,
        state.pipe,
        driver=state.driver.decode(errors=_ERRORS),
        uuid=state.uuid,
        guest=state.guest.decode(errors=_ERRORS),
        on_close=service.closed,
    )
    log.opened, log.received, log.lost = state.opened, state.received, state.lost
    log.waiting = state.waiting
    return log
