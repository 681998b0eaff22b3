"""A world file means the same to virtd as to the test driver of the installed libvirt.

virsh opens `test:///FILE` with the driver in its own library, and a virtd that begins with the file.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.harness import require
from tests.virtd.test_ephemeral import VIRTD, ephemeral

GUEST = """<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
<name>{name}</name><uuid>004b96e1-2d78-c30f-5aa5-f03c87d21e6{number}</uuid><memory>65536</memory>
<os><type>hvm</type></os>{states}</domain>"""
# In a file of its own, a snapshot makes libvirt 9.0.0 end with a double free.
SNAPSHOT = """<test:domainsnapshot><name>{}</name><state>shutoff</state>
<creationTime>170000000{}</creationTime>{}</test:domainsnapshot>"""
STATES = {
    "plain": "",
    "paused": "<test:runstate>3</test:runstate>",
    "off": "<test:runstate>5</test:runstate>",
    "crashed": "<test:runstate>6</test:runstate>",
    "brief": "<test:transient/>",
    "saved": "<test:runstate>5</test:runstate><test:hasmanagedsave/>",
    "kept": SNAPSHOT.format("child", 1, "<parent><name>root</name></parent><active>1</active>")
    + SNAPSHOT.format("root", 0, "<active>0</active>"),
}
REST = """
<network><name>lab</name><uuid>004b96e1-2d78-c30f-5aa5-f03c87d21e70</uuid>
<bridge name='virbr7'/><ip address='10.0.0.1' netmask='255.255.255.0'/></network>
<pool type='dir'><name>images</name><uuid>004b96e1-2d78-c30f-5aa5-f03c87d21e71</uuid>
<target><path>/images</path></target>
<volume><name>one</name><capacity>1000</capacity><target><path>/images/one</path></target></volume>
</pool>
<device file='device.xml'/>
"""
DEVICE = """<device><name>port</name>
<capability type='net'><interface>eth9</interface></capability></device>"""

COMMANDS = (
    *("list --all", "list --all --managed-save", "list --all --persistent", "list --transient"),
    *(f"domstate {name} --reason" for name in STATES),
    *(f"dominfo {name}" for name in ("paused", "off", "brief")),
    "dumpxml plain",
    "dumpxml saved",
    "snapshot-list kept",
    "snapshot-list kept --tree",
    "snapshot-current kept --name",
    "net-list --all",
    "net-dumpxml lab",
    "pool-list --all",
    "vol-list images",
    "vol-info one images",
    "nodedev-dumpxml port",
)


def _said(uri: str, command: str) -> tuple[int, str]:
    """The status of virsh and what it said, without what is different each time."""
    line = [require("virsh"), "-c", uri, *command.split()]
    done = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    text = re.sub(r"CPU time: .*\n", "", done.stdout + "\n".join(errors))
    return done.returncode, text


def test_the_same_file_gives_the_same_world(tmp_path: Path) -> None:
    guests = (
        GUEST.format(name=name, number=number, states=states)
        for number, (name, states) in enumerate(STATES.items())
    )
    (tmp_path / "device.xml").write_text(DEVICE)
    path = tmp_path / "world.xml"
    path.write_text(f"<node>{''.join(guests)}{REST}</node>")
    with ephemeral("--world", str(path)) as daemon:
        expected = {command: _said(f"test://{path}", command) for command in COMMANDS}
        found = {command: _said(daemon.told["test"], command) for command in COMMANDS}
    assert found == expected


@pytest.mark.parametrize("states", ["<test:runstate>9</test:runstate>", "<test:hasmanagedsave/>"])
def test_a_file_that_libvirt_refuses_is_refused(tmp_path: Path, states: str) -> None:
    path = tmp_path / "world.xml"
    path.write_text(f"<node>{GUEST.format(name='x', number=0, states=states)}</node>")
    status, said = _said(f"test://{path}", "list")
    assert status == 1
    reason = said.strip().splitlines()[-1].removeprefix("error: ")
    line = [*VIRTD, "--ephemeral", "--world", str(path)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode
    assert reason in done.stderr
