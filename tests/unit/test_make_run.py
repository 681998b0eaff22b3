"""What `make run` and `make stop` do, in a folder of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import playground


@pytest.fixture
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    # Not tmp_path: its name has the test's in it, and is too long for a socket.
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(playground, "RUN", folder)
        yield folder
        playground.stop()


def test_all_three_run_and_are_shown_with_their_servers(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    playground.start()
    rows = [line.split(maxsplit=4) for line in capsys.readouterr().out.splitlines()[1:4]]
    assert [(row[0], row[4]) for row in rows] == [
        ("virtd", "admin, virtd"),
        ("lockd", "admin, lockd"),
        ("logd", "admin, logd"),
    ]
    assert [int(row[1]) for row in rows] == [playground.running(row[0]) for row in rows]


def test_a_second_start_leaves_those_that_run_alone_and_starts_the_rest(run_folder: Path) -> None:
    playground.start()
    first = {name: playground.running(name) for name in playground.DAEMONS}
    logd = first.pop("logd")
    assert logd is not None
    playground.end(logd)
    playground.start()
    assert {name: playground.running(name) for name in first} == first
    assert playground.running("logd") not in (None, logd)


def test_after_a_stop_there_is_no_process_no_socket_and_no_pid_file(run_folder: Path) -> None:
    playground.start()
    playground.stop()
    assert {path.suffix for path in run_folder.iterdir()} == {".conf", ".log"}


def test_a_pid_file_that_nobody_holds_names_nobody(run_folder: Path) -> None:
    (run_folder / "virtd.pid").write_text(f"{os.getpid()}\n")
    assert playground.running("virtd") is None


def test_a_folder_whose_path_is_too_long_for_a_socket_is_refused_with_the_reason(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playground, "RUN", Path("/", "x" * 100))
    with pytest.raises(playground.Problem, match=r"118 bytes.*107.*11 bytes shorter"):
        playground.start()
