"""virtadm with libvirt's daemons and ours: several at once, as JSON, in its shell, interrupted.

Where virt-admin can do the same, it is asked the same.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import harness
from tests.conftest import StartDaemon

VIRTADM = [sys.executable, "-m", "aiovirt.admin.cli"]


@pytest.fixture(scope="module")
def libvirtd() -> Iterator[harness.RunningDaemon]:
    with harness.running("libvirtd") as daemon:
        yield daemon


@pytest.fixture(scope="module")
def logd() -> Iterator[harness.RunningDaemon]:
    with harness.running("logd") as daemon:
        yield daemon


def environment(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(harness.ROOT),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "TZ": "UTC",
    }


def virtadm(home: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*VIRTADM, *words],
        env=environment(home),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=harness.PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(
    "line",
    [
        "srv-list; uri; version",
        "server-threadpool-info logd; server-clients-info logd",
        "daemon-log-outputs; daemon-log-filters",
        "daemon-log-filters '1:x'; daemon-log-filters; daemon-log-filters ''",
        "srv-threadpool-set logd 4 9 3; srv-clients-set logd 100 10; srv-clients-info logd",
        "client-list nosuch; client-info admin 99999; server-update-tls logd",
        "daemon-log-filters bad; daemon-log-outputs 9:x",
    ],
)
def test_a_daemon_of_ours_looks_the_same_to_both(
    logd: harness.RunningDaemon, line: str, tmp_path: Path
) -> None:
    theirs = harness.virt_admin(logd.admin_socket, line)
    mine = virtadm(tmp_path, "-c", logd.uri, line)
    assert (mine.stdout, mine.stderr) == (theirs.stdout, theirs.stderr)
    assert mine.returncode == theirs.returncode


def test_several_daemons_answer_in_the_order_of_their_uris(
    libvirtd: harness.RunningDaemon, logd: harness.RunningDaemon, tmp_path: Path
) -> None:
    nowhere = f"logd:///session?socket={tmp_path}/none"
    uris = [libvirtd.uri, nowhere, logd.uri]
    options = [word for uri in uris for word in ("-c", uri)]
    ran = virtadm(tmp_path, *options, "uri; daemon-log-filters")
    assert ran.returncode == 1
    assert ran.stdout == "".join(
        f"==> {uri} <==\n" + ("" if uri == nowhere else f"{uri}\n\n Logging filters: \n\n")
        for uri in uris
    )
    assert all(line.startswith(f"error: {nowhere}: ") for line in ran.stderr.splitlines())
    ran = virtadm(tmp_path, "-o", "json", *options, "server-list; uri")
    libvirt, none, ours = json.loads(ran.stdout)
    assert [each["uri"] for each in (libvirt, none, ours)] == uris
    assert {server["name"] for server in libvirt["answers"][0]} == {"admin", "libvirtd"}
    assert (none["succeeded"], none["answers"]) == (False, [])
    assert {server["name"] for server in ours["answers"][0]} == {"admin", "logd"}
    assert ours["answers"][1] == {"uri": logd.uri}


def test_of_libvirts_daemons_the_admin_program_is_described_and_called(
    libvirtd: harness.RunningDaemon, tmp_path: Path
) -> None:
    words = ["call", "admin/CONNECT_LIST_SERVERS", '{"need_results": 1}']
    ran = virtadm(tmp_path, "-o", "json", "-c", libvirtd.uri, *words)
    assert json.loads(ran.stdout)["count"] == 2
    ran = virtadm(tmp_path, "-c", libvirtd.uri, "describe admin/CLIENT_GET_INFO")
    assert "virAdmClientGetInfo" in ran.stdout
    for line in ("server-stats", "call-list", "call remote/CONNECT_GET_TYPE", "describe remote"):
        ran = virtadm(tmp_path, "-c", libvirtd.uri, line)
        assert ran.returncode == 1
        assert "0x06900691" in ran.stderr.splitlines()[-1]


def test_all_went_well_only_if_every_daemon_says_so(
    libvirtd: harness.RunningDaemon, logd: harness.RunningDaemon, tmp_path: Path
) -> None:
    both = ["-c", libvirtd.uri, "-c", logd.uri]
    assert virtadm(tmp_path, *both, "server-clients-info admin").returncode == 0
    assert virtadm(tmp_path, *both, "server-clients-info logd").returncode == 1


@pytest.mark.parametrize("name", ["libvirtd", "logd"])
def test_json_says_what_the_text_says(
    name: str,
    libvirtd: harness.RunningDaemon,
    logd: harness.RunningDaemon,
    tmp_path: Path,
) -> None:
    daemon = libvirtd if name == "libvirtd" else logd
    line = f"server-threadpool-set {name} 2 7 1; server-threadpool-info {name}"
    text = virtadm(tmp_path, "-q", "-c", daemon.uri, line).stdout
    answer = json.loads(virtadm(tmp_path, "-o", "json", "-c", daemon.uri, line).stdout)
    assert (answer["minWorkers"], answer["maxWorkers"], answer["prioWorkers"]) == (2, 7, 1)
    assert [line.split(":")[0].strip() for line in text.splitlines()] == list(answer)


def test_a_daemon_of_ours_can_be_shut_down(start_daemon: StartDaemon, tmp_path: Path) -> None:
    daemon = start_daemon("lockd")
    ran = virtadm(tmp_path, "-c", daemon.uri, "daemon-shutdown")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "\n", "")
    assert daemon.wait() == 0


def test_an_older_libvirt_cannot_be_shut_down(
    libvirtd: harness.RunningDaemon, tmp_path: Path
) -> None:
    ran = virtadm(tmp_path, "-c", libvirtd.uri, "daemon-shutdown --preserve")
    assert (ran.returncode, ran.stdout) == (1, "\n")
    assert ran.stderr.splitlines()[0] == "error: Unable to shut the daemon down"
    assert libvirtd.alive


def test_a_daemon_can_be_named_by_alias(logd: harness.RunningDaemon, tmp_path: Path) -> None:
    settings = tmp_path / ".config" / "aiovirt" / "virtadm.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'uri_default = "log"\nuri_aliases = ["log={logd.uri}"]\n')
    assert virtadm(tmp_path, "-q", "uri").stdout == f"{logd.uri}\n"
    assert virtadm(tmp_path, "-q", "-c", "log", "uri").stdout == f"{logd.uri}\n"
    settings.write_text("uri_aliases = [")
    ran = virtadm(tmp_path, "uri")
    assert ran.returncode == 1
    assert f"error: configuration file syntax error: {settings}:" in ran.stderr


@pytest.mark.parametrize(
    "lines",
    [
        "uri\nserver-clients-info admin\nnosuch\nquit\nuri\n",
        "uri; pwd\ncd /\npwd\nexit",
        "connect nosuch\nuri\n",
        'client-info admin 99999\necho "a\n\n  \n#x\nversion\n',
        "",
    ],
)
@pytest.mark.parametrize("quiet", [["-q"], []])
def test_a_script_for_the_shell_prints_what_virt_admin_prints(
    libvirtd: harness.RunningDaemon, lines: str, quiet: list[str], tmp_path: Path
) -> None:
    theirs = harness.virt_admin(libvirtd.admin_socket, *quiet, stdin=lines)
    mine = virtadm(tmp_path, "-c", libvirtd.uri, *quiet, stdin=lines)
    assert mine.stdout == re.sub(r"virt-admin(?= # |,)", "virtadm", theirs.stdout)
    assert mine.returncode == theirs.returncode == 0
    assert len(mine.stderr.splitlines()) == len(theirs.stderr.splitlines())


class Terminal:
    """A person at a terminal: types, and waits for what appears."""

    def __init__(self, home: Path, *words: str) -> None:
        self._unread = ""
        self._pid, self._end = pty.fork()
        if self._pid == 0:
            os.execve(sys.executable, [*VIRTADM, *words], environment(home))

    def wait_for(self, text: str) -> str:
        """Everything up to this text; what came behind it is left for the next call."""
        while text not in self._unread:
            ready, _, _ = select.select([self._end], [], [], harness.PATIENCE)
            assert ready, f"no {text!r} in {self._unread!r}"
            self._unread += os.read(self._end, 4096).decode().replace("\r", "")
        before, _, self._unread = self._unread.partition(text)
        return before + text

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def give_up(self) -> None:
        """Ctrl-C until there is a prompt: one that comes between two keys only counts at the next."""
        while PROMPT not in self._unread:
            self.type("\x03")
            while PROMPT not in self._unread and select.select([self._end], [], [], 3)[0]:
                self._unread += os.read(self._end, 4096).decode().replace("\r", "")
        self.wait_for(PROMPT)

    def finish(self) -> int:
        """The exit status, once the program has ended."""
        try:
            while os.read(self._end, 4096):
                pass
        except OSError:
            pass  # this is how Linux says that the other side of a terminal is gone
        os.close(self._end)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


PROMPT = "virtadm # "


def test_a_person_completes_edits_and_leaves(logd: harness.RunningDaemon, tmp_path: Path) -> None:
    pytest.importorskip("readline")
    terminal = Terminal(tmp_path, "-c", logd.uri)
    terminal.wait_for(PROMPT)
    terminal.type("server-cl\t\t\t")  # the first completes, the third lists
    choices = terminal.wait_for(PROMPT)
    assert "server-clients-info" in choices
    assert "server-clients-set" in choices
    terminal.type("info logd\n")
    assert "nclients_max" in terminal.wait_for(PROMPT)
    terminal.type("client-list lo\t\n")
    assert "Connected since" in terminal.wait_for(PROMPT)
    terminal.type("echo given up")
    terminal.wait_for("given up")
    terminal.give_up()
    terminal.type("\x04")
    assert terminal.finish() == 0
    history = tmp_path / ".cache" / "aiovirt" / "virtadm" / "history"
    assert history.read_text() == "server-clients-info logd\nclient-list logd \n"


def test_a_daemon_that_goes_is_told_at_the_prompt_and_found_again(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    daemon = start_daemon("logd")
    terminal = Terminal(tmp_path, "-c", daemon.uri)
    terminal.wait_for(PROMPT)
    daemon.kill()
    told = terminal.wait_for("end of file\n")
    assert f"error: Disconnected from {daemon.uri} due to end of file\n" in told
    terminal.type("uri\n")
    told = terminal.wait_for(PROMPT)
    assert "error: Failed to reconnect to the admin server\nerror: no valid connection\n" in told
    terminal.type("quit\n")
    assert terminal.finish() == 0


def test_a_command_that_hangs_can_be_given_up(start_daemon: StartDaemon, tmp_path: Path) -> None:
    daemon = start_daemon("logd")
    terminal = Terminal(tmp_path, "-c", daemon.uri)
    terminal.wait_for(PROMPT)
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        terminal.type("server-list\n")
        terminal.wait_for("server-list\n")
        terminal.type("\x03")
        terminal.wait_for(PROMPT)
        terminal.type("echo still here\n")
        terminal.wait_for("\nstill here\n")
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    terminal.wait_for(PROMPT)
    terminal.type("quit\n")
    assert terminal.finish() == 0


def test_an_interrupted_program_dies_of_the_signal_and_says_nothing(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/sock")
        silent.listen()
        program = subprocess.Popen(
            [*VIRTADM, "-c", f"virtd:///session?socket={tmp_path}/sock", "server-list"],
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        client, _ = silent.accept()
        with client:
            assert client.recv(4)  # it has asked, and waits for an answer that will not come
            program.send_signal(signal.SIGINT)
            out, err = program.communicate(timeout=harness.PATIENCE)
    assert (program.returncode, out, err) == (-signal.SIGINT, b"", b"")
