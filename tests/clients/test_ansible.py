"""ansible's collection community.libvirt manages virtd's hosts as it does libvirtd's.

`ansible/host.yml` uses its modules virt, virt_net and virt_pool, and checks what they answer; the
inventory plugin lists the domains.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import harness
from tests.clients import walking
from tests.clients.sources import program

PLAYBOOK = Path(__file__).parent / "ansible" / "host.yml"
#: The places of the collection, which `.ci/run` unpacks if it is not installed.
COLLECTIONS = (
    "/usr/share/ansible/collections",
    "/usr/lib/python3/dist-packages",
)
DOMAIN = (
    "<domain type='qemu'><name>{name}</name><memory>4096</memory><os><type>hvm</type></os></domain>"
)
COLLECTION = "ansible_collections/community/libvirt"


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    walking.require_binding()
    program("ansible-playbook", "ansible-core")
    if not any(Path(place, COLLECTION).is_dir() for place in COLLECTIONS):
        harness.missing("ansible's collection community.libvirt is not installed")


@pytest.fixture(scope="module")
def daemon() -> Iterator[harness.RunningDaemon]:
    """A virtd for the module."""
    with harness.running("virtd") as started:
        yield started
        assert "Traceback" not in started.log.read_text()


def run(folder: Path, *command: str) -> str:
    """Run a program of ansible with its own home, and return its standard output."""
    (folder / "ansible.cfg").touch()
    ran = subprocess.run(
        command,
        env={
            **walking.ENVIRONMENT,
            "HOME": str(folder),
            "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(COLLECTIONS[:1]),
        },
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=walking.PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.parametrize("driver", ["test", "qemu"])
def test_the_modules_manage_a_host(
    daemon: harness.RunningDaemon, driver: str, tmp_path: Path
) -> None:
    values = {
        "uri": walking.uri(driver, daemon.socket),
        "driver": driver,
        "folder": str(tmp_path / "pool"),
        "ansible_python_interpreter": walking.PYTHON,
    }
    output = run(
        tmp_path,
        "ansible-playbook",
        "--inventory",
        "localhost,",
        "--extra-vars",
        json.dumps(values),
        str(PLAYBOOK),
    )
    assert "All assertions passed" in output
    assert "failed=0" in output


@pytest.mark.parametrize(("driver", "known"), [("test", ["test"]), ("qemu", ["first", "second"])])
def test_the_inventory_lists_the_domains(
    daemon: harness.RunningDaemon, driver: str, known: list[str], tmp_path: Path
) -> None:
    uri = walking.uri(driver, daemon.socket)
    for name in known if driver == "qemu" else ():
        (tmp_path / name).write_text(DOMAIN.format(name=name))
        subprocess.run(
            [harness.require("virsh"), "-q", "-c", uri, "define", str(tmp_path / name)], check=True
        )
    source = tmp_path / "hosts.libvirt.yml"
    source.write_text(f"plugin: community.libvirt.libvirt\nuri: '{uri}'\n")
    listed = json.loads(run(tmp_path, "ansible-inventory", "--inventory", str(source), "--list"))
    hosts = listed["_meta"]["hostvars"]
    assert set(hosts) >= set(known)
    for name in known:
        assert hosts[name]["xml_desc"].startswith("<domain")
        assert hosts[name]["info"]["state"] == ("running" if driver == "test" else "shutoff")
