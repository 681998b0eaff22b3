"""Log files are written by threads: a file system that hangs costs lines, and nobody's time."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiovirt.rpc.logs import LogControl, SinkPaths, get_logger
from aiovirt.rpc.logs.sinks import FileSink
from aiovirt.rpc.logs.writer import QUEUE_MAX

_log = get_logger("test.writer")
LONG = 10.0

MakeControl = Callable[..., LogControl]


@pytest.fixture
def make() -> Iterator[MakeControl]:
    made: list[LogControl] = []

    def make(outputs: str, **settings: object) -> LogControl:
        control = LogControl("test", outputs=outputs, level=1, **settings)  # type: ignore[arg-type]
        made.append(control)
        return control

    yield make
    for control in made:
        control.close()


class Hanging:
    """A file system that hangs: what is written to paths with a given ending waits for `resume`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ending: str = "stuck") -> None:
        self._going = threading.Event()
        self.reached = threading.Event()
        write, close, turn = FileSink.write, FileSink.close, FileSink.turn_to

        def wait(sink: FileSink) -> None:
            if sink._path.endswith(ending):
                self.reached.set()
                assert self._going.wait(LONG)

        def slow_write(sink: FileSink, data: bytes) -> None:
            wait(sink)
            write(sink, data)

        def slow_close(sink: FileSink) -> None:
            wait(sink)
            close(sink)

        def slow_turn(sink: FileSink, fresh: int) -> None:
            wait(sink)
            turn(sink, fresh)

        monkeypatch.setattr(FileSink, "write", slow_write)
        monkeypatch.setattr(FileSink, "close", slow_close)
        monkeypatch.setattr(FileSink, "turn_to", slow_turn)

    def resume(self) -> None:
        self._going.set()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    hanging = Hanging(monkeypatch)
    yield hanging
    hanging.resume()


def events(path: Path) -> list[str]:
    return [line.split(": ", 3)[3] for line in path.read_text().splitlines()]


def test_a_file_that_hangs_holds_up_neither_the_caller_nor_the_other_outputs(
    make: MakeControl, tmp_path: Path, hanging: Hanging
) -> None:
    make(f"1:file:{tmp_path}/stuck 1:file:{tmp_path}/well")
    _log.info("one")
    assert hanging.reached.wait(LONG)
    for _ in range(3):
        _log.error("two")  # waited for once, and bounded
    assert events(tmp_path / "well") == ["test.writer: one", *["test.writer: two"] * 3]
    assert (tmp_path / "stuck").read_text() == ""


def test_after_it_hung_a_file_has_every_line_in_order(
    make: MakeControl, tmp_path: Path, hanging: Hanging
) -> None:
    control = make(f"1:file:{tmp_path}/stuck")
    for number in range(100):
        _log.info("line", number=number)
    hanging.resume()
    assert control.flush(LONG)
    assert events(tmp_path / "stuck") == [f"test.writer: line number={n}" for n in range(100)]


def test_lines_beyond_the_bound_are_lost_counted_and_reported(
    make: MakeControl, tmp_path: Path, hanging: Hanging
) -> None:
    control = make(f"1:file:{tmp_path}/stuck 2:file:{tmp_path}/well")
    _log.info("first")
    assert hanging.reached.wait(LONG)
    size = QUEUE_MAX // 8
    for _ in range(20):
        _log.debug("x" * size)
    assert control.flush(0) is False
    hanging.resume()
    assert control.flush(LONG)
    assert control.flush(LONG)
    kept = (tmp_path / "stuck").read_text().count("x" * size)
    assert 0 < kept < 20
    assert events(tmp_path / "well") == [
        "test.writer: first",
        f"rpc.logs: log output fails output=1:file:{tmp_path}/stuck"
        ' reason="earlier lines are still being written"',
        f"rpc.logs: log output works again output=1:file:{tmp_path}/stuck records_lost={20 - kept}",
    ]


