"""The daemons of a host found by their sockets, libvirt's and ours, and `-c all`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import harness

Ran = subprocess.CompletedProcess[str]


class Host:
    """A host with sockets of its own: virtlogd and lockd run, logd hangs, virtd has left its socket."""

    def __init__(self, folder: Path, daemons: dict[str, harness.RunningDaemon]) -> None:
        self.folder = folder
        self.daemons = daemons

    def virtadm(self, *words: str) -> Ran:
        return subprocess.run(
            [sys.executable, "-m", "aiovirt.admin.cli", *words],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(harness.ROOT),
                "HOME": str(self.folder),
                "XDG_RUNTIME_DIR": str(self.folder),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=harness.PATIENCE,
            check=False,
        )

    def asked(self, *words: str) -> dict[str, Any]:
        """The documents of the session daemons by their URIs."""
        ran = self.virtadm("--timeout", "1", "-o", "json", *words)
        listed = json.loads(ran.stdout)
        return {each["uri"]: each for each in listed if each["uri"].endswith("/session")}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    for name in ("aiovirt", "libvirt"):
        (folder / name).mkdir()
    with (
        harness.running("virtlogd") as virtlogd,
        harness.running("lockd") as lockd,
        harness.running("logd") as logd,
        harness.running("virtd") as virtd,
    ):
        daemons = {daemon.name: daemon for daemon in (virtlogd, lockd, logd, virtd)}
        for name, daemon in daemons.items():
            place = "libvirt" if daemon.is_real else "aiovirt"
            (folder / place / f"{name}-admin-sock").symlink_to(daemon.admin_socket)
        virtd.kill(signal.SIGKILL)
        logd.process.send_signal(signal.SIGSTOP)
        try:
            yield Host(folder, daemons)
        finally:
            logd.process.send_signal(signal.SIGCONT)


def test_daemons_are_found_described_and_judged(host: Host) -> None:
    found = host.asked("daemon-list")
    assert {uri: each["state"] for uri, each in found.items()} == {
        "virtlogd:///session": "running",
        "lockd:///session": "running",
        "logd:///session": "hangs",
        "virtd:///session": "stale",
    }
    for name in ("virtlogd", "lockd", "logd"):
        assert found[f"{name}:///session"]["pid"] == host.daemons[name].pid
        assert found[f"{name}:///session"]["uid"] == os.geteuid()
    assert found["virtlogd:///session"]["version"] == harness.libvirt_version_text("virtlogd")
    assert found["virtlogd:///session"]["clients"] == 1


def test_sockets_can_be_listed_without_asking_anybody(host: Host) -> None:
    ran = host.virtadm("-q", "daemon-list", "--sockets")
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert ["logd:///session", f"{host.folder}/aiovirt/logd-admin-sock"] in lines


def test_all_means_those_that_answer_and_names_the_others(host: Host) -> None:
    ran = host.virtadm("--timeout", "1", "-c", "all", "client-list")
    assert ran.returncode == 1
    for name in ("virtlogd", "lockd"):
        assert f"==> {name}:///session <==\n Server " in ran.stdout
    assert "error: logd:///session: no answer to the connection within 1 s\n" in ran.stderr
    assert "error: virtd:///session: left out: Failed to connect socket" in ran.stderr
    answers = host.asked("-c", "all", "client-list")
    (client,) = answers["virtlogd:///session"]["answers"][0]
    assert client["server"] == "admin"
    assert client["process"].startswith("python")
    assert client["uid"] == os.geteuid()


def test_a_stale_socket_alone_is_no_failure(host: Host) -> None:
    host.daemons["logd"].process.send_signal(signal.SIGCONT)
    try:
        ran = host.virtadm("-c", "all", "uri")
    finally:
        host.daemons["logd"].process.send_signal(signal.SIGSTOP)
    assert ran.returncode == 0, ran.stderr
    assert "==> logd:///session <==\nlogd:///session\n" in ran.stdout
    assert "virtd:///session: left out" in ran.stderr


def test_the_shell_refuses_all(host: Host) -> None:
    ran = host.virtadm("-c", "all")
    assert (ran.returncode, ran.stderr) == (
        1,
        "error: the interactive shell administers one daemon, give -c once\n",
    )
