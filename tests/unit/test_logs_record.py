"""What a record looks like in each format, and that logging it never hurts the caller."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiovirt.rpc.logs import LogControl, get_logger

_log = get_logger("test.record")

LIBVIRT_LINE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}\+[0-9]{4}: "
    r"[0-9]+: (debug|info|warning|error) : "
)
"""libvirt: src/util/virlog.c, VIR_LOG_REGEX: how libvirt itself tells its log lines from others."""

Written = Callable[[], str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.log"


@pytest.fixture
def control(path: Path) -> Iterator[LogControl]:
    control = LogControl("virtd", level=1, outputs=f"1:file:{path}")
    yield control
    control.close()


@pytest.fixture
def written(control: LogControl, path: Path) -> Written:
    def read() -> str:
        assert control.flush(10)
        return path.read_text()

    return read


def _after_head(line: str) -> str:
    return LIBVIRT_LINE.sub("", line, count=1)


def test_a_text_line_has_libvirts_layout(written: Written) -> None:
    _log.info("client connected", client=7, name="a b", empty="", flag=True)
    line = written()
    assert LIBVIRT_LINE.match(line)
    assert f": {os.getpid()}: info : test.record: client connected" in line
    assert line.endswith(' client=7 name="a b" empty="" flag=True\n')


def test_a_thread_signs_with_its_own_number(written: Written) -> None:
    numbers: list[int] = []

    def work() -> None:
        numbers.append(threading.get_native_id())
        _log.info("from a thread")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert f": {numbers[0]}: info : " in written()


def test_nobody_can_forge_a_line_by_what_they_send(written: Written) -> None:
    _log.warning("name\nforged", value="x\ny\u2028z\x1b[2J", bad="\udc80")
    assert written().count("\n") == 1
    assert _after_head(written()) == (
        'test.record: name\\nforged value="x\\ny\\u2028z\\u001b[2J" bad=\\udc80\n'
    )


def test_a_field_named_like_a_part_of_the_record_is_set_apart(written: Written) -> None:
    _log.info("e", source="mine", level=9, event="other", timestamp=0, thread=1)
    assert _after_head(written()) == (
        "test.record: e source_=mine level_=9 event_=other timestamp_=0 thread_=1\n"
    )


def test_a_traceback_is_part_of_its_record(control: LogControl, path: Path) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        _log.exception("failed", call=3)
        _log.error("again", exc_info=error)
    assert control.flush(10)
    lines = path.read_text().splitlines()
    heads = [line for line in lines if LIBVIRT_LINE.match(line)]
    assert [_after_head(line) for line in heads] == [
        "test.record: failed call=3",
        "test.record: again",
    ]
    assert all(line.startswith("    ") for line in lines if line not in heads)
    assert lines.count("    ValueError: first") == 2


def test_json_is_one_object_a_line_with_values_kept(control: LogControl, path: Path) -> None:
    control.log_format = "json"
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        _log.exception("failed\nhere", client=7, names=["a", None], path=Path("/x"), ok=True)
    assert control.flush(10)
    (line,) = path.read_text().splitlines()
    record = json.loads(line)
    assert list(record)[:5] == ["timestamp", "level", "source", "thread", "event"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record["timestamp"])
    assert record["level"] == "error"
    assert record["thread"] == os.getpid()
    assert record["event"] == "failed\nhere"
    assert (record["client"], record["names"], record["path"]) == (7, ["a", None], "/x")
    assert "ValueError: first\nsecond" in record["exception"]


class _Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_value_that_cannot_be_printed_does_not_hurt_the_caller(
    control: LogControl, path: Path, log_format: str
) -> None:
    control.log_format = log_format
    cycle: list[object] = []
    cycle.append(cycle)
    _log.info("odd", value=_Broken(), cycle=cycle, number=float("nan"), keys={(1, 2): 3})
    assert control.flush(10)
    text = path.read_text()
    assert text.count("\n") == 1
    assert "_Broken that cannot be printed: RuntimeError" in text
    if log_format == "json":
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_an_event_whose_context_breaks_the_chain_still_leaves_a_record(written: Written) -> None:
    _log.info("odd", exc_info=_BrokenError())
    assert _after_head(written()).startswith("test.record: odd log_statement_failed=")


class _BrokenError(Exception):
    @property
    def __cause__(self) -> BaseException | None:  # type: ignore[override]  # breaks traceback on purpose
        raise RuntimeError("no cause")


def test_a_value_that_logs_while_it_is_printed_gets_a_record_of_its_own(written: Written) -> None:
    class Chatty:
        def __str__(self) -> str:
            _log.info("inner")
            return "x"

    _log.info("outer", value=Chatty())
    assert [_after_head(line) for line in written().splitlines()] == [
        "test.record: outer value=x",
        "test.record: inner",
    ]


def test_importing_and_disabled_statements_do_not_load_structlog() -> None:
    program = (
        "import sys; from aiovirt.rpc.logs import get_logger;"
        "log = get_logger('x'); log.info('off', a=1);"
        "assert 'structlog' not in sys.modules; log.warning('on');"
        "assert 'structlog' in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert _after_head(done.stderr) == "x: on\n"


def test_without_structlog_the_event_still_reaches_stderr() -> None:
    program = (
        "import sys; sys.modules['structlog'] = None; from aiovirt.rpc.logs import get_logger;"
        "get_logger('x').error('no descriptors left')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.startswith("error : x: no descriptors left (structlog cannot be loaded")
