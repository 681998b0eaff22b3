"""The world that fuzzed calls meet: objects of every kind, active and inactive, and their names."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.host import iotune, tuning
from aiovirt.rpc.wire.typedparams import ParamType

_UUID: Final = "{:08d}-1111-4222-8333-444444444444"


def _uuid(number: int) -> str:
    return f"<uuid>{_UUID.format(number)}</uuid>"


_GUEST: Final = """<domain type='TYPE'>
  <name>{name}</name>{uuid}<title>t</title>
  <metadata><a:b xmlns:a='urn:a'><c/></a:b></metadata>
  <memory unit='KiB'>131072</memory><currentMemory unit='KiB'>65536</currentMemory>
  <vcpu placement='static' current='1'>2</vcpu><iothreads>2</iothreads>
  <memtune><hard_limit unit='KiB'>262144</hard_limit></memtune>
  <cputune><shares>1024</shares><vcpupin vcpu='0' cpuset='0-1'/><quota>1000</quota></cputune>
  <blkiotune><weight>500</weight></blkiotune>
  <os><type arch='x86_64'>hvm</type><boot dev='hd'/></os><features><acpi/></features>
  <cpu><topology sockets='1' dies='1' cores='2' threads='1'/></cpu>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/d/{name}.img'/>
      <target dev='vda' bus='virtio'/><iotune><total_bytes_sec>1000</total_bytes_sec></iotune></disk>
    <disk type='file' device='cdrom'><target dev='hda' bus='ide'/><readonly/></disk>
    <interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/>
      <bandwidth><inbound average='100'/></bandwidth></interface>
    <serial type='pty'/><console type='pty'/><channel type='unix'>
      <target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc' port='-1' passwd='x'/><video><model type='cirrus'/></video>
    <hostdev mode='subsystem' type='usb'><source><address bus='1' device='2'/></source></hostdev>
  </devices>
