"""The files in conf/ and docs/settings.md say what the declaration says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from aiovirt.daemons.runtime.settings import load
from aiovirt.daemons.runtime.settings.catalogue import DAEMONS, settings_of
from aiovirt.daemons.runtime.settings.reference import documents, stale, write

ROOT = Path(__file__).parents[2]


def test_the_documents_are_current() -> None:
    assert stale(ROOT) == [], "run `python -m aiovirt.daemons.runtime.settings write`"


def test_a_document_that_was_edited_is_stale(tmp_path: Path) -> None:
    for path in documents():
        (tmp_path / path).parent.mkdir(exist_ok=True)
    write(tmp_path)
    assert stale(tmp_path) == []
    edited = tmp_path / "conf/lockd.conf"
    edited.write_text(edited.read_text() + "#x = 1\n")
    assert stale(tmp_path) == ["conf/lockd.conf"]


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_file_as_shipped_changes_nothing(daemon: str) -> None:
    loaded = load(daemon, str(ROOT / f"conf/{daemon}.conf"), required=True)
    assert loaded.values == load(daemon, None).values
    assert loaded.given == frozenset()


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_file_with_everything_in_force_gives_every_setting_and_only_defaults(
    daemon: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.conf"
    shutil.copy(ROOT / f"conf/{daemon}.conf", path)
    path.write_text(re.sub(r"^#(\w+ = .*)$", r"\1", path.read_text(), flags=re.MULTILINE))
    loaded, defaults = load(daemon, str(path), required=True), load(daemon, None)
    assert loaded.given == set(settings_of(daemon))
    assert loaded.unused == ()
    for name, setting in settings_of(daemon).items():
        if not setting.example:
            assert loaded.values[name] == defaults.values[name], name
