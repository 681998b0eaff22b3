"""The formats of disk images, as the first bytes of a file tell them.

Source: libvirt's src/storage_file/storage_file_probe.c (fileTypeInfo).
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: Bytes of the beginning of a file that tell its format.
HEADER: Final = 33_280

#: The longest name of a backing file, in bytes.
_NAME_MAX: Final = 1023
#: The extension of a header of qcow2 that names the format of the backing file.
_BACKING_FORMAT: Final = 0xE2792ACA
#: Bytes of a header of version 2 of qcow2, and the place of the size of a later one.
_QCOW2_HEADER: Final = 72
_QCOW2_SIZE_AT: Final = 100
#: The bits of compatible and incompatible features that documents name.
_LAZY_REFCOUNTS: Final = 1 << 0
_EXTENDED_L2: Final = 1 << 4
#: The encryptions of qcow and qcow2, by the number in the header.
_QCOW_ENCRYPTIONS: Final = {1: "qcow"}
_QCOW2_ENCRYPTIONS: Final = {1: "qcow", 2: "luks"}
#: LUKS, version 1, and the place of the number of sectors before its payload.
_LUKS: Final = b"LUKS\xba\xbe\0\1"
_LUKS_PAYLOAD_AT: Final = 104
_SECTOR: Final = 512
_VMDK_PARENT: Final = b'parentFileNameHint="'


class Image(NamedTuple):
    """Facts that a header tells.

    form: the format; capacity: bytes of the disk, None if it is that of the file; backing: the backing
    file as the header names it; backing_form: its format, None for one that the header does not say;
    cluster: bytes of a cluster of qcow2; features: those of a qcow2 of version 3, None for others;
    encryption: its format, None for none; payload: bytes before what is encrypted.
    """

    form: str = "raw"
    capacity: int | None = None
    backing: str | None = None
    backing_form: str | None = None
    cluster: int | None = None
    features: tuple[str, ...] | None = None
    encryption: str | None = None
    payload: int = 0


class _Magic(NamedTuple):
    """The marks of a format. at: of the magic; version_at: of 4 bytes of version, None for none;
    size_at: of 8 bytes of size, None for the size of the file; unit: bytes that the size counts."""

    form: str
    magic: bytes
    order: str
    version_at: int | None = None
    versions: tuple[int, ...] = ()
    size_at: int | None = None
    unit: int = 1
    at: int = 0


_MAGIC: Final = (
    _Magic("iso", b"CD001", "little", at=32_769),
    _Magic("vpc", b"conectix", "big", 12, (0x10000,), 40),
    _Magic("vdi", b"\x7f\x10\xda\xbe", "little", 68, (0x10001,), 368, at=64),
    _Magic("ploop", b"WithouFreSpacExt", "little", None, (), 36, 512),
    _Magic("cow", b"OOOM", "big", 4, (2,), 1036),
    _Magic("qcow", b"QFI", "big", 4, (1,), 24),
    _Magic("qcow2", b"QFI", "big", 4, (2, 3), 24),
    _Magic("qed", b"QED", "little", None, (), 48),
    _Magic("vmdk", b"KDMV", "little", 4, (1, 2, 3), 12, 512),
)


def probe(head: bytes) -> Image:
    """Return what the first bytes of a file tell.

    Args:
        head: HEADER bytes, or all of a shorter file.
    """
    found = next((one for one in _MAGIC if _matches(one, head)), None)
    if found is None and head.startswith(_LUKS):
        payload = _number(head, _LUKS_PAYLOAD_AT, 4, "big") * _SECTOR
        return Image(encryption="luks", payload=payload)
    if found is None:
        return Image()
    capacity = None
    if found.size_at is not None and found.size_at + 8 <= len(head):
        capacity = _number(head, found.size_at, 8, found.order) * found.unit or None
    image = Image(found.form, capacity)
    if found.form == "qcow2":
        return _qcow2(image, head)
    if found.form == "qcow":
        encryption = _QCOW_ENCRYPTIONS.get(_number(head, 36, 4, "big"))
        return image._replace(backing=_named(head, 8, 16, "big", 8), encryption=encryption)
    if found.form == "qed":
        return _qed(image, head)
    return _vmdk(image, head) if found.form == "vmdk" else image


def _matches(wanted: _Magic, head: bytes) -> bool:
    if not head.startswith(wanted.magic, wanted.at):
        return False
    if wanted.version_at is None:
        return True
    return _number(head, wanted.version_at, 4, wanted.order) in wanted.versions


def _number(head: bytes, at: int, size: int, order: str) -> int:
    """The number at a place; 0 after the end."""
    return int.from_bytes(head[at : at + size], "big" if order == "big" else "little")


def _named(head: bytes, offset_at: int, size_at: int, order: str, width: int) -> str | None:
    """The name whose offset (of `width` bytes) and size stand at two places; None for none."""
    offset = _number(head, offset_at, width, order)
    size = _number(head, size_at, 4, order)
    if not offset or not 0 < size <= _NAME_MAX or offset + size > len(head):
        return None
    return head[offset : offset + size].split(b"\0")[0].decode(errors="replace") or None


def _qcow2(image: Image, head: bytes) -> Image:
    bits = _number(head, 20, 4, "big")
    later = _number(head, 4, 4, "big") >= 3
    image = image._replace(
        backing=_named(head, 8, 16, "big", 8),
        cluster=1 << bits if 0 < bits < 63 else None,
        encryption=_QCOW2_ENCRYPTIONS.get(_number(head, 32, 4, "big")),
    )
    if image.backing is not None:
        start = _number(head, _QCOW2_SIZE_AT, 4, "big") if later else _QCOW2_HEADER
        image = image._replace(backing_form=_extension(head, start, _number(head, 8, 8, "big")))
    if not later:
        return image
    found = []
    if _number(head, 80, 8, "big") & _LAZY_REFCOUNTS:
        found.append("lazy_refcounts")
    if _number(head, 72, 8, "big") & _EXTENDED_L2:
        found.append("extended_l2")
    return image._replace(features=tuple(found))


def _extension(head: bytes, at: int, end: int) -> str | None:
    """The format of the backing file, as the extensions between two places say."""
    while at + 8 < min(end, len(head)):
        kind, size = _number(head, at, 4, "big"), _number(head, at + 4, 4, "big")
        if kind == _BACKING_FORMAT:
            return head[at + 8 : at + 8 + size].decode(errors="replace")
        if kind == 0:
            return None
        at += 8 + (size + 7) // 8 * 8
    return None


def _qed(image: Image, head: bytes) -> Image:
    bits = _number(head, 16, 8, "little")
    if not bits & 1:
        return image
    name = _named(head, 56, 60, "little", 4)
    return image._replace(backing=name, backing_form="raw" if name and bits & 4 else None)


def _vmdk(image: Image, head: bytes) -> Image:
    text = head[0x200:].split(b"\0")[0]
    _, found, rest = text.partition(_VMDK_PARENT)
    name, closed, _ = rest.partition(b'"')
    if not (found and closed and name):
        return image
    return image._replace(backing=name.decode(errors="replace"))
