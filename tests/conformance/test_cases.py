"""Every case of the catalogue, at libvirt's daemons and at ours."""

from __future__ import annotations

import pytest

from tests.conformance.case import Case
from tests.conformance.catalogue import cases
from tests.conformance.judge import judge
from tests.conformance.peers import PEERS, Daemons

_ALL = [
    pytest.param(name, case, id=f"{name}-{full}")
    for name in PEERS
    for full, case in cases(name).items()
]


@pytest.mark.parametrize(("name", "case"), _ALL)
def test_daemon_does_as_libvirt_did(name: str, case: Case, daemons: Daemons) -> None:
    assert judge(case, daemons(name).admin_socket, name) == []
