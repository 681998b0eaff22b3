"""The shape of the command table, from which parsing, help and completion are made.

Groups hold commands, commands hold options, all declared once, in `commands`. Commands of other
packages join by an entry point (see `CommandTable.with_extensions`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from aiovirt.admin.cli.invocation import Invocation
    from aiovirt.admin.cli.session import AdminSession

#: What a package that brings commands of its own declares: NAME = "module:GROUP", GROUP a `Group`.
ENTRY_POINTS: Final = "aiovirt.virtadm"


class OptionKind(Enum):
    """What an option takes (libvirt: vshCmdOptType)."""

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
    "NAME=VALUE".
    """

    name: str
    kind: OptionKind
    help: str = ""
    required: bool = False
    empty_ok: bool = False
    named_only: bool = False
    stands_for: str = ""
    complete: Callable[[AdminSession, Invocation], Awaitable[list[str]]] | None = None

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
    listed.
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


class Group(NamedTuple):
    """Commands that belong together. keyword: `help KEYWORD` lists them."""

    title: str
    keyword: str
    commands: tuple[Command, ...]


class CommandTable:
    """All commands, by name and by group."""

    def __init__(
        self, groups: Iterable[Group], extensions: Callable[[], Iterable[Group]] | None = None
    ) -> None:
        """Take these groups. `extensions` gives more when something is asked that these can't answer."""
        self._groups: list[Group] = []
        self._by_name: dict[str, Command] = {}
        self._extensions = extensions
        for group in groups:
            self._add(group)

    @classmethod
    def with_extensions(cls, groups: Iterable[Group]) -> CommandTable:
        """A table that other packages add to, by entry points named `aiovirt.virtadm`."""
        return cls(groups, _installed_groups)

    def find(self, name: str) -> Command | None:
        """The command of this name or alias."""
        if name not in self._by_name:
            self._extend()
        return self._by_name.get(name)

    def find_group(self, name: str) -> Group | None:
        """The group of this title or keyword."""
        return next((group for group in self.groups() if name in group[:2]), None)

    def groups(self) -> list[Group]:
        """All groups, in the order of their declaration."""
        self._extend()
        return self._groups

    def listed(self) -> Iterator[Command]:
        """The commands that help and completion speak of."""
        return (each for group in self.groups() for each in group.commands if not each.hidden)

    def _add(self, group: Group) -> None:
        self._groups.append(group)
        for command in group.commands:
            for name in (command.name, *command.aliases):
                if name in self._by_name:
                    raise ValueError(f"command '{name}' of group '{group.title}' exists already")
                self._by_name[name] = command

    def _extend(self) -> None:
        extensions, self._extensions = self._extensions, None
        for group in extensions() if extensions else ():
            self._add(group)


def _installed_groups() -> Iterator[Group]:
    from importlib.metadata import entry_points

    for entry in entry_points(group=ENTRY_POINTS):
        group = entry.load()
        if not isinstance(group, Group):
            raise TypeError(f"entry point {entry.name} of {ENTRY_POINTS}: {group!r} is no Group")
        yield group
