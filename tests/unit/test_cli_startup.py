"""virtadm as a program: its own options, its exit statuses, its shell. No daemon is needed here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


class Program:
    """Runs virtadm with an empty home, so that nothing of the caller's is seen."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home),
            "LIBVIRT_ADMIN_DEFAULT_URI": f"virtd:///session?socket={home}/none",
        }

    def __call__(
        self, *words: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "aiovirt.admin.cli", *words],
            env={**self.environment, **environment},
            cwd=self.home,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def virtadm(tmp_path: Path) -> Program:
    return Program(tmp_path)


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["-v"], "9.0.0\n"),
        (["--version"], "9.0.0\n"),
        (["--vers"], "9.0.0\n"),
        (["--version=short"], "9.0.0\n"),
        (["-qqv", "uri"], "9.0.0\n"),
        (["echo", "a b"], "a b\n"),
        (["-q", "echo", "a"], "a"),
        (["--", "echo", "-q"], "-q\n"),
        (["echo a; echo b"], "a\nb\n"),
        (["-d0", "echo a"], 'commands: "echo a"\necho: string(optdata): a\na\n'),
        (
            ["--de", "1", "echo", "--xml", "<"],
            "echo: xml(bool): (none)\necho: string(optdata): <\n&lt;\n",
        ),
        (["-d", "2", "echo a"], "a\n"),
        (["#"], ""),
        ([" "], ""),
        (["quit"], ""),
    ],
)
def test_good_words(virtadm: Program, words: list[str], out: str) -> None:
    ran = virtadm(*words)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, out, "")


@pytest.mark.parametrize("words", [["-V"], ["--version=long"]])
def test_the_long_version_says_what_it_speaks_for(virtadm: Program, words: list[str]) -> None:
    ran = virtadm(*words)
    assert ran.returncode == 0
    assert "virt-admin of libvirt 9.0.0" in ran.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-x"], "unsupported option '-x'. See --help."),
        (["-qx"], "unsupported option '-x'. See --help."),
        (["--foo=1"], "unsupported option '--foo=1'. See --help."),
        (["--="], "unsupported option '--='. See --help."),
        (["--help=1"], "unsupported option '-h'. See --help."),
        (["-c"], "option '-c'/'--connect' requires an argument"),
        (["--con"], "option '-c'/'--connect' requires an argument"),
        (["-qd"], "option '-d'/'--debug' requires an argument"),
        (["-d", "x", "uri"], "option -d takes a numeric argument"),
        (["--debug=x", "uri"], "option --debug takes a numeric argument"),
        (["-o", "yaml", "uri"], "option -o takes text or json, not 'yaml'"),
        (["--output"], "option '-o'/'--output' requires an argument"),
        (["nosuch"], "unknown command: 'nosuch'"),
        (["-"], "unknown command: '-'"),
        (["uri", "-q"], "unexpected data '-q'"),
    ],
)
def test_bad_words(virtadm: Program, words: list[str], complaint: str) -> None:
    ran = virtadm(*words)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"error: {complaint}")
    assert ran.stderr.count("\n") == 1


def test_a_log_that_cannot_be_written_is_told_with_the_reason(virtadm: Program) -> None:
    ran = virtadm("-l", "/dev/null/x", "pwd")
    assert (ran.returncode, ran.stdout) == (1, "")
    told = ran.stderr.splitlines()
    assert told[0] == "error: failed to open the log file. check the log file path"
    assert "/dev/null/x" in told[1]


def test_no_command_at_all_fails_silently(virtadm: Program) -> None:
    ran = virtadm("")
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "")


@pytest.mark.parametrize("words", [["-d", "9"], ["-d", "-1"], ["--debug=5"]])
def test_a_debug_level_out_of_range_is_ignored(virtadm: Program, words: list[str]) -> None:
    ran = virtadm(*words, "echo a")
    assert (ran.returncode, ran.stdout) == (0, "a\n")
    assert "out of range [0-4]" in ran.stderr


