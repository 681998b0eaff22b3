"""Devices are found by what identifies them, and attached, detached and updated in the document."""

from __future__ import annotations

import pytest

from aiovirt.daemons.virtd import xml
from aiovirt.daemons.virtd.xml import Document, changes, devices, live
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

GUEST = """<domain type='{}'><name>g</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>
<disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk>
<interface type='network'><mac address='52:54:00:00:00:01'/><source network='n'/></interface>
<interface type='network'><mac address='52:54:00:00:00:02'/><source network='n'/></interface>
<interface type='network'><mac address='52:54:00:00:00:02'/><source network='m'/></interface>
<channel type='unix'><target type='virtio' name='a'/></channel>
<hostdev type='pci'><source><address bus='1' slot='2' function='0'/></source>
<alias name='ua-h'/></hostdev></devices></domain>"""

DISK = "<disk type='file'><source file='/b'/><target dev='{}'/></disk>"


def guest(flavour: str = "test") -> Document:
    """A guest with some devices."""
    document = xml.read("domain", GUEST.format("kvm" if flavour == "qemu" else "test"))
    document.complete(flavour)
    return document


def refusal(document: Document, text: str, change: str) -> RpcError:
    """The error of a change that is refused, and leaves the document as it was."""
    before = document.text()
    with pytest.raises(RpcError) as caught:
        getattr(changes, change)(document, devices.read_device(text))
    assert document.text() == before
    return caught.value


def test_an_attached_disk_gets_what_a_definition_would_have_given_it() -> None:
    document = guest()
    changes.attach(document, devices.read_device(DISK.format("sdb")))
    text = document.text()
    assert "<target dev='sdb' bus='scsi'/>" in text
    assert "<address type='drive' controller='0' bus='0' target='0' unit='1'/>" in text
    assert "<controller type='scsi' index='0'/>" in text


def test_an_attached_device_is_what_a_definition_with_it_is() -> None:
    attached = guest()
    changes.attach(attached, devices.read_device(DISK.format("vdb")))
    changes.attach(attached, devices.read_device("<input type='tablet' bus='usb'/>"))
    more = f"{DISK.format('vdb')}<input type='tablet' bus='usb'/></devices>"
    defined = xml.read("domain", GUEST.format("test").replace("</devices>", more))
    defined.complete()
    assert attached.text().replace(
        attached.root.findtext("uuid") or "", ""
    ) == defined.text().replace(defined.root.findtext("uuid") or "", "")


def test_a_device_attached_in_qemu_gets_a_slot_that_is_free() -> None:
    document = guest("qemu")
    slots = [a.get("slot") for a in document.root.iterfind("devices/*/address[@type='pci']")]
    device = changes.attach(document, devices.read_device(DISK.format("vdb")), "qemu")
    assert devices.value(device, "address/@slot") not in slots
    assert devices.value(device, "driver/@name") == "qemu"


def test_a_target_is_attached_once() -> None:
    error = refusal(guest(), DISK.format("vda"), "attach")
    assert error.code == ErrorCode.OPERATION_INVALID
    assert error.message.endswith("target vda already exists")


def test_a_second_watchdog_is_refused() -> None:
    document = guest()
    changes.attach(document, devices.read_device("<watchdog model='ib700'/>"))
    assert "watchdog" in refusal(document, "<watchdog model='ib700'/>", "attach").message


def test_a_definition_that_would_be_refused_refuses_the_device() -> None:
    error = refusal(
        guest(), DISK.format("vdb").replace("<target", "<boot order='1'/><target"), "attach"
    )
    assert "per-device boot elements" in error.message


def test_a_disk_is_detached_by_its_target() -> None:
    document = guest()
    gone = changes.detach(document, devices.read_device("<disk><target dev='vda'/></disk>"))
    assert devices.value(gone, "source/@file") == "/a"
    assert devices.disk(document, "vda") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (DISK.format("vdz"), "no target device vdz"),
        (
            "<interface type='network'><mac address='52:54:00:00:00:09'/></interface>",
            "no device found",
        ),
        ("<hostdev type='pci'><source><address bus='9'/></source></hostdev>", "device not present"),
    ],
)
def test_a_device_that_a_guest_does_not_have_is_missing(text: str, words: str) -> None:
    error = refusal(guest(), text, "detach")
    assert error.code == ErrorCode.DEVICE_MISSING
    assert words in error.message


def test_an_interface_is_found_by_its_address_unless_two_have_it() -> None:
    document = guest()
    one = "<interface type='network'><mac address='52:54:00:00:00:01'/></interface>"
    assert devices.find(document, devices.read_device(one)).tag == "interface"
    two = one.replace("00:01", "00:02")
    error = refusal(document, two, "detach")
    assert error.code == ErrorCode.OPERATION_FAILED
    assert error.message.endswith("multiple devices matching MAC address 52:54:00:00:00:02 found")


def test_a_device_is_found_by_its_alias() -> None:
    document = guest()
    assert devices.by_alias(document, "ua-h").tag == "hostdev"
    with pytest.raises(RpcError, match="no device found with alias net7"):
        devices.by_alias(document, "net7")


def test_a_disk_is_found_by_target_or_source_and_an_interface_by_name_or_address() -> None:
    document = guest()
    assert devices.disk(document, "vda") is devices.disk(document, "/a")
    assert devices.disk(document, "") is None
    assert devices.interface(document, "testnet0") is devices.interface(
        document, "52:54:00:00:00:01"
    )


def test_an_update_keeps_address_and_alias() -> None:
    document = live.start(guest("qemu"), 3, aliases=True)
    old, new = changes.update(document, devices.read_device(DISK.format("vda")), "qemu")
    assert devices.value(old, "source/@file") == "/a"
    assert devices.value(new, "source/@file") == "/b"
    for path in ("address/@slot", "alias/@name"):
        assert devices.value(new, path) == devices.value(old, path) is not None


def test_what_cannot_be_updated_is_refused() -> None:
    error = refusal(guest(), "<watchdog model='ib700'/>", "update")
    assert error.code == ErrorCode.OPERATION_UNSUPPORTED


def test_what_is_no_device_is_refused() -> None:
    for text in ("<x/>", "<emulator/>"):
        with pytest.raises(RpcError, match="unknown device type") as caught:
            devices.read_device(text)
        assert caught.value.code == ErrorCode.CONFIG_UNSUPPORTED


def test_a_running_guest_has_a_number_and_aliases_and_its_definition_has_not() -> None:
    document = guest("qemu")
    running = live.start(document, 7, aliases=True)
    text = running.text()
    assert text.startswith("<domain type='kvm' id='7'>")
    for alias in ("net0", "virtio-disk0", "pci.0", "usb", "balloon0", "ua-h", "channel0"):
        assert f"<alias name='{alias}'/>" in text
    without_chain = running.text(inactive=True).replace("      <backingStore/>\n", "")
    assert without_chain == document.text()
    assert "alias name='net0'" not in document.text()


def test_a_running_guest_that_is_read_back_is_the_same() -> None:
    text = live.start(guest("qemu"), 7, aliases=True).text(secure=True)
    assert xml.read("domain", text, live=True).text(secure=True) == text
    again = xml.read("domain", text)
    again.complete("qemu")
    assert again.text() == xml.read("domain", text, live=True).text(inactive=True)


@pytest.mark.parametrize("tag", devices.IDENTITY)
def test_every_kind_of_device_has_a_table(tag: str) -> None:
    assert devices.rule_of(tag).tag == tag
