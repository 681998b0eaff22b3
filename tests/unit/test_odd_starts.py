"""Failed starts whose error cannot be written, and odd values that no settings file test has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from aiovirt.daemons.runtime.process.systemd import passed_sockets
from aiovirt.daemons.runtime.settings.verify import group
from aiovirt.daemons.runtime.sockets import group_id

LOCKD = [
    sys.executable,
    "-c",
    "import sys; from aiovirt.daemons.lockd import main; sys.exit(main())",
]


@pytest.mark.parametrize(("path", "mode"), [("/dev/full", "w"), ("/dev/null", "r")])
def test_a_failed_start_has_its_exit_status_though_its_error_cannot_be_written(
    path: str, mode: str
) -> None:
    with open(path, mode) as unwritable:
        ended = subprocess.run([*LOCKD, "--rundir", "/proc/none"], stderr=unwritable)
    assert ended.returncode == 2


def test_a_settings_file_that_cannot_be_printed_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [*LOCKD, "--print-config"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (ended.returncode, ended.stderr) == (
        1,
        "lockd: standard output: No space left on device\n",
    )


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("000", 0), ("+80", 80), ("000000000080", 80), ("+0", 0)]
)
def test_a_group_is_a_number_as_libvirt_reads_it(text: str, number: int) -> None:
    group(text)
    assert group_id(text) == number


@pytest.mark.parametrize("text", ["+4294967295", "0" * 20 + "4294967295", "+" + "9" * 6000])
def test_a_number_that_no_group_has_is_refused_with_a_plus_too(text: str) -> None:
    with pytest.raises(ValueError, match="at most 4294967294"):
        group(text)


def test_a_number_of_sockets_without_end_is_no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "9" * 5000)
    assert passed_sockets() == []