def test_help_is_usage(virtadm: Program) -> None:
    ran = virtadm("--help")
    assert ran.returncode == 0
    assert "    -o | --output=FORMAT    form of answers: text or json\n" in ran.stdout
    assert "\n Monitoring commands (help keyword 'monitor')\n" in ran.stdout


def test_what_is_said_can_be_logged(virtadm: Program, tmp_path: Path) -> None:
    log = tmp_path / "log"
    virtadm("-l", str(log), "-d1", "nosuch")
    virtadm("echo --err x", VIRT_ADMIN_LOG_FILE=str(log))
    lines = [line.split("] ", 1)[1] for line in log.read_text().splitlines()]
    assert lines == ['INFO commands: "nosuch"', "ERROR unknown command: 'nosuch'", "ERROR x"]
    assert all(" virtadm " in line.split("]")[0] for line in log.read_text().splitlines())


def test_the_environment_sets_the_debug_level(virtadm: Program) -> None:
    assert virtadm("echo a", VIRT_ADMIN_DEBUG="0").stdout.startswith("commands:")
    ran = virtadm("echo a", VIRT_ADMIN_DEBUG="x")
    assert (ran.returncode, ran.stdout) == (0, "a\n")
    assert ran.stderr == "error: VIRT_ADMIN_DEBUG not set with a valid numeric value\n"


def test_a_named_daemon_must_be_there(virtadm: Program, tmp_path: Path) -> None:
    ran = virtadm("-c", f"virtd:///session?socket={tmp_path}/x", "echo a")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: Failed to connect to the admin server\nerror: Failed to")
    assert virtadm("echo a").returncode == 0


def test_bytes_that_are_no_text_pass_through(virtadm: Program) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "aiovirt.admin.cli", "echo", b"\xff\xc3\xa9"],
        env={**virtadm.environment, "LC_ALL": "C"},
        capture_output=True,
        check=True,
    )
    assert ran.stdout == b"\xff\xc3\xa9\n"


def test_several_daemons_are_headed_and_fail_together(virtadm: Program, tmp_path: Path) -> None:
    first, second = (f"virtd:///session?socket={tmp_path}/{name}" for name in "ab")
    ran = virtadm("-c", first, "-c", second, "-c", first, "echo x")
    assert ran.returncode == 1
    assert ran.stdout == f"==> {first} <==\n==> {second} <==\n"
    assert [line.split(": F")[0] for line in ran.stderr.splitlines()] == [
        f"error: {uri}" for uri in (first, first, second, second)
    ]
    answers = json.loads(virtadm("-o", "json", "-c", first, "-c", second, "uri").stdout)
    assert [answer["uri"] for answer in answers] == [first, second]
    assert answers[0]["succeeded"] is False
    assert answers[0]["errors"][0] == "Failed to connect to the admin server"


def test_a_full_disk_is_an_error(virtadm: Program) -> None:
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "aiovirt.admin.cli", "help"],
            env=virtadm.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ran.returncode == 1
    assert ran.stderr == "error: cannot write to the standard output: No space left on device\n"


def test_a_reader_that_goes_away_ends_the_program_silently(virtadm: Program) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [sys.executable, "-m", "aiovirt.admin.cli", "help"],
        env=virtadm.environment,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert ran.returncode == -13
    assert ran.stderr == ""


def test_streams_that_were_closed_do_not_matter(virtadm: Program) -> None:
    command = f"{sys.executable} -m aiovirt.admin.cli help <&- >&- 2>&-"
    ran = subprocess.run(["sh", "-c", command], env=virtadm.environment, check=False)
    assert ran.returncode == 0


