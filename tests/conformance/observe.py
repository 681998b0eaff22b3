"""Shows what a daemon does with each case, next to nothing: `python -m tests.conformance.observe
libvirtd [part of a case's name]`. For writing expectations down, not for judging."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests import harness
from tests.conformance import scenario
from tests.conformance.case import Case
from tests.conformance.catalogue import cases, lock_scenarios, log_scenarios
from tests.conformance.judge import judge, observe
from tests.conformance.peers import LOCK_PEERS, LOG_PEERS, PEERS


def main(name: str, part: str = "") -> None:
    """Start the daemon `name` and print what became of every frame of each matching case."""
    if name in PEERS:
        _observe_cases(name, {full: case for full, case in cases(name).items() if part in full})
    for peers, all_ in ((LOCK_PEERS, lock_scenarios()), (LOG_PEERS, log_scenarios())):
        if name in peers:
            found = {full: told for full, told in all_.items() if part in full}
            _observe_scenarios(name, peers[name], found)


def _observe_cases(name: str, found: Mapping[str, Case]) -> None:
    with harness.running(name, PEERS[name]) as daemon:
        for full, case in found.items():
            wrong = judge(case, daemon.admin_socket, name)
            _print(full, wrong, observe(case, daemon.admin_socket))


def _observe_scenarios(
    name: str, settings: harness.Settings, found: Mapping[str, scenario.Scenario]
) -> None:
    for full, told in found.items():
        own = {**settings, **told.settings}
        with harness.running(name, own) as daemon, tempfile.TemporaryDirectory() as folder:
            wrong = scenario.play(told, daemon, Path(folder))
        with harness.running(name, own) as daemon, tempfile.TemporaryDirectory() as folder:
            _print(full, wrong, scenario.observe(told, daemon, Path(folder)))


def _print(full: str, wrong: list[str], lines: list[str]) -> None:
    print(f"{full}{'' if not wrong else '  ### ' + ' '.join(wrong)}")
    for line in lines:
        print(f"    {line}")


if __name__ == "__main__":
    main(*sys.argv[1:])
