"""The protocol reference in docs/ says what the tables say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest

from aiovirt.daemons import reference as made
from aiovirt.daemons.reference import programs, reference
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.program import Program

_DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_protocol_reference_is_current() -> None:
    assert _DOCUMENT.read_text(encoding="utf-8") == reference(), (
        "run `python -m aiovirt.daemons.reference write`"
    )


@pytest.mark.parametrize("program", programs(), ids=lambda program: program.name)
def test_every_procedure_is_in_the_reference(program: Program) -> None:
    text = reference()
    for procedure in program:
        assert f"| {procedure.number} | {procedure.name} |" in text


def test_cells_are_short() -> None:
    cells = [
        cell for line in reference().splitlines() if line[:1] == "|" for cell in line.split("|")
    ]
    assert max(map(len, cells)) <= 150


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


def test_one_program_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program("both", 1, 1)
    program.procedure(1, "SEND", BothArgs, xdr.Void)
    monkeypatch.setattr(made, "programs", lambda: [program])
    with pytest.raises(TypeError, match="two types of one program have the name Row"):
        reference()
