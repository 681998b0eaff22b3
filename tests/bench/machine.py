"""What the numbers were measured on: without that they say nothing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from aiovirt import __version__


def describe() -> list[tuple[str, str]]:
    """Name and value of everything that the numbers depend on."""
    return [
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("kernel", platform.release()),
        ("Python", platform.python_version()),
        ("uvloop", version("uvloop")),
        ("libvirt", _libvirt()),
        ("aiovirt", __version__),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _libvirt() -> str:
    program = shutil.which("libvirtd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        return "not installed"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return said.stdout.split()[-1]
