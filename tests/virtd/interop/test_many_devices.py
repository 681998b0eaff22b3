"""Guests with many devices on PCI get the same controllers and addresses as from libvirtd."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import Final

import pytest

from tests import harness
from tests.virtd.interop import performing

#: Around the slots of one bus and of two, and beyond.
COUNTS: Final = (1, 28, 31, 32, 40, 61, 62, 100, 300)
MACHINES: Final = ("pc", "q35")
_NAMES: Final = [*ascii_lowercase, *map("".join, product(ascii_lowercase, repeat=2))]


def _nics(model: str, count: int, group: int = 0) -> str:
    return "".join(
        f"<interface type='user'><mac address='52:54:00:{group:02x}:{at >> 8:02x}:{at & 255:02x}'/>"
        f"<model type='{model}'/></interface>"
        for at in range(count)
    )


def _disks(count: int) -> str:
    return "".join(
        f"<disk type='file'><source file='/none/{name}'/><target dev='vd{name}' bus='virtio'/></disk>"
        for name in _NAMES[:count]
    )


def _controllers(kind: str, model: str, first: int, count: int) -> str:
    return "".join(
        f"<controller type='{kind}' index='{at}' model='{model}'/>"
        for at in range(first, first + count)
    )


def _usb2(count: int) -> str:
    models = ("ich9-ehci1", "ich9-uhci1", "ich9-uhci2", "ich9-uhci3")
    return "".join(_controllers("usb", model, at, 1) for at in range(count) for model in models)


SETS: Final[dict[str, Callable[[int], str]]] = {
    "virtio": lambda count: _nics("virtio", count),
    "e1000": lambda count: _nics("e1000", count),
    "disks": _disks,
    "mixed": lambda count: (
        _nics("virtio", count // 3) + _nics("rtl8139", count // 3, 1) + _disks(count // 3)
    ),
    "scsi": lambda count: _controllers("scsi", "virtio-scsi", 0, count),
    "lsi": lambda count: _controllers("scsi", "lsilogic", 0, count),
    "usb2": lambda count: _usb2(count // 8) + _nics("e1000", count // 2),
    "sound": lambda count: (
        "<sound model='ich6'/>" * (count // 4)
        + "<video><model type='virtio'/></video>"
        + _nics("e1000e", count // 2)
    ),
    "bridges": lambda count: _controllers("pci", "pci-bridge", 1, 2) + _nics("e1000", count),
    "ports": lambda count: (
        _controllers("pci", "pcie-root-port", 1, 5)
        + _nics("virtio", count // 2)
        + _nics("e1000", count // 2, 1)
    ),
}


def _document(machine: str, devices: str) -> str:
    return (
        "<domain type='qemu'><name>many</name><uuid>11111111-2222-4333-8444-555555555555</uuid>"
        f"<memory>65536</memory><os><type arch='x86_64' machine='{machine}'>hvm</type></os>"
        f"<devices>{devices}</devices></domain>"
    )


@pytest.fixture(scope="module")
def libvirtd() -> Iterator[str]:
    """The socket of a libvirtd."""
    harness.require("virsh")
    harness.require("libvirtd")
    if os.geteuid() != 0:
        pytest.skip("qemu:///system needs root")
    with performing.libvirtd() as path:
        yield path


async def _answers(socket: str, paths: list[Path]) -> str:
    commands = "; ".join(f"define {path}; dumpxml many; undefine many" for path in paths)
    found = await performing._virsh(f"{performing.URIS['qemu']}?socket={socket}", commands)
    return "".join(found)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", SETS)
async def test_devices_get_the_same_places(
    libvirtd: str, tmp_path: Path, name: str, machine: str
) -> None:
    paths = [tmp_path / f"{count}.xml" for count in COUNTS]
    for count, path in zip(COUNTS, paths, strict=True):
        path.write_text(_document(machine, SETS[name](count)))
    async with performing._virtd() as socket:
        real, ours = await asyncio.gather(*(_answers(one, paths) for one in (libvirtd, socket)))
    answered = real.count("<name>many</name>") + real.count("error: Failed to define")
    assert (answered, ours) == (len(COUNTS), real)
