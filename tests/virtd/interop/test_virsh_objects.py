"""The same commands of virsh on libvirt's test driver and on virtd: the same words, line by line.

The test driver is part of libvirt's client library, so that nothing has to be started for it.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from tests import harness
from tests.virtd.conftest import Virtd

NETWORK = """<network>
  <name>n1</name><uuid>81ff0d90-c91e-6742-64da-4a736edb9a9c</uuid>
  <forward mode='nat'/><bridge name='virbr9'/>
  <ip address='10.0.0.1' netmask='255.255.255.0'>
    <dhcp><range start='10.0.0.2' end='10.0.0.9'/></dhcp>
  </ip>
</network>"""
POOL = """<pool type='dir'>
  <name>p1</name><uuid>81ff0d90-c91e-6742-64da-4a736edb9a9d</uuid>
  <target><path>/tmp/p1</path></target>
</pool>"""
VOLUME = """<volume>
  <name>v2</name><capacity unit='M'>10</capacity><allocation>4096</allocation>
  <target><format type='qcow2'/><permissions><mode>0644</mode></permissions></target>
</volume>"""
INTERFACE = """<interface type='bridge' name='br0'>
  <start mode='onboot'/><mtu size='1500'/>
  <bridge stp='off'>
    <interface type='ethernet' name='eth9'><mac address='aa:bb:cc:dd:ee:01'/></interface>
  </bridge>
</interface>"""
PORT = """<device>
  <parent>scsi_host1</parent>
  <capability type='scsi_host'><capability type='fc_host'>
    <wwnn>2000000012341235</wwnn><wwpn>1000000012341235</wwpn>
  </capability></capability>
</device>"""
CPU = """<cpu>
  <arch>x86_64</arch><model>Penryn</model><vendor>Intel</vendor><feature name='vmx'/>
