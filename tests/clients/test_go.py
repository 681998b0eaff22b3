"""Go: go-libvirt, which speaks the protocol without libvirt's library, on virtd.

Its own integration tests, as Debian packages them, expect a libvirtd on port 16509 of 127.0.0.1. They
and virtd run in a network of their own, where that port is free.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.daemons.virtd.faults.client import Action, FaultAdmin, Rule
from tests import harness
from tests.clients import dissecting
from tests.clients.sides import HERE, HOSTS, Sides, both_sides
from tests.virtd.test_ephemeral import ephemeral

_GOPATH: Final = Path("/usr/share/gocode")
_PACKAGE: Final = _GOPATH / "src/github.com/digitalocean/go-libvirt"

#: The objects that the tests expect, as their own set-up defines them.
_SET_UP: Final = (
    'alias v="virsh -c qemu+unix:///system?socket=$SOCKET"',
    "v define testdata/test-domain.xml",
    "v pool-create testdata/test-pool.xml",
    "v secret-define testdata/test-secret.xml",
)

#: Tests that talk to the daemon, by what the source says; the others have a daemon of their own.
_TEST: Final = re.compile(r"^func (Test\w+)\(", re.MULTILINE)


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of Go's compiler, which finds all packages on this machine."""
    if shutil.which("go") is None:
        harness.missing("Go is not installed")
    if not _PACKAGE.is_dir() or not (_GOPATH / "src/github.com/stretchr/testify").is_dir():
        harness.missing("go-libvirt is not installed")
    cache = tmp_path_factory.mktemp("go")
    return {
        "GO111MODULE": "off",
        "GOPATH": str(_GOPATH),
        "GOCACHE": str(cache),
        "HOME": str(cache),
    }


def test_the_integration_tests_of_go_libvirt_pass(go: dict[str, str], tmp_path: Path) -> None:
    program = str(tmp_path / "tests")
    _build(go, _PACKAGE, "test", "-tags=integration", "-c", "-o", program, ".")
    harness.require("virsh")
    dissecting.require_dissector()
    names = _TEST.findall((_PACKAGE / "libvirt_integration_test.go").read_text())
    capture = tmp_path / "capture"
    lines = [f"cd {_PACKAGE}", *_SET_UP, f"{program} -test.v -test.run '^({'|'.join(names)})$'"]
    ran = dissecting.record(capture, "\n".join(lines))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert set(re.findall(r"--- PASS: (\w+)", ran.stdout)) == set(names)
    assert dissecting.malformed(capture) == ""
    assert dissecting.messages(capture).total() > 100


@pytest.mark.parametrize("driver", HOSTS)
def test_a_walk_through_go_libvirt_is_the_same(
    go: dict[str, str], sides: Sides, walker: str, driver: str
) -> None:
    def walk(uri: str, folder: Path) -> list[str]:
        return [walker, uri.partition("socket=")[2], f"{driver}:///{HOSTS[driver]}", driver]

    assert sides.same(driver, walk).endswith("done\n")


@pytest.fixture(scope="module")
def sides() -> Iterator[Sides]:
    """Both daemons."""
    with both_sides() as made:
        yield made


@pytest.fixture(scope="module")
def walker(go: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of the walk as a program."""
    program = str(tmp_path_factory.mktemp("walk") / "walk")
    _build(go, HERE / "go", "build", "-o", program, "walk.go")
    return program


def _build(go: dict[str, str], folder: Path, *arguments: str) -> None:
    ran = subprocess.run(
        ["go", *arguments],
        cwd=folder,
        env={**os.environ, **go},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


async def test_faults_are_seen_as_the_errors_that_they_are(
    go: dict[str, str], tmp_path: Path
) -> None:
    program = str(tmp_path / "failing")
    await asyncio.to_thread(_build, go, HERE / "go", "build", "-o", program, "failing.go")
    with ephemeral() as daemon:
        async with admin_client.connect(daemon.told["admin"]) as connection:
            faults = FaultAdmin(connection)
            for action, procedure, fields in FAULTS:
                await faults.add(Rule(Action(action), procedure, times=1, **fields))
            socket = daemon.told["test"].partition("socket=")[2]
            ran = await asyncio.create_subprocess_exec(program, socket, stdout=subprocess.PIPE)
            try:
                async with asyncio.timeout(60):
                    said, _ = await ran.communicate()
            finally:
                if ran.returncode is None:
                    ran.kill()
            assert said.decode().splitlines() == SEEN
            assert [one.strikes for one in await faults.list()] == [1] * len(FAULTS)


FAULTS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("error", "DOMAIN_LOOKUP_BY_NAME", {"code": 2}),
    ("delay", "CONNECT_GET_HOSTNAME", {"delay": 10}),
    ("close-before", "DOMAIN_DESTROY", {}),
    ("close-after", "DOMAIN_SUSPEND", {}),
    ("cut-reply", "DOMAIN_GET_XML_DESC", {}),
    ("lose-event", "DOMAIN_EVENT_CALLBACK_LIFECYCLE", {"guest": "lost"}),
    ("repeat-event", "DOMAIN_EVENT_CALLBACK_LIFECYCLE", {"guest": "twice"}),
)
SEEN: Final = [
    "error ! 2 out of memory",
    "lookup = done",
    "delay = done",
    "close-before ! disconnected",
    "close-after ! disconnected",
    "cut-reply ! disconnected",
    "state 3 1 = done",
    "subscribe = done",
    "define = done",
    "define = done",
    "event twice",
    "event twice",
]