def test_outputs_that_hang_are_exchanged_without_waiting_for_them(
    make: MakeControl, tmp_path: Path, hanging: Hanging
) -> None:
    control = make(f"1:file:{tmp_path}/stuck")
    _log.info("lost sight of")
    assert hanging.reached.wait(LONG)
    control.set_outputs(f"1:file:{tmp_path}/well")
    _log.error("here")
    assert events(tmp_path / "well") == ["test.writer: here"]
    control.close()
    hanging.resume()


def test_a_warning_is_in_its_file_when_the_call_returns(make: MakeControl, tmp_path: Path) -> None:
    make(f"1:file:{tmp_path}/x")
    for number in range(100):
        _log.warning("line", number=number)
        assert events(tmp_path / "x")[-1] == f"test.writer: line number={number}"


@pytest.mark.parametrize(
    "end", ["", "raise SystemExit(3)", "raise ValueError('x')", "control.close()"]
)
def test_what_was_logged_before_a_program_ends_is_written(tmp_path: Path, end: str) -> None:
    program = (
        "from aiovirt.rpc.logs import LogControl, get_logger\n"
        f"control = LogControl('x', level=1, outputs='1:file:{tmp_path}/x')\n"
        "for n in range(5000): get_logger('x').debug('line', n=n)\n" + end
    )
    subprocess.run([sys.executable, "-c", program], check=False, stderr=subprocess.DEVNULL)
    assert len(events(tmp_path / "x")) == 5000


def test_an_error_before_a_crash_is_written(tmp_path: Path) -> None:
    program = (
        "import os, signal\n"
        "from aiovirt.rpc.logs import LogControl, get_logger\n"
        f"control = LogControl('x', level=1, outputs='1:file:{tmp_path}/x')\n"
        "log = get_logger('x'); log.debug('before'); log.error('crash')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert events(tmp_path / "x") == ["x: before", "x: crash"]


def test_a_full_disk_is_reported_once_and_the_loss_is_counted(
    make: MakeControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = True
    write = FileSink.write

    def fail(sink: FileSink, data: bytes) -> None:
        if full and sink._path.endswith("full"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(sink, data)

    monkeypatch.setattr(FileSink, "write", fail)
    control = make(f"1:file:{tmp_path}/full 2:file:{tmp_path}/well")
    for _ in range(7):
        _log.debug("lost")
    assert control.flush(LONG)
    full = False
    _log.debug("kept")
    assert control.flush(LONG)
    assert control.flush(LONG)
    assert events(tmp_path / "full")[0] == "test.writer: kept"
    assert [text.partition(" output=")[0] for text in events(tmp_path / "well")] == [
        "rpc.logs: log output fails",
        "rpc.logs: log output works again",
    ]
    assert events(tmp_path / "well")[1].endswith("records_lost=7")


def test_a_pipe_on_standard_error_that_nobody_reads_holds_up_nobody(make: MakeControl) -> None:
    reader, writer = os.pipe()
    try:
        control = make("1:stderr", paths=SinkPaths(stderr=writer))
        for _ in range(200):
            _log.info("x" * 1000)
        assert os.read(reader, 1 << 20)
        control.close()
    finally:
        os.close(reader)
        os.close(writer)


def test_a_finaliser_that_logs_at_any_moment_does_no_harm(
    make: MakeControl, tmp_path: Path
) -> None:
    class Talkative:
        def __init__(self) -> None:
            self.circle = self

        def __del__(self) -> None:
            _log.error("finalised")

    control = make(f"1:file:{tmp_path}/x")
    before = gc.get_threshold()
    gc.set_threshold(5)
    try:
        for _ in range(500):
            Talkative()
            _log.info("line")
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert control.flush(LONG)
    found = events(tmp_path / "x")
    assert found.count("test.writer: finalised") == 500
    assert found.count("test.writer: line") == 500


def test_closing_and_reopening_leaves_no_thread_and_no_descriptor(
    make: MakeControl, tmp_path: Path
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    control = make(f"1:file:{tmp_path}/x 1:file:{tmp_path}/y")
    for turn in range(20):
        _log.error("line")
        (tmp_path / "x").rename(tmp_path / f"x.{turn}")
        control.reopen()
    control.close()
    for thread in threading.enumerate():
        if thread.name == "aiovirt-log":
            thread.join(LONG)
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == before
