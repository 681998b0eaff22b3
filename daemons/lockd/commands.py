"""The commands of virtadm for lockd."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from aiovirt.admin.cli.failure import explained
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind
from aiovirt.admin.cli.tabular import table, when
from aiovirt.daemons.lockd.client import AcquireFlags, Fate, LockAdmin, Owner

_DEFAULT: Final = "(default)"

_FATES: Final = {
    Fate.GONE: "its process had ended already",
    Fate.ENDED: "its process was ended",
    Fate.ENDING: "its process was told to end and has not yet; the lock is free when it has",
    Fate.CUT: "its process goes on without it; its connection was closed",
    Fate.KEPT: "its process goes on without it",
}


async def _lockspace_list(session: AdminSession, command: Invocation) -> None:
    with explained("failed to list the lockspaces"):
        spaces = await LockAdmin(session.connection).spaces()
    session.terminal.answer(
        [{"directory": space.directory, "resources": space.resources} for space in spaces],
        table(
            ("Locked", "Directory"),
            [(str(space.resources), space.directory or _DEFAULT) for space in spaces],
            with_header=not session.terminal.quiet,
        ),
    )


async def _lock_list(session: AdminSession, command: Invocation) -> None:
    wanted = command.peek("lockspace")
    with explained("failed to list the locks"):
        locks = [
            lock
            for lock in await LockAdmin(session.connection).locks()
            if wanted is None or lock.directory == wanted
        ]
    session.terminal.answer(
        [
            {
                "lockspace": lock.directory,
                "resource": lock.name,
                "flags": _flags(lock.flags),
                "owner": _owner(lock.owner),
                "client": lock.client,
                "since": lock.since,
                "age": lock.age,
            }
            for lock in locks
        ],
        table(
            ("Owner", "Process", "Mode", "Client", "Age", "Lockspace", "Resource"),
            [
                (
                    lock.owner.name,
                    str(lock.owner.pid),
                    ",".join(_flags(lock.flags)),
                    str(lock.client) if lock.client else "-",
                    str(timedelta(seconds=lock.age)),
                    lock.directory or _DEFAULT,
                    lock.name,
                )
                for lock in locks
            ],
            with_header=not session.terminal.quiet,
        ),
    )


async def _lock_refusals(session: AdminSession, command: Invocation) -> None:
    with explained("failed to list the refusals"):
        refusals = await LockAdmin(session.connection).refusals()
    session.terminal.answer(
        [
            {
                "time": one.time,
                "lockspace": one.directory,
                "resource": one.name,
                "flags": _flags(one.flags),
                "owner": _owner(one.owner),
                "client": one.client,
                "because": one.because,
            }
            for one in refusals
        ],
        table(
            ("Time", "Refused to", "Process", "Mode", "Lockspace", "Because"),
            [
                (
                    when(one.time),
                    one.owner.name,
                    str(one.owner.pid),
                    ",".join(_flags(one.flags)),
                    one.directory or _DEFAULT,
                    one.because,
                )
                for one in refusals
            ],
            with_header=not session.terminal.quiet,
        ),
    )


async def _lock_break(session: AdminSession, command: Invocation) -> None:
    name = command.required("resource")
    owner = command.required("owner")
    with explained(f"failed to break the lock of '{owner}' on '{name}'"):
        broken = await LockAdmin(session.connection).break_lock(
            name,
            owner,
            directory=command.peek("lockspace") or "",
            pid=command.number("pid") or 0,
            force=command.given("force"),
            keep_holder=command.given("keep-holder"),
        )
    session.terminal.answer(
        {"resource": name, "owner": _owner(broken.owner), "fate": broken.fate.name.lower()},
        f"Lock of '{broken.owner.name}' (process {broken.owner.pid}) on '{name}' broken:"
        f" {_FATES[broken.fate]}\n",
    )


def _owner(owner: Owner) -> dict[str, object]:
    return {
        "name": owner.name,
        "uuid": str(UUID(bytes=owner.uuid)),
        "id": owner.id,
        "pid": owner.pid,
    }


def _flags(flags: int) -> list[str]:
    return [
        "shared" if flags & AcquireFlags.SHARED else "exclusive",
        *(["autocreate"] if flags & AcquireFlags.AUTOCREATE else []),
    ]


async def _spaces(session: AdminSession, command: Invocation) -> list[str]:
    found = await LockAdmin(session.connection).spaces()
    return [space.directory for space in found if space.directory]


async def _resources(session: AdminSession, command: Invocation) -> list[str]:
    directory = command.peek("lockspace") or ""
    locks = await LockAdmin(session.connection).locks()
    return sorted({lock.name for lock in locks if lock.directory == directory})


async def _owners(session: AdminSession, command: Invocation) -> list[str]:
    place = (command.peek("lockspace") or "", command.peek("resource"))
    locks = await LockAdmin(session.connection).locks()
    return sorted({lock.owner.name for lock in locks if (lock.directory, lock.name) == place})


_LOCKSPACE: Final = Option(
    "lockspace",
    OptionKind.STRING,
    "the lockspace, by its directory",
    empty_ok=True,
    named_only=True,
    complete=_spaces,
)

GROUP: Final = Group(
    "Lock daemon commands",
    "lockd",
    (
        Command(
            "lockspace-list",
            _lockspace_list,
            "list the lockspaces",
            "List every lockspace and how many resources are locked in it. In the default one a resource"
            " is a file by its own path.",
        ),
        Command(
            "lock-list",
            _lock_list,
            "list who holds what",
            "List every lock: who holds it, how, through which client, for how long. A shared one is"
            " listed once for each holder.",
            (_LOCKSPACE,),
        ),
        Command(
            "lock-refusals",
            _lock_refusals,
            "list who was refused a lock of late",
            "List the latest refusals, and who held the lock then. Nobody waits for a lock in lockd: who"
            " does not get it may ask again.",
        ),
        Command(
            "lock-break",
            _lock_break,
            "take a lock from its holder",
            "Break a lock. The owner must be named, so that it is not somebody else's. If its process"
            " still runs, nothing is done without --force, which ends the process first, since it might"
            " write on; with --keep-holder the lock is taken at once and the process left alone.",
            (
                Option(
                    "resource",
                    OptionKind.DATA,
                    "the locked resource",
                    required=True,
                    complete=_resources,
                ),
                Option(
                    "owner",
                    OptionKind.DATA,
                    "who holds it, by name or UUID",
                    required=True,
                    complete=_owners,
                ),
                Option(
                    "pid",
                    OptionKind.NUMBER,
                    "the owner's process, where several have the name",
                    named_only=True,
                ),
                _LOCKSPACE,
                Option(
                    "force", OptionKind.FLAG, "even if the owner's process runs; it is ended first"
                ),
                Option("keep-holder", OptionKind.FLAG, "with --force: leave the process running"),
            ),
        ),
    ),
)
