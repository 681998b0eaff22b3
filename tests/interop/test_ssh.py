"""Daemons of other hosts: virtadm and `connect()` through ssh to a real sshd on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiovirt.admin.client import connect
from aiovirt.admin.ssh import SshFailed
from aiovirt.rpc.wire.errors import RpcError
from tests import harness
from tests.sshd import Hosts, hosts

Ran = subprocess.CompletedProcess[str]
VIRTADM = [sys.executable, "-m", "aiovirt.admin.cli"]


@pytest.fixture(scope="module")
def far() -> Iterator[Hosts]:
    """One host, `near`, whose key is known, and the settings of ssh for it."""
    with hosts() as all_of_them:
        all_of_them.start("near")
        yield all_of_them


@pytest.fixture(scope="module")
def lockd() -> Iterator[harness.RunningDaemon]:
    with harness.running("lockd") as daemon:
        yield daemon


def virtadm(far: Hosts, *words: str) -> Ran:
    return subprocess.run(
        [*VIRTADM, *words],
        env={**far.environment, "PYTHONPATH": str(harness.ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=harness.PATIENCE,
        check=False,
    )


def leftovers(far: Hosts) -> list[str]:
    """The folders for sockets, and the processes of ssh, that virtadm has left."""
    folders = [path.name for path in far.folder.glob("virtadm-ssh-*")]
    return folders + ssh_processes(far)


def ssh_processes(far: Hosts) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"-N" in words and f"{far.folder}/config".encode() in words:
            found.append(entry.parent.name)
    return found


def program_of(process: int | None) -> str:
    return Path(f"/proc/{process}/comm").read_text()


def wait_until_gone(far: Hosts) -> None:
    deadline = time.monotonic() + harness.PATIENCE
    while leftovers(far):
        assert time.monotonic() < deadline, leftovers(far)
        select.select([], [], [], 0.01)


@pytest.mark.parametrize("daemon", ["lockd", "virtlogd"])
def test_virtadm_reaches_a_daemon_of_another_host(far: Hosts, daemon: str) -> None:
    with harness.running(daemon) as running:
        uri = f"{daemon}+ssh://near/system?socket={running.admin_socket}"
        ran = virtadm(far, "-o", "json", "-c", uri, "server-list")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert {server["name"] for server in json.loads(ran.stdout)} == {"admin", daemon}
    assert leftovers(far) == []


async def test_connect_reaches_a_daemon_of_another_host(
    far: Hosts, lockd: harness.RunningDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in far.environment.items():
        monkeypatch.setenv(name, value)
    user = os.environ.get("USER", "root") if os.geteuid() else "root"
    uri = f"lockd+ssh://{user}@near/system?socket={lockd.admin_socket}"
    async with connect(uri, timeout=harness.PATIENCE) as conn:
        assert {server.name for server in await conn.list_servers()} == {"admin", "lockd"}
        assert len(ssh_processes(far)) == 1
        # The folder of the socket is needed for the connecting only.
        assert leftovers(far) == ssh_processes(far)
    assert leftovers(far) == []


async def test_a_call_of_another_server_goes_to_the_far_side(
    far: Hosts, lockd: harness.RunningDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in far.environment.items():
        monkeypatch.setenv(name, value)
    uri = f"lockd+ssh://near/system?socket={lockd.admin_socket}"
    async with (
        connect(uri, timeout=harness.PATIENCE) as conn,
        conn.programs.caller() as caller,
    ):
        with pytest.raises(RpcError):  # a client has to say first who it is
            await caller.call("lockspace/NEW", {"path": "/locks"})
        (client,) = await (await conn.lookup_server("lockd")).list_clients()
        info = await client.get_info()
        assert program_of(info.unix_process_id).startswith("sshd")
        assert len(ssh_processes(far)) == 2
    assert leftovers(far) == []


def test_the_session_socket_is_where_the_far_side_says(far: Hosts) -> None:
    folder = far.runtime / "aiovirt"
    folder.mkdir(exist_ok=True)
    with harness.running("logd") as daemon:
        link = folder / "logd-admin-sock"
        link.symlink_to(daemon.admin_socket)
        try:
            ran = virtadm(far, "-c", "logd+ssh://near/session", "uri")
        finally:
            link.unlink()
    assert (ran.returncode, ran.stdout) == (0, "logd+ssh://near/session\n\n"), ran.stderr


@pytest.mark.parametrize("name", ["a:b", "a%hb", "a\\b", "a b", "a'b\"c"])
def test_any_path_of_a_socket_can_be_named(
    far: Hosts, lockd: harness.RunningDaemon, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).symlink_to(lockd.admin_socket)
    path = "".join(f"%{byte:02x}" for byte in os.fsencode(tmp_path / name))
    ran = virtadm(far, "-q", "-c", f"lockd+ssh://near/?socket={path}", "server-list")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_where_no_daemon_listens_the_path_and_the_host_are_named(far: Hosts) -> None:
    ran = virtadm(far, "-c", "virtd+ssh://near/system?socket=/nosuch", "uri")
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[:2] == [
        "error: Failed to connect to the admin server",
        "error: no daemon answers at '/nosuch' on 'near'",
    ]
    assert "open failed" in ran.stderr
    assert leftovers(far) == []


def test_an_unknown_host_key_is_refused_in_the_words_of_ssh(far: Hosts) -> None:
    far.start("stranger", known=False)
    ran = virtadm(far, "-c", "virtd+ssh://stranger/system", "uri")
    assert ran.returncode == 1
    assert "error: ssh to 'stranger' ended with status 255\n" in ran.stderr
    assert "error: ssh: Host key verification failed.\n" in ran.stderr


def test_a_denied_user_is_told_in_the_words_of_ssh(far: Hosts, tmp_path: Path) -> None:
    far.start("closed", f"AuthorizedKeysFile {tmp_path}/none", "DenyUsers *")
    for path in ("system", "session"):
        ran = virtadm(far, "-c", f"virtd+ssh://closed/{path}", "uri")
        assert ran.returncode == 1
        assert "error: ssh to 'closed' ended with status 255\n" in ran.stderr
        assert "Permission denied" in ran.stderr


def test_the_parameters_of_libvirt_are_options_of_ssh(
    far: Hosts, lockd: harness.RunningDaemon, tmp_path: Path
) -> None:
    bare = far.start("bare", known=False)
    known = tmp_path / "known hosts"
    query = (
        f"socket={lockd.admin_socket}&keyfile={far.folder}/user&known_hosts={known}"
        f"&no_verify=1&sshauth=privkey&no_tty=1&command={far.folder}/bin/ssh"
    )
    uri = f"lockd+ssh://127.0.0.1:{bare.port}/system?{query.replace(' ', '%20')}"
    ran = virtadm(far, "-q", "-c", uri, "server-list")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"[127.0.0.1]:{bare.port}" in known.read_text()
    # The key is known from now on, and a changed one is refused even with no_verify.
    another = (far.folder / "user.pub").read_text()
    known.write_text(f"[127.0.0.1]:{bare.port} {another}")
    assert "Host key verification failed" in virtadm(far, "-c", uri, "server-list").stderr


def test_a_master_connection_of_the_user_is_left_alone(
    far: Hosts, lockd: harness.RunningDaemon
) -> None:
    with (far.folder / "config").open("a") as config:
        config.write("Host near\n  ControlMaster auto\n  ControlPersist yes\n")
        config.write(f"  ControlPath {far.folder}/master\n  LocalForward 1 127.0.0.1:1\n")
    uri = f"lockd+ssh://near/system?socket={lockd.admin_socket}"
    assert virtadm(far, "-c", uri, "server-list").returncode == 0
    assert not (far.folder / "master").exists()
    assert leftovers(far) == []


def test_a_program_that_outlives_ssh_does_not_hold_virtadm(
    far: Hosts, lockd: harness.RunningDaemon
) -> None:
    note = far.folder / "survivor"
    with (far.folder / "config").open("a") as config:
        config.write("Host jumping\n  HostKeyAlias jumped\n  StrictHostKeyChecking no\n")
        config.write(f"  IdentityFile {far.folder}/user\n  UserKnownHostsFile /dev/null\n")
        config.write(f"  ProxyCommand sh -c 'sleep 600 & echo $! >{note}; ")
        config.write(f"exec {far.folder}/bin/ssh -W %h:$(sed -n 2p {far.folder}/sshd-near")
        config.write(" | cut -c6-) near'\n  HostName 127.0.0.1\n")
    try:
        uri = f"lockd+ssh://jumping/system?socket={lockd.admin_socket}"
        ran = virtadm(far, "-q", "-c", uri, "server-list")
        assert (ran.returncode, ran.stderr) == (0, "")
    finally:
        os.kill(int(note.read_text()), signal.SIGKILL)
    assert leftovers(far) == []


def test_an_unknown_host_key_can_be_accepted_at_a_terminal(
    far: Hosts, lockd: harness.RunningDaemon
) -> None:
    far.start("asking", known=False)
    uri = f"lockd+ssh://asking/system?socket={lockd.admin_socket}"
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(far.environment, PYTHONPATH=str(harness.ROOT))
        os.execv(sys.executable, [*VIRTADM, "-q", "-c", uri, "server-list"])
    try:
        seen = read_until(terminal, b"continue connecting")
        os.write(terminal, b"yes\n")
        seen += read_until(terminal, b"lockd\r\n")
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(terminal)  # which ends what still runs there
    assert status == 0, seen
    assert leftovers(far) == []


def test_an_interrupt_in_the_shell_leaves_ssh_alone(
    far: Hosts, lockd: harness.RunningDaemon
) -> None:
    uri = f"lockd+ssh://near/system?socket={lockd.admin_socket}"
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(far.environment, PYTHONPATH=str(harness.ROOT))
        os.execv(sys.executable, [*VIRTADM, "-q", "-c", uri])
    try:
        read_until(terminal, b"virtadm # ")
        before = ssh_processes(far)
        assert len(before) == 1
        os.write(terminal, b"echo given up\x03")
        read_until(terminal, b"virtadm # ")
        os.write(terminal, b"uri\n")
        assert b"econnected" not in read_until(terminal, f"\n{uri}\r\n".encode())
        assert ssh_processes(far) == before
        os.write(terminal, b"quit\n")
        read_until_end(terminal)
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(terminal)
    assert status == 0
    assert leftovers(far) == []


def read_until_end(terminal: int) -> None:
    """Read until the program has closed its side, which Linux tells as an error."""
    with contextlib.suppress(OSError):
        while os.read(terminal, 4096):
            pass


def read_until(terminal: int, text: bytes) -> bytes:
    seen = b""
    while text not in seen:
        assert select.select([terminal], [], [], harness.PATIENCE)[0], seen
        seen += os.read(terminal, 4096)
    return seen


async def test_a_host_that_hangs_is_named_and_the_other_answers_at_once(
    far: Hosts, lockd: harness.RunningDaemon
) -> None:
    hung = far.start("hung")
    hung.pause()
    query = f"socket={lockd.admin_socket}"
    uris = [f"lockd+ssh://{name}/system?{query}" for name in ("hung", "near")]
    process = await asyncio.create_subprocess_exec(
        *VIRTADM,
        *("--timeout", "20", "-c", uris[0], "-c", uris[1], "uri"),
        env={**far.environment, "PYTHONPATH": str(harness.ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(harness.PATIENCE):
        # The answer is there while the other host is still waited for.
        assert (
            await process.stdout.readuntil(b"\n\n") == f"==> {uris[1]} <==\n{uris[1]}\n\n".encode()
        )
        assert process.returncode is None
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert process.returncode == -signal.SIGINT
    assert f"==> {uris[0]} <==" in out.decode()
    assert f"error: {uris[0]}: interrupted before it had answered\n" in err.decode()
    assert leftovers(far) == []

    ran = virtadm(far, "--timeout", "1", "-c", uris[0], "-c", uris[1], "uri")
    assert ran.returncode == 1
    assert f"==> {uris[1]} <==\n{uris[1]}\n" in ran.stdout
    assert f"error: {uris[0]}: no answer to the connection within 1 s\n" in ran.stderr
    assert leftovers(far) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_ssh_ends_with_virtadm_however_it_ends(far: Hosts, number: int) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{far.folder}/silent{number}")
        silent.listen()
        uri = f"virtd+ssh://near/system?socket={far.folder}/silent{number}"
        process = subprocess.Popen(
            [*VIRTADM, "-c", uri, "uri"],
            env={**far.environment, "PYTHONPATH": str(harness.ROOT)},
            stdin=subprocess.DEVNULL,
        )
        silent.settimeout(harness.PATIENCE)
        link, _ = silent.accept()
        with link:
            assert len(ssh_processes(far)) == 1
            process.send_signal(number)
            assert process.wait(harness.PATIENCE) in (-number, 128 + number)
            wait_until_gone(far)


async def test_a_missing_ssh_program_is_named(far: Hosts) -> None:
    with pytest.raises(SshFailed, match=r"program '/nosuch/ssh' .* not installed"):
        await connect("virtd+ssh://near/system?command=/nosuch/ssh")
