"""A project of somebody else's: a folder outside the checkout, with folders of our folders' names.

It has 10 tests with a daemon each. AIOVIRT_STRANGERS_TESTS=100 makes them more; that is the number for
which docs/testing.md gives times.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import harness

TESTS = int(os.environ.get("AIOVIRT_STRANGERS_TESTS", "10"))
PATIENCE = 120.0
#: Where Debian has libvirt's binding, which an environment of its own does not see.
BINDING = "/usr/lib/python3/dist-packages"

CONFTEST = f"""
import sys
sys.path.append({BINDING!r})
"""

COMMON = """
import admin, rpc  # the project's own
import libvirt
import pytest

GUEST = "<domain type='kvm'><name>%s</name><memory>1024</memory><os><type>hvm</type></os></domain>"


def start_a_guest(virtd, name):
    client = libvirt.open(virtd.qemu_uri)
    try:
        client.defineXML(GUEST % name).create()
        return sorted(one.name() for one in client.listAllDomains())
    finally:
        client.close()
"""

OWN = """
@pytest.mark.parametrize("number", range(TESTS))
def test_each_has_a_virtd_of_its_own(virtd, number):
    assert (admin.OURS, rpc.OURS) == (True, True)
    assert start_a_guest(virtd, f"guest{number}") == [f"guest{number}"]
"""

SHARED = """
@pytest.fixture(autouse=True)
def fresh(virtd_module):
    yield
    virtd_module.world.reset()


@pytest.mark.parametrize("number", range(TESTS))
def test_each_finds_a_virtd_of_the_module_as_new(virtd_module, number):
    assert start_a_guest(virtd_module, f"guest{number}") == [f"guest{number}"]
"""


WAITING = """
import signal


def test_one(virtd, lockd):
    signal.pause()


def test_other(aiovirt_daemons):
    aiovirt_daemons("logd")
    signal.pause()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("admin", "rpc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OURS = True\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    return tmp_path


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short path, in which the daemons have their run directories."""
    with tempfile.TemporaryDirectory(prefix="av-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def binding() -> None:
    """libvirt's binding for this Python."""
    code = f"{CONFTEST}import libvirt"
    if subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode:
        harness.missing(f"python3-libvirt is not installed for {sys.executable}")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]


def environment(project: Path, place: Path) -> dict[str, str]:
    """As in a project's own shell. PYTHONPATH has the project, whose folders are not ours."""
    without = ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT")
    kept = {key: os.environ[key] for key in os.environ if key not in without}
    return {**kept, "TMPDIR": str(place), "PYTHONPATH": str(project)}


@pytest.mark.usefixtures("binding")
@pytest.mark.parametrize(
    "suite", [pytest.param(OWN, id="one for each test"), pytest.param(SHARED, id="one per module")]
)
def test_a_suite_on_four_workers_passes_and_leaves_nothing(
    suite: str, project: Path, place: Path
) -> None:
    (project / "test_guests.py").write_text((COMMON + suite).replace("TESTS", str(TESTS)))
    began = time.monotonic()
    done = subprocess.run(
        command("-n", "4"),
        cwd=project,
        env=environment(project, place),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{TESTS} passed" in done.stdout
    print(f"{TESTS} tests in {time.monotonic() - began:.1f} s")  # for `pytest -s`
    assert left(place) == []


@pytest.mark.parametrize("daemons", [pytest.param(1, id="starting"), pytest.param(3, id="serving")])
def test_a_killed_pytest_leaves_nothing(daemons: int, project: Path, place: Path) -> None:
    """The kill comes when this number of daemons has a run directory; the others are on their way."""
    (project / "test_waiting.py").write_text(WAITING)
    suite = subprocess.Popen(
        command("-n", "2"),
        cwd=project,
        env=environment(project, place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        eventually(lambda: len(list(place.glob("*d-*"))) >= daemons)
        if daemons == 3:
            eventually(lambda: len(list(place.glob("*/*-admin-sock"))) == 3)
        found = processes(place)
        assert found
    finally:
        os.killpg(suite.pid, signal.SIGKILL)
        suite.wait()
    eventually(lambda: not processes(place))
    assert left(place) == []


def left(place: Path) -> list[Path]:
    """What is in a folder for temporary files, besides pytest's own."""
    return [path for path in place.iterdir() if not path.name.startswith("pytest-of-")]


def processes(place: Path) -> list[int]:
    """The processes that have this folder for temporary files."""
    wanted = os.fsencode(f"TMPDIR={place}")
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
