"""libvirt's own virt-admin can't tell our daemons from libvirtd.

Every command is run on both, with good and with bad input, and has to end with the same status
and print the same, apart from ids, times, and the words in which a daemon says what is wrong.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import harness
from tests.conformance.judge import Link
from tests.conformance.wire import Frame, Reader, string, u32
from tests.interop.conftest import SharedDaemon

SCRIPTS: dict[str, str] = {
    "server-list": "srv-list; server-list",
    "server-list-with-an-argument": "srv-list more",
    "threadpool-info": "srv-threadpool-info MAIN; server-threadpool-info MAIN",
    "threadpool-info-of-admin-is-six-lines": "srv-threadpool-info MAIN --bogus",
    "threadpool-info-unknown-server": "srv-threadpool-info nobody",
    "threadpool-info-empty-server": "srv-threadpool-info ''",
    "threadpool-info-without-server": "srv-threadpool-info",
    "threadpool-max": """
        srv-threadpool-set MAIN --max-workers 30; srv-threadpool-info MAIN
        srv-threadpool-set MAIN --max-workers 20; srv-threadpool-info MAIN""",
    "threadpool-min": """
        srv-threadpool-set MAIN --min-workers 2; srv-threadpool-set MAIN --min-workers 5""",
    "threadpool-all": """
        srv-threadpool-set MAIN --min-workers 6 --max-workers 25 --priority-workers 5
        srv-threadpool-set MAIN --min-workers 5 --max-workers 20 --priority-workers 5""",
    "threadpool-set-nothing": "srv-threadpool-set MAIN",
    "threadpool-set-unknown-server": "srv-threadpool-set nobody --min-workers 5",
    "threadpool-set-min-over-max": "srv-threadpool-set MAIN --min-workers 50",
    "threadpool-set-min-over-max-here": """
        srv-threadpool-set MAIN --min-workers 50 --max-workers 40; srv-threadpool-info MAIN""",
    "threadpool-set-max-under-min": "srv-threadpool-set MAIN --max-workers 2",
    "threadpool-set-max-0": "srv-threadpool-set MAIN --max-workers 0",
    "threadpool-set-max-0-and-min-0": "srv-threadpool-set MAIN --max-workers 0 --min-workers 0",
    "threadpool-set-negative": "srv-threadpool-set MAIN --max-workers -1",
    "threadpool-set-not-a-number": "srv-threadpool-set MAIN --max-workers many",
    "threadpool-set-too-big-a-number": "srv-threadpool-set MAIN --max-workers 99999999999",
    "threadpool-set-unknown-option": "srv-threadpool-set MAIN --most-workers 4",
    "threadpool-set-without-value": "srv-threadpool-set MAIN --max-workers",
    "clients-list": "srv-clients-list admin; client-list admin",
    "clients-list-empty": "srv-clients-list MAIN",
    "clients-list-unknown-server": "srv-clients-list nobody",
    "clients-list-without-server": "srv-clients-list",
    "clients-info": "srv-clients-info MAIN; srv-clients-info admin",
    "clients-info-unknown-server": "srv-clients-info nobody",
    "clients-set-max": """
        srv-clients-set MAIN --max-clients 200; srv-clients-info MAIN
        srv-clients-set MAIN --max-clients 100; srv-clients-info MAIN""",
    "clients-set-unauth": """
        srv-clients-set MAIN --max-unauth-clients 30; srv-clients-info MAIN
        srv-clients-set MAIN --max-unauth-clients 20""",
    "clients-set-both": """
        srv-clients-set MAIN --max-clients 300 --max-unauth-clients 250; srv-clients-info MAIN
        srv-clients-set MAIN --max-clients 100 --max-unauth-clients 20""",
    "clients-set-nothing": "srv-clients-set MAIN",
    "clients-set-unknown-server": "srv-clients-set nobody --max-clients 4",
    "clients-set-contradiction": "srv-clients-set MAIN --max-clients 5 --max-unauth-clients 10",
    "clients-set-unauth-over-max": "srv-clients-set MAIN --max-unauth-clients 101",
    "clients-set-max-under-unauth": """
        srv-clients-set MAIN --max-clients 19; srv-clients-info MAIN""",
    "clients-set-max-0": "srv-clients-set MAIN --max-clients 0",
    "clients-set-negative": "srv-clients-set MAIN --max-clients -5",
    "clients-set-not-a-number": "srv-clients-set MAIN --max-clients x",
    "client-info-unknown": "client-info admin 99999; client-info admin 0",
    "client-info-unknown-server": "client-info nobody 1",
    "client-info-not-a-number": "client-info admin one; client-info admin -1",
    "client-info-without-client": "client-info admin",
    "client-disconnect-unknown": "client-disconnect admin 99999; client-disconnect MAIN 1",
    "client-disconnect-unknown-server": "client-disconnect nobody 1",
    "client-disconnect-not-a-number": "client-disconnect admin one",
    "filters": """
        daemon-log-filters; daemon-log-filters --filters '1:qemu 4:rpc'; daemon-log-filters
        daemon-log-filters '3:util'; daemon-log-filters
        daemon-log-filters --filters ''; daemon-log-filters""",
    "filters-odd-but-right": """
        daemon-log-filters --filters '  1:*a*   2:+b  3:c:d'; daemon-log-filters
        daemon-log-filters --filters ''""",
    "filters-wrong": """
        daemon-log-filters --filters '1:good'
        daemon-log-filters --filters 'bogus'; daemon-log-filters --filters '9:x'
        daemon-log-filters --filters '1:a 0:b'; daemon-log-filters --filters '1:'
        daemon-log-filters; daemon-log-filters --filters ''; daemon-log-filters""",
    "outputs": """
        daemon-log-outputs; daemon-log-outputs --outputs '4:stderr 3:file:/dev/null'; daemon-log-outputs
        daemon-log-outputs '4:syslog:interop'; daemon-log-outputs
        daemon-log-outputs --outputs '3:stderr'; daemon-log-outputs""",
    "outputs-reset": """
        daemon-log-outputs --outputs '4:file:/dev/null'; daemon-log-outputs --outputs ''
        daemon-log-outputs""",
    "outputs-wrong": """
        daemon-log-outputs --outputs 'bogus'; daemon-log-outputs --outputs '7:stderr'
        daemon-log-outputs --outputs '1:nowhere'; daemon-log-outputs --outputs '1:file:'
        daemon-log-outputs --outputs '1:file:/nonexistent/x'
        daemon-log-outputs --outputs '1:stderr 1:syslog'; daemon-log-outputs""",
    "outputs-two-arguments": "daemon-log-outputs 3:stderr 4:stderr",
    "timeout": "daemon-timeout --timeout 1000; daemon-timeout --timeout 0",
    "timeout-wrong": """
        daemon-timeout --timeout -1; daemon-timeout --timeout soon
        daemon-timeout --timeout 99999999999; daemon-timeout""",
    "tls-without-tls": "srv-update-tls MAIN; server-update-tls admin",
    "tls-unknown-server": "srv-update-tls nobody",
    "tls-without-server": "srv-update-tls",
    "version": "version",
    "uri": "uri",
    "connect": "connect; connect --help; connect 'URI'",
    "connect-nowhere": "connect 'libvirtd:///system?socket=/nonexistent/sock'",
    "connect-unknown-parameter": "connect 'libvirtd:///system?place=/x'",
    "unknown-command": "bogus; srv-lst; ''",
    "help": "help; help srv-list; help monitor; help bogus",
    "itself": "pwd; cd /; echo one two; echo --shell 'a b'; quit; exit",
}
"""Commands to run one after the other, each by a virt-admin of its own; a script leaves the daemon
as it was. MAIN is the name of the daemon's own server."""


