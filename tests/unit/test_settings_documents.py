"""The files in conf/ and docs/settings.md say what the declarations say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.documents import COMMAND, documents, stale, write
from aiovirt.daemons.runtime.kind import DaemonKind
from aiovirt.daemons.runtime.settings import load

ROOT = Path(__file__).parents[2]
EACH = pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)


def test_the_documents_are_current() -> None:
    assert stale(ROOT) == [], f"run `{COMMAND}`"


def test_a_document_that_was_edited_is_stale(tmp_path: Path) -> None:
    for path in documents():
        (tmp_path / path).parent.mkdir(exist_ok=True)
    write(tmp_path)
    assert stale(tmp_path) == []
    edited = tmp_path / "conf/lockd.conf"
    edited.write_text(edited.read_text() + "#x = 1\n")
    assert stale(tmp_path) == ["conf/lockd.conf"]


@EACH
def test_a_file_as_shipped_changes_nothing(kind: DaemonKind) -> None:
    loaded = load(kind.settings(), str(ROOT / f"conf/{kind.name}.conf"), required=True)
    assert loaded.values == load(kind.settings(), None).values
    assert loaded.given == frozenset()


@EACH
def test_a_file_with_everything_in_force_gives_every_setting_and_only_defaults(
    kind: DaemonKind, tmp_path: Path
) -> None:
    path = tmp_path / "x.conf"
    shutil.copy(ROOT / f"conf/{kind.name}.conf", path)
    path.write_text(re.sub(r"^#(\w+ = .*)$", r"\1", path.read_text(), flags=re.MULTILINE))
    second_forms = {name for name, setting in kind.settings().items() if setting.instead_of}
    for name in second_forms:
        path.write_text(re.sub(rf"^{name} = .*$", "", path.read_text(), flags=re.MULTILINE))
    loaded, defaults = load(kind.settings(), str(path), required=True), load(kind.settings(), None)
    assert loaded.given == set(kind.settings()) - second_forms
    assert loaded.unused == ()
    for name, setting in kind.settings().items():
        if not setting.example:
            assert loaded.values[name] == defaults.values[name], name


@EACH
def test_print_config_writes_the_file_that_is_shipped(kind: DaemonKind) -> None:
    run = subprocess.run(
        [sys.executable, "-m", f"aiovirt.daemons.{kind.name}", "--print-config"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert run.stdout == (ROOT / f"conf/{kind.name}.conf").read_text()
    assert run.stderr == ""