</cpu>"""
DOCUMENTS = {
    "network": NETWORK,
    "pool": POOL,
    "volume": VOLUME,
    "interface": INTERFACE,
    "port": PORT,
    "cpu": CPU,
}

NETWORKS = """
net-list --all
net-dumpxml default
net-info default
net-uuid default
net-name dd8fe884-6c02-601e-7551-cca97df1c5df
net-define {network}
net-list --all
net-start n1
net-start n1
net-autostart n1
net-list --name
net-update n1 add ip-dhcp-host "<host mac='52:54:00:00:00:01' ip='10.0.0.5'/>"
net-update n1 add ip-dhcp-host "<host mac='52:54:00:00:00:01' ip='10.0.0.6'/>"
net-update n1 add ip-dhcp-host "<host mac='52:54:00:00:00:02' ip='fc00::6'/>"
net-update n1 modify ip-dhcp-host "<host mac='52:54:00:00:00:01' ip='10.0.0.7'/>"
net-update n1 modify ip-dhcp-host "<host mac='52:54:00:00:00:09' ip='10.0.0.8'/>"
net-update n1 delete ip-dhcp-host "<host mac='52:54:00:00:00:08'/>"
net-update n1 add ip-dhcp-range "<range start='10.0.0.20' end='10.0.0.30'/>"
net-update n1 add ip-dhcp-range "<range start='10.0.0.20' end='10.0.0.30'/>"
net-update n1 modify ip-dhcp-range "<range start='10.0.0.20' end='10.0.0.30'/>"
net-update n1 delete ip-dhcp-range "<range start='10.0.0.21' end='10.0.0.30'/>"
net-update n1 add dns-host "<host ip='10.0.0.40'><hostname>a</hostname></host>"
net-update n1 add dns-host "<host ip='10.0.0.40'><hostname>b</hostname></host>"
net-update n1 delete dns-host "<host><hostname>c</hostname></host>"
net-update n1 add dns-srv "<srv service='a' protocol='tcp' target='b'/>"
net-update n1 add dns-srv "<srv service='a' protocol='tcp' target='b'/>"
net-update n1 delete dns-srv "<srv service='z'/>"
net-update n1 modify dns-txt "<txt name='a' value='b'/>"
net-update n1 add dns-txt "<txt name='a' value='b'/>" --live --config
net-update n1 add dns-txt "<txt name='a' value='c'/>"
net-update n1 add portgroup "<portgroup name='a' default='yes'/>"
net-update n1 add portgroup "<portgroup name='b' default='yes'/>"
net-update n1 modify portgroup "<portgroup name='c'/>"
net-update n1 add bridge "<bridge/>"
net-update n1 add dns-txt "<foo/>"
net-dumpxml n1
net-dumpxml n1 --inactive
net-undefine n1
net-destroy n1
net-destroy n1
net-dumpxml n1
net-undefine n1
net-info n1
net-create {network}
net-info n1
net-autostart n1
net-destroy n1
net-dhcp-leases default
net-port-list default
net-dumpxml nope
domifaddr test
"""
STORAGE = """
pool-list --all --details
pool-dumpxml default-pool
pool-info default-pool
vol-list default-pool
vol-create-as default-pool v1 1G
vol-create default-pool {volume}
vol-create default-pool {volume}
vol-create-as default-pool v9 200G
vol-list default-pool --details
vol-dumpxml v1 default-pool
vol-dumpxml v2 default-pool
vol-info v1 default-pool
vol-path v1 default-pool
vol-key v1 default-pool
vol-name /default-pool/v1
vol-pool /default-pool/v1
vol-info /default-pool/v3
vol-clone v1 v3 default-pool
vol-resize v1 2G default-pool
vol-wipe v1 default-pool
vol-info v3 default-pool
pool-dumpxml default-pool
vol-delete v1 default-pool
vol-delete v1 default-pool
pool-refresh default-pool
pool-build default-pool
pool-delete default-pool
pool-define {pool}
pool-define {pool}
pool-dumpxml p1
pool-start p1
pool-start p1
pool-autostart p1
pool-undefine p1
pool-destroy p1
pool-destroy p1
vol-list p1
vol-create-as p1 v1 1G
pool-build p1
pool-delete p1
pool-undefine p1
pool-info p1
pool-create {pool}
pool-info p1
pool-autostart p1
pool-define-as p2 dir --target /tmp/p1
pool-define-as p1 dir --target /tmp/p7
pool-destroy p1
pool-define-as pl logical --source-dev /dev/sdx --source-name vg0
pool-start pl
vol-create-as pl lv 1G
vol-dumpxml lv pl
vol-info lv pl
pool-define-as pi iscsi --source-host h --source-dev iqn --target /dev/disk
pool-dumpxml pi
pool-start pi
vol-list pi
pool-define-as pn netfs --source-host h --source-path /x --target /mnt/x
pool-list --all --type dir,logical
find-storage-pool-sources logical
find-storage-pool-sources netfs
find-storage-pool-sources-as netfs hh
find-storage-pool-sources dir
pool-capabilities
vol-list nope
"""
OTHERS = """
secret-list
nwfilter-list
nodedev-list
nodedev-list --tree
nodedev-list --cap scsi_host
nodedev-list --cap fc_host
nodedev-list --cap net
nodedev-dumpxml computer
nodedev-dumpxml scsi_host11
nodedev-dumpxml nope
nodedev-info computer
nodedev-create {port}
nodedev-list
nodedev-dumpxml scsi_host12
nodedev-destroy scsi_host12
nodedev-destroy computer
nodedev-reset scsi_host1
nodedev-create {interface}
iface-list --all
iface-dumpxml eth1
iface-mac eth1
iface-name aa:bb:cc:dd:ee:ff
iface-name aa:bb:cc:dd:ee:f0
iface-begin
iface-begin
iface-define {interface}
iface-list --all
iface-dumpxml br0
iface-start br0
iface-start br0
iface-destroy eth1
iface-destroy eth1
iface-undefine eth1
iface-list --all
iface-rollback
iface-list --all
iface-rollback
iface-commit
iface-begin
iface-commit
iface-dumpxml nope
iface-dumpxml eth1 --inactive
capabilities
maxvcpus
nodeinfo
freecell
freecell --all
nodecpustats
nodecpustats --cpu 1
nodememstats
nodecpumap
sysinfo
cpu-models x86_64
cpu-models foo
domcapabilities
node-memory-tune
cpu-baseline {cpu}
cpu-compare {cpu}
hypervisor-cpu-compare {cpu}
"""


async def said(uri: str, commands: str) -> list[str]:
    """The words of virsh for these commands."""
    process = await asyncio.create_subprocess_exec(
        harness.require("virsh"),
        "-c",
        uri,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **harness.libraries(), "LC_ALL": "C", "COLUMNS": "400", "TERM": "dumb"},
    )
    words, _ = await asyncio.wait_for(process.communicate(commands.encode()), 60)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", words.decode())
    return [line for line in text.splitlines() if not line.startswith("virsh # ")]


@pytest.mark.parametrize("commands", [NETWORKS, STORAGE, OTHERS], ids=["net", "pool", "others"])
async def test_virsh_says_the_same(virtd: Virtd, tmp_path: Path, commands: str) -> None:
    paths = {name: str(tmp_path / name) for name in DOCUMENTS}
    for name, text in DOCUMENTS.items():
        Path(paths[name]).write_text(text)  # noqa: ASYNC240  a few small files
    written = commands.strip().format(**paths) + "\n"
    ours = await said(f"test+unix:///default?socket={virtd.path}", written)
    assert ours == await said("test:///default", written)