@dataclass(frozen=True)
class Told:
    """What a command came to, as far as it has to be the same everywhere."""

    command: str
    status: int
    printed: str
    complained: str


def run(daemon: harness.RunningDaemon, command: str) -> Told:
    """Run one command and keep what does not depend on which daemon it is."""
    words = [daemon.uri if word == "URI" else word for word in shlex.split(command)]
    words = [daemon.name if word == "MAIN" else word for word in words]
    return told(daemon, command, harness.virt_admin(daemon.admin_socket, *words))


def told(
    daemon: harness.RunningDaemon, command: str, done: subprocess.CompletedProcess[str]
) -> Told:
    """What a finished virt-admin said, made comparable."""
    complaints = done.stderr.splitlines()
    if done.stderr.startswith(("error: unknown command", "error: command", "error: unexpected")):
        said = done.stderr
    else:
        # Where there are two lines, the first is virt-admin's and the last is the daemon's.
        said = "\n".join([*complaints[:-1], "and the daemon's words"]) if complaints else ""
    return Told(command, done.returncode, _comparable(daemon, done.stdout), said)


def _comparable(daemon: harness.RunningDaemon, text: str) -> str:
    text = text.replace(daemon.admin_socket, "SOCKET")
    text = re.sub(rf"\b{daemon.name}\b(?!:///)", "MAIN", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4}", "TIME", text)
    text = re.sub(r"^ *\d+( +unix)", r" ID\1", text, flags=re.MULTILINE)
    text = re.sub(r"^ \d+ +(MAIN|admin)$", r" NUMBER \1", text, flags=re.MULTILINE)
    text = re.sub(r"^(id|unix_process_id) +: \d+$", r"\1: NUMBER", text, flags=re.MULTILINE)
    text = re.sub(r"-{5,}", "-----", text)
    lines = [re.sub(r" +", " ", line) for line in text.splitlines()]
    # libvirt lists servers in the order of a hash, which is another one at each start.
    rows = sorted(line for line in lines if line.startswith(" NUMBER"))
    return "\n".join(rows.pop(0) if line.startswith(" NUMBER") else line for line in lines)


