"""libvirt's own virt-pki-validate has nothing against what `virtadm pki-init` makes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from aiovirt.admin import pki
from tests import harness

#: What virt-pki-validate says when something is not as it should be (9.0.0 exits with 0 all the same).
COMPLAINTS = ("missing", "should", "need", "not ", "as root do", "fail", "warn")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C", "HOME": "/"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=harness.PATIENCE,
        check=False,
    )


def assert_content(ran: subprocess.CompletedProcess[str]) -> None:
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert [
        line for line in said.splitlines() if any(word in line.lower() for word in COMPLAINTS)
    ] == []


def test_the_files_of_the_system(tmp_path: Path) -> None:
    program = harness.require("virt-pki-validate")
    harness.require("certtool")
    if os.geteuid() != 0:
        harness.missing("the files of the system belong to root")
    # A copy in place of /etc, in a mount namespace, so that the machine's own is left alone.
    shutil.copytree("/etc", tmp_path / "etc", symlinks=True, ignore=shutil.ignore_patterns("pki"))
    pki.create(tmp_path / "etc" / "pki", hosts=pki.default_hosts(), layout=pki.SYSTEM)
    script = f"mount --bind '{tmp_path}/etc' /etc && exec '{program}'"
    ran = run("unshare", "--mount", "sh", "-c", script)
    assert "/etc/pki/libvirt/private/serverkey.pem" in ran.stdout
    assert_content(ran)


def test_the_files_of_one_user(tmp_path: Path) -> None:
    program = harness.require("virt-pki-validate")
    if "--path" not in run(program, "--help").stdout:
        pytest.skip("this virt-pki-validate knows only the files of the system")
    pki.create(tmp_path / "mine", hosts=pki.default_hosts())
    assert_content(run(program, "--path", str(tmp_path / "mine")))
