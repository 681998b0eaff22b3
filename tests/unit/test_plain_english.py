"""README, the documents, and the texts of the sources keep the mechanical rules of plain English.

The rules are those that a machine can decide: the subject of a sentence, four mannered phrases, and
the length of a table's cell. The offenders in the sources, by folder:

    python -m tests.unit.test_plain_english                # everywhere
    python -m tests.unit.test_plain_english rpc/server     # in one folder or file
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = ("rpc", "admin", "daemons", "src/aiovirt")
#: These are made from the texts of the sources, and judged with them.
GENERATED: Final = ("docs/protocol.md", "docs/protocol-remote.md", "docs/settings.md")
DOCUMENTS: Final = tuple(
    path
    for path in (
        "README.md",
        "CHANGELOG.md",
        *sorted(f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")),
    )
    if path not in GENERATED
)
CELL_MAX: Final = 150

#: "behind" is a place in these, and not an order.
_BEHIND_ALLOWED: Final = re.compile(
    r"\bbehind (?:a|the) (?:NAT|proxy|firewall|load balancer)\b"
    r"|\bbehind such a socket\b|\b(?:left|leaves?|leaving) (?:\w+ ){0,3}behind\b",
    re.IGNORECASE,
)
_RULES: Final = {
    "a sentence begins with Who, Whoever, What or Whatever": re.compile(
        r"^\W*(?:Who|Whoever|What|Whatever)(?:ever)?\b(?!.*\?\W*$)", re.DOTALL
    ),
    # "there is no X" and "is no longer" are ordinary English; "X is no Y" is the mannered one.
    'write "is not a", not "is no"': re.compile(
        r"(?<!\bthere )\bis no\b(?! (?:longer|more than)\b)"
    ),
    'write "existing" or "available", not "that there is"': re.compile(
        r"\bthat there (?:is|are)\b"
    ),
    'write "recently", not "of late"': re.compile(r"\bof late\b"),
    'write "after", not "behind", for time and order': re.compile(r"\bbehind\b"),
}


@dataclass(frozen=True, slots=True)
class Offence:
    """A text that breaks a rule. line: where its paragraph or literal begins."""

    path: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        text = self.text if len(self.text) <= 160 else f"{self.text[:157]}..."
        return f"{self.path}:{self.line}: {self.rule}: {text}"


def sentences(text: str) -> Iterator[str]:
    """The sentences of one paragraph, in order."""
    yield from re.split(r"(?<=[.!?])[\"')*]*\s+", text)


def broken_rules(text: str) -> Iterator[tuple[str, str]]:
    """Each rule that a paragraph breaks, with the sentence that does."""
    for sentence in sentences(" ".join(text.split())):
        judged = _BEHIND_ALLOWED.sub("", sentence)
        for rule, pattern in _RULES.items():
            if pattern.search(judged):
                yield rule, sentence


# Documents ---------------------------------------------------------------------------------------


def offences_in_document(path: str) -> list[Offence]:
    """The offences in a Markdown file's prose and tables; code and quotations are left out."""
    text = (ROOT / path).read_text(encoding="utf-8")
    found = []
    for line, paragraph in paragraphs(text):
        found += [Offence(path, line, *offence) for offence in broken_rules(plain(paragraph))]
    for number, line_text in enumerate(text.splitlines(), 1):
        for cell in cells(line_text):
            if len(cell) > CELL_MAX:
                rule = f"a table cell has at most {CELL_MAX} characters, this one {len(cell)}"
                found.append(Offence(path, number, rule, cell))
    return found


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """The paragraphs of a Markdown text with the numbers of their first lines."""
    begin, held, fenced = 0, list[str](), False
    for number, line in enumerate([*text.splitlines(), ""], 1):
        is_fence = line.lstrip().startswith("```")
        is_code = fenced or is_fence or (line.startswith("    ") and not held)
        fenced ^= is_fence
        separate = is_code or not line.strip() or line.lstrip().startswith(("|", "#", "<!--"))
        if held and (separate or re.match(r"\s*(?:[-*]|\d+\.) ", line)):
            yield begin, " ".join(held)
            held = []
        if is_code:
            continue
        if line.startswith("#"):
            yield number, line.lstrip("# ")
        elif line.lstrip().startswith("|"):
            yield from ((number, cell) for cell in cells(line))
        elif not separate:
            begin = begin if held else number
            held.append(re.sub(r"^\s*(?:[-*]|\d+\.) ", "", line).strip())


