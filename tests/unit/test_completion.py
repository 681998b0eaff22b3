"""Completion in bash, driven as bash drives it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import harness
from tests.conftest import StartDaemon

DRIVER = """
source "$1"; program=$2; COMP_LINE=$3; COMP_POINT=${#COMP_LINE}; shift 3
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
function=$(complete -p "$program"); function=${function##*-F }; "${function%% *}" "$program"
printf '%s\\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"}
"""


def complete(line: str, cwd: Path, **environment: str) -> set[str]:
    """What bash offers for the end of a line."""
    # As bash separates words: at blanks, and `=` and `:` are words of their own.
    words = re.findall(r"[^\s=:]+|[=:]+", line) + [""] * line.endswith(" ")
    program = words[0]
    script = harness.ROOT / "conf/completion" / program
    ran = subprocess.run(
        [harness.require("bash"), "-uc", DRIVER, "bash", str(script), program, line, *words],
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(cwd),
            "XDG_RUNTIME_DIR": str(cwd),
            "LIBVIRT_ADMIN_DEFAULT_URI": f"virtd:///?socket={cwd}/none",
            **environment,
        },
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return set(ran.stdout.split("\n")) - {""}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("virtadm --co", {"--connect"}),
        ("virtadm -q --v", {"--version"}),
        ("virtadm -o ", {"json", "text"}),
        ("virtadm --output=j", {"json"}),
        ("virtadm -c lock", {"lockd:///"}),
        # bash replaces what follows the colon only.
        ("virtadm -c libvirtd:///s", {"///system", "///session"}),
        ("virtadm --connect=virtd:", {"///"}),
        ("virtadm -l ", set()),
        ("virtadm log-", {"log-list", "log-rotate", "log-follow"}),
        ("virtadm -q -o json server-li", {"server-list"}),
        ("virtadm nosuch", set()),
        ("lockd --s", {"--socket"}),
        ("lockd -t ", set()),
        ("lockd --config=x", {"x.conf"}),
        ("lockd -d -f x", {"x.conf"}),
        ("virtd --rundir ", {"sub dir"}),
    ],
)
def test_what_needs_no_daemon_is_offered_without_one(
    line: str, offered: set[str], tmp_path: Path
) -> None:
    (tmp_path / "x.conf").touch()
    (tmp_path / "sub dir").mkdir()
    assert complete(line, tmp_path) == offered


def test_what_a_daemon_knows_it_is_asked(start_daemon: StartDaemon, tmp_path: Path) -> None:
    daemon = start_daemon("lockd")
    uri = f"lockd:///?socket={daemon.admin_socket}"
    start = f"virtadm -c {uri}"
    assert complete(f"{start} server-threadpool-info l", tmp_path) == {"lockd"}
    assert complete(f"{start} server-threadpool-info --server=", tmp_path) == {"admin", "lockd"}
    assert complete(f"{start} server-threadpool-info --server l", tmp_path) == {"lockd"}
    assert complete(f"{start} server-threadpool-set lockd --m", tmp_path) == {
        "--min-workers",
        "--max-workers",
    }
    assert complete("virtadm client-info l", tmp_path, LIBVIRT_ADMIN_DEFAULT_URI=uri) == {"lockd"}
