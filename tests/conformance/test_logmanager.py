"""Every scenario about logs, at libvirt's virtlogd and at our logd."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.catalogue import log_scenarios
from tests.conformance.peers import LOG_PEERS, Daemons
from tests.conformance.scenario import Scenario, play
from tests.conftest import StartDaemon

_ALL = [
    pytest.param(name, told, id=f"{name}-{full}")
    for name in LOG_PEERS
    for full, told in log_scenarios().items()
]


@pytest.mark.parametrize(("name", "told"), _ALL)
def test_daemon_does_as_libvirt_did(
    name: str, told: Scenario, log_daemons: Daemons, start_daemon: StartDaemon, tmp_path: Path
) -> None:
    own = {**LOG_PEERS[name], **told.settings}
    daemon = start_daemon(name, own) if told.apart else log_daemons(name)
    assert play(told, daemon, tmp_path) == []
