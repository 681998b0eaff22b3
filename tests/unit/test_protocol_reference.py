"""The protocol reference in docs/ says what the tables say."""

from __future__ import annotations

import sys
from enum import IntFlag
from pathlib import Path
from typing import Annotated, Any

import pytest

import aiovirt
from aiovirt.admin.protocol import FlagsArgs
from aiovirt.daemons import reference as made
from aiovirt.daemons.reference import pages, programs
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.program import Program

_DOCS = Path(__file__).parents[2] / "docs"


def reference() -> str:
    """All pages, one after the other."""
    return "\n".join(pages().values())


@pytest.mark.parametrize("page", pages())
def test_the_protocol_reference_is_current(page: str) -> None:
    assert (_DOCS / page).read_text(encoding="utf-8") == pages()[page], (
        "run `python -m aiovirt.daemons.reference write`"
    )


def test_a_long_program_has_a_page_of_its_own() -> None:
    assert "| DOMAIN_CREATE |" in pages()["protocol-remote.md"]
    assert "[protocol-remote.md](protocol-remote.md)" in pages()["protocol.md"]


def test_enumerations_beside_a_table_are_on_its_page() -> None:
    text = pages()["protocol-remote.md"]
    assert "**DomainXMLFlags**: 1 SECURE, 2 INACTIVE, 4 UPDATE_CPU, 8 MIGRATABLE." in text


@pytest.mark.parametrize("program", programs(), ids=lambda program: program.name)
def test_every_procedure_is_in_the_reference(program: Program) -> None:
    text = reference()
    for procedure in program:
        assert f"| {procedure.number} | {procedure.name} |" in text


def test_a_table_is_found_in_a_module_of_a_package_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "made_up_protocol"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "things.py").write_text(
        "from aiovirt.rpc.wire.program import Program\nTHINGS = Program('things', 3, 1)\n"
    )
    monkeypatch.setattr(aiovirt, "__path__", [*aiovirt.__path__, str(tmp_path)])
    try:
        assert "things" in {program.name for program in programs()}
    finally:
        for name in ("made_up_protocol.things", "made_up_protocol"):
            sys.modules.pop(f"aiovirt.{name}", None)
        vars(aiovirt).pop("made_up_protocol", None)


def test_fields_are_explained_where_their_types_explain_them() -> None:
    text = pages()["protocol.md"]
    assert "[TIME, LEVEL, SOURCE, THREAD, MESSAGE, FIELDS, TRACEBACK]" in text
    assert "timeout: in milliseconds; 0 without end" in text
    assert "bytes, at most 4194304" in text
    assert "Source:" not in text


def test_cells_are_short() -> None:
    cells = [
        cell for line in reference().splitlines() if line[:1] == "|" for cell in line.split("|")
    ]
    assert max(map(len, cells)) <= 150


class Choice(IntFlag):
    """Two flags."""

    ONE = 1
    FOUR = 4


@xdr.struct
class Row:
    """A row of ours."""

    number: xdr.UInt


OurRow = Row


@xdr.struct
class Row:  # type: ignore[no-redef]  # another type of the same name is the point
    """A row of theirs."""

    text: xdr.Str


TheirRow = Row


@xdr.struct
class OurArgs:
    """Arguments of ours."""

    row: OurRow  # type: ignore[valid-type]  # the first of the two


@xdr.struct
class TheirArgs:
    """Arguments of theirs."""

    rows: Annotated[list[TheirRow], xdr.Array(TheirRow, 9)]  # type: ignore[valid-type]  # the second


@xdr.struct
class BothArgs:
    """One of each."""

    ours: OurRow  # type: ignore[valid-type]  # the first of the two
    theirs: TheirRow  # type: ignore[valid-type]  # the second


def test_two_programs_may_have_types_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = Program("ours", 1, 1), Program("theirs", 2, 1)
    ours.procedure(1, "SEND", OurArgs, xdr.Void)
    theirs.event(1, "SENT", TheirArgs)
    monkeypatch.setattr(made, "programs", lambda: [ours, theirs])
    text = reference()
    first, second = text.index("## Program `ours`"), text.index("## Program `theirs`")
    assert "**Row**: number unsigned. A row of ours." in text[first:second]
    assert "| 1 | SENT | rows Row<9> |" in text[second:]
    assert "**Row**: text string. A row of theirs." in text[second:]


class TestProperties:
    """What the last column of a program's table says."""

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"flags": 0}, ""),
            ({}, "any flags"),
            ({"flags": 3}, "flags 0x3"),
            ({"flags": Choice}, "Choice"),
            ({"flags": 0, "reads": True, "priority": True, "needs_auth": False}, "R, P, A"),
            ({"flags": 0, "call_fds": True, "reply_fds": True}, "fds in, fds out"),
            ({"flags": Choice, "stream": True}, "Choice, stream"),
        ],
    )
    def test_it_has_the_flags_and_the_marks(
        self, monkeypatch: pytest.MonkeyPatch, options: Any, said: str
    ) -> None:
        program = Program("one", 1, 1)
        program.procedure(1, "DO", FlagsArgs, xdr.Void, **options)
        monkeypatch.setattr(made, "programs", lambda: [program])
        text = reference()
        assert f"| 1 | DO | flags unsigned |  | {said} |" in text
        assert ("**Choice**: 1 ONE, 4 FOUR." in text) == ("Choice" in said)

    def test_without_a_field_for_flags_it_says_nothing_of_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = Program("one", 1, 1)
        program.procedure(1, "DO", xdr.Void, xdr.Void)
        monkeypatch.setattr(made, "programs", lambda: [program])
        assert "| 1 | DO |  |  |  |" in reference()


def test_one_program_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program("both", 1, 1)
    program.procedure(1, "SEND", BothArgs, xdr.Void)
    monkeypatch.setattr(made, "programs", lambda: [program])
    with pytest.raises(TypeError, match="two types of one program have the name Row"):
        reference()
