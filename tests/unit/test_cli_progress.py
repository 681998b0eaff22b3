"""What is waited for stands on the last line of a terminal, and nowhere else."""

from __future__ import annotations

import asyncio
import io

import pytest

from aiovirt.admin.cli import progress as module
from aiovirt.admin.cli.progress import progress
from aiovirt.admin.cli.terminal import Terminal, has_colours
from tests.unit.house import eventually


class Screen(io.StringIO):
    """A terminal, as far as a program can tell."""

    def isatty(self) -> bool:
        return True

    def visible(self) -> str:
        """The last line as a person sees it."""
        line = ""
        for part in self.getvalue().rpartition("\n")[2].split("\r"):
            line = part + line[len(part) :]
        return line.rstrip()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.001)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")


async def test_a_slow_command_says_what_it_waits_for_and_leaves_no_trace() -> None:
    err = Screen()
    async with progress(Terminal("virtadm", out=Screen(), err=err), lambda: ["virtd:///"]):
        await eventually(lambda: err.visible().startswith("waiting for virtd:/// ("))
    assert err.visible() == ""


async def test_output_comes_on_a_clean_line_and_ends_the_progress() -> None:
    screen = Screen()
    terminal = Terminal("virtadm", out=screen, err=screen)
    async with progress(terminal, lambda: ["virtd:///"]):
        await eventually(screen.visible)
        terminal.write("the answer\n")
        await asyncio.sleep(0.01)
        assert screen.visible() == ""
    assert screen.getvalue().endswith("\rthe answer\n")


async def test_an_error_comes_on_a_clean_line() -> None:
    screen = Screen()
    terminal = Terminal("virtadm", out=screen, err=screen)
    async with progress(terminal, lambda: ["virtd:///"]):
        await eventually(screen.visible)
        terminal.error("no")
    assert "\rerror: no\n" in screen.getvalue()


async def test_with_several_daemons_it_goes_on_for_the_others() -> None:
    screen = Screen()
    terminal = Terminal("virtadm", out=screen, err=screen)
    names = ["a:///", "b:///"]
    async with progress(terminal, lambda: names, through_output=True):
        await eventually(lambda: screen.visible().startswith("waiting for a:///, b:/// ("))
        terminal.write("the answer of a\n")
        del names[0]
        await eventually(lambda: screen.visible().startswith("waiting for b:/// ("))


async def test_a_line_never_wraps_and_obeys_no_name() -> None:
    screen = Screen()
    names = ["virtd:///?socket=/\x1b[2J" + "x" * 200]
    async with progress(Terminal("virtadm", out=screen, err=screen), lambda: names):
        await eventually(screen.visible)
        assert len(screen.visible()) < 60
        assert screen.visible().endswith(" s)")
    assert "\x1b" not in screen.getvalue()


@pytest.mark.parametrize("case", ["pipe", "quiet", "json", "aside"])
async def test_where_it_would_disturb_there_is_none(case: str) -> None:
    screen = io.StringIO() if case == "pipe" else Screen()
    terminal = Terminal("virtadm", out=Screen(), err=screen)
    terminal.quiet = case == "quiet"
    terminal.json = case == "json"
    if case == "aside":
        terminal.on_error = print
    assert not terminal.shows_progress
    async with progress(terminal, lambda: ["virtd:///"]):
        await asyncio.sleep(0.01)
    assert screen.getvalue() == ""


async def test_json_for_a_file_leaves_the_terminal_free_for_it() -> None:
    terminal = Terminal("virtadm", out=io.StringIO(), err=Screen())
    terminal.json = True
    assert terminal.shows_progress


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_colours_are_for_those_who_can_and_want_them(
    environ: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert has_colours(environ) == coloured
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    screen, pipe = Screen(), io.StringIO()
    for err in (screen, pipe):
        Terminal("virtadm", out=io.StringIO(), err=err).error("no")
    assert screen.getvalue() == ("\x1b[31merror:\x1b[0m no\n" if coloured else "error: no\n")
    assert pipe.getvalue() == "error: no\n"
