"""The grammar of command lines. Every rule here was seen in virt-admin 9.0.0."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aiovirt.admin.cli.commands import command_table
from aiovirt.admin.cli.failure import CommandFailed, CommandSyntaxError
from aiovirt.admin.cli.invocation import UINT_MAX, ULONG_MAX, Invocation, to_integer, to_number
from aiovirt.admin.cli.parser import ArgumentWords, LineWords, parse, parse_partial
from aiovirt.admin.cli.table import Command, CommandTable, Group, Option, OptionKind
from aiovirt.admin.plugins import PluginError

TABLE = command_table()


def of_line(line: str) -> list[Invocation]:
    return parse(LineWords(line), TABLE)


def of_words(*words: str) -> Invocation:
    (command,) = parse(ArgumentWords(words), TABLE)
    return command


def echoed(line: str) -> list[list[str]]:
    """What each `echo` of a line is told to print."""
    return [command.all("string") for command in of_line(line)]


def mistakes(*words: str) -> tuple[str, ...]:
    words_or_line = ArgumentWords(words) if len(words) > 1 else LineWords(words[0])
    with pytest.raises(CommandSyntaxError) as wrong:
        parse(words_or_line, TABLE)
    return wrong.value.lines


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("echo a b", [["a", "b"]]),
        ("  echo   a\tb  ", [["a", "b"]]),
        ("echo a;echo b", [["a"], ["b"]]),
        ("echo a ;; echo b", [["a"], ["b"]]),
        ("echo a\n\necho b", [["a"], ["b"]]),
        ("echo 'a b' \"c d\"", [["a b", "c d"]]),
        ("echo 'it'\"s\"", [["its"]]),
        ("echo \"a'b\" 'c\"d'", [["a'b", 'c"d']]),
        (r'echo "a\"b\\c" ' + r"'d\e' f\ g h\;i", [['a"b\\c', r"d\e", "f g", "h;i"]]),
        ("echo 'a;b' \"c\nd\"", [["a;b", "c\nd"]]),
        ("echo a\\\nb", [["ab"]]),
        ("echo a \\\n b", [["a", "b"]]),
        ('echo "\\\n" x', [["", "x"]]),
        ("echo \"\" ''", [["", ""]]),
        ("echo 'a", [["a"]]),
        ("echo a # b", [["a"]]),
        ("echo a#b #c\necho d", [["a#b"], ["d"]]),
        ("# a; echo b", []),
        ("#a\necho b", [["b"]]),
        ("'#x' y; echo b", [["b"]]),
        ('"echo" x', [["x"]]),
        ("echo a\rb", [["a\rb"]]),
        ("", []),
        (" ", []),
        (";", []),
    ],
)
def test_a_line_falls_into_words(line: str, words: list[list[str]]) -> None:
    assert echoed(line) == words


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("echo a\\", "dangling \\"),
        ('echo "a', 'missing "'),
        ("nosuch", "unknown command: 'nosuch'"),
        ("'' x", "unknown command: ''"),
        ("uri; nosuch; uri", "unknown command: 'nosuch'"),
    ],
)
def test_a_line_that_does_not_parse_says_why(line: str, mistake: str) -> None:
    assert mistakes(line) == (mistake,)


@pytest.mark.parametrize("words", [("#x", "y"), ("#",)])
def test_a_comment_is_no_command(words: tuple[str, ...]) -> None:
    assert parse(ArgumentWords(words), TABLE) == []


@pytest.mark.parametrize(
    "words",
    [
        ("libvirtd", "5"),
        ("--server", "libvirtd", "--min-workers", "5"),
        ("--server=libvirtd", "--min-workers=5"),
        ("--min-workers", "5", "libvirtd"),
        ("--min-workers", "5", "--", "libvirtd"),
        ("--", "libvirtd", "5"),
    ],
)
def test_values_come_by_name_or_by_position(words: tuple[str, ...]) -> None:
    command = of_words("server-threadpool-set", *words)
    assert command.text("server") == "libvirtd"
    assert command.number("min-workers") == 5
    assert command.number("max-workers") is None
    assert not command.given("max-workers")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-x",), ["-x"]),
        (("---x", "--_x"), ["---x", "--_x"]),
        (("--string", "a", "b", "--string=c=d"), ["a", "b", "c=d"]),
        (("--", "--string"), ["--string"]),
        (("--", "--", "--err"), ["--", "--err"]),
        (("--str", "x"), ["x"]),
        (("--str=x",), ["x"]),
        (("--hi",), ["hello"]),
        (("--string", "--shell"), ["--shell"]),
        ((), []),
    ],
)
def test_the_rest_of_the_words_is_taken_as_it_is(
    words: tuple[str, ...], expected: list[str]
) -> None:
    assert of_words("echo", *words).all("string") == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("server-list", "x"), ["unexpected data 'x'"]),
        (("server-list", "--", "x"), ["unexpected data 'x'"]),
        (("server-list", "--x"), ["command 'server-list' doesn't support option --x"]),
        (("srv-list", "--x"), ["command 'server-list' doesn't support option --x"]),
        (("client-list", "--server", "a", "--server", "b"), ["option --server already seen"]),
        (("client-list", "a", "--server", "b"), ["option --server already seen"]),
        (("client-list", "--server"), ["expected syntax: --server <string>"]),
        (("daemon-timeout", "--timeout"), ["expected syntax: --timeout <number>"]),
        (("daemon-timeout", "4", "5"), ["unexpected data '5'"]),
        (("daemon-timeout", "--help=x"), ["invalid '=' after option --help"]),
        (("echo", "--xml=1"), ["invalid '=' after option --xml"]),
        (("echo", "--hi=1"), ["invalid '=' after option --hi"]),
        (("echo", "--xml", "--xml"), ["option --xml already seen"]),
        (
            ("client-info", "--"),
            [
                "command 'client-info' requires <server> option",
                "command 'client-info' requires <client> option",
            ],
        ),
        (("daemon-timeout", "--"), ["command 'daemon-timeout' requires --timeout option"]),
        (
            ("client-disconnect", "a"),
            ["command 'client-disconnect' requires --client option"],
        ),
    ],
)
def test_words_that_do_not_fit_the_command_say_why(
    words: tuple[str, ...], expected: list[str]
) -> None:
    assert list(mistakes(*words)) == expected


@pytest.mark.parametrize("words", [("srv-list", "--help"), ("server-list", "--help", "--help")])
def test_help_as_an_option_asks_for_the_command_named(words: tuple[str, ...]) -> None:
    command = of_words(*words)
    assert command.command.name == "help"
    assert command.peek("command") == "server-list"


@pytest.mark.parametrize("words", [("--foo",), ("a", "b", "c"), ("--command", "a", "--foo")])
def test_help_answers_whatever_it_is_asked(words: tuple[str, ...]) -> None:
    command = of_words("help", *words)
    assert command.peek("command") == ("a" if "a" in words else None)


def test_what_is_understood_can_be_traced() -> None:
    seen: list[str] = []
    parse(ArgumentWords(["echo", "--shell", "a"]), TABLE, seen.append)
    assert seen == ["echo: shell(bool): (none)\n", "echo: string(optdata): a\n"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        (" \t5", 5),
        ("+5", 5),
        ("4294967295", UINT_MAX),
        ("4294967296", None),
        ("-1", None),
        ("-0", None),
        ("", None),
        (" ", None),
        ("5 ", None),
        ("5x", None),
        ("0x5", None),
        ("1e3", None),
        ("+ 5", None),
        ("--5", None),
        ("\u0663", None),
        ("1_000", None),
        ("9" * 5000, None),
        ("0" * 5000 + "1", 1),
    ],
)
def test_numbers_are_read_as_c_reads_them(text: str, number: int | None) -> None:
    assert to_number(text, UINT_MAX) == number


def test_a_wrapping_number_takes_negative_ones_from_the_top() -> None:
    assert to_number("-1", ULONG_MAX, wrap=True) == ULONG_MAX
    assert to_number("-0", ULONG_MAX, wrap=True) == 0
    assert to_number(str(-ULONG_MAX), ULONG_MAX, wrap=True) == 1
    assert to_number(str(-ULONG_MAX - 1), ULONG_MAX, wrap=True) is None
    assert to_integer("-3") == -3


def test_a_value_that_is_no_number_is_shown() -> None:
    command = of_words("client-disconnect", "a", "x")
    with pytest.raises(CommandFailed, match="Numeric value 'x' for <client> option is malformed"):
        command.number("client")


def test_an_empty_value_is_refused_where_it_means_nothing() -> None:
    with pytest.raises(CommandFailed, match="Failed to get option 'server': Option argument is"):
        of_words("client-list", "").required("server")
    assert of_words("daemon-log-filters", "").text("filters") == ""


@pytest.mark.parametrize(
    ("line", "command", "option"),
    [
        ("", None, None),
        ("ser", None, None),
        ("uri;", None, None),
        ("uri; ser", None, None),
        ("server-list", "server-list", None),
        ("client-list ", "client-list", None),
        ("client-list a", "client-list", "server"),
        ("client-list a ", "client-list", None),
        ("client-list --server ", "client-list", "server"),
        ("client-list --server a", "client-list", "server"),
        ("client-list --server=a", "client-list", "server"),
        ('client-list "a', "client-list", "server"),
        ("client-list --nosuch ", "client-list", None),
        ("client-list a b", "client-list", None),
        ("client-list a\\", "client-list", None),
        ("uri; client-list a", "client-list", "server"),
        ("client-info a 1", "client-info", "client"),
    ],
)
def test_an_unfinished_line_shows_what_is_being_typed(
    line: str, command: str | None, option: str | None
) -> None:
    partial = parse_partial(line, TABLE)
    assert (partial.command and partial.command.name) == command
    assert next((value.option.name for value in partial.values if value.here), None) == option


async def nothing(session: object, command: Invocation) -> None:
    """A handler that does nothing."""


def test_a_named_only_option_takes_no_position() -> None:
    options = (Option("a", OptionKind.STRING, named_only=True), Option("b", OptionKind.STRING))
    table = CommandTable([Group("G", "g", (Command("x", nothing, "does x", options=options),))])
    (command,) = parse(LineWords("x 1"), table)
    assert (command.peek("a"), command.peek("b")) == (None, "1")


def test_a_name_is_declared_once() -> None:
    command = Command("x", nothing, "does x", aliases=("y",))
    with pytest.raises(ValueError, match="command 'y' of group 'H' exists already"):
        CommandTable([Group("G", "g", (command,)), Group("H", "h", (command._replace(name="z"),))])


def test_extensions_are_asked_only_for_what_is_not_known() -> None:
    asked = []

    def more() -> Iterator[Group]:
        for keyword, name in [("h", "b"), ("i", "c")]:
            asked.append(name)
            yield Group(keyword.upper(), keyword, (Command(name, nothing, f"does {name}"),))

    table = CommandTable([Group("G", "g", (Command("a", nothing, "does a"),))], more())
    assert table.find("a") is not None
    assert asked == []
    assert table.find("b") is not None
    assert asked == ["b"]
    assert table.find("d") is None
    assert [group.keyword for group in table.groups()] == ["g", "h", "i"]
    assert asked == ["b", "c"]


def test_an_extension_that_cannot_be_used_is_left_out_and_told() -> None:
    command = Command("x", nothing, "does x", aliases=("y",))
    bad = Group("H", "h", (Command("z", nothing, "does z"), command))
    good = Group("I", "i", (command._replace(name="v", aliases=()),))
    table = CommandTable([Group("G", "g", (command,))], [bad, PluginError("broken"), good])
    assert [group.keyword for group in table.groups()] == ["g", "i"]
    assert table.problems == ["command 'x' of group 'H' exists already", "broken"]
    assert table.find("z") is None
