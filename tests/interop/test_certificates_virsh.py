"""libvirt's own opinion on the certificates of `tests.certificates_maker`, from virsh as the client.

virsh checks its files before it connects, so no daemon is needed: with files that it accepts it
complains about the port, where nobody listens.
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from aiovirt.admin import pki
from tests import harness
from tests.certificates_maker import CASES, Case


def virsh_accepts(folder: Path) -> bool:
    # A socket that is bound, but does not listen, refuses and keeps the port from others.
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"test+tls://127.0.0.1:{closed.getsockname()[1]}/default?pkipath={folder}"
        ran = subprocess.run(
            [harness.require("virsh"), "-c", uri, "list"],
            env={"LC_ALL": "C", "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=harness.PATIENCE,
            check=False,
        )
    assert ran.returncode == 1
    return "Connection refused" in ran.stderr


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.role == "client"], ids=lambda case: case.about
)
def test_virsh_agrees_or_its_difference_is_known(case: Case, tmp_path: Path) -> None:
    case.write(tmp_path)
    expected = case.libvirt == "accepts" if case.libvirt else not case.rule
    assert virsh_accepts(tmp_path) is expected


def test_virsh_takes_the_files_that_are_made_here(tmp_path: Path) -> None:
    pki.create(tmp_path, hosts=["localhost"])
    assert virsh_accepts(tmp_path)
