"""Editing a settings file: the changed values are in it, and everything else is as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiovirt.admin.conf_file import parse
from aiovirt.daemons.runtime.settings import replace as replacing
from aiovirt.daemons.runtime.settings.declaration import Value
from aiovirt.daemons.runtime.settings.edit import EditError, edited
from aiovirt.daemons.runtime.settings.replace import replace
from aiovirt.daemons.runtime.settings.text import to_text, to_value
from aiovirt.daemons.virtd.settings import SETTINGS
from tests import harness

LIMIT = 1 << 20

CASES = {
    "a value in its place, with its comment": (
        "# head\nmax_workers = 5  # mine\nlog_level = 3\n",
        {"max_workers": 7},
        "# head\nmax_workers = 7  # mine\nlog_level = 3\n",
    ),
    "the first of two lines counts, and is edited": (
        "max_workers = 5\nmax_workers = 6\n",
        {"max_workers": 7},
        "max_workers = 7\nmax_workers = 6\n",
    ),
    "all lines of a name are taken out": (
        "max_workers = 5\nlog_level = 3\nmax_workers = 6\n",
        {"max_workers": None},
        "log_level = 3\n",
    ),
    "a comment stays when its setting goes": (
        "max_workers = 5 # why\n",
        {"max_workers": None},
        "# why\n",
    ),
    "comments in a list stay when it changes": (
        '# x\ntls_allowed_dn_list = [ # "one"\n  "#C=GB", # two\n] # end\nlog_level = 3\n',
        {"tls_allowed_dn_list": ("C=#",)},
        '# x\n# "one"\n# two\ntls_allowed_dn_list = ["C=#"] # end\nlog_level = 3\n',
    ),
    "comments in a list stay when it goes": (
        'log_level = 3\r\ntls_allowed_dn_list = [\r\n  "a\\"#b", # two\r\n]\r\nlog_filters = ""\r\n',
        {"tls_allowed_dn_list": None},
        'log_level = 3\r\n# two\r\nlog_filters = ""\r\n',
    ),
    "a backslash of libvirt's syntax hides no quote": (
        'tls_allowed_dn_list = ["a\\", "b#c"]\n',
        {"tls_allowed_dn_list": ("d",)},
        'tls_allowed_dn_list = ["d"]\n',
    ),
    "a new setting follows its commented line": (
        "# about\n#max_workers = 20\n\n#log_level = 3\n",
        {"max_workers": 7},
        "# about\n#max_workers = 20\nmax_workers = 7\n\n#log_level = 3\n",
    ),
    "a new setting comes at the end, in a line of its own": (
        "log_level = 3",
        {"max_workers": 7},
        "log_level = 3\nmax_workers = 7\n",
    ),
    "statements that share a line": (
        "log_level = 3; max_workers = 5; prio_workers = 1\n",
        {"max_workers": None, "prio_workers": 2},
        "log_level = 3; prio_workers = 2\n",
    ),
    "a list on several lines": (
        'tls_allowed_dn_list = [\n  "a", # one\n  "b"\n]\nlog_level = 3\n'.replace(" # one", ""),
        {"tls_allowed_dn_list": ("x", "y")},
        'tls_allowed_dn_list = ["x", "y"]\nlog_level = 3\n',
    ),
    "line ends of another system": (
        "log_level = 3\r\n",
        {"max_workers": 7},
        "log_level = 3\r\nmax_workers = 7\r\n",
    ),
    "a comment that is not UTF-8": (
        "# \udce9\nlog_level = 3\n",
        {"log_level": 4},
        "# \udce9\nlog_level = 4\n",
    ),
    "a string with quotes of one kind": (
        "",
        {"tls_allowed_dn_list": ('C="x"', "it's")},
        'tls_allowed_dn_list = [\'C="x"\', "it\'s"]\n',
    ),
    "TOML, where a backslash escapes": (
        'log_filters = "1:a\\u0062"\nmax_workers = 1_0 # ten\n',
        {"log_filters": "1:x\\y", "max_workers": 11},
        "log_filters = '1:x\\y'\nmax_workers = 11 # ten\n",
    ),
    "a commented line inside a string is no place": (
        'log_filters = """1:a\n#max_workers = 3\n"""\n',
        {"max_workers": 7},
        'log_filters = """1:a\n#max_workers = 3\n"""\nmax_workers = 7\n',
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_only_what_is_changed_changes(name: str) -> None:
    before, changes, after = CASES[name]
    found = edited(before.encode(errors="surrogateescape"), SETTINGS, changes)  # type: ignore[arg-type]  # Values
    assert found.decode(errors="surrogateescape") == after


