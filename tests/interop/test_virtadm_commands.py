"""The same command lines through libvirt's virt-admin and through virtadm, at the same daemon.

The standard output and the exit status are the same byte for byte. Masked are the program's own name,
numbers that differ from one connection to the next, and in `help` the sentences: those are our own.
The standard error has the same first line, and may say more after it.

virtadm follows virt-admin 9.0.0. What newer ones say otherwise is masked as well, so that these tests
hold for them: their version, a note about the default daemon, and how a required option is named.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

import pytest

from aiovirt.admin.cli.commands import command_table
from tests import harness

Ran = subprocess.CompletedProcess[bytes]

#: What is another one in every run, and what stands for it.
_DIFFERENT = [
    (re.compile(rb"virt-admin|virtadm"), b"PROGRAM"),
    (re.compile(rb"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4}"), b"TIME"),
    (re.compile(rb"(?m)^ \d+ +(?=unix )"), b" ID "),
    (re.compile(rb"(?m)^((?:nWorkers|freeWorkers|unix_process_id|id) *: )\d+$"), rb"\1N"),
    (re.compile(rb"-{40,}\n"), b"RULE\n"),
    (re.compile(rb"(?m)^NOTE: .*\n"), b""),
    (re.compile(rb"requires (?:--([a-z-]+)|<([a-z-]+)>) option"), rb"requires OPTION \1\2"),
    (re.compile(rb"(?m)^(|.* libvirt )9\.0\.0$"), rb"\1VERSION"),
]


@pytest.fixture(scope="module", params=harness.REAL)
def libvirtd(request: pytest.FixtureRequest) -> Iterator[harness.RunningDaemon]:
    """Each of libvirt's daemons in turn; where a command names its server, so does `agree`."""
    with harness.running(request.param) as daemon:
        yield daemon


def run(command: list[str], words: tuple[str | bytes, ...], **more: str) -> Ran:
    with tempfile.TemporaryDirectory() as home:
        environment = {
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "HOME": home,
            "PYTHONPATH": str(harness.ROOT),
        }
        return subprocess.run(
            [*command, *words],
            env={**harness.libraries(), **environment, **more},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=harness.PATIENCE,
            check=False,
        )


def real(*words: str | bytes, **more: str) -> Ran:
    return run([harness.require("virt-admin")], words, **more)


def ours(*words: str | bytes, **more: str) -> Ran:
    return run([sys.executable, "-m", "aiovirt.admin.cli"], words, **more)


def masked(text: bytes) -> bytes:
    newer = re.escape(harness.libvirt_version_text("virt-admin").encode())
    text = re.sub(rb"(?m)^(|.* libvirt )%s$" % newer, rb"\1VERSION", text)
    for pattern, stand_in in _DIFFERENT:
        text = pattern.sub(stand_in, text)
    return text


def agree(
    *words: str | bytes, mask: Callable[[bytes], bytes] = masked, errors: int = 1, **more: str
) -> None:
    """Run both and compare. errors: how many lines of the standard error are the same.

    `libvirtd` as a word of a command means the main server of whichever daemon the URI leads to.
    """
    words = _for_its_server(words)
    theirs, mine = real(*words, **more), ours(*words, **more)
    assert mask(mine.stdout) == mask(theirs.stdout)
    assert mine.returncode == theirs.returncode
    told, tells = masked(theirs.stderr).splitlines(), masked(mine.stderr).splitlines()
    assert tells[:errors] == told[:errors]
    assert len(tells) >= len(told)


def _for_its_server(words: tuple[str | bytes, ...]) -> tuple[str | bytes, ...]:
    sockets = (re.search(r"/(virt\w+)-admin-sock", word) for word in words if isinstance(word, str))
    server = next((found[1] for found in sockets if found), "libvirtd")
    return tuple(
        re.sub(r"\blibvirtd\b(?!:)", server, word) if isinstance(word, str) else word
        for word in words
    )


SERVER_COMMANDS = [
    "server-threadpool-info",
    "client-list",
    "server-clients-info",
    "server-update-tls",
]


@pytest.mark.parametrize("command", SERVER_COMMANDS)
@pytest.mark.parametrize(
    "words",
    [
        ["libvirtd"],
        ["--server=admin"],
        ["--", "admin"],
        ["nosuch"],
        [""],
        [],
        ["a", "b"],
        ["--server"],
    ],
    ids=" ".join,
)
def test_commands_about_a_server(
    libvirtd: harness.RunningDaemon, command: str, words: list[str]
) -> None:
    if command == "client-list" and not words:
        return  # ours lists the clients of all servers
    agree("-c", libvirtd.uri, command, *words, errors=9)


