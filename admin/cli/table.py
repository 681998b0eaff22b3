"""The shape of the command table, from which parsing, help and completion are made.

Groups hold commands, commands hold options, all declared once, in `commands`. Commands of the daemons
and of other packages join when they are asked for (see `CommandTable`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from aiovirt.admin.plugins import PluginError

if TYPE_CHECKING:
    from aiovirt.admin.cli.invocation import Invocation
    from aiovirt.admin.cli.session import AdminSession


#: Gives the values that an option may have. Without a connection it may raise CommandFailed.
Completer: TypeAlias = "Callable[[AdminSession, Invocation], Awaitable[list[str]]]"


class OptionKind(Enum):
    """The kind of value that an option takes (libvirt: vshCmdOptType)."""

    FLAG = auto()  # nothing
    STRING = auto()  # a string, optional
    NUMBER = auto()  # a number, optional or required
    DATA = auto()  # a string, required
    REST = auto()  # any number of strings; the last option of its command
    ALIAS = auto()  # another spelling of an option that comes later


class Option(NamedTuple):
    """One option of a command.

    Anything but a FLAG may be given by position as well, in the order of declaration, unless it is
    `named_only`. complete: gives the values that make sense. An ALIAS `stands_for` "NAME" or
    "NAME=VALUE". letter: "c" makes `-c VALUE` mean the same. A `repeated` one may be given more often.
    """

    name: str
    kind: OptionKind
    help: str = ""
    required: bool = False
    empty_ok: bool = False
    named_only: bool = False
    stands_for: str = ""
    complete: Completer | None = None
    letter: str = ""
    repeated: bool = False

    @property
    def positional(self) -> bool:
        """Whether its value may stand without its name."""
        return self.kind not in (OptionKind.FLAG, OptionKind.ALIAS) and not self.named_only


#: Every command has it: it turns the command into `help COMMAND`.
HELP_OPTION: Final = Option("help", OptionKind.FLAG, "print help for this function")


class Command(NamedTuple):
    """One command.

    help: a line; description: more, or empty. aliases: other names, which help doesn't list. A command
    that is not `connected` needs no daemon; a `last` one ends its command line; a `hidden` one is not
    listed. timeout: seconds that a daemon has for each answer at most, None for no such bound. A command
    that takes daemons `together` is run once, for all URIs, and finds them in the session.
    progress: say at a terminal that the daemon is waited for; not for a command that goes on by itself.
    lazy: connects by itself, if at all, to one daemon, also if a URI was given.
    """

    name: str
    handler: Callable[[AdminSession, Invocation], Awaitable[None]]
    help: str
    description: str = ""
    options: tuple[Option, ...] = ()
    aliases: tuple[str, ...] = ()
    connected: bool = True
    hidden: bool = False
    last: bool = False
    timeout: float | None = None
    together: bool = False
    progress: bool = True
    lazy: bool = False


class Group(NamedTuple):
    """Commands that belong together. keyword: `help KEYWORD` lists them."""

    title: str
    keyword: str
    commands: tuple[Command, ...]


class CommandTable:
    """All commands, by name and by group.

    problems: why extensions could not be used, one line each; known once they were asked.
    """

    def __init__(
        self, groups: Iterable[Group], extensions: Iterable[Group | PluginError] = ()
    ) -> None:
        """Take these groups.

        Args:
            groups: what is always there.
            extensions: more groups, or the reasons why there are none. One after the other is asked
                for a command that is not known yet, and all of them for a list.

        Raises:
            ValueError: two of `groups` have a command of the same name.
        """
        self.problems: list[str] = []
        self._groups: list[Group] = []
        self._by_name: dict[str, Command] = {}
        self._extensions = iter(extensions)
        for group in groups:
            self._add(group)

    def find(self, name: str) -> Command | None:
        """The command of this name or alias."""
        while name not in self._by_name:
            if not self._extend():
                return None
        return self._by_name[name]

    def find_group(self, name: str) -> Group | None:
        """The group of this title or keyword."""
        return next((group for group in self.groups() if name in group[:2]), None)

    def groups(self) -> list[Group]:
        """All groups, in the order of their declaration."""
        while self._extend():
            pass
        return self._groups

    def listed(self) -> Iterator[Command]:
        """The commands that help and completion speak of."""
        return (each for group in self.groups() for each in group.commands if not each.hidden)

    def _add(self, group: Group) -> None:
        added: dict[str, Command] = {}
        for command in group.commands:
            for name in (command.name, *command.aliases):
                if name in self._by_name or name in added:
                    raise ValueError(f"command '{name}' of group '{group.title}' exists already")
                added[name] = command
        self._groups.append(group)
        self._by_name.update(added)

    def _extend(self) -> bool:
        """Take the next extension; whether there was one."""
        try:
            found = next(self._extensions)
        except StopIteration:
            return False
        if isinstance(found, PluginError):
            self.problems.append(str(found))
            return True
        try:
            self._add(found)
        except ValueError as error:
            self.problems.append(str(error))
        return True
