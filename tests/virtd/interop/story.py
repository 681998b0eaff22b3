"""Stories: invocations of virsh that are compared on libvirtd and virtd, read from readable files.

A file of `stories/` has a head line for each story and an indented line for each invocation:

    [life] a domain lives and dies | test qemu
        define @guest
        start guest
        - undefine guest

The head has the area in brackets, the name, and the drivers. `@guest` is the path of
`documents/guest.xml`, or of the part of a collection `documents/*.txt` that begins with `== guest`;
`@dir` is a folder of the story. A line with `- ` cleans up and is not compared. A line with `& ` is a
command that waits for events while the others run; it stands before them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
DRIVERS: Final = ("test", "qemu")

_HEAD = re.compile(r"\[(?P<area>[a-z -]+)\] (?P<name>[^|]+) \| (?P<drivers>[a-z ]+)")


@dataclass(frozen=True)
class Invocation:
    """One command of virsh.

    label: the command, with its number if the story has it more than once; waits: for events.
    """

    command: str
    label: str
    compared: bool = True
    waits: bool = False


@dataclass(frozen=True)
class Story:
    """Invocations that follow each other on one host. driver: "test" or "qemu"."""

    area: str
    name: str
    driver: str
    invocations: tuple[Invocation, ...]

    def __str__(self) -> str:
        return f"{self.driver} {self.area}: {self.name}"

    @property
    def compared(self) -> list[Invocation]:
        """The invocations that count."""
        return [one for one in self.invocations if one.compared]


@cache
def documents() -> dict[str, str]:
    """Read all documents, by name: files of `documents/`, and the parts of its collections."""
    found = {path.stem: path.read_text() for path in HERE.glob("documents/*.xml")}
    for path in HERE.glob("documents/*.txt"):
        for part in path.read_text().split("\n== ")[1:]:
            name, _, text = part.partition("\n")
            found[name] = text
    return found


class BrokenStory(Exception):
    """A file of stories has a line that means nothing; the text names the file and the line."""


def stories() -> list[Story]:
    """Read all stories, one for each driver that they are for. Raises BrokenStory."""
    return [story for path in sorted(HERE.glob("stories/*.txt")) for story in _read(path)]


def _read(path: Path) -> Iterator[Story]:
    head: re.Match[str] | None = None
    commands: list[str] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("    "):
            commands.append(line.strip())
            continue
        if head is not None:
            yield from _made(head, commands)
        head, commands = _HEAD.fullmatch(line), []
        if head is None or not set(head["drivers"].split()) <= set(DRIVERS):
            raise BrokenStory(f"{path.name}:{number}: {line!r} is not a head of a story")
    if head is not None:
        yield from _made(head, commands)


def _made(head: re.Match[str], commands: list[str]) -> Iterator[Story]:
    seen: Counter[str] = Counter()
    invocations = []
    for line in commands:
        command = line.removeprefix("- ").removeprefix("& ")
        seen[command] += 1
        label = command if seen[command] == 1 else f"{command} #{seen[command]}"
        invocations.append(
            Invocation(command, label, not line.startswith("- "), line.startswith("& "))
        )
    for driver in head["drivers"].split():
        yield Story(head["area"], head["name"].strip(), driver, tuple(invocations))
