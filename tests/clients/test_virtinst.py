"""virt-install, virt-clone and virt-xml do on virtd what they do on libvirtd, on both hosts.

The commands are run on both daemons, one after the other, and print the same; then a whole installation
is watched on virtd: boot from a medium, the end of the installer, and the first boot from disk.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from difflib import unified_diff
from pathlib import Path

import pytest

from tests import harness
from tests.clients import walking
from tests.clients.sources import program
from tests.virtd.interop.normalizing import normalized
from tests.virtd.interop.performing import libvirtd

INSTALL = (
    "virt-install --connect URI --memory 64 --osinfo generic --noautoconsole --network user"
    " --graphics none"
)
#: The commands, in their order; @qemu stands before those for the qemu driver only.
COMMANDS = f"""
virsh -c URI pool-define-as images dir --target FOLDER/images
virsh -c URI pool-build images
virsh -c URI pool-start images
{INSTALL} VIRT --name one --import --disk pool=images,size=0.01,format=raw
virsh -c URI list --all
virsh -c URI vol-list images
virsh -c URI domblklist one
{INSTALL} VIRT --name one --import --disk none
{INSTALL} VIRT --name two --pxe --disk none --print-xml
{INSTALL} VIRT --name two --pxe --disk none
virt-clone --connect URI --original one --name copy --auto-clone
virsh -c URI destroy one
virt-clone --connect URI --original one --name copy --auto-clone
virt-clone --connect URI --original nobody --name copy --auto-clone
virsh -c URI vol-list images
virt-xml --connect URI one --edit --memory 128
virt-xml --connect URI one --edit --vcpus 3 --print-diff
virt-xml --connect URI one --add-device --disk pool=images,size=0.01,format=raw
virt-xml --connect URI one --remove-device --disk target=hdb
virt-xml --connect URI two --add-device --channel unix,target.type=virtio,target.name=agent.0 --update
virt-xml --connect URI two --add-device --disk pool=images,size=0.01,format=raw,bus=virtio --update
virsh -c URI domblklist two
virsh -c URI dumpxml two --inactive
virt-xml --connect URI two --edit --metadata title=Second --define
virsh -c URI list --all --title
virsh -c URI destroy two
virsh -c URI undefine one --remove-all-storage
virsh -c URI vol-list images
"""

#: Documents that virt-install makes for guests of the qemu driver, to be completed by both daemons.
GUESTS = (
    "--disk none --import --osinfo generic",
    "--disk /d/a.img,size=1 --import --osinfo debian11",
    "--disk /d/a.img,size=1,bus=scsi --disk /d/b.img,size=1,bus=sata --import --osinfo debian11"
    " --graphics spice --sound ich9 --video qxl",
    "--disk none --import --osinfo ubuntu22.04 --machine pc --watchdog default --rng /dev/urandom"
    " --graphics none --channel unix,target.type=virtio,target.name=org.qemu.guest_agent.0",
    "--disk none --import --osinfo ubuntu22.04 --controller usb,model=none --memballoon none"
    " --vcpus 4,sockets=2,cores=2,threads=1 --memorybacking hugepages=on",
)


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    for name in ("virt-install", "virt-clone", "virt-xml"):
        program(name, "virtinst")
    harness.require("virsh")


@pytest.fixture(scope="module")
def sockets() -> Iterator[tuple[str, str]]:
    """The sockets of libvirtd and of virtd."""
    with libvirtd() as real, harness.running("virtd") as ours:
        yield real, ours.socket
        assert "Traceback" not in ours.log.read_text()


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program with a folder for its caches."""
    return subprocess.run(
        command,
        env={**walking.ENVIRONMENT, "HOME": str(folder), **harness.libraries()},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=walking.PATIENCE,
        check=False,
    )


def wait_until_kept(uri: str, folder: Path) -> None:
    """Wait until what one program makes is there for the next one."""
    end = time.monotonic() + walking.PATIENCE
    virsh = [harness.require("virsh"), "-c", uri]
    define = [*virsh, "pool-define-as", "kept", "dir", "--target", "/kept"]
    while time.monotonic() < end:
        assert run(define, folder).returncode == 0
        if run([*virsh, "pool-undefine", "kept"], folder).returncode == 0:
            return
    raise AssertionError(f"{uri}: the world is lost with each connection")


