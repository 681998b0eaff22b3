"""Text as manual pages want it: roff with the macros of man(7).

Source: groff_man(7) and groff_man_style(7).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import Final

_WIDTH: Final = 96

#: `literal`, or -o and --option wherever they stand alone.
_LITERAL: Final = re.compile(r"`([^`]*)`|(?<![\w`-])(--?[A-Za-z][\w-]*)")


class Page:
    """A manual page, written from top to bottom.

    Inside texts, `literals` in backquotes and options are set in bold.
    """

    def __init__(self, name: str, section: int, summary: str, *, source: str, manual: str) -> None:
        """Begin the page.

        Args:
            name: what the page describes.
            section: the section of the manual.
            summary: a phrase for the index, without a full stop.
            source: the program's package and version.
            manual: the title of the manual that the page is part of.
        """
        self.file = f"{name}.{section}"
        self._lines = [
            f'.TH "{escape(name.upper())}" "{section}" "" "{escape(source)}" "{escape(manual)}"',
            ".nh",  # an option that is cut in two cannot be searched for
            ".ad l",
        ]
        self.section("Name")
        self._lines.append(f"{escape(name)} \\- {escape(summary)}")

    def section(self, title: str) -> None:
        """Begin a section."""
        self._lines.append(f'.SH "{escape(title.upper())}"')

    def subsection(self, title: str) -> None:
        """Begin a part of a section."""
        self._lines.append(f'.SS "{escape(title)}"')

    def paragraph(self, text: str) -> None:
        """Add a paragraph."""
        self._lines.append(".PP")
        self._fill(text)

    def synopsis(self, program: str, rest: str) -> None:
        """Add a line of the synopsis."""
        self._lines += [".PP", f"\\fB{escape(program)}\\fR {escape(rest)}".rstrip()]

    def tagged(self, tag: str, *paragraphs: str) -> None:
        """Add a paragraph that hangs under a tag, with more paragraphs below it."""
        self._lines += [".TP", f"\\fB{escape(tag)}\\fR"]
        for number, text in enumerate(paragraphs):
            if number:
                self._lines.append(".IP")
            self._fill(text)

    def table(self, rows: Iterable[tuple[str, str]]) -> None:
        """Add tagged paragraphs, one for each row, one step to the right."""
        self._lines.append(".RS")
        for tag, text in rows:
            self.tagged(tag, text)
        self._lines.append(".RE")

    def see_also(self, *pages: tuple[str, int]) -> None:
        """End the page with other pages: their names and sections."""
        self.section("See also")
        shown = [f"\\fB{escape(name)}\\fR({section})" for name, section in pages]
        self._lines.append(",\n".join(shown))

    def __str__(self) -> str:
        """The whole page."""
        return "\n".join(self._lines) + "\n"

    def _fill(self, text: str) -> None:
        filled = textwrap.wrap(
            _marked(text), _WIDTH, break_long_words=False, break_on_hyphens=False
        )
        # A line that begins with a point or a quote would be a request.
        self._lines += [f"\\&{line}" if line[0] in ".'" else line for line in filled]


def escape(text: str) -> str:
    """The text as roff shows it unchanged, hyphens as they are typed in a shell."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    text = text.replace("'", "\\(aq").replace("^", "\\(ha").replace("~", "\\(ti")
    return "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in text)


def _marked(text: str) -> str:
    """The text with its literals in bold; hyphens of words stay hyphens."""
    parts, end = [], 0
    for match in _LITERAL.finditer(text):
        parts += [_prose(text[end : match.start()]), f"\\fB{escape(match[1] or match[2])}\\fR"]
        end = match.end()
    return "".join([*parts, _prose(text[end:])])


def _prose(text: str) -> str:
    # Only a hyphen between letters is a hyphen; any other one belongs to a literal or a number.
    return re.sub(r"(?<=[A-Za-z])\\-(?=[A-Za-z])", "-", escape(text))
