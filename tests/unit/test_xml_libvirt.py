"""Documents of our own dump back as libvirt's test driver dumps them; its corpus is tests/corpus."""

from __future__ import annotations

import ctypes
import ctypes.util

import pytest

from aiovirt.rpc.wire.errors import RpcError
from tests import harness
from tests.corpus import comparison, oracle

_HEAD = "<name>g</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>"


def guest(devices: str = "", rest: str = "") -> tuple[str, str]:
    """A guest with these devices, and these elements before them."""
    return ("domain", f"<domain type='test'>{_HEAD}{rest}<devices>{devices}</devices></domain>")


def network(rest: str) -> tuple[str, str]:
    """A network with these elements."""
    return ("network", f"<network><name>n</name>{rest}</network>")


def pool(kind: str, rest: str) -> tuple[str, str]:
    """A pool with these elements."""
    return ("pool", f"<pool type='{kind}'><name>p</name>{rest}</pool>")


CASES = {
    "a guest with nothing": guest(),
    "disks get bus, address and controllers by target": guest(
        "".join(
            f"<disk><source file='/a'/><target dev='{name}'/></disk>"
            for name in ("sdh", "vda", "hdc", "sda", "fda")
        )
    ),
    "a cdrom is read-only": guest("<disk device='cdrom'><target dev='hdc'/></disk>"),
    "a console is the serial port": guest("<console type='pty'/>"),
    "a serial port has a console": guest(
        "<serial type='file'><source path='/s'/></serial><serial type='pty'/>"
    ),
    "a screen has a video": guest("<graphics type='vnc' port='-1' passwd='secret'/>"),
    "ports of a screen": guest("<graphics type='spice' port='5900' tlsPort='-1' listen='::1'/>"),
    "interfaces get a name": guest(
        "<interface type='network'><source network='default'/></interface>"
        "<interface type='bridge'><source bridge='br0'/><target dev='vnet7'/><model type='VIRTIO'/>"
        "<driver queues='4' txmode='timer'/></interface>"
    ),
    "unknown elements are dropped": guest(
        "<nothing/><disk x='y'><source file='/a'/><target dev='vda'/></disk>", "<odd/>"
    ),
    "texts are escaped": guest(rest="<description>a &lt; b &amp; &quot;c&quot; 'd'</description>"),
    "metadata": guest(
        rest="<metadata><a:b xmlns:a='urn:a' c='d'><a:e>f</a:e>  <g/></a:b>"
        "<a:b xmlns:a='urn:a'/><no/></metadata>"
    ),
    "sizes have units": guest(
        rest="<memtune><hard_limit unit='G'>1</hard_limit>"
        "<soft_limit unit='bytes'>1025</soft_limit></memtune>"
    ),
    "processors": guest(
        rest="<vcpu cpuset='0-3,^2' current='2'>4</vcpu><cputune><shares>7</shares></cputune>"
    ),
    "features": guest(
        rest="<features><hyperv><vapic state='on'/><relaxed state='off'/></hyperv><pae/><acpi/>"
        "<smm><tseg>16</tseg></smm><apic eoi='on'/></features>"
    ),
    "a processor": guest(
        rest="<cpu match='exact'><feature policy='disable' name='vmx'/><model>core2duo</model>"
        "<topology sockets='1' cores='2' threads='1'/></cpu>"
    ),
    "clocks": guest(
        rest="<clock offset='utc' adjustment='60'><timer name='rtc' tickpolicy='catchup'/></clock>"
    ),
    "addresses": guest(
        "<controller type='scsi' index='3' model='virtio-scsi'>"
        "<address type='pci' bus='2' slot='10'/></controller>"
        "<channel type='unix'><target type='virtio' name='a.b'/></channel>"
    ),
    "network disks": guest(
        "<disk type='network'><driver name='qemu' type='raw'/>"
        "<source protocol='iscsi' name='iqn.x'>"
        "<host name='h'/><auth username='u'>"
        "<secret type='iscsi' usage='s'/></auth></source><target dev='vda'/></disk>"
    ),
    "host devices": guest(
        "<hostdev type='pci' managed='yes'><source>"
        "<address domain='0' bus='6' slot='2' function='0'/></source></hostdev>"
        "<hostdev type='usb'><source><vendor id='0x1'/><product id='0x2'/></source>"
        "<boot order='1'/></hostdev>"
    ),
    "a NUMA guest": guest(
        rest="<vcpu>2</vcpu><cpu><numa><cell cpus='1' memory='32' unit='MiB'/>"
        "<cell cpus='0' memory='32768'><distances>"
        "<sibling id='0' value='20'/></distances></cell></numa></cpu>"
    ),
    "small devices": guest(
        "<rng model='virtio'><backend model='random'/></rng><watchdog model='ib700'/><vsock/>"
        "<input type='tablet'/><input type='mouse'/><sound model='ich6'/><panic/><tpm>"
        "<backend type='emulator'/></tpm>"
    ),
    "no memory": ("domain", "<domain type='test'><name>g</name><os><type>hvm</type></os></domain>"),
    "no name": (
        "domain",
        "<domain type='test'><memory>1</memory><os><type>hvm</type></os></domain>",
    ),
    "no kind": ("domain", "<domain type='test'><name>g</name><memory>1</memory></domain>"),
    "a wrong UUID": guest(rest="<uuid>x</uuid>"),
    "a wrong device": guest("<interface type='x'/>"),
    "the same target twice": guest(
        "<disk><source file='/a'/><target dev='vda'/></disk><disk><source file='/a'/>"
        "<target dev='vda'/></disk>"
    ),
    "the same boot order twice": guest(
        "<disk><source file='/a'/><target dev='vda'/><boot order='1'/></disk><disk>"
        "<source file='/a'/><target dev='vdb'/><boot order='1'/></disk>"
    ),
    "a disk without a source": guest("<disk><target dev='vda'/></disk>"),
    "a disk without a target": guest("<disk><source file='/a'/></disk>"),
    "too few processors": guest(rest="<vcpu current='3'>2</vcpu>"),
    "a network alone": network(""),
    "a network with addresses": network(
        "<forward dev='eth0'/><domain name='d'/><dns><host ip='10.0.0.5'>"
        "<hostname>a</hostname></host></dns>"
        "<ip address='10.0.0.1' netmask='255.255.255.0'><dhcp>"
        "<range start='10.0.0.2' end='10.0.0.9'/>"
        "<host mac='52:54:00:0:0:1' name='a' ip='10.0.0.7'/></dhcp></ip>"
    ),
    "a bridged network": network(
        "<forward mode='bridge'/><bridge name='br0'/><portgroup name='p'><vlan>"
        "<tag id='3'/></vlan></portgroup>"
    ),
    "forwarding without an address": network("<forward mode='nat'/>"),
    "a folder": pool(
        "dir",
        "<target><path>/a//b/</path><permissions><mode>755</mode>"
        "<owner>-1</owner></permissions></target>",
    ),
    "a folder without a path": pool("dir", ""),
    "a share": pool(
        "netfs", "<source><host name='h'/><dir path='/x'/></source><target><path>/m</path></target>"
    ),
    "volumes": pool("logical", "<source><device path='/dev/sda'/></source>"),
    "a pool of Ceph": pool("rbd", "<source><name>r</name><host name='m' port='6789'/></source>"),
    "a kind of pool that does not exist": pool("x", ""),
}


