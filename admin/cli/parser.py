"""From words to commands: the grammar of virsh and virt-admin.

A line is commands joined by `;` or newlines. Blanks separate words; '...', "..." and \\ quote; a word
that begins with # is a comment to the end of its line. Options are `--name`, `--name=value` or
`--name value`; `--` ends them; what has no name fills the options that take a value, in their order.

`parse` is strict: it gives all commands or raises. `parse_partial` takes what can be made out, for
completion. Both read through one `_Reader`.

Source: libvirt's tools/vsh.c (vshCommandParse, vshCommandStringGetArg, vshReadlineParse).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Protocol

from aiovirt.admin.cli.failure import CommandSyntaxError
from aiovirt.admin.cli.invocation import Invocation, Value
from aiovirt.admin.cli.table import HELP_OPTION, Command, CommandTable, Option, OptionKind


class Mark(Enum):
    """The marks between words."""

    SEPARATOR = 1  # the command ends, another may follow
    END = 2


class _Words(Protocol):
    def next(self, *, lenient: bool = False) -> str | Mark:
        """The next word or mark; `lenient`: an open quote is accepted."""

    def ends_here(self, *, blanks: int = 0) -> bool:
        """Whether the line ends `blanks` characters after what was read last."""


class ArgumentWords:
    """Words that a shell has separated already: a single command."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = iter(words)

    def next(self, *, lenient: bool = False) -> str | Mark:
        """The next word."""
        return next(self._words, Mark.END)

    def ends_here(self, *, blanks: int = 0) -> bool:
        """Never: nobody completes these."""
        return False


class LineWords:
    """Words of a line as a person types it. position: where the last word ended."""

    def __init__(self, line: str) -> None:
        self._line = line
        self.position = 0

    def ends_here(self, *, blanks: int = 0) -> bool:
        """Whether the line ends `blanks` characters after the last word."""
        return self.position + blanks == len(self._line)

    def next(self, *, lenient: bool = False) -> str | Mark:
        """The next word or mark. Raises CommandSyntaxError for an open quote."""
        line, start = self._line, self._skip_blanks()
        if start == len(line):
            return Mark.END  # `position` stays: completion asks what came before the blanks
        if line[start] in ";\n":
            self.position = start + 1
            return Mark.SEPARATOR
        if line[start] == "#":
            newline = line.find("\n", start)
            self.position = len(line) if newline < 0 else newline + 1
            return Mark.SEPARATOR
        return self._word(start, lenient=lenient)

    def _skip_blanks(self) -> int:
        line, at = self._line, self.position
        while at < len(line):
            if line[at] in " \t":
                at += 1
            elif line.startswith("\\\n", at):
                at += 2
            else:
                break
        return at

    def _word(self, at: int, *, lenient: bool) -> str:
        line, word, quote = self._line, "", ""
        while at < len(line):
            char = line[at]
            if not quote and char in " \t;\n":
                break
            at += 1
            if char == quote:
                quote = ""
            elif char in "'\"" and not quote:
                quote = char
            elif char == "\\" and quote != "'":
                if at == len(line):
                    raise CommandSyntaxError("dangling \\")
                # A backslash before the end of a line joins it with the next.
                word += "" if line[at] == "\n" else line[at]
                at += 1
            else:
                word += char
        # An open ' is let pass, as libvirt's shells always have.
        if quote == '"' and not lenient:
            raise CommandSyntaxError('missing "')
        self.position = at
        return word


class Partial:
    """The recognizable part of an unfinished command: the command, if any, and its options."""

    def __init__(self) -> None:
        self.command: Command | None = None
        self.values: list[Value] = []


def parse(
    words: _Words, table: CommandTable, trace: Callable[[str], None] = lambda text: None
) -> list[Invocation]:
    """All commands of a line. Raises CommandSyntaxError, and then none of them is to be run.

    trace: is told every option as it is understood.
    """
    commands = []
    more = True
    while more:
        reader = _Reader(words, table, trace)
        more = reader.read()
        if reader.command is not None:
            commands.append(reader.finish(reader.command))
    return commands


def parse_partial(line: str, table: CommandTable) -> Partial:
    """The last command of an unfinished line, as far as it goes."""
    words = LineWords(line)
    while True:
        reader = _Reader(words, table, lambda text: None, lenient=True)
        try:
            more = reader.read()
        except CommandSyntaxError:
            return reader
        if not more:
            return reader


