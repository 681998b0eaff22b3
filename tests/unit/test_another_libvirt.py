"""The programs of another libvirt than the installed one can be judged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import harness

PROBE = """
import sys
from tests import harness
for name in (*harness.REAL, "virt-admin", "sh"):
    print(name, harness.find(name))
print(harness.libvirt_version_text())
print(harness.libraries().get("LD_LIBRARY_PATH", "none"))
"""


def probe(folder: Path | str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=harness.ROOT,
        env={"PATH": os.environ["PATH"], "AIOVIRT_LIBVIRT": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def fake(path: Path, version: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{path.name} (libvirt) {version}'\n")
    path.chmod(0o755)


@pytest.mark.parametrize(("bin_", "sbin"), [("bin", "sbin"), ("usr/bin", "usr/sbin"), ("", "")])
def test_its_programs_are_found_in_its_folder_and_nowhere_else(
    tmp_path: Path, bin_: str, sbin: str
) -> None:
    for name in ("libvirtd", "virtlogd"):
        fake(tmp_path / sbin / name, "12.8.0")
    fake(tmp_path / bin_ / "virt-admin", "12.8.0")
    (tmp_path / "lib64").mkdir()
    (tmp_path / "lib64" / "libvirt.so.0").touch()
    assert probe(tmp_path) == [
        f"libvirtd {tmp_path / sbin / 'libvirtd'}",
        f"virtlogd {tmp_path / sbin / 'virtlogd'}",
        "virtlockd None",  # although one may be installed
        f"virt-admin {tmp_path / bin_ / 'virt-admin'}",
        f"sh {shutil.which('sh')}",  # what is not libvirt's comes from where it always does
        "12.8.0",
        f"{tmp_path}/lib64",
    ]


def test_the_suite_runs_against_links_to_the_installed_one(tmp_path: Path) -> None:
    for name in (*harness.REAL, "virt-admin"):
        (tmp_path / name).symlink_to(harness.require(name))
    ran = subprocess.run(
        ["make", "conformance", f"LIBVIRT={tmp_path}", "ARGS=-q -k 'libvirtd and procedure-20'"],
        cwd=harness.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout


def test_a_program_that_is_not_there_fails_the_suite(tmp_path: Path) -> None:
    ran = subprocess.run(
        ["make", "conformance", f"LIBVIRT={tmp_path}", "ARGS=-q -k 'libvirtd and procedure-20'"],
        cwd=harness.ROOT,
        env={key: value for key, value in os.environ.items() if key != "CI"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode != 0
    assert f"libvirtd is not in {tmp_path}" in ran.stdout