def cells(line: str) -> list[str]:
    """The cells of a table's row; none for other lines, and none for the rule under the head."""
    stripped = line.strip()
    if not stripped.startswith("|") or not stripped.strip("|-: "):
        return []
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", stripped.strip("|"))]


def plain(markdown: str) -> str:
    """A paragraph without its markup; code becomes one word."""
    text = re.sub(r"`[^`]*`", "CODE", markdown)
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)


# Sources -----------------------------------------------------------------------------------------


def offences_in_source(path: str) -> list[Offence]:
    """The offences in a Python file's messages, settings texts and first lines of docstrings."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return [
        Offence(path, line, *offence)
        for line, text in sorted(_texts(tree))
        for offence in broken_rules(text)
    ]


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node) or ""
            yield (
                getattr(node, "lineno", 1),
                re.sub(r"`+[^`]*`+", "CODE", docstring.partition("\n\n")[0]),
            )
        elif isinstance(node, ast.Call):
            for argument in _read_by_people(node):
                yield argument.lineno, _literal(argument)


def _read_by_people(call: ast.Call) -> Iterator[ast.expr]:
    """The arguments of a call that end up before somebody's eyes."""
    yield from (word.value for word in call.keywords if word.arg in ("doc", "help", "summary"))
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name) if re.search(
            r"(?:Error|Failed|Refused|Exception)$", name
        ):
            yield from call.args
        case ast.Attribute(value=ast.Name(id="_log" | "log")):
            yield from call.args[:1]


def _literal(node: ast.expr) -> str:
    """The text of a literal; what an f-string inserts is shown as X, and anything else is empty."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(
                _literal(part) if isinstance(part, ast.Constant) else "X" for part in parts
            )
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _literal(left) + _literal(right)
        case ast.IfExp(body=body, orelse=orelse):
            return f"{_literal(body)}\n{_literal(orelse)}"
    return ""


def sources(*places: str) -> list[str]:
    """The Python files of these folders and files, as paths from the root."""
    found: list[Path] = []
    for place in places or SOURCES:
        path = ROOT / place
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [str(path.relative_to(ROOT)) for path in found]


# The tests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_is_in_plain_english(path: str) -> None:
    assert [str(offence) for offence in offences_in_document(path)] == []


def test_the_texts_of_the_sources_are_in_plain_english() -> None:
    found = [str(one) for path in sources() for one in offences_in_source(path)]
    found += [str(one) for path in GENERATED for one in offences_in_document(path)]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "It is refused. Who asks is told.",
        "Whatever they are, only root is admitted.",
        "*What* is logged.",
        "A pipe is no file.",
        "The clients that there are go on.",
        "Locks that were refused of late.",
        "A byte behind the frame.",
    ],
)
def test_each_rule_finds_what_it_is_for(text: str) -> None:
    assert len(list(broken_rules(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "What is a slice? A run of frames.",
        "It is no longer needed, and there is no need to wait.",
        "A server behind a NAT; its thread is left behind.",
        "The client decides what is sent, and who may read it.",
    ],
)
def test_ordinary_sentences_break_no_rule(text: str) -> None:
    assert list(broken_rules(text)) == []


def test_code_is_not_judged_and_a_long_cell_is_found() -> None:
    text = (
        "```\nWhat is\n```\n\n    Who knows\n\nA `that there is` in code.\n\n- one\n  more\n- two"
    )
    assert [plain(one) for _, one in paragraphs(text)] == ["A CODE in code.", "one more", "two"]
    assert cells("| `a\\|b` | c |") == ["`a\\|b`", "c"]
    assert cells("|---|:-:|") == []


def main(places: list[str]) -> int:
    """Print the offenders of the sources, counted by folder. Returns the exit status."""
    found = [one for path in sources(*places) for one in offences_in_source(path)]
    if not places:
        found += [one for path in GENERATED for one in offences_in_document(path)]
    counts: dict[str, int] = {}
    for one in found:
        folder = str(Path(one.path).parent)
        counts[folder] = counts.get(folder, 0) + 1
        sys.stdout.write(f"{one}\n")
    sys.stdout.writelines(f"{count:4} {folder}\n" for folder, count in sorted(counts.items()))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