_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(
    st.lists(_TEXTS, max_size=4), st.sampled_from(["", "log_level = 0x3\n", "#x\nmax_clients = 9"])
)
def test_any_list_is_read_back_or_refused(texts: list[str], file: str) -> None:
    changes: dict[str, Value] = {"sasl_allowed_username_list": tuple(texts)}
    try:
        text = edited(file.encode(), SETTINGS, changes)
    except EditError:
        assert any('"' in one or "\n" in one or "\r" in one for one in texts) or "0x3" in file
        return
    read = parse(text).entries["sasl_allowed_username_list"].value
    assert read == texts


@given(_TEXTS)
def test_a_text_that_an_administrator_gives_with_or_without_quotes_is_the_same(text: str) -> None:
    setting = SETTINGS["log_filters"]
    shown = to_text(setting, text)
    assert shown is not None
    if (
        "\n" not in text
        and "\r" not in text
        and '"' not in text
        and not text.strip().startswith("'")
    ):
        try:
            value = to_value(setting, text)
        except ValueError:
            return
        assert to_value(setting, shown) == value or value != text


# Replacing ---------------------------------------------------------------------------------------


def test_owner_mode_and_link_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "there" / "x.conf", tmp_path / "x.conf"
    real.parent.mkdir()
    real.write_text("old")
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 12, 34)
    link.symlink_to("there/x.conf")
    before = real.stat()
    replace(str(link), LIMIT, lambda data: data + b" and new")
    assert link.is_symlink()
    assert real.read_text() == "old and new"
    after = real.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert os.listdir(real.parent) == ["x.conf"]


def test_an_owner_that_cannot_be_kept_is_named_and_the_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.conf"
    file.write_text("log_level = 3\n")
    owner = os.stat_result((0o100644, *os.stat(file)[1:4], 1234, 2345, *os.stat(file)[6:]))

    def refuse(*_args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "stat", lambda *_args, **_kwargs: owner)
    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(OSError, match="its owner 1234 and group 2345 cannot be kept: Operation"):
        replace(str(file), LIMIT, lambda data: data + b"x")
    monkeypatch.undo()
    assert (file.read_text(), os.listdir(tmp_path)) == ("log_level = 3\n", ["x.conf"])


def test_a_missing_file_is_made(tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    replace(str(path), LIMIT, lambda data: data + b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("moment", ["before", "between"])
def test_what_somebody_else_writes_meanwhile_is_kept(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.conf"
    path.write_text("one\n")
    others = ["two\n"]

    def somebody() -> None:
        if others:
            path.write_text(path.read_text() + others.pop())

    def edit(data: bytes) -> bytes:
        if moment == "before":
            somebody()
        return data + b"ours\n" if b"ours" not in data else data

    exchange = replacing._exchange

    def late(one: str, other: str) -> bool:
        if moment == "between":
            somebody()
        return exchange(one, other)

    monkeypatch.setattr(replacing, "_exchange", late)
    replace(str(path), LIMIT, edit)
    assert sorted(path.read_text().split()) == ["one", "ours", "two"]
    assert os.listdir(tmp_path) == ["x.conf"]


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_what_is_not_a_file_is_refused_and_left_alone(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path = Path("/dev/null")
    with pytest.raises(OSError, match="regular file"):
        replace(str(path), LIMIT, lambda data: b"new")
    assert not path.is_file()


_WRITER = """
    import sys
    from aiovirt.daemons.runtime.settings.edit import edited
    from aiovirt.daemons.runtime.settings.replace import replace
    from aiovirt.daemons.virtd.settings import SETTINGS
    print("ready", flush=True)
    for number in range(1, 1000000):
        changes = {"max_workers": number, "prio_workers": number, "max_clients": number + 20}
        replace(sys.argv[1], 1 << 20, lambda data: edited(data, SETTINGS, changes))
"""


@pytest.mark.parametrize("after", [0.0, 0.003, 0.011, 0.023, 0.04])
def test_after_kill_9_the_file_is_whole_with_one_change_or_the_next(
    after: float, tmp_path: Path
) -> None:
    path = tmp_path / "x.conf"
    path.write_text("# kept\n" + "# filler\n" * 2000)
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_WRITER), str(path)],
        stdout=subprocess.PIPE,
        cwd=harness.ROOT,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    time.sleep(after)  # any moment will do; nothing is waited for
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    text = path.read_bytes()
    assert text.startswith(b"# kept\n# filler\n")
    assert text.count(b"# filler\n") == 2000
    values = {name: entry.value for name, entry in parse(text).entries.items()}
    if values:
        number = values["max_workers"]
        assert isinstance(number, int)
        assert values == {
            "max_workers": number,
            "prio_workers": number,
            "max_clients": number + 20,
        }
