"""Filters and outputs changed while running: who is heard, where, and no line lost or doubled."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiovirt.rpc.logs import LogControl, LogSettingError, Output, SinkPaths, get_logger
from aiovirt.rpc.logs.opening import open_sink
from aiovirt.rpc.logs.outlet import OUTLET
from aiovirt.rpc.logs.sinks import Sink

_log = get_logger("test.control.main")
_other = get_logger("test.other")

MakeControl = Callable[..., LogControl]


@pytest.fixture
def make() -> Iterator[MakeControl]:
    """Makes LogControls that are closed at the end; stderr is theirs to write to."""
    made: list[LogControl] = []

    def make(**settings: object) -> LogControl:
        control = LogControl("virtd", **settings)  # type: ignore[arg-type]  # passed through
        made.append(control)
        return control

    yield make
    for control in made:
        control.close()


def _events(path: Path) -> list[str]:
    OUTLET.flush(10)
    return [line.split(": ", 3)[3] for line in path.read_text().splitlines()]


def _switches(logger: object) -> list[bool]:
    return [getattr(logger, f"{level}_on") for level in ("debug", "info", "warning", "error")]


class TestSwitches:
    def test_without_a_control_warnings_go_to_stderr(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert _switches(_log) == [False, False, True, True]
        _log.info("no")
        _log.warning("yes")
        assert capfd.readouterr().err.endswith(": warning : test.control.main: yes\n")

    def test_the_level_decides_where_no_filter_matches(self, make: MakeControl) -> None:
        control = make(outputs="1:stderr")
        for level in (1, 2, 3, 4):
            control.level = level
            assert _switches(_other) == [level <= own for own in (1, 2, 3, 4)]
            assert control.level == level

    def test_filters_turn_sources_on_and_off(self, make: MakeControl) -> None:
        control = make(outputs="1:stderr", filters="1:control 4:test")
        assert (_log.debug_on, _other.warning_on) == (True, False)
        control.set_filters(None)
        assert (_log.debug_on, _other.warning_on) == (False, True)

    def test_a_record_that_no_output_takes_is_off(self, make: MakeControl) -> None:
        control = make(level=1, outputs="3:stderr")
        assert _switches(_log) == [False, False, True, True]
        control.set_outputs("2:stderr 4:journald")
        assert _switches(_log) == [False, True, True, True]

    def test_later_loggers_follow_too(self, make: MakeControl) -> None:
        control = make(level=1, outputs="1:stderr")
        later = get_logger("test.control.later")
        assert later.debug_on
        control.level = 4
        assert not later.warning_on
        assert not get_logger("test.control.new").warning_on

    def test_a_source_has_one_logger(self) -> None:
        assert get_logger("test.control.main") is _log


class TestSets:
    def test_each_output_takes_from_its_own_level_up(
        self, make: MakeControl, tmp_path: Path
    ) -> None:
        all_of_it, errors = tmp_path / "all", tmp_path / "errors"
        make(level=1, outputs=f"1:file:{all_of_it} 4:file:{errors}")
        _log.debug("d")
        _log.error("e")
        assert _events(all_of_it) == ["test.control.main: d", "test.control.main: e"]
        assert _events(errors) == ["test.control.main: e"]
        assert all_of_it.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("bad", ["1:file:{fresh} 9:stderr", "1:file:{fresh} 1:file:/none/x"])
    def test_a_bad_set_leaves_the_old_one_whole(
        self, make: MakeControl, tmp_path: Path, bad: str
    ) -> None:
        old, fresh = tmp_path / "old", tmp_path / "fresh"
        control = make(outputs=f"3:file:{old}", filters="3:test")
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(LogSettingError):
            control.configure(level=1, filters="1:test", outputs=bad.format(fresh=fresh))
        _log.error("still here")
        assert control.outputs_text() == f"3:file:{old}"
        assert control.filters_text() == "3:*test* "
        assert control.level == 3
        assert _events(old) == ["test.control.main: still here"]
        assert len(os.listdir("/proc/self/fd")) == before
        assert not fresh.exists() or fresh.read_text() == ""

    def test_a_bad_filter_leaves_the_old_ones(self, make: MakeControl) -> None:
        control = make(outputs="1:stderr", filters="1:test")
        with pytest.raises(LogSettingError):
            control.set_filters("4:test 5:test")
        assert control.filters_text() == "1:*test* "
        assert _log.debug_on

    def test_a_file_that_cannot_be_opened_is_a_system_error(
        self, make: MakeControl, tmp_path: Path
    ) -> None:
        control = make(outputs="1:stderr")
        with pytest.raises(LogSettingError, match="Is a directory") as caught:
            control.set_outputs(f"1:file:{tmp_path}")
        assert caught.value.code_name == "SYSTEM_ERROR"
        assert caught.value.errno == errno.EISDIR

    def test_a_pipe_without_a_reader_is_refused_at_once(
        self, make: MakeControl, tmp_path: Path
    ) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(LogSettingError) as caught:
            make(outputs=f"1:file:{tmp_path}/pipe")
        assert caught.value.errno == errno.ENXIO

    @pytest.mark.parametrize("text", ["", "   ", None])
    def test_an_empty_set_brings_the_default_back(
        self, make: MakeControl, tmp_path: Path, text: str | None
    ) -> None:
        control = make(outputs=f"1:file:{tmp_path}/x", default="2:stderr")
        control.set_outputs(text)
        assert control.outputs_text() == "2:stderr"
        assert [str(one) for one in control.outputs()] == ["2:stderr"]

    def test_a_file_system_that_hangs_holds_up_neither_records_nor_filters(
        self, make: MakeControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        control = make(outputs=f"1:file:{tmp_path}/x")
        opening, let_go = threading.Event(), threading.Event()

        def slow_open(output: Output, paths: SinkPaths) -> Sink:
            opening.set()
            assert let_go.wait(10)
            return open_sink(output, paths)

        monkeypatch.setattr("aiovirt.rpc.logs.control.open_sink", slow_open)
        setter = threading.Thread(target=control.set_outputs, args=(f"2:file:{tmp_path}/y",))
        setter.start()
        assert opening.wait(10)
        control.set_filters("1:test")
        _log.debug("before")
        assert control.outputs_text() == f"1:file:{tmp_path}/x"
        let_go.set()
        setter.join()
        _log.info("after")
        assert control.filters_text() == "1:*test* "
        assert _events(tmp_path / "x") == ["test.control.main: before"]
        assert _events(tmp_path / "y") == ["test.control.main: after"]

    def test_a_set_that_arrives_after_the_close_is_not_put_in_force(
        self, make: MakeControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        control = make(outputs=f"1:file:{tmp_path}/x")
        before = len(os.listdir("/proc/self/fd"))

        def close_then_open(output: Output, paths: SinkPaths) -> Sink:
            control.close()
            return open_sink(output, paths)

        monkeypatch.setattr("aiovirt.rpc.logs.control.open_sink", close_then_open)
        with pytest.raises(RuntimeError, match="closed"):
            control.set_outputs(f"2:file:{tmp_path}/y")
        assert control.outputs() == []
        assert len(os.listdir("/proc/self/fd")) == before - 1

    def test_a_file_that_goes_is_closed(self, make: MakeControl, tmp_path: Path) -> None:
        control = make(outputs="1:stderr")
        before = len(os.listdir("/proc/self/fd"))
        control.set_outputs(f"1:file:{tmp_path}/x 1:file:{tmp_path}/y")
        assert len(os.listdir("/proc/self/fd")) == before + 2
        control.set_outputs("1:stderr")
        assert len(os.listdir("/proc/self/fd")) == before

    def test_the_format_can_be_changed_for_one_output(
        self, make: MakeControl, tmp_path: Path
    ) -> None:
        text, objects = tmp_path / "text", tmp_path / "objects"
        control = make(outputs=f"1:file:{text} 1:file:{objects}")
        control.log_format = f"text file:{objects}=json"
        _log.error("e", client=1)
        assert _events(text) == ["test.control.main: e client=1"]
        assert json.loads(objects.read_text())["client"] == 1
        assert control.log_format == f"text file:{objects}=json"

    def test_a_banner_opens_every_output_once(self, make: MakeControl, tmp_path: Path) -> None:
        first, second = tmp_path / "first", tmp_path / "second"
        control = make(outputs=f"4:file:{first}", banner=["version: 1", "host: x"])
        assert first.read_text() == ""
        _log.error("a")
        control.set_outputs(f"3:file:{first} 3:file:{second}")
        _log.error("b")
        banner = ["rpc.logs: version: 1", "rpc.logs: host: x"]
        assert _events(first) == [*banner, "test.control.main: a", "test.control.main: b"]
        assert _events(second) == [*banner, "test.control.main: b"]

    def test_a_second_control_is_refused_until_the_first_is_closed(self, make: MakeControl) -> None:
        control = make(outputs="1:stderr")
        with pytest.raises(RuntimeError, match="1:stderr"):
            make(outputs="2:stderr")
        assert control.outputs_text() == "1:stderr"
        control.close()
        with pytest.raises(RuntimeError, match="closed"):
            control.set_filters("1:x")
        assert make(outputs="2:stderr").outputs_text() == "2:stderr"


class TestReopen:
    def test_a_rotated_file_is_left_for_the_new_one(
        self, make: MakeControl, tmp_path: Path
    ) -> None:
        path, rotated = tmp_path / "x", tmp_path / "x.0"
        control = make(outputs=f"1:file:{path}")
        _log.error("a")
        path.rename(rotated)
        _log.error("b")
        control.reopen()
        control.reopen()
        _log.error("c")
        assert _events(rotated) == ["test.control.main: a", "test.control.main: b"]
        assert _events(path) == ["test.control.main: c"]

    def test_setting_the_same_outputs_after_a_rotation_turns_to_the_new_file(
        self, make: MakeControl, tmp_path: Path
    ) -> None:
        path = tmp_path / "x"
        control = make(outputs=f"1:file:{path}")
        path.rename(tmp_path / "x.0")
        control.set_outputs(control.outputs_text())
        _log.error("c")
        assert _events(path) == ["test.control.main: c"]

    def test_a_file_that_cannot_be_reopened_goes_on_and_the_others_are_reopened(
        self, make: MakeControl, tmp_path: Path
    ) -> None:
        (tmp_path / "gone").mkdir()
        lost, path = tmp_path / "gone/x", tmp_path / "y"
        control = make(outputs=f"1:file:{lost} 1:file:{path}")
        (tmp_path / "gone").rename(tmp_path / "moved")
        path.rename(tmp_path / "y.0")
        with pytest.raises(LogSettingError, match="gone/x") as caught:
            control.reopen()
        assert caught.value.code_name == "SYSTEM_ERROR"
        _log.error("e")
        assert _events(tmp_path / "moved/x") == ["test.control.main: e"]
        assert _events(path) == ["test.control.main: e"]


class TestUnderLoad:
    """Threads log numbered lines without a pause while the set is changed under them."""

    THREADS = 3
    LINES = 1500

    def _run(self, change: Callable[[int], None]) -> set[str]:
        """Logs from threads, and meanwhile changes again and again; returns every line expected."""

        def work(thread: int) -> None:
            for number in range(self.LINES):
                _log.error("line", thread_no=thread, number=number)

        threads = [threading.Thread(target=work, args=(one,)) for one in range(self.THREADS)]
        changes = 0
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            change(changes)
            changes += 1
        for thread in threads:
            thread.join()
        assert changes > 10
        return {
            f"test.control.main: line thread_no={thread} number={number}"
            for thread in range(self.THREADS)
            for number in range(self.LINES)
        }

    def _check(self, expected: set[str], *paths: Path) -> None:
        lines = [line for path in paths for line in _events(path)]
        assert len(lines) == len(expected), "lines were lost or doubled"
        assert set(lines) == expected

    def test_an_output_in_every_set_has_each_line_once(
        self, make: MakeControl, tmp_path: Path
    ) -> None:
        steady = tmp_path / "steady"
        sets = [f"1:file:{steady}", f"2:file:{tmp_path}/b 3:file:{steady} 1:file:{tmp_path}/c"]
        control = make(outputs=sets[0])
        expected = self._run(lambda turn: control.set_outputs(sets[turn % 2]))
        self._check(expected, steady)

    def test_each_line_is_in_one_of_two_sets_that_alternate(
        self, make: MakeControl, tmp_path: Path
    ) -> None:
        first, second = tmp_path / "first", tmp_path / "second"
        control = make(outputs=f"1:file:{first}")
        paths = [first, second]
        expected = self._run(lambda turn: control.set_outputs(f"1:file:{paths[turn % 2]}"))
        self._check(expected, first, second)

    def test_rotations_and_refused_sets_lose_nothing(
        self, make: MakeControl, tmp_path: Path
    ) -> None:
        path = tmp_path / "x"
        control = make(outputs=f"1:file:{path}")
        rotated: list[Path] = []

        def change(turn: int) -> None:
            rotated.append(path.rename(tmp_path / f"x.{turn}"))
            control.reopen()
            with pytest.raises(LogSettingError):
                control.set_outputs(f"1:file:{path} 1:file:/none/x")

        expected = self._run(change)
        self._check(expected, path, *rotated)

    def test_filters_changed_meanwhile_lose_nothing_they_allow(
        self, make: MakeControl, tmp_path: Path
    ) -> None:
        path = tmp_path / "x"
        control = make(outputs=f"1:file:{path}")
        expected = self._run(lambda turn: control.set_filters(["1:test", "4:control"][turn % 2]))
        self._check(expected, path)


def test_a_control_with_places_of_its_own_writes_to_its_own_stderr(make: MakeControl) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with open(reader, "rb") as read, open(writer, "wb") as written:
        make(outputs="1:stderr", paths=SinkPaths(stderr=written.fileno()))
        _log.error("here")
        assert b"test.control.main: here\n" in os.read(read.fileno(), 4096)
