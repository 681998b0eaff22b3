"""The commands of virtadm for virtd."""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from typing import Final

from aiovirt.admin.cli.failure import CommandFailed, explained
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind
from aiovirt.admin.cli.tabular import table, when
from aiovirt.daemons.virtd.faults.commands import COMMANDS as FAULT_COMMANDS

_NANOSECONDS: Final = 1_000_000_000
#: Seconds since the epoch that no clock reaches: the end of 64 bits of nanoseconds.
_LAST: Final = 2**63 // _NANOSECONDS
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


def _plural(hosts: list[str]) -> str:
    return f"{'host' if len(hosts) == 1 else 'hosts'} {', '.join(hosts)}"


async def _world_load(session: AdminSession, command: Invocation) -> None:
    from aiovirt.daemons.virtd.admin_client import WorldAdmin
    from aiovirt.daemons.virtd.host.world_file import WorldError, read
    from aiovirt.daemons.virtd.saved_world import file_or_pipe

    file = command.required("file")
    try:
        text = await asyncio.to_thread(read, file, file_or_pipe)
    except WorldError as error:
        raise CommandFailed(f"failed to read {file}", str(error)) from error
    with explained(f"failed to load {file}"):
        hosts = await WorldAdmin(session.connection).load(text)
    session.terminal.answer(hosts, f"World of {_plural(hosts)} loaded from {file}\n")


async def _world_save(session: AdminSession, command: Invocation) -> None:
    from aiovirt.daemons.virtd.admin_client import WorldAdmin
    from aiovirt.daemons.virtd.saved_world import write

    file = command.text("file")
    with explained("failed to save the world"):
        text = await WorldAdmin(session.connection).save(command.text("host") or "")
    if file is None:
        session.terminal.answer(json.loads(text), text)
        return
    try:
        await asyncio.to_thread(write, file, text)
    except OSError as error:
        raise CommandFailed(f"failed to write {file}", error.strerror or str(error)) from error
    session.terminal.notice(f"World saved to {file}\n")


async def _world_reset(session: AdminSession, command: Invocation) -> None:
    from aiovirt.daemons.virtd.admin_client import WorldAdmin

    with explained("failed to reset the world"):
        hosts = await WorldAdmin(session.connection).reset(command.text("host") or "")
    session.terminal.answer(hosts, f"World of {_plural(hosts)} as it began\n")


async def _clock(session: AdminSession, command: Invocation) -> None:
    from aiovirt.daemons.virtd.admin_client import WorldAdmin

    now, rate = command.text("set"), command.text("rate")
    if rate is not None and command.given("stop"):
        raise CommandFailed("--rate and --stop exclude each other")
    speed = 0.0 if command.given("stop") else None if rate is None else _rate(rate)
    moment = None if now is None else _nanoseconds(now)
    host = command.text("host") or ""
    admin = WorldAdmin(session.connection)
    with explained("failed to change the clock"):
        if moment is not None or speed is not None:
            await admin.set_clock(host, now=moment, rate=speed)
        clocks = [one for one in await admin.clocks() if host in ("", one.host)]
    session.terminal.answer(
        [{"host": one.host, "now": one.now, "rate": one.rate} for one in clocks],
        table(
            ("Host", "Time", "Rate"),
            [(one.host, when(one.now // _NANOSECONDS), f"{one.rate:g}") for one in clocks],
            with_header=not session.terminal.quiet,
        ),
    )


def _rate(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise CommandFailed(f"'{text}' is not a rate: a number from 0, 1 for real time")
    return found


def _nanoseconds(text: str) -> int:
    """A time of day: seconds since the epoch, or as ISO 8601 writes it."""
    from datetime import datetime

    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = datetime.fromisoformat(text).timestamp()
        except ValueError:
            seconds = -1.0
    if not 0 <= seconds < _LAST:
        raise CommandFailed(
            f"'{text}' is not a time: seconds since the epoch, or like 2030-01-31T12:00:00+00:00"
        )
    return round(seconds * _NANOSECONDS)


_HOST: Final = Option(
    "host", OptionKind.STRING, "the host: test or qemu; all if not given", named_only=True
)

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
        Command(
            "world-load",
            _world_load,
            "replace the world of a host",
            "Replace everything on a host by the world of a file: what world-save wrote, an XML file of"
            " libvirt's test driver, or TOML. Files that it refers to are read here, not by the daemon."
            " Hosts that it does not describe stay as they are. No events are sent.",
            (Option("file", OptionKind.DATA, "the file of the world", required=True),),
        ),
        Command(
            "world-save",
            _world_save,
            "write the world of the hosts down",
            "Write everything on the hosts down as JSON, for world-load: documents, states, ids, times"
            " and clocks. The values of secrets are among it.",
            (
                Option("file", OptionKind.STRING, "the file; standard output if not given"),
                _HOST,
            ),
        ),
        Command(
            "world-reset",
            _world_reset,
            "return the hosts to the world that they began with",
            "Remove everything from the hosts and return them to the world that they began with: that of"
            " the daemon's option --world, or that of the driver. No events are sent.",
            (_HOST,),
        ),
        Command(
            "clock",
            _clock,
            "show, set, stop or speed up the clock of a host",
            "Show the clocks of the hosts, after changing them if asked to. Guests live by the clock of"
            " their host: their counters grow with it, and stand still while it is stopped.",
            (
                Option(
                    "set",
                    OptionKind.STRING,
                    "the new time: seconds since the epoch, or like 2030-01-31T12:00:00+00:00",
                    named_only=True,
                ),
                Option(
                    "rate",
                    OptionKind.STRING,
                    "seconds of the host in one second; 1 is real time",
                    named_only=True,
                ),
                Option("stop", OptionKind.FLAG, "stop the clock, as --rate 0 does"),
                _HOST,
            ),
        ),
        *FAULT_COMMANDS,
    ),
)