def performed(driver: str, socket: str, folder: Path) -> list[str]:
    """Run the commands on one daemon, and return what each printed, without ids."""
    folder.mkdir()
    uri = walking.uri(driver, socket)
    virt = "--virt-type qemu" if driver == "qemu" else ""
    names = {socket: "SOCKET", str(folder): "FOLDER"}
    said = []
    # The world of libvirtd's test driver lasts as long as one client is there.
    with subprocess.Popen(
        [harness.require("virsh"), "-c", uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=walking.ENVIRONMENT,
    ):
        wait_until_kept(uri, folder)
        for line in COMMANDS.strip().splitlines():
            text = line.replace("VIRT", virt).replace("URI", uri).replace("FOLDER", str(folder))
            done = run(text.split(), folder)
            output = re.sub(r"\s+\|.*", "", done.stdout).replace("\r", "")
            output = re.sub(r"(?m)^ (\d+|-) +", " ID ", output)
            output = re.sub(r"00:16:3e(:[0-9a-f]{2}){3}", "MAC", output)
            output = re.sub(r"(?m)^WARNING  .* may not be accessible .*\n", "", output)
            said.append(f"$ {line}\n{normalized(output, '', names)}\n-> {done.returncode}")
    return said


@pytest.mark.parametrize("driver", ["test", "qemu"])
def test_the_programs_print_the_same(driver: str, sockets: tuple[str, str], tmp_path: Path) -> None:
    if driver == "qemu" and os.geteuid() != 0:
        pytest.skip("qemu:///system needs root")
    tmp_path.chmod(0o755)
    with ThreadPoolExecutor(2) as pool:
        folders = (tmp_path / "real", tmp_path / "ours")
        real, ours = pool.map(performed, (driver, driver), sockets, folders)
    surprising = [
        "\n".join(unified_diff(one.splitlines(), other.splitlines(), "libvirtd", "virtd", n=20))
        for one, other in zip(real, ours, strict=True)
        if one != other
    ]
    assert not surprising, "\n\n".join(surprising)


@pytest.mark.parametrize("guest", GUESTS)
def test_a_guest_of_virt_install_is_completed_as_by_libvirtd(
    guest: str, sockets: tuple[str, str], tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("qemu:///system needs root")
    uris = [walking.uri("qemu", socket) for socket in sockets]
    command = ["virt-install", "--connect", uris[1], "--name", "made", "--memory", "64"]
    command += ["--virt-type", "qemu", "--print-xml", *guest.split()]
    made = run(command, tmp_path)
    assert made.returncode == 0, made.stdout
    text = made.stdout[made.stdout.index("<domain") :]
    document = tmp_path / "made.xml"
    document.write_text(text)
    shown = []
    for uri in uris:
        virsh = [harness.require("virsh"), "-q", "-c", uri]
        defined = run([*virsh, "define", str(document)], tmp_path)
        assert defined.returncode == 0, defined.stdout
        shown.append(run([*virsh, "dumpxml", "made"], tmp_path).stdout)
        run([*virsh, "undefine", "made"], tmp_path)
    assert shown[1] == shown[0]


@contextlib.contextmanager
def installing(driver: str, uri: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run an installation from a medium in the pool `media`."""
    command = INSTALL.replace("URI", uri).split()
    command += ["--virt-type", "qemu"] if driver == "qemu" else []
    command += ["--name", "guest", "--disk", "pool=media,size=0.01", "--wait", "1"]
    command += ["--cdrom", str(folder / "media" / "install.iso")]
    with subprocess.Popen(
        command,
        env={**walking.ENVIRONMENT, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("driver", ["test", "qemu"])
def test_a_whole_installation(driver: str, tmp_path: Path) -> None:
    with harness.running("virtd") as daemon:
        uri = walking.uri(driver, daemon.socket)

        def virsh(*words: str) -> str:
            return run([harness.require("virsh"), "-q", "-c", uri, *words], tmp_path).stdout

        virsh("pool-create-as", "media", "dir", "--target", str(tmp_path / "media"))
        virsh("vol-create-as", "media", "install.iso", "1M")
        with installing(driver, uri, tmp_path) as process:
            while "running" not in virsh("domstate", "guest"):
                assert process.poll() is None, process.communicate()[0]
            assert "<boot dev='cdrom'/>" in virsh("dumpxml", "guest")
            assert "install.iso" in virsh("domblklist", "guest")
            assert "<boot dev='hd'/>" in virsh("dumpxml", "guest", "--inactive")
            virsh("shutdown", "guest")  # the end of the installer
            output, _ = process.communicate(timeout=walking.PATIENCE)
        assert process.returncode == 0, output
        assert "Domain has finished installation" in output or "Domain creation completed" in output
        assert "running" in virsh("domstate", "guest")
        assert "<boot dev='hd'/>" in virsh("dumpxml", "guest")
