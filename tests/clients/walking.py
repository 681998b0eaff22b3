"""Runs the programs of `python/` on libvirtd and on virtd, and compares what they print.

They are run by the system's Python, which has libvirt's binding. Ids, times and paths are replaced.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from difflib import unified_diff
from functools import cache
from pathlib import Path
from typing import Final

from tests import harness
from tests.virtd.interop.normalizing import normalized

PYTHON: Final = "/usr/bin/python3"
WALK: Final = Path(__file__).parent / "python" / "walk"
URIS: Final = {"test": "test+unix:///default?socket={}", "qemu": "qemu+unix:///system?socket={}"}

#: Seconds that one program may take.
PATIENCE: Final = 300.0

#: For the programs: nothing of the user's.
ENVIRONMENT: Final = {
    "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "HOME": harness.HOME,
    "PYTHONDONTWRITEBYTECODE": "1",
}

Topics = dict[str, list[str]]


@cache
def require_binding() -> None:
    """Skip the test without libvirt's binding, or fail it in CI."""
    try:
        tried = subprocess.run([PYTHON, "-c", "import libvirt"], capture_output=True, check=False)
    except FileNotFoundError:
        harness.missing(f"{PYTHON} is not installed")
    if tried.returncode:
        harness.missing("libvirt's Python binding (python3-libvirt) is not installed")


def uri(driver: str, socket: str) -> str:
    """The URI of a driver of a daemon."""
    return URIS[driver].format(socket)


def start(driver: str, socket: str, *topics: str) -> subprocess.Popen[str]:
    """Begin the walk through one host."""
    require_binding()
    return subprocess.Popen(
        [PYTHON, str(WALK), uri(driver, socket), *topics],
        env={**ENVIRONMENT, **harness.libraries()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(walk: subprocess.Popen[str], socket: str) -> Topics:
    """Wait for the end of a walk, and return the lines of each topic."""
    try:
        output, _ = walk.communicate(timeout=PATIENCE)
    finally:
        walk.kill()
        walk.wait()
    assert walk.returncode == 0, output
    text = re.sub(r"/tmp/av-walk-\w+", "FOLDER", output)
    found: Topics = {}
    lines: list[str] = []
    for line in normalized(text, "", {socket: "SOCKET"}).splitlines():
        if line.startswith("== "):
            lines = found.setdefault(line[3:], [])
        else:
            lines.append(line)
    return found


def compare(real: Iterable[str], ours: Iterable[str], known: Iterable[str]) -> str:
    """Return the differences of two topics, apart from the known ones, as text.

    Args:
        real: the lines of libvirtd.
        ours: the lines of virtd.
        known: labels of lines that may differ.
    """
    labels = tuple(f"{label}: " for label in known)
    kept = [[line for line in lines if not line.startswith(labels)] for lines in (real, ours)]
    return "\n".join(unified_diff(*kept, "libvirtd", "virtd", lineterm="", n=1))
