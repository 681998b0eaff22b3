"""The commands about virtadm itself: help, quit, connect and their kin.

Source of what they do: libvirt's tools/vsh.c (cmd*) and virt-admin.c.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Final

from aiovirt.admin.cli.complete import PATIENCE, command_names, complete_line
from aiovirt.admin.cli.failure import CommandFailed, explained
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.manual import command_help, command_list, group_list
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind
from aiovirt.admin.compatibility import LIBVIRT_VERSION, version_text
from aiovirt.admin.uri import Directories

_XML: Final = {ord("<"): "&lt;", ord(">"): "&gt;", ord("&"): "&amp;"}
_XML.update({ord('"'): "&quot;", ord("'"): "&apos;"})
#: Control characters have no place in XML, not even escaped.
_XML.update(dict.fromkeys((code for code in range(32) if chr(code) not in "\t\n\r"), ""))
#: What makes a word need quotes in a shell.
_SHELL_SPECIAL: Final = frozenset("\r\t\n !\"#$&'()*;<>?[\\]^`{|}~")


async def _cd(session: AdminSession, command: Invocation) -> None:
    if not session.interactive:
        raise CommandFailed("cd: command valid only in interactive mode")
    folder = command.peek("dir") or Directories.of_caller().home
    try:
        os.chdir(folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandFailed(f"cd: {reason}: {folder}") from error


async def _echo(session: AdminSession, command: Invocation) -> None:
    chosen = [name for name in ("shell", "xml", "split") if command.given(name)]
    if len(chosen) > 1:
        raise CommandFailed(f"Options --{chosen[0]} and --{chosen[1]} are mutually exclusive")
    form = {"shell": _for_shell, "xml": _for_xml, "split": _split}.get("".join(chosen), str)
    words = command.all("string")
    text = " ".join(form(word) for word in words)
    if command.given("err"):
        if words:
            session.terminal.error(text)
    else:
        session.terminal.write(text)


def _for_shell(word: str) -> str:
    if word and _SHELL_SPECIAL.isdisjoint(word):
        return word
    quoted = word.replace("'", "'\\''")
    return f"'{quoted}'"


def _for_xml(word: str) -> str:
    return word.translate(_XML)


def _split(word: str) -> str:
    # `,,` is a comma; it is put aside while the others part the word.
    parts = word.replace(",,", "\0").split(",") if word else []
    return "".join(part.replace("\0", ",") + "\n" for part in parts)


async def _help(session: AdminSession, command: Invocation) -> None:
    name = command.peek("command")
    if not name:
        session.terminal.write(command_list(session.table))
    elif found := session.table.find(name):
        session.terminal.write(command_help(found))
    elif group := session.table.find_group(name):
        session.terminal.write(group_list(group))
    else:
        from aiovirt.admin.cli.parser import similar

        names = (one.name for one in session.table.listed())
        raise CommandFailed(
            f"command or command group '{name}' doesn't exist", *similar(name, names)
        )
    for problem in session.table.problems:
        session.terminal.error(problem)


async def _pwd(session: AdminSession, command: Invocation) -> None:
    session.terminal.write(f"{os.getcwd()}\n")


async def _quit(session: AdminSession, command: Invocation) -> None:
    session.interactive = False


async def _self_test(session: AdminSession, command: Invocation) -> None:
    for each in session.table.listed():
        flaw = _flaw(each)
        if flaw:
            raise CommandFailed(f"command '{each.name}' {flaw}")
        missing = [
            option.name
            for option in each.options
            if option.kind in (OptionKind.STRING, OptionKind.DATA) and option.complete is None
        ]
        if missing and command.given("completers-missing"):
            session.terminal.remark(f"{each.name}: {', '.join(missing)}\n")


def _flaw(command: Command) -> str:
    """Return the flaw of a declaration, or an empty string."""
    if not command.help:
        return "lacks help"
    seen_optional = False
    for at, option in enumerate(command.options):
        later = {
            each.name for each in command.options[at + 1 :] if each.kind is not OptionKind.ALIAS
        }
        if option.kind is OptionKind.ALIAS and option.stands_for.partition("=")[0] not in later:
            return f"has alias '{option.name}' for no later option"
        if option.kind is OptionKind.REST and later:
            return f"has '{option.name}', which takes all that is left, before its last option"
        if option.kind is OptionKind.DATA and not option.required:
            return f"has data '{option.name}' that is not required"
        if option.required and seen_optional:
            return f"requires '{option.name}' after an optional parameter"
        optional = option.kind in (OptionKind.FLAG, OptionKind.STRING) and not option.named_only
        seen_optional = seen_optional or optional
    return ""


async def _complete(session: AdminSession, command: Invocation) -> None:
    words = command.all("string")
    if not words:
        raise CommandFailed
    # A shell waits for the answer: nothing may be read from its input meanwhile.
    if sys.stdin is not None:
        sys.stdin.close()
    line = " ".join(words).lstrip(" ")
    try:
        async with asyncio.timeout(PATIENCE):
            choices = await complete_line(session, line, words[-1])
    except TimeoutError:
        session.abandon()  # it would not answer a goodbye either
        raise CommandFailed from None
    if not choices:
        raise CommandFailed
    session.terminal.write("".join(f"{choice}\n" for choice in choices))


async def _uri(session: AdminSession, command: Invocation) -> None:
    uri = str(session.connection.uri)
    session.terminal.answer({"uri": uri}, f"{uri}\n")


async def _version(session: AdminSession, command: Invocation) -> None:
    ours = version_text(LIBVIRT_VERSION)
    session.terminal.notice(
        f"Compiled against library: libvirt {ours}\nUsing library: libvirt {ours}\n"
    )
    with explained("failed to get the daemon version"):
        daemon = version_text(await session.connection.lib_version())
    session.terminal.answer(
        {"library": ours, "daemon": daemon}, f"Running against daemon: {daemon}\n"
    )


async def _connect(session: AdminSession, command: Invocation) -> None:
    before = session.connected
    name = command.text("name")
    if name is not None:
        session.uri = name
    await session.reconnect()
    if not before:
        session.terminal.notice("Connected to the admin server\n")


GROUP: Final = Group(
    "Virt-admin itself",
    "virt-admin",
    (
        Command(
            "cd",
            _cd,
            "change the working directory",
            "Make another directory the current one.",
            (Option("dir", OptionKind.STRING, "where to go (default: the home directory)"),),
            connected=False,
        ),
        Command(
            "echo",
            _echo,
            "print the arguments",
            "Print the arguments back, on request with quotes. Meant for tests of the shell itself.",
            (
                Option("shell", OptionKind.FLAG, "quote for a shell"),
                Option("xml", OptionKind.FLAG, "escape for XML"),
                Option(
                    "split", OptionKind.FLAG, "one line for each part between ','; ',,' is a comma"
                ),
                Option("err", OptionKind.FLAG, "print on the standard error"),
                Option("str", OptionKind.ALIAS, stands_for="string"),
                Option("hi", OptionKind.ALIAS, stands_for="string=hello"),
                Option("string", OptionKind.REST, "what to print"),
            ),
            connected=False,
        ),
        Command("exit", _quit, "leave the shell", connected=False, last=True),
        Command(
            "help",
            _help,
            "print help",
            "Print what there is, or more about one command or one group of them.",
            (
                Option(
                    "command",
                    OptionKind.STRING,
                    "the command, or a group's keyword",
                    complete=command_names,
                ),
            ),
            connected=False,
        ),
        Command(
            "pwd",
            _pwd,
            "print the working directory",
            "Print the name of the current directory.",
            connected=False,
        ),
        Command("quit", _quit, "leave the shell", connected=False, last=True),
        Command(
            "self-test",
            _self_test,
            "check the declarations of all commands",
            "for tests of this program",
            (
                Option(
                    "completers-missing",
                    OptionKind.FLAG,
                    "also list the options whose values can't be completed",
                ),
            ),
            connected=False,
            hidden=True,
        ),
        Command(
            "complete",
            _complete,
            "print what the last word may become",
            "for the completion of other shells",
            (Option("string", OptionKind.REST, "the words so far", empty_ok=True),),
            connected=False,
            hidden=True,
            timeout=PATIENCE,
            lazy=True,
        ),
        Command("uri", _uri, "print the URI of the daemon"),
        Command(
            "version",
            _version,
            "print versions",
            "Print the version of libvirt that this program speaks for, and the daemon's.",
        ),
        Command(
            "connect",
            _connect,
            "connect to a daemon",
            "Connect to a daemon's admin server, leaving the one before.",
            (Option("name", OptionKind.STRING, "its URI or an alias", empty_ok=True),),
            connected=False,
        ),
    ),
)
