"""virsh on the test driver of libvirtd and of virtd: the same commands, status and output.

A domain of its own is defined on both, and gone at the end.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests import harness
from tests.interop.comparison import hosts
from tests.interop.conftest import SharedDaemon

DOMAIN = """
<domain type='test'>
  <name>twin</name>
  <uuid>11111111-2222-3333-4444-555555555599</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><source file='/d/a.img'/><target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>
    <interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>
  </devices>
</domain>
"""

#: Commands in their order; a value that no two daemons share is taken out of the output.
COMMANDS = """
domstats twin
dommemstat twin
domblkinfo twin vda
domblkinfo twin sdz
domblkstat twin vdz
domifstat twin testnetx
schedinfo twin
schedinfo twin --set weight=20
memtune twin --hard-limit 200000
memtune twin --hard-limit 200000 --swap-hard-limit 100
memtune twin
numatune twin --mode interleave --nodeset 0-1
numatune twin
numatune twin --mode preferred
blkiotune twin --weight 200
blkiotune twin --device-weights /dev/sda,300,/dev/sdb,400
blkiotune twin --device-weights /dev/sda,0
blkiotune twin
blkdeviotune twin vda --total-bytes-sec 1000
blkdeviotune twin vda --total-bytes-sec 1000 --total-bytes-sec-max 2000 --group-name x
blkdeviotune twin vda --read-bytes-sec 1000
blkdeviotune twin vda
domiftune twin 52:54:00:11:22:33 --inbound 100,200,300
domiftune twin 52:54:00:11:22:33
domiftune twin 52:54:00:11:22:34
perf twin --enable cmt,mbml --disable cpu_cycles
perf twin
iothreadadd twin 3
iothreadadd twin 3
iothreadset twin 3 --poll-max-ns 100
domstats twin
iothreaddel twin 9
dumpxml twin
iothreaddel twin 3
cpu-stats twin
set-lifecycle-action twin poweroff restart
set-lifecycle-action twin poweroff coredump-destroy
snapshot-current twin
snapshot-create-as twin s1 --description hello
snapshot-create-as twin s1
snapshot-create-as twin s2 --halt
domstate twin --reason
snapshot-dumpxml twin s2
snapshot-list twin --tree
snapshot-list twin --leaves --name
snapshot-list twin --external
snapshot-parent twin s1
snapshot-parent twin s9
snapshot-revert twin s1 --paused
domstate twin --reason
undefine twin
snapshot-delete twin s1
snapshot-create-as twin s4 --diskspec vdz
checkpoint-create-as twin c1
snapshot-delete twin s2
checkpoint-create-as twin c1
checkpoint-create-as twin c2 --diskspec vda
checkpoint-create-as twin c2 --diskspec hdc
checkpoint-list twin --tree
checkpoint-dumpxml twin c2 --size --no-domain
checkpoint-parent twin c1
checkpoint-delete twin c1
domhostname twin
domtime twin --time 5000
domfsinfo twin
domfsfreeze twin
domfsthaw twin /
domfsthaw twin /x
domblkerror twin
send-process-signal twin 2 9
set-user-password twin a b
guestinfo twin
domjobinfo twin
attach-disk twin /d/b.img vdb
"""
_VARYING = re.compile(r"<creationTime>\d+|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


class Virsh:
    """virsh on one daemon."""

    def __init__(self, daemon: harness.RunningDaemon) -> None:
        self._uri = f"test+unix:///default?socket={daemon.socket}"

    async def run(self, command: str) -> tuple[int | None, str]:
        """Run a command; status and output."""
        process = await asyncio.create_subprocess_exec(
            harness.require("virsh"),
            "--connect",
            self._uri,
            *command.split(),
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": harness.HOME},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), harness.PATIENCE)
        return process.returncode, _VARYING.sub("", out.decode())


@pytest.fixture
async def twins(shared_daemon: SharedDaemon, tmp_path: Path) -> AsyncIterator[tuple[Virsh, Virsh]]:
    """virsh on libvirtd and on virtd, each of which has the domain, running."""
    theirs, ours = shared_daemon("libvirtd"), shared_daemon("virtd")
    path = tmp_path / "twin.xml"
    path.write_text(DOMAIN)
    made = Virsh(theirs), Virsh(ours)
    # libvirt's test driver forgets everything with its last connection: this one stays.
    async with hosts(theirs, ours):
        for one in made:
            assert (await one.run(f"define {path}"))[0] == 0
            assert (await one.run("start twin"))[0] == 0
        yield made
        for one in made:
            await one.run("destroy twin")
            await one.run("undefine twin --snapshots-metadata --checkpoints-metadata")


async def test_every_command_has_the_same_status_and_output(twins: tuple[Virsh, Virsh]) -> None:
    different: list[str] = []
    for command in COMMANDS.strip().splitlines():
        theirs, ours = await asyncio.gather(*(one.run(command) for one in twins))
        if theirs != ours:
            different.append(f"{command}\nlibvirtd: {theirs}\nvirtd: {ours}")
    assert not different, "\n\n".join(different)