#: Devices with a mistake in them, or almost one.
DEVICES = (
    "<disk><source file='/a'/><target dev='fda'/></disk>",
    "<disk device='floppy'><source file='/a'/><target dev='vda'/></disk>",
    "<disk device='cdrom'><target dev='vda'/></disk>",
    "<disk><source file='/a'/><target dev='x' bus='scsi'/></disk>",
    "<disk><source file='/a'/><target/></disk>",
    "<disk><source file=''/><target dev='vda'/></disk>",
    "<disk type='block'><source file='/a'/><target dev='vda'/></disk>",
    "<disk type='network'><source file='/a'/><target dev='vda'/></disk>",
    "<disk type='x'><source file='/a'/><target dev='vda'/></disk>",
    "<disk device='x'><source file='/a'/><target dev='vda'/></disk>",
    "<disk><driver name='qemu' type='xx'/><source file='/a'/><target dev='vda'/></disk>",
    "<disk><driver name='qemu' cache='xx'/><source file='/a'/><target dev='vda'/></disk>",
    "<disk><source file='/a'/><target dev='vda' bus='xx'/></disk>",
    "<disk><source file='/a'/><target dev='vda'/><address type='xx'/></disk>",
    "<disk><source file='/a'/><target dev='vda'/><boot order='0'/></disk>",
    "<disk><source file='/a'/><target dev='vda'/><iotune><total_bytes_sec>1</total_bytes_sec>"
    "<read_bytes_sec>1</read_bytes_sec></iotune></disk>",
    "<interface type='bridge'/>",
    "<interface type='network'/>",
    "<interface type='direct'/>",
    "<interface type='user'><mac address='x'/></interface>",
    "<interface type='user'><mac address='01:00:00:00:00:00'/></interface>",
    "<interface type='user'><model type='a b'/></interface>",
    "<interface/>",
    "<graphics type='x'/>",
    "<graphics/>",
    "<graphics type='vnc' port='x'/>",
    "<video><model type='x'/></video>",
    "<input type='x'/>",
    "<input/>",
    "<input type='mouse' bus='x'/>",
    "<sound model='x'/>",
    "<serial type='x'/>",
    "<serial/>",
    "<channel type='unix'/>",
    "<channel type='unix'><target type='x'/></channel>",
    "<controller type='x'/>",
    "<controller/>",
    "<controller type='usb' model='x'/>",
    "<hostdev type='x'/>",
    "<hostdev mode='x'/>",
    "<hostdev type='pci'/>",
    "<filesystem type='x'/>",
    "<filesystem type='mount'><source dir='/a'/></filesystem>",
    "<watchdog model='x'/>",
    "<watchdog/>",
    "<memballoon model='x'/>",
    "<memballoon/>",
    "<rng/>",
    "<rng model='virtio'/>",
    "<rng model='x'><backend model='random'/></rng>",
    "<tpm/>",
    "<shmem/>",
    "<redirdev bus='usb'/>",
    "<panic model='x'/>",
    "<emulator/>",
)