class _Reader(Partial):
    """Reads one command."""

    def __init__(
        self,
        words: _Words,
        table: CommandTable,
        trace: Callable[[str], None],
        *,
        lenient: bool = False,
    ) -> None:
        super().__init__()
        self._words = words
        self._table = table
        self._trace = trace
        self._lenient = lenient
        self._seen: set[str] = set()
        self._filled: set[str] = set()

    def read(self) -> bool:
        """Read up to the command's end; whether there may be another one."""
        options_over = False
        while isinstance(word := self._words.next(lenient=self._lenient), str):
            if self.command is None:
                if word.startswith("#"):
                    while isinstance(mark := self._words.next(lenient=True), str):
                        pass
                    return mark is Mark.SEPARATOR
                self._command(word)
            elif word == "-h" and not options_over and self._asks_for_help(self.command):
                self._take(self.command, HELP_OPTION, None)
            elif not options_over and (short := _short_option(self.command, word)):
                self._option(self.command, short)
            elif options_over or not word.startswith("--"):
                self._data(self.command, word)
            elif word == "--":
                options_over = True
            elif word[2].isascii() and word[2].isalnum():
                self._option(self.command, word)
            else:
                self._data(self.command, word)
        return word is Mark.SEPARATOR

    def finish(self, command: Command) -> Invocation:
        """The command as read, if all that it requires is there."""
        help_command = self._table.find("help")
        if help_command and any(value.option is HELP_OPTION for value in self.values):
            return Invocation(help_command, (Value(help_command.options[0], command.name),))
        missing = [
            f"command '{command.name}' requires "
            + (
                f"<{option.name}>"
                if option.kind in (OptionKind.DATA, OptionKind.REST)
                else f"--{option.name}"
            )
            + " option"
            for option in command.options
            if option.required and option.name not in self._seen
        ]
        if missing:
            raise CommandSyntaxError(*missing)
        return Invocation(command, tuple(self.values))

    def _command(self, name: str) -> None:
        self.command = self._table.find(name)
        if self.command is None:
            raise CommandSyntaxError(
                f"unknown command: '{name}'",
                *similar(name, (one.name for one in self._table.listed())),
                *self._table.problems,
            )

    def _asks_for_help(self, command: Command) -> bool:
        """Whether a -h here means --help: as the first word, unless the command takes any words."""
        first = next((option for option in command.options if option.positional), None)
        return not self.values and (first is None or first.kind is not OptionKind.REST)

    def _option(self, command: Command, word: str) -> None:
        name, equals, rest = word[2:].partition("=")
        text = rest if equals else None
        try:
            option, text = self._lookup(command, name, text)
        except CommandSyntaxError:
            if command.name == "help":  # it answers whatever it is asked
                return
            raise
        if option.kind is OptionKind.FLAG:
            if text is not None:
                raise CommandSyntaxError(f"invalid '=' after option --{option.name}")
        elif text is None:
            found = self._words.next(lenient=self._lenient)
            if not isinstance(found, str):
                here = self._words.ends_here(blanks=1)
                self.values.append(Value(option, None, here))
                what = "number" if option.kind is OptionKind.NUMBER else "string"
                raise CommandSyntaxError(f"expected syntax: --{option.name} <{what}>")
            text = found
        self._take(command, option, text)

    def _lookup(self, command: Command, name: str, text: str | None) -> tuple[Option, str | None]:
        """The option of this name, through aliases, and the value it has by now."""
        if name == HELP_OPTION.name:
            return HELP_OPTION, text
        for option in command.options:
            if option.name != name:
                continue
            if option.kind is OptionKind.ALIAS:
                name, equals, preset = option.stands_for.partition("=")
                if equals and text is not None:
                    raise CommandSyntaxError(f"invalid '=' after option --{option.name}")
                text = preset if equals else text
                continue
            if name in self._seen and option.kind is not OptionKind.REST and not option.repeated:
                raise CommandSyntaxError(f"option --{name} already seen")
            return option, text
        raise CommandSyntaxError(
            f"command '{command.name}' doesn't support option --{name}",
            *similar(f"--{name}", (f"--{option.name}" for option in command.options)),
        )

    def _data(self, command: Command, word: str) -> None:
        for option in command.options:
            if option.positional and option.name not in self._filled:
                self._take(command, option, word)
                return
        if command.name != "help":
            raise CommandSyntaxError(f"unexpected data '{word}'")

    def _take(self, command: Command, option: Option, text: str | None) -> None:
        self._seen.add(option.name)
        if option.kind is not OptionKind.REST:
            self._filled.add(option.name)
        self.values.append(Value(option, text, self._words.ends_here()))
        kind, shown = ("bool", "(none)") if option.kind is OptionKind.FLAG else ("optdata", text)
        self._trace(f"{command.name}: {option.name}({kind}): {shown}\n")


def _short_option(command: Command, word: str) -> str | None:
    """Return the long spelling of an option with a letter, `-c VALUE` or `-cVALUE`."""
    for option in command.options:
        if option.letter and word.startswith(f"-{option.letter}"):
            value = word[2:]
            return f"--{option.name}={value}" if value else f"--{option.name}"
    return None


def similar(name: str, known: Iterable[str]) -> list[str]:
    """Return a line that says which names a mistyped one is close to, or nothing.

    Args:
        name: what was typed.
        known: the names that exist.
    """
    from difflib import get_close_matches  # needed for a mistyped name only

    found = get_close_matches(name, list(known), cutoff=0.75)
    names = " or ".join(f"'{one}'" for one in found)
    return [f"did you mean {names}?"] if found else []
