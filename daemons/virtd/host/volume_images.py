"""The file of a volume: its sizes, its format, and the image that it lies over.

libvirt reads it when it looks at the files of a pool; here, after an upload, and for a volume that
virtd has made, from the image that QEMU's tools would have made.

Source: libvirt's src/storage/storage_util.c (storageBackendProbeTarget).
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Final

from lxml import etree

from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.host.image_headers import Image, probe
from aiovirt.daemons.virtd.xml.kinds import KINDS
from aiovirt.daemons.virtd.xml.placing import add

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host
    from aiovirt.daemons.virtd.host.pool import Pool
    from aiovirt.daemons.virtd.host.volume import Volume

#: Bytes of a block of a file system.
_BLOCK: Final = 4096
#: Bytes of a cluster of qcow2; an empty image takes three, and 8 bytes for each 512 MiB of its disk.
_CLUSTER: Final = 65_536
_TABLE_COVERS: Final = 512 << 20


def empty_qcow2(capacity: int) -> int:
    """Return the bytes of the file of an empty image of qcow2.

    Args:
        capacity: of its disk, in bytes.
    """
    return 3 * _CLUSTER + 8 * max(1, -(-capacity // _TABLE_COVERS))


def blocks(size: int) -> int:
    """Return the bytes that a file takes.

    Args:
        size: its own bytes.
    """
    return -(-size // _BLOCK) * _BLOCK


def written(volume: Volume, *, size: int, reserved: int, taken: int, head: bytes) -> None:
    """Note that a content was uploaded.

    Args:
        volume: the volume.
        size: bytes of its file.
        reserved: bytes at the beginning of the file that it takes even where nothing was uploaded.
        taken: bytes that it takes after these.
        head: its first bytes, see `image_headers.HEADER`.
    """
    image = probe(head)
    document = volume.document.copy()
    root = document.root
    sizes = {
        "capacity": image.capacity or max(0, size - image.payload),
        "allocation": reserved + blocks(taken),
        "physical": size,
    }
    for tag, number in sizes.items():
        element = root.find(tag)
        if element is not None:
            element.text = str(number)
    target = root.find("target")
    if target is not None:
        found = target.find("format")
        if found is not None:
            found.set("type", image.form)
        _qualities(target, image)
        if image.encryption is not None and target.find("encryption") is None:
            below = KINDS["volume"].rules.below("target")
            add(target, below, "encryption", "", format=image.encryption)
    _backing(volume, root, image)
    document.changed()
    text = document.text(secure=True)
    volume.change(text=text, has_content=True, reserved=reserved)


def _qualities(target: etree._Element, image: Image) -> None:
    """Note what the header of an image of qcow2 says."""
    below = KINDS["volume"].rules.below("target")
    features = target.find("features")
    if features is not None:
        target.remove(features)
    if image.cluster is not None:
        size = target.find("clusterSize")
        if size is None:
            size = add(target, below, "clusterSize", unit="B")
        size.text = str(image.cluster)
    if image.features is not None:
        compat = target.find("compat")
        if compat is None:
            compat = add(target, below, "compat")
        compat.text = "1.1"
        features = add(target, below, "features")
        for name in image.features:
            etree.SubElement(features, name)


def _backing(volume: Volume, root: etree._Element, image: Image) -> None:
    """Note the image that another one lies over, as its header says."""
    found = root.find("backingStore")
    if found is not None:
        root.remove(found)
    if image.backing is None:
        return
    path, form = image.backing, image.backing_form
    if path.startswith("json:") or "://" in path:  # libvirt does not follow it
        form = "raw"
    elif not path.startswith("/"):
        path = f"{volume.record.path.rpartition('/')[0]}/{path}"
    if form is None:
        below = volume.host.volumes.by_path(path)
        form = below.format if below is not None else "raw"
    rules = KINDS["volume"].rules
    made = add(root, rules, "backingStore")
    add(made, rules.below("backingStore"), "path", path)
    add(made, rules.below("backingStore"), "format", type=form)
    describe_backing(volume.host, root)


def describe_backing(host: Host, root: etree._Element) -> None:
    """Add permissions and times of the file that a volume lies over, if it is a volume of the host.

    Args:
        host: the host.
        root: the document of the volume.
    """
    made = root.find("backingStore")
    below = host.volumes.by_path(root.findtext("backingStore/path") or "")
    if made is None or below is None:
        return
    for tag in ("permissions", "timestamps"):
        found = below.root.find(f"target/{tag}")
        if found is not None and made.find(tag) is None:
            made.append(deepcopy(found))


def look_again(pool: Pool) -> None:
    """Note what libvirt finds when it looks at the images of a pool: clusters and features of qcow2."""
    with pool.host.store.batch():
        for volume in pool.volumes:
            target = volume.root.find("target")
            if target is None or volume.format != "qcow2" or target.find("clusterSize") is not None:
                continue
            document = cached("volume", volume.record.text).copy()
            target = document.root.find("target")
            later = document.root.findtext("target/compat") == "1.1"
            image = Image("qcow2", cluster=_CLUSTER, features=() if later else None)
            if target is not None:
                _qualities(target, image)
            document.changed()
            volume.change(text=document.text(secure=True))