</domain>"""
_FILTER: Final = (
    "<filter name='{name}' chain='ipv4' priority='-500'>{uuid}<rule action='drop' direction='in' "
    "priority='500'><tcp dstportstart='22'/></rule></filter>"
)
_POOL: Final = (
    "<pool type='dir'><name>{name}</name>{uuid}<capacity>0</capacity><target><path>/pools/{name}</path>"
    "<permissions><mode>0711</mode><owner>-1</owner></permissions></target></pool>"
)
_NETWORK: Final = (
    "<network><name>{name}</name>{uuid}<forward mode='nat'><nat><port start='1024' end='65535'/></nat>"
    "</forward><bridge name='virbr1' stp='on' delay='0'/><mtu size='9000'/><bandwidth>"
    "<inbound average='1' peak='2' burst='3'/></bandwidth><dns><host ip='10.1.0.3'>"
    "<hostname>a</hostname></host>"
    "<srv service='s' protocol='tcp' port='1' priority='1' weight='1'/></dns>"
    "<portgroup name='p' default='yes'/><ip address='10.1.0.1' prefix='24'><dhcp>"
    "<range start='10.1.0.2' end='10.1.0.9'><lease expiry='1'/></range>"
    "<host mac='52:54:00:00:00:01' name='guest' ip='10.1.0.5'/></dhcp></ip></network>"
)
_SECRET: Final = (
    "<secret ephemeral='no' private='no'><uuid>" + _UUID.format(9) + "</uuid>"
    "<usage type='ceph'><name>client</name></usage></secret>"
)
_VOLUME: Final = (
    "<volume><name>{name}</name><capacity unit='MiB'>1</capacity><allocation>0</allocation><target>"
    "<format type='raw'/><permissions><mode>0600</mode></permissions></target></volume>"
)
_PORT: Final = (
    "<networkport>" + _uuid(7) + "<owner><name>guest</name>" + _uuid(1) + "</owner>"
    "<mac address='52:54:00:00:00:01'/></networkport>"
)
_HOST_DEVICE: Final = (
    "<device><name>port</name><parent>scsi_host1</parent><capability type='scsi_host'>"
    "<capability type='fc_host'><wwnn>2000000012341234</wwnn><wwpn>1000000012341234</wwpn></capability>"
    "</capability></device>"
)

#: Documents by kind; those of guests have the type of the driver put in.
DOCUMENTS: Final[dict[str, tuple[str, ...]]] = {
    "domain": (
        *(
            _GUEST.format(name=name, uuid=_uuid(number))
            for number, name in enumerate(("guest", "idle", "third"), 1)
        ),
        "<domain type='TYPE'><name>least</name><memory>1</memory><os><type>hvm</type></os></domain>",
    ),
    "network": (_NETWORK.format(name="net", uuid=_uuid(5)), "<network><name>n</name></network>"),
    "pool": (_POOL.format(name="pool", uuid=_uuid(6)), _POOL.format(name="other", uuid="")),
    "volume": tuple(_VOLUME.format(name=name) for name in ("vol", "new", "second")),
    "secret": (_SECRET, "<secret><usage type='volume'><volume>/d/x</volume></usage></secret>"),
    "nwfilter": (_FILTER.format(name="rules", uuid=_uuid(8)), "<filter name='none'/>"),
    "binding": (
        "<filterbinding><owner><name>guest</name>" + _uuid(1) + "</owner><portdev name='vnet0'/>"
        "<mac address='52:54:00:00:00:01'/><filterref filter='rules'/></filterbinding>",
    ),
    "interface": (
        "<interface type='ethernet' name='eth9'><mac address='aa:bb:cc:dd:ee:02'/><mtu size='9'/>"
        "<protocol family='ipv4'><ip address='10.2.0.1' prefix='24'/></protocol></interface>",
        "<interface type='bridge' name='br9'><bridge stp='on' delay='1'/></interface>",
    ),
    "snapshot": (
        "<domainsnapshot><name>first</name><memory snapshot='no'/></domainsnapshot>",
        "<domainsnapshot><name>second</name><disks><disk name='vda' snapshot='external'>"
        "<source file='/d/s.img'/></disk></disks></domainsnapshot>",
        "<domainsnapshot/>",
    ),
    "checkpoint": (
        "<domaincheckpoint><name>first</name><disks><disk name='vda' checkpoint='bitmap'/></disks>"
        "</domaincheckpoint>",
        "<domaincheckpoint/>",
    ),
    "device": (_HOST_DEVICE,),
    "port": (_PORT,),
    "section": (
        "<host mac='52:54:00:00:00:02' name='b' ip='10.1.0.6'/>",
        "<range start='10.1.0.20' end='10.1.0.30'/>",
        "<portgroup name='q'/>",
        "<interface dev='eth0'/>",
        "<txt name='a' value='b'/>",
        "<srv service='s' protocol='udp'/>",
        "<host ip='10.1.0.7'><hostname>x</hostname></host>",
    ),
    "cpu": (
        "<cpu><arch>x86_64</arch><model>qemu64</model><topology sockets='1' cores='1' threads='1'/>"
        "<feature name='vmx'/></cpu>",
        "<domainbackup/>",
        "<a:b xmlns:a='urn:a'/>",
        "<sources><device path='/dev/sdx'/></sources>",
        "<disk type='file'><source file='/d/copy.img'/><driver type='qcow2'/></disk>",
        "{}",
    ),
}
DEVICES: Final = (
    "<disk type='file' device='disk'><source file='/d/b.img'/><target dev='vdb' bus='virtio'/></disk>",
    "<disk type='file' device='cdrom'><source file='/d/c.iso'/><target dev='hda' bus='ide'/></disk>",
    "<interface type='network'><mac address='52:54:00:00:00:02'/><source network='default'/>"
    "</interface>",
    "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/>"
    "<link state='down'/></interface>",
    "<controller type='scsi' index='1' model='virtio-scsi'/>",
    "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='2' function='3'/>"
    "</source></hostdev>",
    "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>",
    "<graphics type='vnc' port='-1' passwd='y'/>",
    "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
    "<watchdog model='i6300esb' action='reset'/>",
    "<channel type='unix'><target type='virtio' name='c'/></channel>",
    "<vsock model='virtio'><cid auto='no' address='3'/></vsock>",
    "<input type='tablet' bus='usb'/>",
    "<sound model='ich6'/>",
    "<tpm model='tpm-tis'><backend type='emulator'/></tpm>",
)
#: Names of objects, by the struct that has the name.
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "NonnullDomain": ("guest", "guest", "idle", "brief"),
    "NonnullNetwork": ("net", "default", "resting"),
    "NonnullStoragePool": ("pool", "resting-pool"),
    "NonnullStorageVol": ("vol", "second"),
    "NonnullNwfilter": ("rules",),
    "NonnullInterface": ("eth0", "eth1", "eth9"),
    "NonnullNodeDevice": ("computer", "scsi_host1", "net_eth0_00_11_22_33_44_55", "port"),
    "NonnullDomainSnapshot": ("first", "second"),
    "NonnullDomainCheckpoint": ("first", "second"),
}
#: Strings that exist, by the name of the field.
FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "pool": ("pool", "pool", "resting-pool"),
    "key": ("/pools/pool/vol", "/pools/pool/second", "urn:a", "a"),
    "mac": ("52:54:00:00:00:01", "aa:bb:cc:dd:ee:ff"),
    "path": (
        "vda",
        "/d/guest.img",
        "vnet0",
        "52:54:00:00:00:01",
        "/pools/pool/vol",
        "/d/save",
        "hda",
    ),
    "disk": ("vda", "/d/guest.img", "hda"),
    "device": ("vda", "52:54:00:00:00:01", "vnet0"),
    "dev": ("vda", "vda[1]"),
    "dev_name": ("serial0", "channel0", "org.qemu.guest_agent.0"),
    "file": ("/d/save",),
    "to": ("/d/save", "/d/core"),
    "from_": ("/d/save",),
    "uri": (
        "urn:a",
        "urn:b",
        "http://www.w3.org/XML/1998/namespace",
        "http://www.w3.org/2000/xmlns/",
    ),
    "type": ("x86_64", "dir", "net", "scsi_host", "hvm"),
    "arch": ("x86_64", "i686"),
    "cap": ("net", "scsi_host", "system"),
    "cpumap": ("0", "0-1", "1"),
    "cpulist": ("0", "0-1", "1"),
    "user": ("root",),
}
#: Strings that mean something somewhere.
WORDS: Final = (
    *("vda", "hda", "vdb", "/d/guest.img", "/d/idle.img", "52:54:00:00:00:01", "vnet0", "serial0"),
    *(
        "pool",
        "vol",
        "/pools/pool/vol",
        "net",
        "default",
        "guest",
        "idle",
        "brief",
        "first",
        "eth0",
    ),
    *(
        "computer",
        "scsi_host1",
        "0",
        "0-1",
        "0,^1",
        "urn:a",
        "a",
        "x86_64",
        "kvm",
        "test",
        "pc",
        "root",
    ),
    *(
        "/d/save",
        "/d/core",
        "ceph",
        "client",
        "net0",
        "ua-x",
        "virtio-disk0",
        "channel0",
        "dir",
        "/",
    ),
    *("qemu64", "/dev/disk/by-path", "xen", "hvm", "new-name", "org.qemu.guest_agent.0", "raw"),
    *(
        '{"execute":"guest-info"}',
        "vda[1]",
        "system",
        "scsi_host",
        _UUID.format(1),
        _UUID.format(9),
    ),
)
#: Names of typed parameters with their types.
PARAMETERS: Final[tuple[tuple[str, ParamType], ...]] = (
    *tuning.MEMORY.items(),
    *tuning.NUMA.items(),
    *tuning.BLKIO.items(),
    *tuning.BANDWIDTH.items(),
    *((name, found[1]) for name, found in tuning.SCHEDULER.items()),
    *((name, ParamType.ULLONG) for name in iotune.NAMES),
    ("group_name", ParamType.STRING),
    *(
        ("poll_max_ns", ParamType.ULLONG),
        ("poll_grow", ParamType.UINT),
        ("poll_shrink", ParamType.UINT),
    ),
    *(("file", ParamType.STRING), ("dxml", ParamType.STRING)),
    *(
        ("bandwidth", ParamType.ULLONG),
        ("granularity", ParamType.UINT),
        ("buf-size", ParamType.ULLONG),
    ),
    *(("nparams", ParamType.UINT), ("vcpu.0", ParamType.INT), ("user", ParamType.STRING)),
    *(("shm_pages_to_scan", ParamType.UINT), ("launchMeasurement", ParamType.STRING)),
)

Call = Callable[..., Awaitable[Any]]


def filled(text: str, driver: str) -> str:
    """A document for a driver."""
    return text.replace("type='TYPE'", "type='kvm'" if driver == "qemu" else "type='test'")


async def prepare(call: Call, driver: str) -> None:
    """Make the objects. call: takes a procedure and its arguments."""
    p = protocol
    documents = DOCUMENTS
    net = (await call(p.NETWORK_DEFINE_XML, p.XmlArgs(documents["network"][0]))).net
    await call(p.NETWORK_CREATE, p.NetworkArgs(net))
    text = _NETWORK.format(name="resting", uuid="").replace("10.1.", "10.7.").replace("br1", "br7")
    await call(p.NETWORK_DEFINE_XML, p.XmlArgs(text))
    for text in documents["pool"][0], _POOL.format(name="resting-pool", uuid=""):
        pool = (await call(p.STORAGE_POOL_DEFINE_XML, p.XmlFlagsArgs(text, 0))).pool
        if pool.name == "pool":
            await call(p.STORAGE_POOL_CREATE, p.StoragePoolFlagsArgs(pool, 0))
            for one in documents["volume"][::2]:
                await call(p.STORAGE_VOL_CREATE_XML, p.StorageVolCreateXmlArgs(pool, one, 0))
    if driver == "qemu":
        secret = (await call(p.SECRET_DEFINE_XML, p.XmlFlagsArgs(_SECRET, 0))).secret
        await call(p.SECRET_SET_VALUE, p.SecretSetValueArgs(secret, b"value", 0))
        await call(p.NWFILTER_DEFINE_XML, p.XmlArgs(documents["nwfilter"][0]))
    for text in documents["domain"][:2]:
        domain = (await call(p.DOMAIN_DEFINE_XML, p.XmlArgs(filled(text, driver)))).dom
        moment = p.DomainXmlDescFlagsArgs(domain, documents["snapshot"][0], 0)
        if domain.name == "idle":
            await call(p.DOMAIN_SNAPSHOT_CREATE_XML, moment)
        else:
            await call(p.DOMAIN_CREATE, p.DomainArgs(domain))
            if driver == "qemu":
                point = p.DomainXmlDescFlagsArgs(domain, documents["checkpoint"][0], 0)
                await call(p.DOMAIN_CHECKPOINT_CREATE_XML, point)
    text = re.sub("<hostdev.*</hostdev>|<uuid.*</uuid>", "", filled(documents["domain"][2], driver))
    text = text.replace(">third<", ">brief<").replace(":00:01'", ":00:03'")
    await call(p.DOMAIN_CREATE_XML, p.XmlDescFlagsArgs(text, 0))