#: Other mistakes: what follows the memory of a guest, and whole documents.
_OS = "<os><type>hvm</type></os>"
OTHERS = (
    *(
        ("domain", f"<domain type='test'><name>a</name><memory>1</memory>{rest}</domain>")
        for rest in (
            "<os><type>xx</type></os>",
            "<os><type arch='xx'>hvm</type></os>",
            f"<vcpu>x</vcpu>{_OS}",
            f"<vcpu placement='x'>1</vcpu>{_OS}",
            f"<vcpu cpuset='x'>1</vcpu>{_OS}",
            "<os><type>hvm</type><boot dev='x'/></os>",
            f"{_OS}<features><x/></features>",
            f"{_OS}<on_crash>x</on_crash>",
            f"{_OS}<clock offset='x'/>",
            f"{_OS}<cpu mode='x'/>",
            f"{_OS}<cpu match='x'><model>a</model></cpu>",
            f"<currentMemory>2</currentMemory>{_OS}",
        )
    ),
    ("domain", f"<domain><name>a</name><memory>1</memory>{_OS}</domain>"),
    ("domain", f"<domain type='x'><name>a</name><memory>1</memory>{_OS}</domain>"),
    ("domain", f"<domain type='test'><name>a</name><memory unit='x'>1</memory>{_OS}</domain>"),
    ("domain", f"<domain type='test'><name>a</name><memory>-1</memory>{_OS}</domain>"),
    *(
        ("network", f"<network><name>a</name>{rest}</network>")
        for rest in (
            "<uuid>x</uuid>",
            "<forward mode='x'/>",
            "<ip address='x'/>",
            "<ip address='10.0.0.1' netmask='x'/>",
            "<mac address='x'/>",
            "<ip address='10.0.0.1' prefix='24'><dhcp><host mac='x' ip='10.0.0.3'/></dhcp></ip>",
            "<ip address='10.0.0.1' prefix='24'><dhcp>"
            "<range start='10.0.1.1' end='10.0.0.2'/></dhcp></ip>",
        )
    ),
    ("network", "<network><name>a/b</name></network>"),
    *(
        ("pool", f"<pool type='{kind}'>{rest}<target><path>/a</path></target></pool>")
        for kind, rest in (
            ("dir", "<name>a/b</name>"),
            ("dir", "<name>a</name><uuid>x</uuid>"),
            ("dir", ""),
            ("fs", "<name>a</name>"),
            ("fs", "<name>a</name><source><device path='/d'/><format type='x'/></source>"),
            ("scsi", "<name>a</name>"),
        )
    ),
    ("pool", "<pool><name>a</name></pool>"),
)
MISTAKES = (*map(guest, DEVICES), *OTHERS)


