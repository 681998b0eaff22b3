"""Source packages of real clients, fetched once by pip and kept in the venv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from tests import harness

#: The place of the unpacked packages.
PLACE: Final = Path(sys.prefix) / "share" / "clients"
#: Seconds that a package may take to come.
_PATIENCE: Final = 120.0


def source(name: str, version: str) -> Path:
    """Return the folder of an unpacked source package.

    Args:
        name: of the package.
        version: of the package.

    A package that cannot be fetched skips the test, or fails it in CI.
    """
    folder = PLACE / f"{name}-{version}"
    if not folder.is_dir():
        PLACE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=PLACE) as place:
            archive = _fetch(f"{name}=={version}", Path(place))
            with tarfile.open(archive) as content:
                content.extractall(place, filter="data")
            # Another test may have put it there meanwhile.
            if not folder.is_dir():
                os.rename(Path(place) / folder.name, folder)
    return folder


def _fetch(wanted: str, place: Path) -> Path:
    """Download one source package."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", ":all:", "--dest", str(place), wanted]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=_PATIENCE, check=False, cwd=place
    )
    archives = list(place.glob("*.tar.gz"))
    if ran.returncode or not archives:
        harness.missing(f"{wanted} cannot be fetched: {ran.stderr.strip()[-400:]}")
    return archives[0]


def program(name: str, package: str) -> str:
    """The path of a program of the system; without it the test is skipped, or failed in CI."""
    found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
    if found is None:
        harness.missing(f"{name} (package {package}) is not installed")
    return found
