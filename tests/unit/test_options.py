"""The command line: libvirt's spelling, libvirt's exit statuses."""

from __future__ import annotations

import re

import pytest

from aiovirt.daemons.runtime.process import options
from aiovirt.daemons.runtime.process.options import Options


def parse(*arguments: str) -> Options:
    """The command line of a daemon for tests."""
    return options.parse("virtd", "A daemon for tests.", arguments, lambda: "#x = 1\n")


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said on standard error about a command line that ends with status 1."""
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)
    assert caught.value.code == 1
    return capsys.readouterr().err


def test_nothing_said_is_nothing_wanted() -> None:
    assert parse() == Options()


def test_libvirts_short_options_can_be_run_together() -> None:
    assert parse("-dvt", "30", "-f", "x.conf", "-p", "x.pid") == Options(
        config="x.conf", background=True, timeout=30, pid_file="x.pid", verbose=True
    )


def test_long_options_can_be_shortened_as_getopt_allows() -> None:
    assert parse("--time=5", "--conf", "x", "--daem") == Options(
        config="x", background=True, timeout=5
    )


def test_our_own_options_move_the_sockets() -> None:
    assert parse("--rundir", "r", "--socket", "s", "--admin-socket", "a") == Options(
        rundir="r", socket="s", admin_socket="a"
    )


@pytest.mark.parametrize("bad", ["x", "-1", "2147484", "", "1.5", "+1", "٣"])
def test_a_timeout_is_a_number_that_libvirt_takes_too(
    capsys: pytest.CaptureFixture[str], bad: str
) -> None:
    assert "a number of seconds from 0 to 2147483" in refusal(capsys, f"--timeout={bad}")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["--badoption"], "--badoption"), (["extra"], "extra"), (["-t"], "-t/--timeout")],
)
def test_a_wrong_command_line_is_named_and_ends_with_status_1(
    capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    said = refusal(capsys, *arguments)
    assert said.startswith("usage: virtd")
    assert named in said


@pytest.mark.parametrize("option", ["-f", "-p", "--rundir", "--socket", "--admin-socket"])
def test_an_empty_path_is_not_the_default_one(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "an empty path is not possible" in refusal(capsys, option, "")


def test_version_goes_to_standard_output_with_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("-V")
    assert caught.value.code == 0
    assert re.fullmatch(r"virtd \(aiovirt\) \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_help_names_the_paths_of_this_daemon(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    assert caught.value.code == 0
    assert "/run/user/1000/aiovirt/virtd-admin-sock" in capsys.readouterr().out


def test_print_config_writes_the_default_settings_file_and_ends_with_status_0(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("--print-config", "-d")
    assert caught.value.code == 0
    assert capsys.readouterr().out == "#x = 1\n"
