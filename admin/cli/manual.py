"""The words of `help` and `--help`, made from the command table.

Source of the layout: libvirt's tools/vsh.c (cmdHelp, vshCmddefHelp, vshCmdGrpHelp).
"""

from __future__ import annotations

import textwrap
from typing import Final

from aiovirt.admin.cli.table import Command, CommandTable, Group, Option, OptionKind

#: The program's own options (`startup` reads them): short, long, help.
OPTIONS: Final = (
    (
        "-c",
        "--connect=URI",
        "the daemon to administer, or all for those of this host; given more than once, all of them"
        " at the same time",
    ),
    ("-d", "--debug=NUM", "debug level [0-4]"),
    ("-h", "--help", "this help"),
    ("-l", "--log=FILE", "log what is said to a file"),
    ("-o", "--output=FORMAT", "form of answers: text or json"),
    ("-q", "--quiet", "answers only"),
    ("", "--timeout=SECONDS", "give up on a daemon that has not answered a call by then"),
    ("-v", "", "short version"),
    ("-V", "", "long version"),
    ("", "--version[=TYPE]", "version, TYPE is short or long (default short)"),
)

_USAGE: Final = """
{0} [options]... [<command_string>]
{0} [options]... <command> [args...]

  options:
{1}
  commands (non interactive mode):

"""

_USAGE_END: Final = """
  (specify help <group> for details about the commands in the group)

  (specify help <command> for details about the command)

"""


def usage(table: CommandTable, progname: str) -> str:
    """Return the output of `--help`."""
    groups = "".join(f"{group_list(group, end='')}\n" for group in table.groups())
    options = "\n".join(_in_usage(*option) for option in OPTIONS)
    return _USAGE.format(progname, options) + groups + _USAGE_END


def _in_usage(short: str, long: str, text: str) -> str:
    spelling = f"{short:2} | {long}" if short and long else f"{short:5}{long}"
    return textwrap.fill(
        text, 83, initial_indent=f"    {spelling:<23} ", subsequent_indent=" " * 28
    )


def command_list(table: CommandTable) -> str:
    """Return the output of `help`."""
    return "Grouped commands:\n\n" + "".join(f"{group_list(each)}\n" for each in table.groups())


def group_list(group: Group, end: str = ":") -> str:
    """Return the output of `help GROUP`."""
    shown = "".join(
        f"    {each.name:<30} {each.help}\n" for each in group.commands if not each.hidden
    )
    return f" {group.title} (help keyword '{group.keyword}'){end}\n{shown}"


def command_help(command: Command) -> str:
    """Return the output of `help COMMAND`."""
    text = f"  NAME\n    {command.name} - {command.help}\n\n  SYNOPSIS\n    {synopsis(command)}\n"
    if command.description:
        text += f"\n  DESCRIPTION\n    {command.description}\n"
    if rows := option_rows(command):
        text += "\n  OPTIONS\n"
        text += "".join(f"    {spelling:<15}  {help_text}\n" for spelling, help_text in rows)
    return text + "\n"


def synopsis(command: Command) -> str:
    """A command and its options on one line."""
    options = _shown(command)
    brief = _is_brief(options)
    return " ".join([command.name, *(_in_synopsis(option, brief) for option in options)])


def option_rows(command: Command) -> list[tuple[str, str]]:
    """The options of a command: how each is given, and its help."""
    options = _shown(command)
    brief = _is_brief(options)
    return [(_in_list(option, brief), option.help) for option in options]


def _shown(command: Command) -> list[Option]:
    return [option for option in command.options if option.kind is not OptionKind.ALIAS]


def _is_brief(options: list[Option]) -> bool:
    # The list of the remaining words shows its name where others can be given by position.
    return any(each.positional and each.kind is not OptionKind.REST for each in options)


def _in_synopsis(option: Option, brief: bool) -> str:
    name = option.name
    match option.kind:
        case OptionKind.FLAG:
            return f"[--{name}]"
        case OptionKind.NUMBER:
            return f"<{name}>" if option.required else f"[--{name} <number>]"
        case OptionKind.DATA:
            return f"<{name}>"
        case OptionKind.REST if brief:
            return f"{{[--{name}] <string>}}..." if option.required else f"[[--{name}] <string>]..."
        case OptionKind.REST:
            return f"<{name}>..." if option.required else f"[<{name}>]..."
        case _:
            return f"[--{name} <string>]"


def _in_list(option: Option, brief: bool) -> str:
    name = option.name
    match option.kind:
        case OptionKind.FLAG:
            return f"--{name}"
        case OptionKind.NUMBER:
            return f"[--{name}] <number>" if option.required else f"--{name} <number>"
        case OptionKind.DATA:
            return f"[--{name}] <string>"
        case OptionKind.REST:
            return f"[--{name}] <string>" if brief else f"<{name}>"
        case _:
            return f"--{name} <string>"
