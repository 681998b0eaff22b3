"""What a volume is after images of many formats were uploaded: the same for virtd as for libvirtd."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Final

import pytest

from tests import harness
from tests.virtd.interop import performing

#: Images that qemu-img makes, by name: format and options.
_IMAGES: Final = {
    "qcow2": ("qcow2", ""),
    "old": ("qcow2", "compat=0.10"),
    "lazy": ("qcow2", "lazy_refcounts=on,cluster_size=4096"),
    "extended": ("qcow2", "extended_l2=on,cluster_size=131072"),
    "qcow": ("qcow", ""),
    "qed": ("qed", ""),
    "vmdk": ("vmdk", ""),
    "vdi": ("vdi", ""),
    "vpc": ("vpc", ""),
}
#: Images that lie over others, by name: backing file and its format.
_OVERLAYS: Final = {"over": ("@pool/base", "qcow2"), "lost": ("none.img", "raw")}
_TIMES: Final = re.compile(r"(<[acm]time>)[0-9.]+")


@pytest.fixture(scope="module")
def libvirtd() -> Iterator[str]:
    """The socket of a libvirtd."""
    for program in ("virsh", "libvirtd", "qemu-img"):
        harness.require(program)
    if os.geteuid() != 0:
        pytest.skip("qemu:///system needs root")
    with performing.libvirtd() as path:
        yield path


def _image(path: Path, form: str, *more: str) -> None:
    command = ["qemu-img", "create", "-q", "-f", form, *more, str(path), "32M"]
    subprocess.run(command, check=True, timeout=60)


def _files(folder: Path, pool: Path) -> list[str]:
    """Make the images that are uploaded, and return their names."""
    for name, (form, options) in _IMAGES.items():
        _image(folder / name, form, *(("-o", options) if options else ()))
    for name, (path, form) in _OVERLAYS.items():
        backing = path.replace("@pool", str(pool))
        _image(folder / name, "qcow2", "-u", "-b", backing, "-F", form)
    (folder / "iso").write_bytes(bytes(32_768) + b"\1CD001" + bytes(342_010))
    payload = (8).to_bytes(4, "big")
    (folder / "luks").write_bytes(
        (b"LUKS\xba\xbe\0\1".ljust(104, b"x") + payload).ljust(9000, b"y")
    )
    (folder / "raw").write_bytes(b"z" * 5001)
    return sorted(path.name for path in folder.iterdir())


async def _answers(socket: str, commands: list[str], names: dict[str, str]) -> str:
    uri = f"{performing.URIS['qemu']}?socket={socket}"
    text = "".join(await performing._virsh(uri, "; ".join(commands)))
    for found, name in names.items():
        text = text.replace(found, name)
    return _TIMES.sub(r"\1TIME", text)


async def _both(libvirtd: str, tmp_path: Path, commands: list[str]) -> tuple[str, str]:
    """Run the same commands on both; `@pool` is a folder of each."""
    folders = [tmp_path / "pool-real", tmp_path / "pool-ours"]
    async with performing._virtd() as virtd:
        real, ours = await asyncio.gather(
            *(
                _answers(
                    socket,
                    [
                        f"pool-create-as images dir --target {folder}",
                        *(one.replace("@pool", str(folder)) for one in commands),
                        "pool-destroy images",
                    ],
                    {str(folder): "POOL"},
                )
                for socket, folder in zip((libvirtd, virtd), folders, strict=True)
            )
        )
    return real, ours


def _changes(real: str, ours: str) -> str:
    """What virtd says otherwise, for a person to read."""
    lines = unified_diff(real.splitlines(), ours.splitlines(), "libvirtd", "virtd", lineterm="")
    return "\n".join(lines)


def _shown(name: str) -> list[str]:
    return [
        f"vol-dumpxml {name} images",
        f"vol-info {name} images --bytes",
        f"vol-info {name} images --bytes --physical",
    ]


async def test_an_uploaded_image_says_what_it_is(libvirtd: str, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    for path in (folder, tmp_path / "pool-real", tmp_path / "pool-ours"):
        path.mkdir()
    commands = [
        "vol-create-as images base 2G --format qcow2",
        *_shown("base"),
        "pool-refresh images",
    ]
    for name in _files(folder, Path("@pool")):
        commands += [
            f"vol-create-as images {name} 1M --allocation 0",
            f"vol-upload {name} {folder}/{name} images",
            "pool-refresh images",
            *_shown(name),
        ]
    (folder / "noise").write_bytes(b"z" * 100_000)
    commands += [
        "vol-create-as images noise 1M --format qcow2",
        f"vol-upload noise {folder}/noise images",
        "pool-refresh images",
        *_shown("noise"),
        "vol-create-as images above 3G --format qcow2 --backing-vol base --backing-vol-format qcow2",
        *_shown("above"),
        "vol-clone old clone images",
        *_shown("clone"),
        "pool-refresh images",
        *_shown("above"),
    ]
    real, ours = await _both(libvirtd, tmp_path, commands)
    assert real.count("<volume ") == len(_IMAGES) + len(_OVERLAYS) + 3 + 5
    assert not _changes(real, ours)


async def test_a_sparse_upload_makes_the_file_end_at_its_last_hole(
    libvirtd: str, tmp_path: Path
) -> None:
    for path in (tmp_path / "pool-real", tmp_path / "pool-ours"):
        path.mkdir()
    image = tmp_path / "image"
    commands = []
    for number, (begin, size) in enumerate([(0, 1 << 20), (6 << 20, 1 << 20), (7 << 20, 1 << 20)]):
        image = tmp_path / f"image{number}"
        with image.open("wb") as file:
            file.truncate(8 << 20)
            file.seek(begin)
            file.write(b"x" * size)
        for sparse in (" --sparse", ""):
            name = f"v{number}{len(sparse)}"
            commands += [
                f"vol-create-as images {name} 10M",
                f"vol-upload {name} {image} images{sparse}",
                "pool-refresh images",
                *_shown(name),
                f"vol-create-as images {name}s 1M",
                f"vol-upload {name}s {image} images{sparse}",
                "pool-refresh images",
                *_shown(name + "s"),
            ]
        commands += [
            f"vol-upload {name} {image} images --offset 5242880",
            "pool-refresh images",
            *_shown(name),
        ]
    real, ours = await _both(libvirtd, tmp_path, commands)
    assert real.count("Capacity:") == 3 * 10
    assert not _changes(real, ours)
