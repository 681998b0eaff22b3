"""What a snapshot has of memory and disks, and what is refused: the same for virtd as for libvirtd."""

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

_DISK: Final = (
    "<disk type='file' device='{device}'{more}><driver name='qemu' type='{form}'/>"
    "<source file='{path}'/><target dev='{target}' bus='{bus}'/></disk>"
)
#: The disks of guests: target, format and attributes.
_GUESTS: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    "none": (),
    "drive": (("sda", "", ""),),
    "medium": (("sda", "raw", ""),),
    "one": (("vda", "qcow2", ""),),
    "usual": (("vda", "qcow2", ""), ("sda", "raw", ""), ("sdb", "", "")),
    "raw": (("vda", "raw", ""),),
    "mixed": (("vda", "qcow2", ""), ("vdb", "raw", "")),
    "without": (("vda", "qcow2", ""), ("vdb", "qcow2", " snapshot='no'")),
    "outside": (("vda", "qcow2", " snapshot='external'"),),
    "manual": (("vda", "qcow2", ""), ("vdb", "qcow2", " snapshot='manual'")),
}
#: The guests that are looked at while they run, too.
_RUNNING: Final = ("none", "usual", "mixed", "without")
_COMMANDS: Final = (
    "",
    "--disk-only",
    "--disk-only --diskspec vda,snapshot=no",
    "--diskspec vda,snapshot=internal",
    "--diskspec vda,snapshot=no --diskspec vdb,snapshot=no",
    "--disk-only --diskspec vda,snapshot=internal",
    "--diskspec vdz,snapshot=no",
    "--diskspec vda,snapshot=external,file=@dir/@name-file",
    "--diskspec vda,file=@dir/@name-file",
    "--diskspec vda,snapshot=manual",
    "--disk-only --diskspec vda,driver=raw",
    "--memspec @dir/@name-memory,snapshot=external",
    "--memspec @dir/@name-memory,snapshot=external --diskspec vda,snapshot=internal",
    "--memspec @dir/@name-memory,snapshot=internal",
    "--memspec relative,snapshot=external",
    "--memspec snapshot=no",
    "--memspec snapshot=external",
    "--memspec snapshot=manual",
)


_UUID: Final = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def libvirtd() -> Iterator[str]:
    """The socket of a libvirtd."""
    for program in ("virsh", "libvirtd", "qemu-img", "qemu-system-x86_64"):
        harness.require(program)
    if os.geteuid() != 0:
        pytest.skip("qemu:///system needs root")
    with performing.libvirtd() as path:
        yield path


def _guest(name: str, folder: Path) -> Path:
    """Make the files of a guest, and write its document."""
    folder.mkdir(mode=0o755)
    disks = ""
    for target, form, more in _GUESTS[name]:
        path = folder / f"{name}-{target}.img"
        device, bus = ("disk", "virtio") if target.startswith("v") else ("cdrom", "sata")
        if form:
            subprocess.run(
                ["qemu-img", "create", "-q", "-f", form, str(path), "1M"], check=True, timeout=60
            )
        text = _DISK.format(
            device=device, more=more, form=form or "raw", path=path, target=target, bus=bus
        )
        disks += text if form else text.replace(f"<source file='{path}'/>", "")
    document = folder / f"{name}.xml"
    document.write_text(
        f"<domain type='qemu'><name>{name}</name><uuid>{_UUID}</uuid><memory>32768</memory>"
        f"<os><type arch='x86_64'>hvm</type></os><devices>{disks}</devices></domain>"
    )
    return document


def _commands(name: str, document: Path, *, runs: bool) -> list[str]:
    """All snapshots of a guest, each with its document, and each removed again."""
    made = [f"define {document}", *([f"start {name}"] if runs else [])]
    for number, options in enumerate(_COMMANDS):
        snapshot = f"s{number}{'on' if runs else 'off'}"
        words = options.replace("@dir", str(document.parent)).replace("@name", name + snapshot)
        made += [
            f"echo {snapshot}",
            f"snapshot-create-as {name} {snapshot} {words}",
            f"snapshot-dumpxml {name} {snapshot} --xpath /domainsnapshot/memory",
            f"snapshot-dumpxml {name} {snapshot} --xpath /domainsnapshot/disks",
            f"snapshot-delete {name} {snapshot} --metadata",
        ]
        if not runs:
            made.append(f"define {document}")
    return [*made, *([f"destroy {name}"] if runs else []), f"undefine {name}"]


async def _answers(socket: str, folder: Path, name: str, *, runs: bool) -> str:
    document = await asyncio.to_thread(_guest, name, folder)
    uri = f"{performing.URIS['qemu']}?socket={socket}"
    commands = _commands(name, document, runs=runs)
    output, errors = await performing._virsh(uri, "; ".join(_marked(commands)))
    return re.sub(r"\n{2,}", "\n", f"{output}\n{errors}".replace(str(folder), "DIR"))


def _marked(commands: list[str]) -> Iterator[str]:
    """The commands, with their numbers among the errors."""
    for number, command in enumerate(commands):
        yield from (command, f"echo --err {number}")


@pytest.mark.parametrize(
    ("name", "runs"),
    [*((name, False) for name in _GUESTS), *((name, True) for name in _RUNNING)],
)
async def test_the_same_snapshots_are_taken(
    libvirtd: str, tmp_path: Path, name: str, runs: bool
) -> None:
    async with performing._virtd() as virtd:
        real, ours = await asyncio.gather(
            _answers(libvirtd, tmp_path / "real", name, runs=runs),
            _answers(virtd, tmp_path / "ours", name, runs=runs),
        )
    assert real.count("error: ") > 2 * len(_COMMANDS)
    lines = unified_diff(real.splitlines(), ours.splitlines(), "libvirtd", "virtd", lineterm="")
    found = "\n".join(lines)
    assert not found
