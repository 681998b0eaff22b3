"""The pid file admits one daemon, tells the other who it is, and goes with its owner."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.daemons.runtime.process.paths import Paths
from aiovirt.daemons.runtime.process.pidfile import HeldFiles, PidFile, require_free
from tests.conftest import StartDaemon

HOLD = """
import sys
from aiovirt.daemons.runtime.process.paths import Paths
from aiovirt.daemons.runtime.process.pidfile import PidFile
PidFile.acquire(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "x.pid")


@pytest.fixture
def holder(path: str) -> Iterator[subprocess.Popen[str]]:
    """Another process, which holds the pid file."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_it_holds_the_process_id_and_a_line_end(path: str) -> None:
    held = PidFile.acquire(path)
    assert Path(path).read_text() == f"{os.getpid()}\n"
    held.release()


def test_it_is_gone_after_release_and_releasing_twice_does_no_harm(path: str) -> None:
    held = PidFile.acquire(path)
    held.release()
    held.release()
    assert not os.path.exists(path)


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("function", ["unlink", "stat"])
def test_a_file_that_cannot_be_removed_is_left_and_taken_by_the_next(
    path: str, monkeypatch: pytest.MonkeyPatch, function: str, error: int
) -> None:
    held = PidFile.acquire(path)
    descriptor = held.descriptor

    def fail(*args: object) -> None:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as failing:
        failing.setattr(os, function, fail)
        held.release()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    PidFile.acquire(path).release()
    assert not os.path.exists(path)


def test_a_second_process_is_refused_and_told_who_was_first(
    path: str, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(StartError, match=f"process {holder.pid} holds it and is running") as caught:
        PidFile.acquire(path)
    assert caught.value.status == Failure.PIDFILE
    assert Path(path).read_text() == f"{holder.pid}\n"


def test_the_file_of_a_process_that_died_is_taken_over(
    path: str, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    assert Path(path).read_text() == f"{holder.pid}\n"
    PidFile.acquire(path).release()


def test_a_longer_number_from_before_leaves_nothing_behind(path: str) -> None:
    Path(path).write_text("99999999999999\n")
    held = PidFile.acquire(path)
    assert Path(path).read_text() == f"{os.getpid()}\n"
    held.release()


def test_a_child_of_the_owner_does_not_remove_it(path: str) -> None:
    held = PidFile.acquire(path)
    child = os.fork()
    if not child:
        held.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert os.path.exists(path)
    held.release()


def test_a_file_that_was_replaced_meanwhile_is_left_to_its_new_owner(path: str) -> None:
    held = PidFile.acquire(path)
    os.unlink(path)
    Path(path).write_text("somebody else's\n")
    held.release()
    assert Path(path).read_text() == "somebody else's\n"


def test_a_path_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"nowhere/x\.pid cannot be taken: No such file"):
        PidFile.acquire(str(tmp_path / "nowhere" / "x.pid"))


def test_a_folder_is_in_use_while_its_usual_pid_file_is_held(
    path: str, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(StartError, match=f"^process {holder.pid} uses the folder") as refusal:
        require_free(path)
    assert refusal.value.status == Failure.PIDFILE
    holder.kill()
    holder.wait()
    require_free(path)


@pytest.mark.parametrize("kind", ["missing", "FIFO", "folder"])
def test_a_folder_without_a_pid_file_is_free(path: str, kind: str) -> None:
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        os.mkdir(path)
    require_free(path)


def test_a_second_daemon_with_files_of_its_own_keeps_off_a_used_folder(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    """Both would write one store, and one journal of locks."""
    first = start_daemon("lockd")
    command = [sys.executable, "-m", "aiovirt.daemons.lockd", "--rundir", str(first.folder)]
    command += [
        "-p",
        f"{tmp_path}/p",
        "--socket",
        f"{tmp_path}/s",
        "--admin-socket",
        f"{tmp_path}/a",
    ]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == Failure.PIDFILE
    assert f"process {first.pid} uses the folder {first.folder}" in second.stderr
    assert os.listdir(tmp_path) == []


def elsewhere(folder: Path, name: str) -> list[str]:
    """A pid file and sockets that are not in the run directory."""
    return [
        *("-p", str(folder / f"{name}.p")),
        *("--socket", str(folder / f"{name}.s")),
        *("--admin-socket", str(folder / f"{name}.a")),
    ]


def started(kind: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A daemon that must not start."""
    command = [sys.executable, "-m", f"aiovirt.daemons.{kind}", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@contextlib.contextmanager
def serving(kind: str, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A daemon that runs; what it logs is read from its standard error."""
    conf = folder / f"{kind}.conf"
    conf.write_text('log_level = 2\nlog_outputs = "2:stderr"\n')
    command = [sys.executable, "-m", f"aiovirt.daemons.{kind}", "-f", str(conf), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for_line(process, "ready")
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=30)


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"it ended without {text!r}")


@pytest.mark.parametrize("kind", ["lockd", "logd", "virtd"])
def test_a_run_directory_has_one_daemon_whatever_their_pid_files_are(
    tmp_path: Path, kind: str
) -> None:
    run, files = tmp_path / "run", tmp_path / "files"
    run.mkdir()
    files.mkdir()
    where = ("--rundir", str(run))
    with serving(kind, files, *where, *elsewhere(files, "first")) as first:
        refusal = f"process {first.pid} uses the folder {run}: it holds {run}/{kind}.pid"
        second = started(kind, *where, *elsewhere(files, "second"))
        assert (second.returncode, refusal in second.stderr) == (Failure.PIDFILE, True)
        first.send_signal(signal.SIGUSR1)
        wait_for_line(first, "took over")
        second = started(kind, *where, *elsewhere(files, "second"))
        assert (second.returncode, refusal in second.stderr) == (Failure.PIDFILE, True)
        assert started(kind, *where).returncode == Failure.PIDFILE  # with the usual one
        assert not list(files.glob("second*"))
        other = tmp_path / "other"
        other.mkdir()
        with serving(kind, files, "--rundir", str(other), *elsewhere(other, "third")):
            pass
    assert not (run / f"{kind}.pid").exists()


def test_daemons_of_different_kinds_share_a_run_directory(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    where = ("--rundir", str(run))
    with (
        serving("lockd", tmp_path, *where, *elsewhere(tmp_path, "one")),
        serving("logd", tmp_path, *where, *elsewhere(tmp_path, "two")),
    ):
        pass


def test_a_run_directory_in_which_nothing_is_used_is_not_held(tmp_path: Path) -> None:
    paths = Paths.decide("lockd", rundir="/r", socket="/s/lockd-sock", pid_file="/p/lockd.pid")
    assert paths.has_sockets_in_rundir([])
    assert not paths.has_sockets_in_rundir(["/other/lockd-sock"])
    assert paths.has_sockets_in_rundir(["/other/lockd-sock", "/r/lockd-admin-sock"])
    mine, usual = f"{tmp_path}/mine.pid", f"{tmp_path}/lockd.pid"
    held = HeldFiles.acquire(mine, usual, uses_folder=False)
    assert os.listdir(tmp_path) == ["mine.pid"]
    held.release()


def test_a_run_directory_that_is_not_there_or_cannot_be_written_is_not_held(tmp_path: Path) -> None:
    (tmp_path / "x.pid").mkdir()
    for usual in (f"{tmp_path}/nowhere/x.pid", f"{tmp_path}/x.pid"):
        held = HeldFiles.acquire(f"{tmp_path}/mine.pid", usual, uses_folder=True)
        assert held.folder is None
        held.release()


def test_a_pid_file_that_is_taken_gives_the_run_directory_up_again(
    path: str, holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    usual = f"{tmp_path}/usual.pid"
    with pytest.raises(StartError, match=f"process {holder.pid} holds it and is running"):
        HeldFiles.acquire(path, usual, uses_folder=True)
    assert not os.path.exists(usual)
