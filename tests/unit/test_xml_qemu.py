"""Guests of QEMU get its machine, its processor, its devices, and slots as libvirt's driver gives them.

The expected addresses are those of libvirt 9.0.0's QEMU driver for the same guests.
"""

from __future__ import annotations

import pytest

from aiovirt.daemons.virtd import xml
from aiovirt.daemons.virtd.xml import devices
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

PC = """<domain type='qemu'><name>g</name><memory>524288</memory><vcpu>2</vcpu>
<os><type>hvm</type></os>{}<devices>
<disk type='file'><source file='/a.img'/><target dev='vda' bus='virtio'/></disk>
<disk type='file'><source file='/b.img'/><target dev='sda' bus='scsi'/></disk>
<interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>
<interface type='network'><source network='default'/></interface>
<console type='pty'/><input type='tablet' bus='usb'/>
<graphics type='vnc' port='-1' listen='0.0.0.0'/></devices></domain>"""

Q35 = """<domain type='kvm'><name>g</name><memory>2097152</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os><cpu mode='host-model'/><devices>
<disk type='file'><driver type='qcow2'/><source file='/a'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
<controller type='usb' model='qemu-xhci' ports='15'/><controller type='pci' model='pcie-root'/>
{}<interface type='network'><source network='default'/><model type='virtio'/></interface>
<console type='pty'/><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<graphics type='spice' port='-1' tlsPort='-1' autoport='yes'/><sound model='ich9'/>
<video><model type='virtio'/></video><redirdev bus='usb' type='spicevmc'/>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng></devices></domain>"""

PORT = "<controller type='pci' model='pcie-root-port'/>"


def guest(text: str) -> xml.Document:
    """A guest as QEMU's driver completes it."""
    document = xml.read("domain", text)
    document.complete("qemu")
    return document


def slots(document: xml.Document) -> dict[str, str]:
    """The places of devices on buses of PCI: by kind and model, "bus:slot.function"."""
    found = {}
    for address in document.root.iterfind("devices/*/address[@type='pci']"):
        device = address.getparent()
        assert device is not None
        words = (
            str(device.tag),
            device.get("type"),
            device.get("index"),
            devices.value(device, "target/@dev"),
        )
        name = " ".join(word for word in words if word)
        found[name] = ":".join(str(address.get(part)) for part in ("bus", "slot", "function"))
    return found


def test_a_pc_has_its_devices_in_the_slots_of_libvirt() -> None:
    places = slots(guest(PC.format("")))
    assert places == {
        "controller usb 0": "0x00:0x01:0x2",
        "video": "0x00:0x02:0x0",
        "interface bridge": "0x00:0x03:0x0",
        "interface network": "0x00:0x04:0x0",
        "controller scsi 0": "0x00:0x05:0x0",
        "disk file vda": "0x00:0x06:0x0",
        "memballoon": "0x00:0x07:0x0",
    }


@pytest.mark.parametrize(
    "words",
    [
        "<type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type>",
        "<cpu mode='custom' match='exact' check='none'>\n    <model fallback='forbid'>qemu64</model>",
        "<emulator>/usr/bin/qemu-system-x86_64</emulator>",
        "<controller type='usb' index='0' model='piix3-uhci'>",
        "<controller type='pci' index='0' model='pci-root'/>",
        "<controller type='scsi' index='0' model='lsilogic'>",
        "<driver name='qemu' type='raw'/>",
        "<model type='rtl8139'/>",
        "<target type='isa-serial' port='0'>\n        <model name='isa-serial'/>",
        "<input type='mouse' bus='ps2'/>\n    <input type='keyboard' bus='ps2'/>",
        "<address type='usb' bus='0' port='1'/>",
        "<audio id='1' type='none'/>",
        "<model type='cirrus' vram='16384' heads='1' primary='yes'/>",
        "<memballoon model='virtio'>",
    ],
)
def test_a_pc_has_what_libvirt_adds(words: str) -> None:
    assert words in guest(PC.format("")).text()


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("<cpu/>", "<model fallback='forbid'>qemu64</model>"),
        ("<cpu mode='host-model'/>", "<cpu mode='host-model' check='partial'/>"),
        (
            "<cpu mode='host-passthrough'/>",
            "<cpu mode='host-passthrough' check='none' migratable='on'/>",
        ),
        ("<cpu><model>core2duo</model></cpu>", "<cpu mode='custom' match='exact' check='none'>"),
    ],
)
def test_a_processor_says_how_it_is_checked(given: str, written: str) -> None:
    assert written in guest(PC.format(given)).text()


