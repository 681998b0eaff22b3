"""The locks and logs of a guest that moves between two virtds, which use the same lock manager.

libvirt gives the locks back when the guest is paused to leave, and takes them there when it runs on
(src/qemu/qemu_migration.c: qemuMigrationSrcPerformPhase, qemuMigrationDstFinish).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import harness
from tests.virtd.interop.test_emulators import PAIRS, Place, guest, running_place, stand_ins


class Two:
    """A place, and another virtd with its managers."""

    def __init__(self, place: Place, there: harness.RunningDaemon) -> None:
        self.place = place
        self.uris = (place.uri, f"qemu+unix:///system?socket={there.socket}")
        self.folders = (str(place.virtd.folder), str(there.folder))

    def begin(self, side: int, *command: str) -> subprocess.Popen[str]:
        """Start virsh; both of its outputs are one."""
        return subprocess.Popen(
            [harness.require("virsh"), "-c", self.uris[side], *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **harness.libraries()},
        )

    def virsh(self, side: int, *command: str) -> str:
        """Run virsh; what it printed, errors included."""
        with self.begin(side, *command) as virsh:
            return virsh.communicate(timeout=harness.PATIENCE * 3)[0].strip()

    @property
    def processes(self) -> tuple[int, int]:
        """How many processes of guests each side has."""
        return len(stand_ins(self.folders[0])), len(stand_ins(self.folders[1]))


@pytest.fixture(params=PAIRS)
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Two]:
    with running_place(request.param, tmp_path / "here") as place:
        settings = {
            **place.settings,
            "guest_log_dir": str(tmp_path / "there"),
            "file_lockspace_dir": str(place.virtd.folder / "lockspace"),
        }
        with harness.running("virtd", settings) as there:
            try:
                yield Two(place, there)
            finally:
                there.kill()
                for one in stand_ins(str(there.folder)):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(one, signal.SIGKILL)


@pytest.mark.parametrize("way", [(), ("--p2p",)], ids=["managed", "p2p"])
def test_the_lock_moves_with_the_guest(two: Two, tmp_path: Path, way: tuple[str, ...]) -> None:
    file = tmp_path / "guest.xml"
    file.write_text(guest("moves"))
    two.virsh(0, "define", str(file))
    two.virsh(0, "start", "moves")
    assert (two.place.locks(), two.processes) == (["WRITE"], (1, 0))
    assert two.virsh(0, "migrate", "moves", two.uris[1], "--live", *way) == ""
    assert two.virsh(0, "domstate", "moves", "--reason") == "shut off (migrated)"
    assert two.virsh(1, "domstate", "moves", "--reason") == "running (migrated)"
    assert (two.place.locks(), two.processes) == (["WRITE"], (0, 1))
    other = tmp_path / "other.xml"
    other.write_text(guest("other"))
    assert "is locked" in two.virsh(0, "create", str(other))
    assert "locked" in two.virsh(0, "start", "moves")  # the other side has the lock
    assert (tmp_path / "there" / "moves.log").exists()
    assert "destroyed" in two.virsh(1, "destroy", "moves")
    assert (two.place.locks(), two.processes) == ([], (0, 0))


@pytest.mark.parametrize("way", [(), ("--p2p",)], ids=["managed", "p2p"])
def test_a_guest_that_stays_has_its_lock_again(
    two: Two, tmp_path: Path, way: tuple[str, ...]
) -> None:
    file = tmp_path / "guest.xml"
    file.write_text(guest("stays"))
    two.virsh(0, "create", str(file))
    command = ("migrate", "stays", two.uris[1], "--live", "--bandwidth", "1", *way)
    with two.begin(0, *command) as moving:
        while two.virsh(1, "domstate", "stays") != "paused":
            assert moving.poll() is None
        assert two.place.locks() == ["WRITE"]
        assert two.virsh(0, "domjobabort", "stays") == ""
    assert two.virsh(0, "domstate", "stays") == "running"
    assert (two.place.locks(), two.processes) == (["WRITE"], (1, 0))
