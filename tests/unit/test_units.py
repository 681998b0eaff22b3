"""The units in conf/: their sockets and order, and a sandbox that leaves what is needed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.runtime.kind import DaemonKind
from aiovirt.daemons.runtime.listening import Listening
from aiovirt.daemons.runtime.process.paths import Paths
from aiovirt.daemons.runtime.settings import load
from tests.harness import require

CONF = Path(__file__).parents[2] / "conf"
SERVICES = [f"{kind.name}.service" for kind in kinds()]
SOCKETS = sorted(path.name for path in CONF.glob("*.socket"))
#: The most that `systemd-analyze security` may give.
EXPOSURE = 3.0


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit, each with all its values."""
    found: dict[str, list[str]] = {}
    for line in (CONF / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).extend(value.split())
    return found


def descriptor_name(name: str) -> str:
    """The name under which systemd passes the socket."""
    return unit(name).get("FileDescriptorName", [name])[0]


def service(name: str) -> str:
    """The service of a socket unit."""
    return unit(name).get("Service", [name.replace(".socket", ".service")])[0]


def kind_of(name: str) -> DaemonKind:
    """The daemon that a socket unit is for."""
    return next(kind for kind in kinds() if service(name) == f"{kind.name}.service")


@pytest.mark.parametrize("name", SOCKETS)
def test_a_daemon_knows_the_name_of_each_of_its_sockets(name: str) -> None:
    kind = kind_of(name)
    listening = Listening(kind.sockets, load(kind.settings(), None), Paths.decide(kind.name), ())
    assert descriptor_name(name) in listening.units(kind.name)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
def test_each_socket_of_a_daemon_has_a_unit(kind: DaemonKind) -> None:
    listening = Listening(kind.sockets, load(kind.settings(), None), Paths.decide(kind.name), ())
    assert set(listening.units(kind.name)) <= set(SOCKETS)


@pytest.mark.parametrize("name", SERVICES)
def test_enabling_a_service_enables_its_sockets_but_those_of_the_network(name: str) -> None:
    mine = {
        socket
        for socket in SOCKETS
        if service(socket) == name
        and descriptor_name(socket) == socket
        and unit(socket)["ListenStream"][0].startswith("/")
    }
    assert set(unit(name)["Also"]) == mine
    assert set(unit(name)["After"]) == mine
    assert set(unit(name)["Requires"]) | set(unit(name).get("Wants", [])) == mine


@pytest.mark.parametrize("daemon", ["lockd", "logd"])
def test_a_stand_in_has_libvirts_path_and_name_and_starts_our_service(daemon: str) -> None:
    for suffix in ("", "-admin"):
        name = f"{daemon}-virt{daemon}{suffix}.socket"
        found = unit(name)
        assert found["ListenStream"] == [f"/run/libvirt/virt{daemon}{suffix}-sock"]
        assert found["Alias"] == [f"virt{daemon}{suffix}.socket"]
        assert service(name) == f"{daemon}.service"


@pytest.mark.parametrize("name", [*SERVICES, *SOCKETS])
def test_locks_and_logs_are_there_before_libvirtd_asks_for_them(name: str) -> None:
    if not name.startswith("virtd"):
        assert "libvirtd.service" in unit(name)["Before"]


def test_a_reload_of_what_keeps_state_takes_new_code_as_libvirts_does() -> None:
    signals = {name: unit(name)["ExecReload"][1] for name in SERVICES}
    assert signals == {
        "lockd.service": "-USR1",
        "logd.service": "-USR1",
        "virtd.service": "-HUP",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_a_sandbox_leaves_what_the_daemon_needs(name: str) -> None:
    found = unit(name)
    assert set(found["SystemCallFilter"]) == {"@system-service"}
    assert "AF_UNIX" in found["RestrictAddressFamilies"]
    if name == "lockd.service":  # opens disks anywhere, signals their processes, looks at /proc
        assert {"CAP_KILL", "CAP_DAC_OVERRIDE"} <= set(found["CapabilityBoundingSet"])
        assert found["ProtectSystem"] == ["full"]
        for hidden in (
            "ProtectHome",
            "PrivateTmp",
            "PrivateDevices",
            "ProtectProc",
            "PrivateUsers",
        ):
            assert hidden not in found
        assert found["DeviceAllow"] == ["block-*", "rw"]
    if name == "logd.service":  # writes below log_root
        assert "-/var/log" in found["ReadWritePaths"]
        assert "CAP_DAC_OVERRIDE" in found["CapabilityBoundingSet"]
    if name == "virtd.service":
        assert {"AF_INET", "AF_INET6"} <= set(found["RestrictAddressFamilies"])
        assert "PrivateNetwork" not in found


@pytest.mark.parametrize("name", SERVICES)
def test_the_exposure_of_a_service_is_small(name: str) -> None:
    analyze = require("systemd-analyze")
    ran = subprocess.run(
        [analyze, "security", "--offline=yes", "--no-pager", str(CONF / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", ran.stdout)
    assert found, ran.stderr
    assert float(found[1]) < EXPOSURE


def test_systemd_has_nothing_to_say_about_the_units() -> None:
    analyze = require("systemd-analyze")
    ran = subprocess.run(
        [analyze, "verify", "--man=no", *(str(CONF / name) for name in (*SERVICES, *SOCKETS))],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [
        line
        for line in ran.stderr.splitlines()
        if any(name.split(".")[0] in line for name in (*SERVICES, *SOCKETS))
        and "is not executable" not in line
    ]
    assert said == []
