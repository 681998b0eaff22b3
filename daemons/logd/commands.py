"""The commands of virtadm for logd."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from aiovirt.admin.cli.failure import CommandFailed, explained
from aiovirt.admin.cli.invocation import ULONG_MAX, Invocation, to_number
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind
from aiovirt.admin.cli.tabular import table, when
from aiovirt.daemons.logd.client import LogAdmin, OpenLogInfo, Position


async def _log_list(session: AdminSession, command: Invocation) -> None:
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


async def _log_rotate(session: AdminSession, command: Invocation) -> None:
    path = command.required("path")
    with explained(f"failed to rotate log '{path}'"):
        position = await LogAdmin(session.connection).rotate(path)
    session.terminal.answer(
        {"path": path, "inode": position.inode, "size": position.offset}, f"Log '{path}' rotated"
    )


async def _log_follow(session: AdminSession, command: Invocation) -> None:
    path = command.required("path")
    position = _position_of(command.text("position"))
    from_oldest = command.given("all")
    if position is not None and from_oldest:
        raise CommandFailed("--position and --all do not go together")
    terminal = session.terminal
    gaps = 0
    with explained(f"failed to follow log '{path}'"):
        logs = LogAdmin(session.connection)
        async with logs.follow(path, position, from_oldest=from_oldest) as followed:
            async for data in followed:
                if followed.gaps != gaps:
                    gaps = followed.gaps
                    terminal.error(
                        "some lines may be missing here: the log was cut short, removed, or rotated away"
                    )
                if terminal.json:
                    place = {"inode": followed.position.inode, "offset": followed.position.offset}
                    terminal.answer({"data": data.decode(errors="replace"), "behind": place}, "")
                    terminal.flush()
                else:
                    terminal.write_bytes(data)


def _position_of(text: str | None) -> Position | None:
    if text is None:
        return None
    inode, offset = (to_number(part, ULONG_MAX) for part in text.partition(":")[::2])
    if inode is None or offset is None:
        raise CommandFailed(f"'{text}' is not a position: INODE:OFFSET, two numbers")
    return Position(inode, offset)


async def _open_paths(session: AdminSession, command: Invocation) -> list[str]:
    return [log.path for log in await LogAdmin(session.connection).list()]


_PATH: Final = Option(
    "path",
    OptionKind.DATA,
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
        Command(
            "log-follow",
            _log_follow,
            "show what a log has and what comes",
            "Show what a guest writes, as it comes, until it lets go of its log; through rotations, and"
            " restarts of logd. A log that is not open is shown from where you say to its end.",
            (
                _PATH,
                Option("all", OptionKind.FLAG, "begin with the oldest byte that there is"),
                Option(
                    "position",
                    OptionKind.STRING,
                    "begin at INODE:OFFSET, as log-rotate and JSON answers give it",
                    named_only=True,
                ),
            ),
            progress=False,
        ),
    ),
)
