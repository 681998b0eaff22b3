"""Shows what a daemon does with each case, next to nothing: `python -m tests.conformance.observe
libvirtd [part of a case's name]`. For writing expectations down, not for judging."""

from __future__ import annotations

import sys

from tests import harness
from tests.conformance.catalogue import cases
from tests.conformance.judge import judge, observe
from tests.conformance.peers import PEERS


def main(name: str, part: str = "") -> None:
    """Start the daemon `name` and print what became of every frame of each matching case."""
    with harness.running(name, PEERS[name]) as daemon:
        for full, case in cases(name).items():
            if part in full:
                wrong = judge(case, daemon.admin_socket, name)
                print(f"{full}{'' if not wrong else '  ### ' + ' '.join(wrong)}")
                for line in observe(case, daemon.admin_socket):
                    print(f"    {line}")


if __name__ == "__main__":
    main(*sys.argv[1:])