@pytest.mark.parametrize(
    "line",
    [
        "uri; version; srv-list; server-list",
        "connect; connect; daemon-log-outputs; daemon-log-filters; self-test",
        "srv-threadpool-info admin; srv-clients-list admin; srv-clients-info admin",
        "client-info admin 99999; srv-update-tls admin; uri",
        "uri; client-info admin 99999",
        "client-info admin 99999; quit; uri",
    ],
)
def test_several_questions_at_once(libvirtd: harness.RunningDaemon, line: str) -> None:
    agree("-c", libvirtd.uri, line, errors=9)
    agree("-q", "-c", libvirtd.uri, line, errors=9)


@pytest.mark.parametrize("command", ["client-info", "client-disconnect"])
@pytest.mark.parametrize(
    "words",
    [
        ["admin", "99999"],
        ["--client", "99999", "admin"],
        ["admin", "x"],
        ["admin", "-1"],
        ["admin", ""],
        ["admin", " 99999"],
        ["admin", "18446744073709551616"],
        ["nosuch", "1"],
        ["", "x"],
        ["admin"],
        ["admin", "1", "2"],
    ],
    ids=" ".join,
)
def test_commands_about_a_client(
    libvirtd: harness.RunningDaemon, command: str, words: list[str]
) -> None:
    agree("-c", libvirtd.uri, command, *words, errors=9)


def test_a_client_can_look_at_itself(libvirtd: harness.RunningDaemon) -> None:
    def look(program: Callable[..., Ran]) -> bytes:
        listed = program("-q", "-c", libvirtd.uri, "client-list admin").stdout
        ran = program("-c", libvirtd.uri, f"client-info admin {int(listed.split()[0]) + 1}")
        assert ran.returncode == 0, ran.stderr
        return masked(ran.stdout)

    assert look(ours) == look(real)


def test_a_client_can_cut_itself_off(libvirtd: harness.RunningDaemon) -> None:
    def cut(program: Callable[..., Ran]) -> list[bytes]:
        listed = program("-q", "-c", libvirtd.uri, "client-list admin").stdout
        own = int(listed.split()[0]) + 1
        ran = program("-c", libvirtd.uri, f"client-disconnect admin {own}; uri")
        assert ran.returncode == 0
        assert b"Reconnected to the admin server\n" in ran.stdout
        assert ran.stderr.startswith(b"error: Disconnected from libvirtd:///")
        return ran.stderr.replace(b"%d" % own, b"ID").splitlines()[:2]

    assert cut(ours) == cut(real)


@pytest.mark.parametrize(
    "words",
    [
        ["libvirtd", "6", "21", "4"],
        ["libvirtd", "--priority-workers", "5", "5", "20"],
        ["libvirtd", "--max-workers= 20"],
        ["libvirtd", "--max-workers=+20"],
        ["libvirtd"],
        ["libvirtd", "--min-workers", "x"],
        ["libvirtd", "--max-workers=4294967296"],
        ["libvirtd", "--max-workers="],
        ["libvirtd", "10", "5"],
        ["libvirtd", "--min-workers", "30"],
        ["libvirtd", "--max-workers", "0"],
        ["libvirtd", "5", "20", "5", "6"],
        ["libvirtd", "--max-workers", "20", "--max-workers", "21"],
        ["libvirtd", "--max-workers"],
        ["--", "libvirtd", "--5"],
        ["nosuch", "1"],
        ["admin", "--min-workers", "1"],
    ],
    ids=" ".join,
)
def test_changing_the_worker_pool(libvirtd: harness.RunningDaemon, words: list[str]) -> None:
    agree("-c", libvirtd.uri, "server-threadpool-set", *words, errors=9)
    agree("-c", libvirtd.uri, "server-threadpool-info libvirtd")


@pytest.mark.parametrize(
    "words",
    [
        ["10", "5"],
        ["--max-unauth-clients", "4"],
        ["5000", "20"],
        [],
        ["--max-clients", "10", "--max-unauth-clients", "20"],
        ["--max-unauth-clients", "6000"],
        ["0"],
        ["-5"],
    ],
    ids=" ".join,
)
def test_changing_the_limits(libvirtd: harness.RunningDaemon, words: list[str]) -> None:
    agree("-c", libvirtd.uri, "srv-clients-set", "libvirtd", *words, errors=9)
    agree("-c", libvirtd.uri, "server-clients-info libvirtd")


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("filters", ["1:x 3:util.a", "", "4:y", "bad", "9:x", "1:"]),
        ("outputs", ["3:stderr", "", "3:stderr", "9:stderr", "x", "3:nosuch"]),
    ],
)
def test_changing_what_is_logged(
    libvirtd: harness.RunningDaemon, what: str, values: list[str]
) -> None:
    command = f"daemon-log-{what}"
    for value in values:
        agree("-c", libvirtd.uri, command, value, errors=9)
        agree("-c", libvirtd.uri, command, f"--{what}={value}", errors=9)
        agree("-c", libvirtd.uri, command)
        agree("-q", "-c", libvirtd.uri, command)
    agree("-c", libvirtd.uri, command, f"--{what}", errors=9)
    agree("-c", libvirtd.uri, command, "a", "b", errors=9)


