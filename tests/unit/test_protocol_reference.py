"""The protocol reference in docs/ says what the tables say."""

from __future__ import annotations

from pathlib import Path

import pytest

from admin.protocol import ADMIN
from daemons.lockd.admin_protocol import LOCK_ADMIN
from daemons.lockd.protocol import LOCK_SPACE
from daemons.logd.admin_protocol import LOG_ADMIN
from daemons.logd.protocol import LOG_MANAGER
from daemons.reference import reference
from daemons.virtd.remote_protocol import REMOTE
from rpc.wire.program import Program

_DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_protocol_reference_is_current() -> None:
    assert _DOCUMENT.read_text(encoding="utf-8") == reference(), (
        "run `python -m daemons.reference write`"
    )


@pytest.mark.parametrize("program", [ADMIN, REMOTE, LOCK_SPACE, LOG_MANAGER, LOCK_ADMIN, LOG_ADMIN])
def test_every_procedure_is_in_the_reference(program: Program) -> None:
    text = reference()
    for procedure in program:
        assert f"| {procedure.number} | {procedure.name} |" in text
