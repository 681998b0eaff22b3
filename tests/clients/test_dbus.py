"""libvirt-dbus, through which desktops and cockpit manage machines, serves virtd as it serves libvirtd.

It finds the daemon at the usual place, so it runs in a mount namespace in which that place is ours,
with a bus of its own. `python/over_dbus.py` calls its methods and hears its signals.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import pytest

from tests import harness
from tests.clients import walking
from tests.clients.sources import program
from tests.virtd.interop.performing import libvirtd

BUS = """
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
"""
#: An event of QEMU's end, which libvirtd may miss.
CHANCE = "0031', 6, 2)"


@contextlib.contextmanager
def started(command: list[str], folder: Path, bus: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon for the length of a `with`."""
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(
            command,
            env={**walking.ENVIRONMENT, "DBUS_SYSTEM_BUS_ADDRESS": bus},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def walk(socket: str, folder: Path) -> list[str]:
    """Start a bus and libvirt-dbus for one daemon, and return what the program prints."""
    folder.mkdir()
    folder.chmod(0o755)
    place = folder / "run" / "libvirt"
    place.mkdir(parents=True)
    (place / "libvirt-sock").symlink_to(socket)
    bus = f"unix:path={folder}/bus"
    (folder / "bus.conf").write_text(BUS.format(path=folder / "bus").lstrip())
    daemon = [program("dbus-daemon", "dbus"), f"--config-file={folder}/bus.conf", "--nofork"]
    service = [program("libvirt-dbus", "libvirt-dbus"), "--system"]
    script = f"mount --bind '{place.parent}' /run && exec \"$@\""
    with started(daemon, folder, bus) as bus_process:
        wait_for(folder / "bus", bus_process)
        with started(["unshare", "--mount", "sh", "-c", script, "sh", *service], folder, bus):
            waiting = ["gdbus", "wait", "--address", bus, "--timeout", "30", "org.libvirt"]
            subprocess.run(waiting, check=True, timeout=walking.PATIENCE)
            ran = subprocess.run(
                [walking.PYTHON, str(walking.WALK.parent / "over_dbus.py"), bus, f"{folder}/pool"],
                env=walking.ENVIRONMENT,
                capture_output=True,
                text=True,
                timeout=walking.PATIENCE,
                check=False,
            )
    assert ran.returncode == 0, ran.stderr
    # Object paths spell a path's other characters by their numbers.
    mangled = str(folder).replace("_", "_5f").replace("/", "_2f").replace("-", "_2d")
    output = ran.stdout.replace(mangled, "FOLDER").replace(str(folder), "FOLDER")
    return [line for line in output.splitlines() if CHANCE not in line]


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a socket is there."""
    deadline = time.monotonic() + harness.PATIENCE
    while not path.exists():
        assert process.poll() is None, (path.parent / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_libvirt_dbus_serves_virtd_as_it_serves_libvirtd(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("a mount namespace needs root")
    program("libvirt-dbus", "libvirt-dbus")
    program("gdbus", "libglib2.0-bin")
    tmp_path.chmod(0o755)
    with libvirtd() as real, harness.running("virtd") as ours:
        shown = [walk(real, tmp_path / "a"), walk(ours.socket, tmp_path / "b")]
        assert "Traceback" not in ours.log.read_text()
    shown = [[line.replace(": 7002022", ": 7002000") for line in lines] for lines in shown]
    assert len(shown[0]) > 70, shown[0]
    assert not "\n".join(unified_diff(*shown, "libvirtd", "virtd", lineterm="", n=1))
