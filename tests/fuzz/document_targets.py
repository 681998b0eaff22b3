"""Documents of guests, networks and pools, and devices: read, completed, written, and read again."""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.virtd import xml
from aiovirt.daemons.virtd.xml import changes, devices
from aiovirt.rpc.wire.errors import RpcError
from tests.fuzz.target import Target, expect

_GUEST: Final = (
    b"<domain type='test'><name>g</name><memory unit='MiB'>64</memory><vcpu current='1'>2</vcpu>"
    b"<os><type>hvm</type></os><cpu><numa><cell cpus='0-1' memory='64' unit='MiB'/></numa></cpu>"
    b"<devices><disk type='file'><source file='/a'/><target dev='sda'/></disk>"
    b"<interface type='user'/>"
    b"<serial type='pty'/><console type='pty'/><graphics type='spice'/></devices></domain>"
)
_DEVICE: Final = b"<disk type='file'><source file='/b'/><target dev='vdb' bus='virtio'/></disk>"
_SEEDS: Final = (
    b"domain\n" + _GUEST,
    b"device\n" + _DEVICE,
    b"network\n<network><name>n</name><forward mode='nat'/>"
    b"<ip address='10.0.0.1' prefix='24'/></network>",
    b"pool\n<pool type='dir'><name>p</name><target><path>/p</path></target></pool>",
    b"volume\n<volume><name>v</name><capacity unit='G'>1</capacity></volume>",
    b"secret\n<secret><usage type='ceph'><name>s</name></usage></secret>",
    b"snapshot\n<domainsnapshot><name>s</name><disks><disk name='vda'/></disks></domainsnapshot>",
    b"nwfilter\n<filter name='f'><rule action='drop' direction='in'>"
    b"<tcp dstportstart='22'/></rule></filter>",
)
_WORDS: Final = (
    *(b"<disk ", b"<source ", b"<target dev='", b"type='network'", b"</", b"/>", b"<!--", b"]]>"),
    *(
        b"<![CDATA[",
        b"&amp;",
        b"&#0;",
        b"&#x10FFFF;",
        b"<?x?>",
        b"<!DOCTYPE ",
        b"xmlns:a='b'",
        b" unit='",
    ),
    *(
        b"<address type='pci' ",
        b"18446744073709551616",
        b"-1",
        b"0x",
        b"<backingStore>",
        b"<metadata>",
    ),
)


def _check(data: bytes) -> None:
    kind, _, body = data.partition(b"\n")
    text = body.decode("utf-8", "surrogateescape")
    try:
        if kind == b"device":
            _check_device(text)
        else:
            name = kind.decode("ascii", "replace")
            for flavour in ("test", "qemu"):
                _check_document(name if name in xml.KINDS else "domain", text, flavour)
    except RpcError as error:
        expect(bool(error.message), "a refusal says why")


def _check_document(kind: str, text: str, flavour: str) -> None:
    document = xml.read(kind, text)
    document.complete(flavour)
    written = document.text(secure=True)
    again = xml.read(kind, written, live=True)
    expect(again.text(secure=True) == written, "a text that is written reads back the same")
    # Controllers that were added come last, and among their like when the text is read again.
    again.complete(flavour)
    settled = again.text(secure=True)
    expect(len(settled) == len(written), "a complete document needs nothing more")
    third = xml.read(kind, settled)
    third.complete(flavour)
    expect(third.text(secure=True) == settled, "a document settles")


def _check_device(text: str) -> None:
    guest = xml.read("domain", _GUEST.decode())
    guest.complete()
    before = guest.text()
    device = devices.read_device(text)
    changes.attach(guest, device)
    changes.detach(guest, device)
    expect(len(guest.text()) >= len(before) // 2, "a device that goes takes nothing else")


def documents_target() -> Target:
    """Documents as clients send them."""
    return Target(
        "documents", _check, lambda: _SEEDS, 4, _WORDS, max_len=4096, factor=4096, slack=1 << 22
    )
