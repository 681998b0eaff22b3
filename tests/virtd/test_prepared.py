"""The worlds that a start takes as they are, without reading their documents."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from aiovirt.daemons.virtd.host import prepared
from aiovirt.daemons.virtd.host.clock import Clock
from aiovirt.daemons.virtd.host.flavour import FLAVOURS, TEST
from aiovirt.daemons.virtd.host.host import Host


def test_they_are_those_of_the_documents() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", prepared.__name__, "check"]
    assert subprocess.run(command, cwd=root, check=False).returncode == 0


def test_a_guest_of_them_begins_to_run_with_the_host() -> None:
    host = Host(TEST, Clock(lambda: 5_000))
    prepared.fill(host)
    (domain,) = host.domains
    assert (domain.record.booted, domain.ran()) == (5_000, 0)


def test_every_driver_has_one() -> None:
    for flavour in FLAVOURS.values():
        host = Host(flavour)
        prepared.fill(host)
        assert len(host.networks) == 1