@pytest.fixture(scope="module")
def verdicts() -> dict[str, oracle.Verdict]:
    """libvirt's verdict on each case."""
    try:
        ctypes.CDLL(ctypes.util.find_library("virt") or "libvirt.so.0")
    except OSError:
        harness.missing("libvirt.so.0 is not installed")
    return dict(zip(CASES, oracle.judge(CASES.values()), strict=True))


@pytest.fixture(scope="module")
def judged_mistakes(verdicts: dict[str, oracle.Verdict]) -> list[oracle.Verdict]:
    """libvirt's verdict on each mistake."""
    assert verdicts
    return oracle.judge(MISTAKES)


@pytest.mark.parametrize("name", CASES)
def test_a_document_is_what_libvirt_makes_of_it(
    name: str, verdicts: dict[str, oracle.Verdict]
) -> None:
    kind, given = CASES[name]
    verdict = verdicts[name]
    found = comparison.ours(kind, given)
    if "code" in verdict:
        assert isinstance(found, RpcError)
        assert (int(found.code), int(found.domain)) == (verdict["code"], verdict["domain"])
        assert found.message.split(":")[0] == verdict["message"].split(":")[0]
        return
    assert not isinstance(found, RpcError), found
    assert comparison.without_made(found, given) == comparison.without_made(verdict["text"], given)
    if kind == "domain":
        secret = comparison.ours(kind, given, secure=True)
        assert isinstance(secret, str)
        assert comparison.without_made(secret, given) == comparison.without_made(
            verdict["secure"], given
        )


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_a_mistake_is_refused_with_libvirts_code(
    number: int, judged_mistakes: list[oracle.Verdict]
) -> None:
    kind, given = MISTAKES[number]
    verdict = judged_mistakes[number]
    found = comparison.ours(kind, given)
    if "code" in verdict:
        assert isinstance(found, RpcError), f"{given}\n{verdict['message']}"
        mine, theirs = (int(found.code), int(found.domain)), (verdict["code"], verdict["domain"])
        assert mine == theirs, f"{given}\n{found.message}\n{verdict['message']}"
    else:
        assert isinstance(found, str), f"{given}\n{found}"
        assert comparison.without_made(found, given) == comparison.without_made(
            verdict["text"], given
        )


def test_a_difference_is_named_by_the_element_that_it_begins_in() -> None:
    want = "<a>\n  <b>\n    <c/>\n  </b>\n  <d/>\n</a>\n"
    assert comparison.first_difference(want, want.replace("<c/>", "<c e='f'/>")) == "a/b/c"
    assert comparison.first_difference(want, want.replace("  <d/>\n", "")) == "a/d"
