"""The protocol reference in docs/ says what the tables say."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiovirt.admin.protocol import ADMIN
from aiovirt.daemons.lockd.admin_protocol import LOCK_ADMIN
from aiovirt.daemons.lockd.protocol import LOCK_SPACE
from aiovirt.daemons.logd.admin_protocol import LOG_ADMIN
from aiovirt.daemons.logd.protocol import LOG_MANAGER
from aiovirt.daemons.reference import reference
from aiovirt.daemons.virtd.remote_protocol import REMOTE
from aiovirt.rpc.wire.program import Program

_DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_protocol_reference_is_current() -> None:
    assert _DOCUMENT.read_text(encoding="utf-8") == reference(), (
        "run `python -m aiovirt.daemons.reference write`"
    )


@pytest.mark.parametrize("program", [ADMIN, REMOTE, LOCK_SPACE, LOG_MANAGER, LOCK_ADMIN, LOG_ADMIN])
def test_every_procedure_is_in_the_reference(program: Program) -> None:
    text = reference()
    for procedure in program:
        assert f"| {procedure.number} | {procedure.name} |" in text
