"""Followers and the ring: what they get, what they cost, and that the outputs do not notice them."""

from __future__ import annotations

import contextlib
import gc
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiovirt.rpc.logs import (
    FOLLOWERS_MAX,
    Following,
    LogControl,
    LogSettingError,
    SinkPaths,
    TooManyFollowers,
    get_logger,
    unfollowed,
)
from aiovirt.rpc.logs import capture as capture_module
from aiovirt.rpc.logs.capture import RECORD_MAX, capture
from aiovirt.rpc.logs.following import BUFFER_MAX
from aiovirt.rpc.logs.outlet import OUTLET

_log = get_logger("test.following.main")
_other = get_logger("test.other.thing")


class Desk:
    """A LogControl with an output at warnings, and those who follow."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.path = folder / "log"
        self.control = LogControl("x", level=3, outputs=f"1:file:{self.path}", **settings)
        self.woken = 0

    def follow(self, level: int = 1, filters: str = "", **more: Any) -> Following:
        return self.control.audience.follow(self._wake, level=level, filters=filters, **more)

    def _wake(self) -> None:
        self.woken += 1

    @property
    def written(self) -> list[str]:
        """The messages in the output."""
        OUTLET.flush(10)
        lines = self.path.read_text().splitlines()
        return [line.split(": ", 4)[4] for line in lines]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    one = Desk(tmp_path)
    yield one
    one.control.close()


@pytest.fixture
def ringed(tmp_path: Path) -> Iterator[Desk]:
    one = Desk(tmp_path, buffer_size=5)
    yield one
    one.control.close()


def messages(records: list[bytes]) -> list[str]:
    return [json.loads(data)[4] for data in records]


def taken(following: Following) -> list[str]:
    return messages(following.take().records)


class TestFollower:
    def test_a_follower_gets_debug_records_and_the_outputs_only_what_they_did_before(
        self, desk: Desk
    ) -> None:
        following = desk.follow()
        _log.debug("a detail", n=1)
        _log.warning("a warning")
        assert taken(following) == ["a detail", "a warning"]
        assert desk.written == ["a warning"]

    def test_loggers_are_off_again_when_the_last_follower_has_left(self, desk: Desk) -> None:
        first, second = desk.follow(), desk.follow(level=2)
        assert _log.debug_on
        first.close()
        assert (_log.debug_on, _log.info_on) == (False, True)
        second.close()
        assert (_log.info_on, _log.warning_on) == (False, True)

    def test_filters_of_a_follower_are_its_own(self, desk: Desk) -> None:
        mine, everything = desk.follow(4, "1:following"), desk.follow()
        _log.debug("here")
        _other.debug("there")
        assert taken(mine) == ["here"]
        assert taken(everything) == ["here", "there"]

    def test_changed_settings_of_the_outputs_do_not_touch_a_follower(self, desk: Desk) -> None:
        following = desk.follow()
        desk.control.configure(level=4, filters="4:following", outputs="4:stderr")
        _log.debug("still")
        assert taken(following) == ["still"]

    def test_a_logger_that_is_made_later_is_followed_too(self, desk: Desk) -> None:
        following = desk.follow()
        get_logger("test.following.later").debug("new")
        assert taken(following) == ["new"]

    def test_a_follower_that_nothing_refers_to_has_left(self, desk: Desk) -> None:
        following = desk.follow()
        assert _log.debug_on
        del following
        gc.collect()
        assert not _log.debug_on

    def test_a_record_is_the_same_in_the_stream_and_in_the_file(self, desk: Desk) -> None:
        desk.control.configure(log_format="json")
        following = desk.follow()
        _log.warning("both", client=7)
        OUTLET.flush(10)
        when, *rest = json.loads(following.take().records[0])
        written = json.loads(desk.path.read_text())
        assert rest == [3, "test.following.main", written["thread"], "both", {"client": 7}]
        assert written["timestamp"].endswith(f"{int(when * 1_000_000) % 1_000_000:06d}Z")

    @pytest.mark.parametrize(("level", "filters"), [(9, ""), (1, "nonsense"), (1, "7:x")])
    def test_a_wrong_level_or_filter_is_refused(self, desk: Desk, level: int, filters: str) -> None:
        with pytest.raises(LogSettingError):
            desk.follow(level, filters)
        assert len(desk.control.audience) == 0

    def test_what_is_logged_while_sending_is_followed_by_nobody(self, desk: Desk) -> None:
        first, second = desk.follow(), desk.follow()
        with unfollowed():
            _log.debug("packet sent")
            _log.warning("packet lost")
        assert taken(first) == taken(second) == []
        assert desk.written == ["packet lost"]

    def test_what_logging_itself_reports_is_followed(self, desk: Desk, tmp_path: Path) -> None:
        desk.control.set_outputs(f"3:syslog:x 3:file:{desk.path}")
        following = desk.follow(4, "1:rpc.logs")
        desk.control._places = SinkPaths(syslog=str(tmp_path / "nobody"))
        desk.control.set_outputs("3:syslog:y")
        _log.warning("lost")
        (report,) = map(json.loads, following.take().records)
        assert report[1:3] == [4, "rpc.logs"]
        assert report[4] == "log output fails"
        assert report[5]["output"] == "3:syslog:y"

    def test_sixty_four_follow_and_one_more_is_refused(self, desk: Desk) -> None:
        with contextlib.ExitStack() as stack:
            all_of_them = [
                stack.enter_context(contextlib.closing(desk.follow())) for _ in range(64)
            ]
            assert FOLLOWERS_MAX == 64
            with pytest.raises(TooManyFollowers, match="64 followers"):
                desk.follow()
            _log.debug("for all")
            assert [taken(one) for one in all_of_them] == [["for all"]] * 64
        desk.follow().close()


class TestDrops:
    def fill(self, following: Following) -> int:
        """Log until the buffer is full; the number of records that it took."""
        count = 0
        while not following.follower.full:
            _log.debug("record", n=count)
            count += 1
        return count - 1

    def numbers(self, records: list[bytes]) -> list[int]:
        return [json.loads(data)[5]["n"] for data in records]

    def test_drops_add_up_to_what_is_missing_and_stand_where_it_is_missing(
        self, desk: Desk
    ) -> None:
        following = desk.follow()
        fitting = self.fill(following)
        for n in range(fitting + 1, fitting + 10):
            _log.debug("record", n=n)
        first = following.take()
        assert self.numbers(first.records) == list(range(fitting))
        assert first.lost == 10
        _log.debug("record", n=fitting + 10)
        second = following.take()
        assert (self.numbers(second.records), second.lost) == ([fitting + 10], 0)

    def test_nothing_is_taken_after_a_drop_even_if_it_would_fit(self, desk: Desk) -> None:
        following = desk.follow()
        fitting = self.fill(following)
        _log.debug("")  # the smallest one
        batch = following.take()
        assert (len(batch.records), batch.lost) == (fitting, 2)

    def test_a_buffer_is_bounded(self, desk: Desk) -> None:
        following = desk.follow()
        self.fill(following)
        for _ in range(100):
            _log.debug("record", text="x" * 10_000)
        assert sum(map(len, following.take().records)) <= BUFFER_MAX

    def test_a_stopped_reader_costs_nothing_further(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        following = desk.follow()
        self.fill(following)
        desk.woken = 0
        monkeypatch.setattr(capture_module, "capture", None)  # called, it would be noticed
        for n in range(50):
            _log.debug("record", n=n)
        assert following.take().lost == 51
        assert desk.woken == 0

    def test_a_reader_is_woken_once_for_a_batch(self, desk: Desk) -> None:
        following = desk.follow()
        for n in range(10):
            _log.debug("record", n=n)
        assert desk.woken == 1
        following.take()
        _log.debug("record")
        assert desk.woken == 2

    def test_records_and_drops_of_many_threads_add_up(self, desk: Desk) -> None:
        following = desk.follow()
        each, threads = 4000, 4
        found: list[int] = []

        def log() -> None:
            for n in range(each):
                _log.debug("record", n=n)

        def take() -> None:
            batch = following.take()
            found.extend((len(batch.records), batch.lost))

        running = [threading.Thread(target=log) for _ in range(threads)]
        for one in running:
            one.start()
        while any(one.is_alive() for one in running):
            take()
            threading.Event().wait(0.001)
        for one in running:
            one.join()
        take()
        assert sum(found) == each * threads


class TestRing:
    def test_it_keeps_what_level_and_filters_let_through_whatever_the_outputs_take(
        self, tmp_path: Path
    ) -> None:
        control = LogControl(
            "x", filters="1:following", outputs=f"4:file:{tmp_path}/log", buffer_size=5
        )
        with contextlib.closing(control):
            _log.debug("kept")
            _other.debug("not kept")
            _other.warning("kept, too")
            following = control.audience.follow(lambda: None, level=1, filters="", last=9)
            OUTLET.flush(10)
            assert messages(following.earlier) == ["kept", "kept, too"]
            assert (tmp_path / "log").read_text() == ""

    def test_it_keeps_the_latest(self, ringed: Desk) -> None:
        for n in range(9):
            _log.warning(f"w{n}")
        assert messages(ringed.follow(last=3).earlier) == ["w6", "w7", "w8"]
        assert messages(ringed.follow(last=99).earlier) == ["w4", "w5", "w6", "w7", "w8"]

    def test_level_and_filters_of_the_follower_choose_from_it(self, ringed: Desk) -> None:
        _log.error("e1")
        _log.warning("w1")
        _other.warning("w2")
        assert messages(ringed.follow(4, last=2).earlier) == ["e1"]
        assert messages(ringed.follow(4, "3:other", last=2).earlier) == ["e1", "w2"]

    def test_only_what_came_later_than_a_time_is_asked_for(self, ringed: Desk) -> None:
        _log.warning("w1")
        _log.warning("w2")
        when = json.loads(ringed.follow(last=2).earlier[0])[0]
        assert messages(ringed.follow(last=5, since=when).earlier) == ["w2"]

    def test_what_a_follower_begins_with_does_not_come_again(self, ringed: Desk) -> None:
        _log.warning("before")
        following = ringed.follow(last=5)
        _log.warning("after")
        assert messages(following.earlier) == ["before"]
        assert taken(following) == ["after"]

    def test_its_size_changes_while_it_is_used(self, ringed: Desk) -> None:
        for n in range(5):
            _log.warning(f"w{n}")
        ringed.control.configure(buffer_size=2)
        assert messages(ringed.follow(last=9).earlier) == ["w3", "w4"]
        ringed.control.configure(buffer_size=0)
        _log.warning("nowhere")
        assert ringed.follow(last=9).earlier == []

    def test_a_changed_level_counts_at_once(self, ringed: Desk) -> None:
        ringed.control.level = 1
        _log.debug("kept")
        ringed.control.level = 3
        _log.debug("not kept")
        assert messages(ringed.follow(last=9).earlier) == ["kept"]

    def test_it_survives_a_restart_before_what_came_since(self, ringed: Desk) -> None:
        _log.warning("old")
        saved = ringed.control.audience.save()
        ringed.control.configure(buffer_size=0)
        ringed.control.configure(buffer_size=5)
        _log.warning("new")
        ringed.control.audience.restore(saved)
        assert messages(ringed.follow(last=9).earlier) == ["old", "new"]

    @pytest.mark.parametrize("text", ["", "{}", "[1]", '["x", 1, "s"]', '[1, 9, "s"]'])
    def test_a_text_that_is_not_a_record_is_refused(self, ringed: Desk, text: str) -> None:
        with pytest.raises(ValueError, match="does not fit"):
            ringed.control.audience.restore([text])


def captured(event: str = "e", **fields: object) -> list[Any]:
    found: list[Any] = json.loads(capture(1, "s", event, fields, when=1.5))
    return found


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


class TestCapture:
    def test_types_are_kept_as_far_as_json_goes(self) -> None:
        fields = {"n": 1, "f": 0.5, "b": True, "none": None, "l": [1, "a"], "d": {"k": 2}}
        assert captured(**fields)[5] == fields

    def test_other_values_are_their_text(self) -> None:
        assert captured(error=OSError("full"), bad=Unprintable())[5] == {
            "error": "full",
            "bad": "<Unprintable that cannot be printed: RuntimeError>",
        }

    def test_what_json_has_not_is_text(self) -> None:
        cycle: list[object] = []
        cycle.append(cycle)
        assert captured("\udc80", huge=1 << 70, cycle=cycle)[4:] == [
            "\\udc80",
            {"huge": str(1 << 70), "cycle": "[[...]]"},
        ]

    def test_a_traceback_is_the_last_part(self) -> None:
        try:
            raise ValueError("here")
        except ValueError as error:
            by_value = captured(exc_info=error)
            by_flag = captured(exc_info=True)
            by_tuple = captured(exc_info=(ValueError, error, None))
        for found in (by_value, by_flag, by_tuple):
            assert found[5] == {}
            assert found[6].endswith("ValueError: here")
        assert len(captured(exc_info=True)) == 6  # outside of a handler

    @pytest.mark.parametrize(
        "fields",
        [
            {"text": "x" * 100_000},
            {f"field{n}": "\x01" * 5000 for n in range(300)},
            {"k" * 50_000: 1},
            {"exc_info": ValueError("y" * 100_000)},
            {"deep": ["\u20ac" * 50_000]},
        ],
    )
    def test_a_long_record_is_cut(self, fields: dict[str, object]) -> None:
        data = capture(1, "s" * 1000, "e" * 50_000, fields, when=1.5)
        assert len(data) <= RECORD_MAX
        assert json.loads(data)[5]["record_cut"] > RECORD_MAX
