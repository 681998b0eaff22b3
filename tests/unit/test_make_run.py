"""What `make run` and `make stop` do, in a folder of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiovirt.daemons.playground import Playground, Problem, end, main


@pytest.fixture
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    # Not tmp_path: its name has the test's in it, and is too long for a socket.
    playground = Playground(tmp_path_factory.mktemp("run"))
    yield playground
    playground.stop()


def test_all_run_and_are_shown_with_their_servers(
    playground: Playground, capsys: pytest.CaptureFixture[str]
) -> None:
    playground.start()
    rows = [line.split(maxsplit=4) for line in capsys.readouterr().out.splitlines()[1:4]]
    assert [(row[0], row[4]) for row in rows] == [
        ("lockd", "admin, lockd"),
        ("logd", "admin, logd"),
        ("virtd", "admin, virtd"),
    ]
    assert [int(row[1]) for row in rows] == [playground.running(row[0]) for row in rows]


def test_a_second_start_leaves_what_runs_alone_and_starts_the_rest(playground: Playground) -> None:
    playground.start()
    first = {name: playground.running(name) for name in playground.names}
    logd = first.pop("logd")
    assert logd is not None
    end(logd)
    playground.start()
    assert {name: playground.running(name) for name in first} == first
    assert playground.running("logd") not in (None, logd)


def test_after_a_stop_there_is_no_process_no_socket_and_no_pid_file(playground: Playground) -> None:
    playground.start()
    playground.stop()
    assert {path.suffix for path in playground.folder.iterdir()} == {".conf", ".log", ".sqlite"}


def test_a_pid_file_that_nobody_holds_names_nobody(playground: Playground) -> None:
    (playground.folder / "virtd.pid").write_text(f"{os.getpid()}\n")
    assert playground.running("virtd") is None


def test_a_folder_whose_path_is_too_long_for_a_socket_is_refused_with_the_reason() -> None:
    with pytest.raises(Problem, match=r"118 bytes.*107.*11 bytes shorter"):
        Playground(Path("/", "x" * 100)).start()


@pytest.mark.parametrize("words", [[], ["restart"], ["start", "now"]])
def test_a_wrong_word_is_answered_with_the_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err == "usage: python -m aiovirt.daemons.playground start|stop\n"