@pytest.mark.parametrize(
    "words", [[], ["--timeout"], ["--timeout", "x"], ["--timeout=-1"], ["--timeout", "0"]]
)
def test_changing_the_timeout(libvirtd: harness.RunningDaemon, words: list[str]) -> None:
    agree("-c", libvirtd.uri, "daemon-timeout", *words, errors=9)


def test_the_timeout_by_position(libvirtd: harness.RunningDaemon) -> None:
    words = ("-c", libvirtd.uri, "daemon-timeout", "1000")
    assert ours(*words).returncode == 0
    if b"unexpected data" not in (theirs := real(*words)).stderr:  # as newer ones than 9.0.0 do
        assert theirs.returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        ["nosuch"],
        [""],
        [" "],
        [";"],
        ["#x", "y"],
        ["pwd"],
        ["cd", "/"],
        ["quit"],
        ["quit", "x"],
        ["nosuch; pwd"],
        ["pwd; nosuch"],
        ["echo", "--shell", "a b", "it's", "", "a~", "\u00e9", "%"],
        ["echo", "--xml", "<&\">'", "\u00e9\x01\t"],
        ["echo", "--split", "a,b,,c,", ",", ",,,", "a,,", ""],
        ["echo", "--xml", "--shell", "a"],
        ["echo", "--err", "a"],
        ["echo", "--err"],
        ["echo", "--hi"],
        ["echo", "--hi=1"],
        ["echo", "--string", "a", "b", "--string=c", "--", "--string"],
        ["echo", "---x", "-x"],
        ["echo", b"\xff\xfe"],
        ["echo a\\"],
        ['echo "a'],
        ["echo 'a"],
        ["echo a\\;b \"c;d\" 'e;f' g\\ h;echo x # y"],
        ["echo a#b #c\necho d"],
        ["echo a\\\nb \\\n c"],
        ['"echo" "a\\"b\\\\c" \'a\\b\''],
        ["echo a;#b\necho c;"],
        ["help nosuch"],
        ["-d0", "echo", "--shell", "a"],
        ["--de", "1", "echo a; nosuch"],
        ["-d", "9", "echo a"],
        ["-d", "x", "pwd"],
        ["--debug=x", "pwd"],
        ["-d"],
        ["--con"],
        ["-x"],
        ["--foo=1"],
        ["--help=1"],
        ["-l", "/nonexistent/x", "pwd"],
        ["-v"],
        ["--ver=lon"],
        ["-qqv"],
        ["-"],
        ["--", "pwd"],
        ["pwd", "-q"],
    ],
    ids=repr,
)
def test_what_needs_no_daemon(words: list[str | bytes]) -> None:
    agree(*words)


NAMES = [
    "cd",
    "echo",
    "exit",
    "help",
    "pwd",
    "quit",
    "self-test",
    "complete",
    "uri",
    "version",
    "connect",
    "srv-list",
    "server-threadpool-info",
    "server-threadpool-set",
    "client-list",
    "client-info",
    "client-disconnect",
    "server-clients-info",
    "server-clients-set",
    "server-update-tls",
    "daemon-log-filters",
    "daemon-log-outputs",
    "daemon-timeout",
]


#: What virt-admin does not have. The groups of lockd and logd come from other packages, if installed.
ADDED = {command.name.encode() for command in command_table().listed()} - {
    name.encode() for name in (*NAMES, "server-list")
}


def without_added(text: bytes) -> bytes:
    """Lists of commands without those that virt-admin does not have, and without empty groups."""
    text = re.sub(rb"(?m)^ *(%s)(?: .*)?\n" % b"|".join(sorted(ADDED)), b"", text)
    return re.sub(rb"(?m)^ [A-Z].* \(help keyword '.*'\):\n\n", b"", text)


def skeleton(text: bytes) -> bytes:
    """A help text with a dot for each sentence: what is left is names, syntax and layout."""
    text = without_added(masked(text))
    text = re.sub(rb"(?m)^(    [a-z-]+ - ).*$", rb"\1.", text)
    text = re.sub(rb"DESCRIPTION\n(    .*\n)+", b"DESCRIPTION\n    .\n", text)
    # Newer ones write a list as [<string>]... or --string <string>, and some brackets not at all.
    text = re.sub(rb"(?m)^(    (?:echo|complete)\b.*?) [<{\[][^.\n]*\.\.\.$", rb"\1 LIST", text)
    text = re.sub(rb"(?m)^    \[--([a-z-]+)\] <", rb"    --\1 <", text)
    # Names and their sentences stand two blanks apart at least, or in columns.
    text = re.sub(rb"(?m)^(    (?:\[?--|<)[^\n]*?  +)\S.*$", rb"\1.", text)
    return re.sub(rb"(?m)^(    [a-z-]+ +)\S.*$", rb"\1.", text)


