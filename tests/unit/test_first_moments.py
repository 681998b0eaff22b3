"""The first moments of a daemon: closed streams, early signals, a working directory that is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aiovirt.daemons.discovery import kinds
from tests.unit.test_lifecycle import PATIENCE, Starter, ask_version, start

__all__ = ["start"]  # the fixture

DAEMONS = [kind.name for kind in kinds()]
STREAMS = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line of a shell."""
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


# Streams -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", STREAMS)
@pytest.mark.parametrize("name", DAEMONS)
def test_a_stream_that_is_closed_at_the_start_is_the_null_device(
    start: Starter, name: str, closed: str
) -> None:
    start.config.write_text('log_outputs = "1:stderr"\nlog_level = 1\n')
    start.program = ["-c", THROUGH_A_SHELL.format(closed=closed, name=name)]
    one = start(name)
    for word, number in (("<&-", 0), (">&-", 1), ("2>&-", 2)):
        if word in closed.split():
            assert os.readlink(f"/proc/{one.process.pid}/fd/{number}") == "/dev/null"
    assert ask_version(one.rundir / f"{name}-admin-sock") > 0
    assert (one.rundir / f"{name}.pid").read_text() == f"{one.process.pid}\n"


THROUGH_A_SHELL = """
import os, sys
command = 'exec "$@" {closed}'
words = [sys.executable, "-m", "aiovirt.daemons.{name}", *sys.argv[1:]]
os.execv("/bin/sh", ["sh", "-c", command, "sh", *words])
"""

WHAT_COMES_NEXT = """
import os
from aiovirt.admin.cli import main
main(["virtadm", "help", "echo"])
os._exit(os.open(os.devnull, os.O_RDONLY))
"""


@pytest.mark.parametrize("closed", STREAMS)
def test_virtadm_opens_nothing_under_the_number_of_a_closed_stream(
    tmp_path: Path, closed: str
) -> None:
    program = tmp_path / "next.py"
    program.write_text(WHAT_COMES_NEXT)
    assert shell(f"exec {sys.executable} {program} {closed}", tmp_path).returncode > 2


@pytest.mark.parametrize("closed", STREAMS)
def test_a_mistake_of_the_user_is_no_traceback_with_closed_streams(
    tmp_path: Path, closed: str
) -> None:
    program = f"{sys.executable} -m aiovirt.daemons.logd"
    for options, status in (("--no-such-option", 1), ("--version", 0), ("-f /none", 1)):
        ran = shell(f"exec {program} {options} {closed}", tmp_path)
        assert (ran.returncode, "Traceback" in ran.stderr) == (status, False), ran.stderr


# Signals -----------------------------------------------------------------------------------------

SIGNALLED = """
import os, signal, sys
from aiovirt.daemons.runtime.process import options
from aiovirt.daemons.{name} import main
parse = options.parse
def parse_later(*words):
    if "AIOVIRT_RESTART" not in os.environ:
        os.kill(os.getpid(), signal.{signal})
    return parse(*words)
options.parse = parse_later
sys.exit(main())
"""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
@pytest.mark.parametrize("name", DAEMONS)
def test_a_signal_before_there_is_a_handler_is_handled_when_there_is_one(
    start: Starter, name: str, number: signal.Signals
) -> None:
    start.program = ["-c", SIGNALLED.format(name=name, signal=number.name)]
    one = start(name)
    if number is signal.SIGHUP:
        one.wait_for("RELOADING=1")
    one.wait_for("READY=1")
    assert ask_version(one.rundir / f"{name}-admin-sock") > 0
    assert one.process.poll() is None


# The working directory ---------------------------------------------------------------------------


@pytest.mark.parametrize("made_anew", [False, True])
@pytest.mark.parametrize("name", DAEMONS)
def test_a_daemon_starts_in_a_folder_that_was_removed(
    tmp_path: Path, name: str, made_anew: bool
) -> None:
    anew = f"mkdir {tmp_path}/here" if made_anew else "true"
    ran = shell(
        f"mkdir {tmp_path}/here && cd {tmp_path}/here && rmdir {tmp_path}/here && {anew} &&"
        f" {sys.executable} -m aiovirt.daemons.{name} -d --rundir {tmp_path}/run",
        tmp_path,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ask_version(tmp_path / f"run/{name}-admin-sock") > 0
    os.kill(int((tmp_path / f"run/{name}.pid").read_text()), signal.SIGTERM)


@pytest.mark.parametrize(
    "options", ["--rundir run", "-f x.conf", "--socket s", "--admin-socket s", "-p pid"]
)
def test_a_relative_path_needs_that_folder_and_says_so_in_one_line(
    tmp_path: Path, options: str
) -> None:
    ran = shell(
        f"mkdir here && cd here && rmdir ../here &&"
        f" {sys.executable} -m aiovirt.daemons.logd --rundir {tmp_path}/run {options}",
        tmp_path,
    )
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "relative to the folder in which the daemon was started" in ran.stderr


# The run directory -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DAEMONS)
def test_with_a_run_directory_nothing_outside_it_is_read_or_written(
    tmp_path: Path, name: str
) -> None:
    home = tmp_path / "home"
    (home / ".config/aiovirt").mkdir(parents=True)
    (home / ".config/aiovirt" / f"{name}.conf").write_text("no settings file")
    run = tmp_path / "run"
    run.mkdir()
    (run / f"{name}.conf").write_text("log_level = 1\n")
    ran = subprocess.run(
        [sys.executable, "-m", f"aiovirt.daemons.{name}", "-d", "--rundir", "run"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    try:
        assert ask_version(run / f"{name}-admin-sock") > 0
        deadline = time.monotonic() + PATIENCE
        while " debug : " not in (run / f"{name}.log").read_text():  # a thread writes it
            assert time.monotonic() < deadline, "no line at debug level was written"
            time.sleep(0.01)
        assert {path.name for path in home.rglob("*") if path.is_file()} == {f"{name}.conf"}
    finally:
        os.kill(int((run / f"{name}.pid").read_text()), signal.SIGTERM)
