"""Every scenario about locks, at libvirt's virtlockd and at our lockd."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.catalogue import lock_scenarios
from tests.conformance.peers import LOCK_PEERS, Daemons
from tests.conformance.scenario import Scenario, play
from tests.conftest import StartDaemon

_ALL = [
    pytest.param(name, told, id=f"{name}-{full}")
    for name in LOCK_PEERS
    for full, told in lock_scenarios().items()
]


@pytest.mark.parametrize(("name", "told"), _ALL)
def test_daemon_does_as_libvirt_did(
    name: str, told: Scenario, lock_daemons: Daemons, start_daemon: StartDaemon, tmp_path: Path
) -> None:
    own = {**LOCK_PEERS[name], **told.settings}
    daemon = start_daemon(name, own) if told.apart else lock_daemons(name)
    assert play(told, daemon, tmp_path) == []
