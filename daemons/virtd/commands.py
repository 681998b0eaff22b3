"""The commands of virtadm for virtd."""

from __future__ import annotations

import asyncio
import getpass
import sys
from typing import Final

from aiovirt.admin.cli.failure import CommandFailed
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind

_FILE: Final = "/etc/aiovirt/virtd.passwords"


async def _sasl_passwd(session: AdminSession, command: Invocation) -> None:
    from aiovirt.rpc.security.sasl import Passwords

    file = command.text("file") or _FILE
    name = command.text("name")
    try:
        passwords = Passwords(file)
        if name is None:
            names = passwords.names()
            session.terminal.answer(names, "".join(f"{one}\n" for one in names))
            return
        if command.given("delete"):
            if not passwords.remove(name):
                raise CommandFailed(f"'{name}' is not in {file}")
        else:
            password = await asyncio.to_thread(_ask, name)
            await asyncio.to_thread(passwords.set, name, password)
        passwords.write()
    except (OSError, ValueError) as error:
        raise CommandFailed(f"failed to change {file}", str(error)) from error
    done = "removed from" if command.given("delete") else "has a password in"
    session.terminal.notice(f"'{name}' {done} {file}\n")


def _ask(name: str) -> str:
    """The password: asked for twice at a terminal, else the first line of the standard input."""
    if sys.stdin is None:
        raise ValueError("the password is read from the standard input, which is closed")
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass(f"New password of '{name}': ")
    if getpass.getpass("Again: ") != password:
        raise ValueError("the two were not the same")
    return password


GROUP: Final = Group(
    "Virtualization daemon commands",
    "virtd",
    (
        Command(
            "sasl-passwd",
            _sasl_passwd,
            "set the password of a name",
            "Set the password with which a name may come in by SASL, or take the name out. The password"
            " is asked for, or read from the standard input, and not kept, only what proves it. Without"
            " a name, list the names. Needs no daemon; a running one notices at once.",
            (
                Option("name", OptionKind.STRING, "whose password"),
                Option(
                    "file",
                    OptionKind.STRING,
                    f"the file of passwords; {_FILE} if not given",
                    named_only=True,
                ),
                Option("delete", OptionKind.FLAG, "take the name out"),
            ),
            connected=False,
        ),
    ),
)
