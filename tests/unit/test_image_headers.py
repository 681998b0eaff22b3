"""Headers of disk images: those of qemu-img are compared with libvirtd, damaged ones are here."""

from __future__ import annotations

import pytest

from aiovirt.daemons.virtd.host.image_headers import Image, probe


def _qcow2(
    version: int = 3, *, backing: bytes = b"", at: int = 200, size: int | None = None
) -> bytes:
    head = bytearray(b"QFI\xfb" + version.to_bytes(4, "big"))
    head += (at if backing else 0).to_bytes(8, "big")
    head += (len(backing) if size is None else size).to_bytes(4, "big")
    head += (16).to_bytes(4, "big") + (5 << 30).to_bytes(8, "big")
    head = head.ljust(100, b"\0") + (104).to_bytes(4, "big")
    return bytes(head.ljust(at, b"\0") + backing)


def test_a_file_without_a_known_header_is_raw() -> None:
    for head in (b"", b"QF", b"QFI\xfb", b"QFI\xfb\0\0\0\x09" + bytes(200), bytes(40_000)):
        assert probe(head) == Image()


def test_a_backing_file_without_a_format_is_told_without_one() -> None:
    found = probe(_qcow2(backing=b"/base"))
    assert (found.form, found.capacity, found.cluster) == ("qcow2", 5 << 30, 65_536)
    assert (found.backing, found.backing_form, found.features) == ("/base", None, ())


@pytest.mark.parametrize("size", [0, 1024, 40_000, 1 << 31])
def test_a_backing_file_of_an_impossible_length_is_none(size: int) -> None:
    assert probe(_qcow2(backing=b"/base", size=size)).backing is None


def test_an_image_of_version_2_has_no_features() -> None:
    assert probe(_qcow2(2)).features is None


def test_a_header_that_ends_early_is_read_as_far_as_it_goes() -> None:
    for end in range(8, 104):
        assert probe(_qcow2()[:end]).form == "qcow2"


def test_extensions_that_lead_nowhere_end() -> None:
    head = bytearray(_qcow2(backing=b"/base"))
    head[104:112] = b"\x11\x11\x11\x11" + (1 << 31).to_bytes(4, "big")
    assert probe(bytes(head)).backing_form is None


def test_a_vmdk_names_its_parent() -> None:
    head = b"KDMV\1\0\0\0\0\0\0\0" + (2048).to_bytes(8, "little")
    head = head.ljust(0x200, b"\0") + b'x\nparentFileNameHint="/base.vmdk"\n'
    assert probe(head) == Image("vmdk", 1 << 20, "/base.vmdk")


def test_a_qed_says_whether_its_backing_file_is_raw() -> None:
    head = bytearray(b"QED\0".ljust(64, b"\0") + b"/base")
    head[16] = 5
    head[48:56], head[56:60] = (1 << 20).to_bytes(8, "little"), (64).to_bytes(4, "little")
    head[60:64] = (5).to_bytes(4, "little")
    assert probe(bytes(head)) == Image("qed", 1 << 20, "/base", "raw")
