"""The import names are ours alone: folders of the same names beside a program are not in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
FOLDERS = ("rpc", "admin", "daemons")

CONFTEST = """
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).parent))
"""

TEST = """
import aiovirt.admin.client, aiovirt.daemons.virtd, aiovirt.rpc.server


def test_it():
    assert aiovirt.admin.client.connect is not None
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of somebody who has folders with our folders' names, which nobody may import."""
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the wrong one')\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_project.py").write_text(TEST)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["virtadm", "help", "lock-list"],
        ["virtadm", "nosuch-but-look-everywhere", "--help"],
        ["virtd", "--version"],
        ["lockd", "--help"],
        ["logd", "--version"],
        ["python", "-m", "aiovirt.daemons.virtd", "--version"],
        ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"],
    ],
)
def test_programs_run_from_the_root_of_a_project_with_such_folders(
    command: list[str], project: Path
) -> None:
    ran = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=project,
        env={"PATH": os.environ["PATH"], "HOME": str(project), "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the wrong one" not in ran.stdout + ran.stderr
    if "nosuch-but-look-everywhere" in command:
        assert ran.stderr == "error: unknown command: 'nosuch-but-look-everywhere'\n"
    else:
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_daemon_starts_and_is_administered_there(project: Path) -> None:
    # A socket's path may have 107 bytes; the project's folder has the test's name in it.
    environment = {"PATH": os.environ["PATH"], "HOME": str(project), "PYTHONPATH": "."}
    script = """
        dir=$(mktemp -d) && trap 'kill "$(cat "$dir/lockd.pid")"; rm -rf "$dir"' EXIT
        "$BIN/lockd" -d --rundir "$dir" && "$BIN/virtadm" -c "lockd:///?socket=$dir/lockd-admin-sock" \\
            'server-list; lock-list'
    """
    ran = subprocess.run(
        ["sh", "-c", script],
        cwd=project,
        env={**environment, "BIN": str(BIN)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert " 1    lockd\n" in ran.stdout
