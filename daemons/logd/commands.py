"""What virtadm offers for logd: an entry point of the group `aiovirt.virtadm`."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from admin.cli.failure import explained
from admin.cli.invocation import Invocation
from admin.cli.session import Session
from admin.cli.table import Command, Group, Kind, Option
from admin.cli.tabular import table, when
from daemons.logd.client import LogAdmin, OpenLogInfo


async def _log_list(session: Session, command: Invocation) -> None:
    with explained("failed to list the open logs"):
        logs = await LogAdmin(session.connection).list()
    session.terminal.answer(
        [_as_data(log) for log in logs],
        table(
            ("Guest", "Size", "Rate", "Rotated", "Lost", "Open since", "Path", "Trouble"),
            [
                (
                    log.domain.name,
                    str(log.position.offset),
                    f"{log.rate}/s",
                    str(log.rotations),
                    str(log.lost),
                    when(log.opened),
                    log.path,
                    log.trouble or "-",
                )
                for log in logs
            ],
            with_header=not session.terminal.quiet,
        ),
    )


def _as_data(log: OpenLogInfo) -> dict[str, object]:
    return {
        "path": log.path,
        "driver": log.driver,
        "guest": {"name": log.domain.name, "uuid": str(UUID(bytes=log.domain.uuid))},
        "opened": log.opened,
        "inode": log.position.inode,
        "size": log.position.offset,
        "received": log.received,
        "lost": log.lost,
        "rate": log.rate,
        "rotations": log.rotations,
        "trouble": log.trouble,
    }


async def _log_rotate(session: Session, command: Invocation) -> None:
    path = command.required("path")
    with explained(f"failed to rotate log '{path}'"):
        position = await LogAdmin(session.connection).rotate(path)
    session.terminal.answer(
        {"path": path, "inode": position.inode, "size": position.offset}, f"Log '{path}' rotated"
    )


async def _open_paths(session: Session, command: Invocation) -> list[str]:
    return [log.path for log in await LogAdmin(session.connection).list()]


_PATH: Final = Option(
    "path",
    Kind.DATA,
    "the log, by the path of its newest file",
    required=True,
    complete=_open_paths,
)

GROUP: Final = Group(
    "Log daemon commands",
    "logd",
    (
        Command(
            "log-list",
            _log_list,
            "list the logs that guests write to",
            "List every log that logd has open: whose it is, its size in bytes, how many bytes a second"
            " came of late, how often it was rotated, and what could not be written.",
        ),
        Command(
            "log-rotate",
            _log_rotate,
            "rotate a log now",
            "Turn to a new file now; what is in the log becomes its first backup.",
            (_PATH,),
        ),
    ),
)