def _commands(script: str) -> list[str]:
    return [part.strip() for part in re.split(r";|\n", script) if part.strip()]


@pytest.mark.parametrize("ours", harness.OURS)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_commands_do_the_same_as_on_libvirtd(
    ours: str, script: str, shared_daemon: SharedDaemon
) -> None:
    for command in _commands(script):
        reference = run(shared_daemon("libvirtd"), command)
        assert "unknown command" not in reference.complained or script == SCRIPTS["unknown-command"]
        assert run(shared_daemon(ours), command) == reference


@pytest.mark.parametrize("ours", harness.OURS)
def test_a_session_over_one_connection_is_the_same_as_on_libvirtd(
    ours: str, shared_daemon: SharedDaemon
) -> None:
    session = (
        "uri\nversion\nsrv-list\nsrv-threadpool-info MAIN\nsrv-clients-list admin\nbogus\n"
        "daemon-log-filters 1:x\ndaemon-log-filters\ndaemon-log-filters ''\n"
        "connect\nsrv-list\nquit\n"
    )
    found = []
    for daemon in (shared_daemon(ours), shared_daemon("libvirtd")):
        script = session.replace("MAIN", daemon.name)
        done = harness.virt_admin(daemon.admin_socket, stdin=script)
        found.append(told(daemon, "session", done))
    assert found[0] == found[1]
    assert found[0].status == 0


@pytest.mark.parametrize("name", ["libvirtd", *harness.OURS])
def test_client_info_tells_of_a_client(name: str, shared_daemon: SharedDaemon) -> None:
    reference = shared_daemon("libvirtd")
    found = []
    for daemon in (shared_daemon(name), reference):
        with Link(daemon.admin_socket) as link:
            assert link.lives()
            number = _newest(link)
            done = harness.virt_admin(daemon.admin_socket, "client-info", "admin", str(number))
            found.append(told(daemon, "client-info", done))
    assert found[0] == found[1]
    assert "unix_user_id" in found[0].printed


@pytest.mark.parametrize("name", ["libvirtd", *harness.OURS])
def test_client_disconnect_ends_the_connection(name: str, shared_daemon: SharedDaemon) -> None:
    daemon = shared_daemon(name)
    with Link(daemon.admin_socket) as link:
        assert link.lives()
        words = ("client-disconnect", "admin", number := str(_newest(link)))
        done = harness.virt_admin(daemon.admin_socket, *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"Client '{number}' disconnected\n"
        assert link.receive() is None
        again = harness.virt_admin(daemon.admin_socket, *words)
        assert again.returncode == 1


@pytest.mark.parametrize("scheme", ["libvirtd", "virtd", "lockd", "logd", "virtlogd", "any"])
@pytest.mark.parametrize("ours", harness.OURS)
def test_any_scheme_will_do_with_a_socket(
    ours: str, scheme: str, shared_daemon: SharedDaemon
) -> None:
    daemon = shared_daemon(ours)
    uri = f"{scheme}:///system?socket={daemon.admin_socket}"
    done = harness.virt_admin(daemon.admin_socket, "connect", uri)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["libvirtd", *harness.OURS])
def test_a_session_whose_daemon_ends_says_so(name: str, tmp_path: Path) -> None:
    with harness.running(name) as daemon:
        shell = subprocess.Popen(
            [harness.require("virt-admin"), "--connect", daemon.uri],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(tmp_path)},
        )
        with shell:
            assert shell.stdout is not None
            seen = b""
            while b"virt-admin # " not in seen:
                seen += (piece := os.read(shell.stdout.fileno(), 4096))
                assert piece, seen
            assert daemon.kill() == 0
            rest, _ = shell.communicate(b"srv-list\nquit\n", timeout=harness.PATIENCE)
    assert shell.returncode == 0
    assert b"Disconnected from" in seen + rest
    assert b"Failed to reconnect to the admin server" in rest


@pytest.mark.parametrize("name", ["libvirtd", *harness.OURS])
@pytest.mark.parametrize("words", [[], ["--preserve"]], ids=" ".join)
def test_daemon_shutdown_succeeds(name: str, words: list[str]) -> None:
    if harness.libvirt_version("virt-admin") < (11, 2, 0):
        pytest.skip("virt-admin has daemon-shutdown since 11.2.0")
    with harness.running(name) as daemon:
        done = harness.virt_admin(daemon.admin_socket, "daemon-shutdown", *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert daemon.wait() == 0


def _newest(link: Link) -> int:
    """The id of the client that came last, which is the one asking."""
    listing = link.call(Frame(8, string("admin") + u32(100) + u32(0)))
    read = Reader(listing.payload)
    numbers = []
    for _ in range(read.u32()):
        read.string()
        numbers.append(read.u64())
        read.u64()
        read.u32()
    return max(numbers)
