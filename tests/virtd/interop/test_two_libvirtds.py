"""A guest that moves between two libvirtds, and one that moves between two virtds: virsh tells the same.

Two libvirtds on one machine are two hosts when their configurations give them UUIDs of their own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests import harness
from tests.virtd.interop.test_virsh_migrate import Pair
from tests.virtd.test_ephemeral import ephemeral

#: Of each daemon: its number is in its UUID and in the ports on which its guests arrive.
_UUID = "11111111-2222-3333-4444-55555555550{}"
_QEMU_CONF = """
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
remember_owner = 0
stdio_handler = "file"
"""
_GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <cpu mode='custom' match='exact'><model>qemu64</model></cpu>
</domain>
"""


@contextmanager
def _libvirtd(number: int) -> Iterator[str]:
    """A libvirtd. The value is the URI of its guests."""
    with tempfile.TemporaryDirectory(prefix="av-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "etc-libvirt").mkdir()
        least = 49152 + os.getpid() % 30 * 512 + number * 256  # others may run beside this one
        ports = f"migration_port_min = {least}\nmigration_port_max = {least + 255}\n"
        (folder / "etc-libvirt" / "qemu.conf").write_text(_QEMU_CONF + ports)
        daemon = harness.start("libvirtd", folder, {"host_uuid": _UUID.format(number)})
        try:
            yield f"qemu+unix:///system?socket={daemon.socket}"
        finally:
            daemon.kill()
            for file in folder.glob("run/libvirt/qemu/*.pid"):
                with suppress(ProcessLookupError, ValueError):
                    os.kill(int(file.read_text()), signal.SIGKILL)


@pytest.fixture(scope="module")
def pairs() -> Iterator[tuple[Pair, Pair]]:
    """Two libvirtds, and two virtds."""
    if os.geteuid() != 0:
        harness.missing("the system's guests of libvirtd are root's")
    with ExitStack() as stack:
        libvirtds = Pair.__new__(Pair)
        libvirtds.here, libvirtds.there = [stack.enter_context(_libvirtd(one)) for one in (0, 1)]
        yield libvirtds, Pair(*[stack.enter_context(ephemeral()) for _ in range(2)])


async def _story(pair: Pair, name: str, file: Path, options: tuple[str, ...]) -> list[str]:
    """Define a guest, move it and look at both sides: what virsh prints, without numbers."""
    commands: list[tuple[str, ...]] = [("define", str(file))]
    if "--offline" not in options:
        commands.append(("start", name))
    told = [str(await pair.virsh(pair.here, *command)) for command in commands]
    uri = () if "--offline" in options else ("--migrateuri", "tcp:127.0.0.1")
    told.append(str(await pair.migrate(name, *options, *uri)))
    for side in pair.uris:
        told.append(str(await pair.virsh(side, "domstate", name, "--reason")))
        job, error = await pair.virsh(side, "domjobinfo", name, "--completed")
        names = [line.partition(":")[0] for line in (*job.splitlines(), *error)]
        # A migration that was over at once has no bandwidth.
        told += [one for one in names if one != "Memory bandwidth"]
        again = await pair.virsh(side, "domjobinfo", name, "--completed")
        told += [str(again), str(await pair.virsh(side, "list", "--all", "--name"))]
        await pair.virsh(side, "destroy", name)
        await pair.virsh(side, "undefine", name)
    return told


@pytest.mark.parametrize(
    "options",
    [
        ("--live",),
        ("--live", "--p2p", "--persistent", "--undefinesource"),
        ("--live", "--suspend", "--change-protection"),
        ("--offline", "--persistent"),
    ],
)
async def test_virsh_tells_the_same_of_a_guest_that_moves(
    pairs: tuple[Pair, Pair], tmp_path: Path, options: tuple[str, ...]
) -> None:
    name = "moves" + "".join(options).replace("--", "-")
    file = tmp_path / "guest.xml"
    file.write_text(_GUEST.format(name=name))
    real, ours = await asyncio.gather(*(_story(one, name, file, options) for one in pairs))
    assert ours == real