def test_a_shell_without_an_input_has_nothing_to_read(virtadm: Program) -> None:
    for command in ("-q", "sasl-passwd name --file x"):
        ran = subprocess.run(
            ["sh", "-c", f"exec {sys.executable} -m aiovirt.admin.cli {command} <&-"],
            env=virtadm.environment,
            cwd=virtadm.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in ran.stderr
        assert ran.stdout == ("virtadm # \n" if command == "-q" else "\n")
    assert ran.stderr.splitlines()[1].endswith("the standard input, which is closed")


def test_what_the_locale_cannot_write_leaves_as_utf8(virtadm: Program) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "aiovirt.admin.cli", "echo é; echo --err €"],
        env={**virtadm.environment, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("é\n\n".encode(), "error: €\n".encode())


def test_a_command_that_is_nearly_one_is_told_which(virtadm: Program) -> None:
    assert virtadm("serverlist").stderr.splitlines() == [
        "error: unknown command: 'serverlist'",
        "error: did you mean 'server-list'?",
    ]
    assert "did you mean 'lock-list' or 'log-list'?" in virtadm("lock-lst").stderr
    assert "did you mean 'server-list' or" in virtadm("help", "server-lst").stderr
    assert "did you mean '--timeout'?" in virtadm("daemon-timeout", "--timeot", "1").stderr


def test_a_line_of_a_file_of_windows_is_a_line(virtadm: Program) -> None:
    assert virtadm("echo a\r\necho b\r").stdout == "a\nb\n"


@pytest.mark.parametrize("command", ["server-list", "client-info", "daemon-log-filters", "quit"])
def test_h_as_the_first_word_of_a_command_is_help(virtadm: Program, command: str) -> None:
    assert virtadm(command, "-h").stdout == virtadm(command, "--help").stdout


def test_h_is_a_word_where_any_word_may_stand(virtadm: Program) -> None:
    assert virtadm("echo", "-h").stdout == "-h\n"
    assert virtadm("pwd", "--", "-h").stderr == "error: unexpected data '-h'\n"


def test_lines_may_end_as_they_do_elsewhere(virtadm: Program) -> None:
    ran = virtadm("-q", stdin="echo a\r\nquit\r\n")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == virtadm("-q", stdin="echo a\nquit\n").stdout


WELCOME = (
    "Welcome to virtadm, the administrating virtualization interactive terminal.\n\n"
    "Type:  'help' for help with commands\n       'quit' to quit\n\n"
)


@pytest.mark.parametrize(
    ("lines", "out"),
    [
        ("", "virtadm # \n"),
        ("echo a\n", "virtadm # echo a\na\nvirtadm # \n"),
        ("echo a; quit; echo b\necho c\n", "virtadm # echo a; quit; echo b\na\n\n"),
        ("\n \nexit\n", "virtadm # \nvirtadm #  \nvirtadm # exit\n\n"),
        ("nosuch\necho a", "virtadm # nosuch\nvirtadm # echo a\na\nvirtadm # \n"),
    ],
)
def test_the_shell_runs_what_it_reads(virtadm: Program, lines: str, out: str) -> None:
    ran = virtadm(stdin=lines)
    assert ran.returncode == 0
    assert ran.stdout == WELCOME + out
    assert ran.stderr == ("error: unknown command: 'nosuch'\n" if "nosuch" in lines else "")


def test_the_shell_changes_its_directory(virtadm: Program, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    ran = virtadm("-q", stdin="cd sub\npwd\ncd\npwd\ncd nosuch\n")
    assert [line for line in ran.stdout.splitlines() if "#" not in line] == [
        f"{tmp_path}/sub",
        str(tmp_path),
    ]
    assert ran.stderr == "error: cd: No such file or directory: nosuch\n"


def test_the_shell_lives_without_a_daemon(virtadm: Program) -> None:
    ran = virtadm("-q", stdin="uri\necho a\n")
    assert ran.returncode == 0
    assert ran.stderr.startswith("error: Failed to connect to the admin server\nerror: no valid")
    assert "\na" in ran.stdout


def test_the_shell_is_for_one_daemon(virtadm: Program) -> None:
    ran = virtadm("-c", "virtd:///system", "-c", "lockd:///system")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "error: the interactive shell administers one daemon, give -c once\n"
