"""What Python's own logging says reaches the daemon's outputs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiovirt.rpc.logs import LogControl, bridge_stdlib


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers = root.handlers[:]
    yield root
    root.handlers[:] = handlers


def test_a_library_s_error_is_written_with_its_traceback(
    tmp_path: Path, root_logger: logging.Logger
) -> None:
    path = tmp_path / "log"
    control = LogControl("virtd", outputs=f"1:file:{path}")
    try:
        bridge_stdlib()
        try:
            raise LookupError("nobody there")
        except LookupError:
            logging.getLogger("some.library").exception("it failed %d times", 3)
    finally:
        control.close()
    text = path.read_text()
    assert "error : some.library: it failed 3 times" in text
    assert "LookupError: nobody there" in text


def test_a_record_below_the_level_is_not_written(
    tmp_path: Path, root_logger: logging.Logger
) -> None:
    path = tmp_path / "log"
    control = LogControl("virtd", outputs=f"1:file:{path}")
    try:
        bridge_stdlib()
        logging.getLogger("some.library").info("a detail")
    finally:
        control.close()
    assert "a detail" not in path.read_text()
