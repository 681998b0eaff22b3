"""Logs on the command line: lines, their order, durations, and what is said of daemons that end."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from aiovirt.admin import protocol
from aiovirt.admin.cli import main
from aiovirt.admin.cli.commands import command_table
from aiovirt.admin.cli.duration import seconds_of
from aiovirt.admin.cli.failure import CommandFailed
from aiovirt.admin.cli.log_lines import as_data, as_line
from aiovirt.admin.cli.logs import _labels
from aiovirt.admin.cli.merging import HELD_MAX, PATIENCE, Merger
from aiovirt.admin.cli.parser import LineWords, parse
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.terminal import Terminal
from aiovirt.admin.logs import LogGap, LogRecord
from aiovirt.rpc.logs import LogControl, get_logger
from aiovirt.rpc.logs.outlet import OUTLET
from tests.unit.scripted_daemon import ScriptedDaemon, scripted_daemon

TABLE = command_table()
RECORD = LogRecord(1000.25, "info", "rpc.x", 7, "called", {"a": 1, "b": "x y", "c": None})


class TestLines:
    def test_a_line_is_the_one_of_the_daemons_own_files(self, tmp_path: Path) -> None:
        control = LogControl("x", level=1, outputs=f"1:file:{tmp_path}/log", buffer_size=1)
        log = get_logger("test.cli.lines")
        fields = {"quoted": 'a "b"', "empty": "", "n": 1.5, "none": None, "ctl": "a\x1b\n\u2028b"}
        try:
            log.warning("an event\x07", **fields)  # type: ignore[arg-type]  # any fields
            following = control.audience.follow(lambda: None, level=1, filters="", last=1)
            OUTLET.flush(10)
        finally:
            control.close()
        time, _, source, thread, message, sent = json.loads(following.earlier[0])
        record = LogRecord(time, "warning", source, thread, message, sent)
        assert as_line(record) == (tmp_path / "log").read_text()

    def test_the_daemon_stands_before_the_line(self) -> None:
        assert as_line(RECORD, "virtd") == (
            'virtd: 1970-01-01 00:16:40.250+0000: 7: info : rpc.x: called a=1 b="x y" c=None\n'
        )

    def test_a_traceback_follows_indented(self) -> None:
        record = LogRecord(0.0, "error", "s", 1, "m", {}, "Traceback:\n  x\x1b\nValueError")
        assert as_line(record).splitlines()[1:] == [
            "    Traceback:",
            "      x\\x1b",
            "    ValueError",
        ]

    @pytest.mark.parametrize(
        ("gap", "text"),
        [
            (LogGap(1), "--- 1 record is missing: reading was too slow ---\n"),
            (LogGap(9), "--- 9 records are missing: reading was too slow ---\n"),
            (
                LogGap(None),
                "--- the daemon was restarted; records of that moment may be missing ---\n",
            ),
        ],
    )
    def test_a_gap_is_a_line(self, gap: LogGap, text: str) -> None:
        assert as_line(gap) == text

    def test_json_has_everything(self) -> None:
        assert as_data(RECORD, "virtd") == {
            "daemon": "virtd",
            "time": 1000.25,
            "level": "info",
            "source": "rpc.x",
            "thread": 7,
            "message": "called",
            "fields": {"a": 1, "b": "x y", "c": None},
        }
        assert as_data(LogGap(3), "virtd") == {"daemon": "virtd", "lost": 3, "restarted": False}


class TestMerging:
    def test_records_come_out_in_the_order_of_their_times(self) -> None:
        merger: Merger[str] = Merger(["a", "b"])
        merger.add("a", 2.0, "a2", now=0.0)
        merger.add("a", 4.0, "a4", now=0.0)
        assert merger.due(0.0) == []
        merger.add("b", 1.0, "b1", now=0.1)
        merger.add("b", 3.0, "b3", now=0.1)
        assert merger.due(0.1) == [("b", "b1"), ("a", "a2"), ("b", "b3")]

    def test_a_quiet_daemon_does_not_keep_others_back_for_long(self) -> None:
        merger: Merger[str] = Merger(["a", "quiet"])
        merger.add("a", 1.0, "x", now=0.0)
        assert merger.due(PATIENCE - 0.01) == []
        assert merger.due(PATIENCE) == [("a", "x")]
        assert len(merger) == 0

    def test_a_daemon_that_has_ended_is_not_waited_for(self) -> None:
        merger: Merger[str] = Merger(["a", "b"])
        merger.add("a", 1.0, "x", now=0.0)
        merger.ended("b")
        assert merger.due(0.0) == [("a", "x")]

    def test_a_single_daemon_is_not_held_back(self) -> None:
        merger: Merger[str] = Merger(["a"])
        merger.add("a", 1.0, "x", now=0.0)
        merger.add("a", None, "gap", now=0.0)
        assert merger.due(0.0) == [("a", "x"), ("a", "gap")]

    def test_what_is_held_back_is_bounded(self) -> None:
        merger: Merger[int] = Merger(["a", "b"])
        for n in range(HELD_MAX + 10):
            merger.add("a", float(n), n, now=0.0)
        assert merger.due(0.0) == [("a", n) for n in range(10)]
        assert len(merger.rest()) == HELD_MAX


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5), ("0", 0), ("30s", 30), ("1.5m", 90), ("2h", 7200)]
)
def test_a_duration_has_a_unit_or_is_in_seconds(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1", "1d", "1 s", "1e3", "inf", "9999999"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(CommandFailed, match="is not a duration"):
        seconds_of(text)


def test_daemons_of_one_name_are_told_apart_by_their_uris() -> None:
    one, two, other = "virtd:///session", "virtd:///system", "lockd:///system"
    assert _labels([one, other]) == {"virtd": one, "lockd": other}
    assert _labels([one, two, other]) == {one: one, two: two, "lockd": other}
    assert _labels([None]) == {"default": None}


async def run_at(daemon: ScriptedDaemon, line: str, *, json: bool = False) -> tuple[bool, str, str]:
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal("virtadm", out=out, err=err)
    terminal.json = json
    session = AdminSession(TABLE, terminal, daemon.uri)
    try:
        succeeded = await session.run(parse(LineWords(line), TABLE))
    finally:
        await session.close()
    return succeeded, out.getvalue(), err.getvalue()


def test_the_form_of_the_output_may_stand_after_the_command(
    capfd: pytest.CaptureFixture[str],
) -> None:
    uri = "virtd:///session?socket=/nonexistent"
    for words in (["-c", uri, "-o", "json"], [f"-c{uri}", "--output=json"]):
        assert main(["virtadm", "daemon-log-follow", *words]) == 1
        assert "/nonexistent" in capfd.readouterr().err
    assert main(["virtadm", "daemon-log-follow", "-c", uri, "-o", "xml"]) == 1
    assert capfd.readouterr().err == "error: option --output takes text or json, not 'xml'\n"


class TestCommands:
    @pytest.mark.parametrize(
        ("line", "error"),
        [
            ("daemon-log-follow --level loud", "'loud' is not a log level"),
            ("daemon-log-follow --for ever", "'ever' is not a duration"),
            ("daemon-log-filters 1:x --for 0", "--for needs filters to set, and a time above 0"),
            ("daemon-log-filters --for 5", "--for needs filters to set, and a time above 0"),
        ],
    )
    async def test_wrong_words_are_refused(self, line: str, error: str) -> None:
        async with scripted_daemon() as daemon:
            succeeded, out, err = await run_at(daemon, line)
        assert not succeeded
        assert out.strip() == ""
        assert error in err

    async def test_filters_are_set_for_a_time_and_put_back(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        in_force = "3:*old* "
        seen: list[str] = []

        def change(args: protocol.SetLoggingArgs) -> None:
            nonlocal in_force
            seen.append(args.text or "")
            in_force = "".join(
                f"{level}:*{match}* "
                for level, match in (one.split(":") for one in (args.text or "").split())
            )

        script = {
            protocol.CONNECT_SET_LOGGING_FILTERS: change,
            protocol.CONNECT_GET_LOGGING_FILTERS: lambda args: protocol.LoggingFilters(in_force, 1),
        }
        monkeypatch.setattr("aiovirt.admin.cli.duration.seconds_of", lambda text: 0.01)
        async with scripted_daemon(script) as daemon:
            said = await run_at(daemon, "daemon-log-filters '1:x 2:y' --for 30s")
            as_json = await run_at(daemon, "daemon-log-filters 1:x --for 30s", json=True)
        assert seen == ["1:x 2:y", "3:old", "1:x", "3:old"]
        assert said[0]
        assert " Logging filters put back: 3:old\n" in said[1]
        assert as_json[1] == '{"filters": ["3:old"]}\n'