def test_help_is_laid_out_alike() -> None:
    # One takes no server as well here, the other has one more option.
    names = [name for name in NAMES if name not in ("client-list", "daemon-log-filters")]
    agree("; ".join(f"help {name}" for name in names), mask=skeleton)
    agree("; ".join(f"{name} --help" for name in names), mask=skeleton)
    agree("help; help monitor; help 'Virt-admin itself'; help --foo", mask=skeleton)


def completions(*words: str) -> tuple[str, ...]:
    return ("-q", "complete", "--", *words)


@pytest.mark.parametrize(
    "words",
    [
        ["ser"],
        ["server-list"],
        [""],
        ["nosuch", ""],
        ["help", "ser"],
        ["help", ""],
        ["help", "--command", "ur"],
        ["uri;", "ser"],
        ["uri;ser"],
        ["server-threadpool-info", ""],
        ["server-threadpool-info", "ad"],
        ["server-threadpool-info", "--server", ""],
        ["server-threadpool-info", "admin", ""],
        ["server-threadpool-set", "admin", "--m"],
        ["daemon-timeout", ""],
        ["echo", "--shell", "--"],
        ["cd", "/"],
        [],
    ],
    ids=" ".join,
)
def test_completion_for_other_shells(libvirtd: harness.RunningDaemon, words: list[str]) -> None:
    def mask(text: bytes) -> bytes:
        return b"".join(sorted(without_added(text).splitlines(keepends=True)))

    agree("-c", libvirtd.uri, *completions(*words), mask=mask)


@pytest.mark.parametrize(
    "uri",
    [
        "foo:///bar",
        "libvirtd:///x",
        "libvirtd:///system/",
        "libvirtd",
        "",
        ":::",
        "a b",
        "libvirtd:///system?foo=1",
        "virtnoned:///system",
        "virtnoned:///session",
        "libvirtd:///system?socket=/nonexistent",
        "libvirtd:///system?socket=/tmp",
        "libvirtd:///a%zz",
    ],
)
def test_uris_that_lead_nowhere(uri: str) -> None:
    agree("-c", uri, "uri", errors=1)
    agree("uri; pwd", errors=2, LIBVIRT_ADMIN_DEFAULT_URI=uri or ":")
    agree(f"connect '{uri}'", errors=1)


@pytest.mark.parametrize(
    "shape",
    [
        "x:///y?socket={}",
        "?socket={}",
        "x:///a%20b~%c3%a9?socket={}#f%20g",
        "x://:22/?socket=/y&socket={}",
        "x:a:b?&&=z&socket={}",
    ],
)
def test_uris_are_shown_alike(libvirtd: harness.RunningDaemon, shape: str) -> None:
    agree("-c", shape.format(libvirtd.admin_socket), "uri", errors=9)
    agree("uri", errors=9, LIBVIRT_ADMIN_DEFAULT_URI=shape.format(libvirtd.admin_socket))


@pytest.mark.parametrize(
    "shape",
    [
        "x://HO%41ST:22/a?socket={}",
        "x://me@/a?socket={}",
        "x://[::1]/?socket={}",
        "x+ssh:///?socket={}",
    ],
)
def test_a_uri_of_another_machine_is_refused_where_virt_admin_takes_the_local_daemon(
    libvirtd: harness.RunningDaemon, shape: str
) -> None:
    uri = shape.format(libvirtd.admin_socket)
    assert real("-c", uri, "uri").returncode == 0
    refused = ours("-c", uri, "uri")
    assert refused.returncode == 1
    assert b"error: unsupported configuration: " in refused.stderr


def test_filters_can_be_shown_and_set_again_without_end(libvirtd: harness.RunningDaemon) -> None:
    def in_json() -> bytes:
        return ours("-o", "json", "-c", libvirtd.uri, "daemon-log-filters").stdout

    assert ours("-c", libvirtd.uri, "daemon-log-filters", "1:rpc 4:*util* 3:+a?b").returncode == 0
    first = in_json()
    assert json.loads(first) == {"filters": ["1:rpc", "4:*util*", "3:a?b"]}
    again = " ".join(json.loads(first)["filters"])
    assert ours("-c", libvirtd.uri, "daemon-log-filters", again).returncode == 0
    assert in_json() == first
    agree("-c", libvirtd.uri, "daemon-log-filters")
    assert ours("-c", libvirtd.uri, "daemon-log-filters", "").returncode == 0
