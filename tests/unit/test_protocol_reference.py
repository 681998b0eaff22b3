"""The protocol reference in docs/ says what the tables say."""

from __future__ import annotations

from pathlib import Path

from admin.protocol import ADMIN
from admin.reference import reference

_DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_protocol_reference_is_current() -> None:
    assert _DOCUMENT.read_text(encoding="utf-8") == reference(), (
        "run `python -m admin.reference write`"
    )


def test_every_admin_procedure_is_in_the_reference() -> None:
    text = reference()
    for procedure in ADMIN:
        assert f"| {procedure.number} | {procedure.name} |" in text
