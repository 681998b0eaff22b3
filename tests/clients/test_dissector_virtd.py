"""libvirt's dissector for tshark reads every message of virtd and its clients over TCP."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import harness
from tests.clients import dissecting
from tests.clients.sides import HERE, run

_VIRSH = {
    "test": "list --all; dominfo test; dumpxml test; domstats; vcpuinfo test; domblklist test;"
    " domiflist test; nodeinfo; net-list --all; net-dumpxml default; pool-list --all;"
    " vol-list default-pool; iface-list; capabilities; snapshot-list test; save test saved;"
    " restore saved; suspend test; resume test; domid nowhere; setvcpus test 1; memtune test",
    "qemu": "list --all; net-list --all; net-dumpxml default; capabilities; domcapabilities;"
    " nodedev-list; nwfilter-list; cpu-models x86_64; maxvcpus; freecell; nodememstats;"
    " nodecpustats; define guest.xml; start guest; domstats guest; domifaddr guest; domblkinfo"
    " guest vda; dommemstat guest; attach-interface guest network default --live; schedinfo guest;"
    " screenshot guest picture; domtime guest; qemu-monitor-command guest query-status --pretty;"
    " net-dhcp-leases default; snapshot-create-as guest one --memspec file=/nowhere; destroy guest;"
    " undefine guest; domid nowhere; secret-list; checkpoint-list nowhere",
}
_GUEST = """
<domain type='qemu'><name>guest</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>
<disk type='file' device='disk'><source file='/guest.img'/><target dev='vda'/></disk>
<interface type='network'><source network='default'/></interface>
<graphics type='vnc' port='-1'/></devices></domain>
"""


#: Programs of languages, and how their library of libvirt is found.
_WALKS = (
    ("/usr/bin/perl", ["-MSys::Virt", "-e", "1"], "perl/walk.pl {uri} {driver} {folder}"),
    ("/usr/bin/ruby", ["-W0", "-e", "require 'libvirt'"], "ruby/walk.rb {uri} {driver} {folder}"),
    ("/usr/bin/python3", ["-c", "import libvirt"], "python/walk {uri}"),
)


def _walks(uri: str, driver: str, folder: Path) -> list[str]:
    """The commands of the walks of the languages that are installed; of all where CI=true."""
    found = []
    for number, (program, test, walk) in enumerate(_WALKS):
        if not Path(program).exists() or run([program, *test]).returncode:
            if os.environ.get("CI") == "true":
                harness.missing(f"the library of libvirt for {program} is not installed")
            continue
        own = folder / str(number)
        own.mkdir()
        words = walk.format(uri=uri, driver=driver, folder=own)
        found.append(f"{program} {HERE}/{words}")
    return found


@pytest.mark.parametrize("driver", ["test", "qemu"])
def test_no_message_is_malformed(tmp_path: Path, driver: str) -> None:
    harness.require("virsh")
    dissecting.require_dissector()
    (tmp_path / "guest.xml").write_text(_GUEST)
    uri = f"{driver}+tcp://127.0.0.1/{'default' if driver == 'test' else 'system'}"
    # virsh goes on after a command that is refused, and then ends with 1.
    lines = [f"cd '{tmp_path}'", f"virsh -c {uri} '{_VIRSH[driver]}' || true"]
    lines += _walks(uri, driver, tmp_path)
    capture = tmp_path / "capture"
    ran = dissecting.record(capture, "\n".join(lines))
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert dissecting.malformed(capture) == ""
    seen = dissecting.messages(capture)
    procedures = {message[:2] for message in seen}
    assert len(procedures) > 100, sorted(procedures)
    # Calls, replies, events and the packets of streams; refusals among them.
    kinds = {"0", "1", "2"} | ({"3"} if driver == "qemu" else set())
    assert {message[2] for message in seen} >= kinds
    assert {message[3] for message in seen} >= {"0", "1"}
