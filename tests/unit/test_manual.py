"""The manual pages and completion scripts say what the declarations say, and pages render."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from aiovirt.admin.cli.commands import own_table
from aiovirt.admin.cli.startup import _LONG, _SHORT
from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.manual import _STATUSES, COMMAND, documents, main, stale, write
from aiovirt.daemons.roff import Page, escape
from aiovirt.daemons.runtime.process.failure import Failure
from tests import harness

ROOT = harness.ROOT
PAGES = sorted(path for path in documents() if path.startswith("conf/man/"))


def test_the_documents_are_current() -> None:
    assert stale(ROOT) == [], f"run `{COMMAND}`"


def test_a_document_that_was_edited_or_removed_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    assert main(["check"]) == 0
    edited, removed = tmp_path / "conf/man/lockd.8", tmp_path / "conf/completion/bash/virtadm"
    edited.write_text(edited.read_text() + ".PP\n")
    removed.unlink()
    assert main(["check"]) == 1
    told = capsys.readouterr().err
    assert [line.split(" ", 1)[0] for line in told.splitlines()] == [
        "conf/man/lockd.8",
        "conf/completion/bash/virtadm",
    ]
    assert main(["write"]) == 0
    assert stale(tmp_path) == []


def test_nothing_else_is_in_the_folders() -> None:
    found = {*ROOT.glob("conf/man/*"), *ROOT.glob("conf/completion/*/*")}
    assert {str(path.relative_to(ROOT)) for path in found} == set(documents())


@pytest.mark.parametrize("page", PAGES)
def test_a_page_renders_without_a_warning(page: str) -> None:
    command = [harness.require("groff"), "-man", "-ww", "-Tutf8", "-z", str(ROOT / page)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stderr == ""


@pytest.mark.parametrize("page", PAGES)
def test_man_shows_a_page_without_a_warning(page: str) -> None:
    ran = subprocess.run(
        [harness.require("man"), "--warnings", "-l", str(ROOT / page)],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANPAGER": "cat", "MANWIDTH": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    assert re.search(r"\bNAME\b", ran.stdout)


def test_every_command_and_every_option_of_virtadm_is_described() -> None:
    page = documents()["conf/man/virtadm.1"]
    for command in own_table().listed():
        assert f".TP\n\\fB{escape(command.name)}" in page
    for word in [*(f"--{name}" for name in _LONG), *(f"-{letter}" for letter in _SHORT)]:
        assert re.search(rf"\\fB(\\-\w, )?{re.escape(escape(word))}\b", page), word


def test_every_exit_status_of_a_daemon_is_described() -> None:
    assert set(_STATUSES) == {0, *Failure}


def test_every_daemon_has_two_pages_and_a_script() -> None:
    for kind in kinds():
        scripts = (f"bash/{kind.name}", f"zsh/_{kind.name}", f"fish/{kind.name}.fish")
        names = [f"man/{kind.name}.8", f"man/{kind.name}.conf.5"]
        names += [f"completion/{script}" for script in scripts]
        assert {f"conf/{name}" for name in names} <= set(documents())


def test_text_is_shown_as_it_was_written() -> None:
    text = ".A point, a \\ and 'quotes', --long-option, `-x`, e-mail, 0-4, ü, ^, ~ and `'.so'`"
    page = Page("x", 1, "a test", source="x", manual="x")
    page.paragraph(text)
    ran = subprocess.run(
        [harness.require("groff"), "-man", "-ww", "-Tutf8", "-P-cbou"],
        input=str(page),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    shown = " ".join(ran.stdout.split())
    assert text.replace("`", "") in shown.replace("\N{HYPHEN}", "-")
