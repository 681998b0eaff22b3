"""Finding the daemons of this host by their admin sockets."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiovirt.admin import host, plugins, protocol
from aiovirt.admin.host import AdminSocket, Sighting, State
from aiovirt.admin.uri import Directories
from aiovirt.rpc.security.identity import PeerIdentity
from tests.unit.scripted_daemon import HangUp, raising, scripted_daemon


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders in which sockets are looked for, system/ and session/. Their path is short."""
    with tempfile.TemporaryDirectory(prefix="av-") as folder:
        for name in ("system/libvirt", "system/aiovirt", "session/libvirt", "session/aiovirt"):
            Path(folder, name).mkdir(parents=True)
        monkeypatch.setattr(host, "_SYSTEM", f"{folder}/system")
        monkeypatch.setenv("XDG_RUNTIME_DIR", f"{folder}/session")
        yield Path(folder)


def touch(place: Path, *names: str) -> None:
    for name in names:
        (place / name).touch()


def test_each_socket_has_the_uri_that_leads_to_it(place: Path) -> None:
    ours = plugins.own_daemons()[0]
    touch(
        place,
        "system/libvirt/libvirt-admin-sock",
        "system/libvirt/virtqemud-admin-sock",
        f"system/aiovirt/{ours}-admin-sock",
        "session/libvirt/virtlogd-admin-sock",
        f"session/aiovirt/{ours}-admin-sock",
        # Sockets of other kinds, and of daemons that no URI leads to.
        "system/libvirt/libvirt-sock",
        "system/libvirt/other-admin-sock",
        "system/aiovirt/virtqemud-admin-sock",
        "session/aiovirt/nosuch-admin-sock",
    )
    system, session = f"{place}/system", f"{place}/session"
    assert set(host.admin_sockets()) == {
        AdminSocket("libvirtd:///system", f"{system}/libvirt/libvirt-admin-sock"),
        AdminSocket("virtqemud:///system", f"{system}/libvirt/virtqemud-admin-sock"),
        AdminSocket(f"{ours}:///system", f"{system}/aiovirt/{ours}-admin-sock"),
        AdminSocket("virtlogd:///session", f"{session}/libvirt/virtlogd-admin-sock"),
        AdminSocket(f"{ours}:///session", f"{session}/aiovirt/{ours}-admin-sock"),
    }


def test_root_sees_the_sessions_of_others_but_all_does_not_mean_them(place: Path) -> None:
    (place / "system/user/7/libvirt").mkdir(parents=True)
    touch(place, "system/user/7/libvirt/libvirt-admin-sock")
    path = f"{place}/system/user/7/libvirt/libvirt-admin-sock"
    caller = Directories.of_caller()
    seen = {
        root: host.admin_sockets(caller._replace(root=root), others=True) for root in (True, False)
    }
    assert seen[True] == [AdminSocket(f"libvirtd:///session?socket={path}", path)]
    assert seen[False] == []
    assert host.admin_sockets(caller._replace(root=True)) == []


def test_without_folders_there_are_no_daemons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_SYSTEM", f"{tmp_path}/none")
    where = Directories.of_caller({"HOME": str(tmp_path), "XDG_RUNTIME_DIR": f"{tmp_path}/none"})
    assert host.admin_sockets(where) == []


async def test_a_daemon_that_answers_is_described(place: Path) -> None:
    async with scripted_daemon() as daemon:
        (place / "session/libvirt/virtlogd-admin-sock").symlink_to(daemon.path)
        (found,) = await host.look_at_all()
    assert (found.state, found.version, found.clients) == (State.RUNNING, 9_001_002, 4)
    assert found.process is not None
    assert found.user == found.process.user_name()


async def test_a_socket_without_a_daemon_is_stale(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{place}/session/libvirt/virtlogd-admin-sock")
    (found,) = await host.look_at_all()
    assert found == Sighting(found.socket, State.STALE, reason="Connection refused")


async def test_a_daemon_that_hangs_costs_its_own_line_only(place: Path) -> None:
    async with scripted_daemon() as daemon:
        (place / "session/libvirt/virtlogd-admin-sock").symlink_to(daemon.path)
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(f"{place}/session/libvirt/libvirt-admin-sock")
            silent.listen()
            hung, running = await host.look_at_all(0.5)
            (end, _) = silent.accept()
            with end:
                process = PeerIdentity.of(end)
    assert (hung.state, running.state) == (State.HANGS, State.RUNNING)
    assert hung.reason == "no answer within 0.5 s"
    assert hung.process == process  # this process listens, and asks itself


async def test_a_daemon_that_hangs_up_refuses(place: Path) -> None:
    script = {protocol.CONNECT_OPEN: raising(HangUp())}
    async with scripted_daemon(script) as daemon:
        (place / "session/libvirt/virtlogd-admin-sock").symlink_to(daemon.path)
        (found,) = await host.look_at_all()
    assert found.state is State.REFUSES
    assert found.reason
