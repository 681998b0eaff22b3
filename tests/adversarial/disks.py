"""File systems that freeze, fill up or die, each on a loop device or in memory. Root is needed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests import harness

#: EXT4_IOC_SHUTDOWN, and its flag to lose what is not on the disk yet.
_SHUTDOWN: Final = 0x8004587D
_NOLOGFLUSH: Final = 2


class LoopDisk:
    """An ext4 file system in a file. path: where it is mounted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._frozen = False

    def freeze(self) -> None:
        """Have everything that writes there hang."""
        subprocess.run([harness.require("fsfreeze"), "-f", str(self.path)], check=True)
        self._frozen = True

    def thaw(self) -> None:
        """Let it go on. Does nothing if it was not frozen."""
        if self._frozen:
            subprocess.run([harness.require("fsfreeze"), "-u", str(self.path)], check=True)
            self._frozen = False

    def die(self) -> None:
        """Have everything there fail with an input/output error, for good."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NOLOGFLUSH))
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def loop_disk() -> Iterator[LoopDisk]:
    """Make one for the length of a `with`. Skips the test where that is not allowed."""
    with tempfile.TemporaryDirectory(prefix="av-") as folder:
        image, path = Path(folder, "image"), Path(folder, "disk")
        with image.open("wb") as file:
            file.truncate(64 << 20)
        path.mkdir()
        _run(harness.require("mkfs.ext4"), "-q", "-F", str(image))
        with _mounted(path, "-o", "loop", str(image)):
            disk = LoopDisk(path)
            try:
                yield disk
            finally:
                disk.thaw()


@contextlib.contextmanager
def small_disk(kibibytes: int) -> Iterator[Path]:
    """A file system in memory that is soon full: where it is mounted."""
    options = ("-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs")
    with tempfile.TemporaryDirectory(prefix="av-") as path, _mounted(Path(path), *options):
        yield Path(path)


@contextlib.contextmanager
def _mounted(path: Path, *what: str) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    _run("mount", *what, str(path))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} does not work here: {done.stderr.strip()}")
