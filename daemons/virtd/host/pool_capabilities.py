"""The kinds of storage pool that a host has, and the formats of each.

Source: libvirt's src/conf/storage_capabilities.c and storage_conf.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

_FILES: Final = (
    "raw",
    "none raw dir bochs cloop dmg iso vpc vdi fat vhd ploop cow qcow qcow2 qed vmdk",
)
_DISK: Final = ("none", "none linux fat16 fat32 linux-swap linux-lvm linux-raid extended")
#: The kinds of pool: the formats of their sources and of their volumes, each with the default first.
_KINDS: Final[dict[str, tuple[tuple[str, str] | None, tuple[str, str] | None]]] = {
    "dir": (None, _FILES),
    "fs": (
        ("auto", "auto ext2 ext3 ext4 ufs iso9660 udf gfs gfs2 vfat hfs+ xfs ocfs2 vmfs"),
        _FILES,
    ),
    "netfs": (("auto", "auto nfs glusterfs cifs"), _FILES),
    "logical": (("lvm2", "unknown lvm2"), None),
    "disk": (("unknown", "unknown dos dvh gpt mac bsd pc98 sun lvm2"), _DISK),
    "iscsi": (None, None),
    "iscsi-direct": (None, None),
    "scsi": (None, None),
    "mpath": (None, None),
    "rbd": (None, ("raw", "")),
    "sheepdog": (None, None),
    "gluster": (None, ("raw", _FILES[1])),
    "zfs": (None, None),
    "vstorage": (None, ("raw", _FILES[1])),
}


@cache
def text() -> str:
    """Return the document."""
    return "\n".join(("<storagepoolCapabilities>", *_lines(), "</storagepoolCapabilities>", ""))


def _lines() -> Iterator[str]:
    for kind, (source, target) in _KINDS.items():
        if source is None and target is None:
            yield f"  <pool type='{kind}' supported='yes'>"
            yield "  </pool>"
            continue
        yield f"  <pool type='{kind}' supported='yes'>"
        if source is not None:
            yield from _options("poolOptions", "sourceFormatType", *source)
        if target is not None:
            yield from _options("volOptions", "targetFormatType", *target)
        yield "  </pool>"


def _options(tag: str, name: str, default: str, values: str) -> Iterator[str]:
    yield f"    <{tag}>"
    yield f"      <defaultFormat type='{default}'/>"
    yield f"      <enum name='{name}'>"
    for value in values.split():
        yield f"        <value>{value}</value>"
    yield "      </enum>"
    yield f"    </{tag}>"