def test_a_q35_puts_each_device_on_a_port_of_its_own() -> None:
    document = guest(Q35.format(PORT * 14))
    places = slots(document)
    wanted = {
        "interface network": "0x01:0x00:0x0",
        "controller usb 0": "0x02:0x00:0x0",
        "controller virtio-serial 0": "0x03:0x00:0x0",
        "disk file vda": "0x04:0x00:0x0",
        "memballoon": "0x05:0x00:0x0",
        "rng": "0x06:0x00:0x0",
        "video": "0x00:0x01:0x0",
        "sound": "0x00:0x1b:0x0",
        "controller sata 0": "0x00:0x1f:0x2",
        "controller pci 1": "0x00:0x02:0x0",
        "controller pci 8": "0x00:0x02:0x7",
        "controller pci 14": "0x00:0x03:0x5",
    }
    assert {name: places[name] for name in wanted} == wanted
    assert "<target chassis='9' port='0x18'/>" in document.text()
    assert document.text().count("multifunction='on'") == 2


def test_a_q35_gets_the_ports_that_its_devices_need_and_one_more() -> None:
    document = guest(Q35.format(""))
    ports = document.root.findall("devices/controller[@model='pcie-root-port']")
    assert len(ports) == 7
    assert len(set(slots(document).values())) == len(slots(document))


def test_a_usb_controller_without_a_model_is_plain_pci_on_a_q35_too_and_leaves_a_port_free() -> (
    None
):
    text = Q35.format(PORT * 6).replace(" model='qemu-xhci' ports='15'", "")
    found = guest(text)
    usb = found.root.find("devices/controller[@type='usb']")
    assert usb is not None
    assert usb.get("model") == "piix3-uhci"
    places = slots(found)
    assert places["controller usb 0"] == "0x08:0x01:0x0"  # the bridge behind the first port
    assert places["controller pci 8"] == "0x01:0x00:0x0"
    assert "0x07" not in {place.split(":")[0] for place in places.values()}


def test_plain_pci_goes_behind_a_bridge() -> None:
    text = Q35.format("").replace(
        "<model type='virtio'/></interface>", "<model type='rtl8139'/></interface>"
    )
    document = guest(text)
    bridge = document.root.find("devices/controller[@model='pcie-to-pci-bridge']")
    assert bridge is not None
    assert slots(document)["interface network"].startswith(f"0x0{bridge.get('index')}:0x01")


@pytest.mark.parametrize("text", [PC.format(""), Q35.format(""), Q35.format(PORT * 3)])
def test_a_complete_guest_stays_as_it_is(text: str) -> None:
    # Controllers that were added come last, and among their like when the text is read again.
    written = guest(text).text(secure=True)
    settled = guest(written).text(secure=True)
    assert sorted(settled.splitlines()) == sorted(written.splitlines())
    assert guest(settled).text(secure=True) == settled


def test_a_driver_without_machines_adds_none_of_it() -> None:
    document = xml.read("domain", PC.format("").replace("qemu", "test"))
    document.complete("test")
    assert "emulator" not in document.text()
    assert "memballoon" not in document.text()


def _interfaces(count: int, machine: str = "pc") -> str:
    inner = "<interface type='user'/>" * count
    return (
        "<domain type='qemu'><name>g</name><memory>65536</memory><os>"
        f"<type arch='x86_64' machine='{machine}'>hvm</type></os><devices>{inner}</devices></domain>"
    )


@pytest.mark.parametrize(
    ("count", "bridges", "last"),
    [(28, 0, "0x00:0x1d"), (29, 1, "0x00:0x1f"), (58, 1, "0x01:0x1d"), (60, 2, "0x02:0x01")],
)
def test_a_pc_gets_as_many_bridges_as_libvirt_gives_it(count: int, bridges: int, last: str) -> None:
    document = guest(_interfaces(count))
    found = document.root.findall("devices/controller[@model='pci-bridge']")
    assert [one.get("index") for one in found] == [str(number + 1) for number in range(bridges)]
    address = document.root.findall("devices/interface/address")[-1]
    assert f"{address.get('bus')}:{address.get('slot')}" == last


@pytest.mark.parametrize(("count", "machine"), [(59, "pc"), (120, "pc"), (2000, "q35")])
def test_devices_without_a_slot_are_refused(count: int, machine: str) -> None:
    with pytest.raises(RpcError, match="PCI slot") as refused:  # libvirt refuses 59 and 120, too
        guest(_interfaces(count, machine))
    assert refused.value.code == ErrorCode.INTERNAL_ERROR
