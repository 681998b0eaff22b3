"""Removing the logs of guests that are long gone. On a thread only.

As in later versions of libvirt: in `log_root`, and in each folder there, are NAME.log, NAME.log.0
and so on; such a chain goes as a whole when its youngest file is older than `max_age_days`. A file
that is open stays, and with it its chain: a guest that is silent for months still has its log. What
is open is known by device and inode, since a path can be written in many ways.

Source: libvirt's src/logging/log_cleaner.c (not in 9.0.0).
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from aiovirt.daemons.logd.rotating import Identity
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.patterns import pattern

_log = get_logger("daemons.logd.cleaning")

#: Seconds between two sweeps.
EVERY: Final = 24 * 3600.0
_DAY: Final = 24 * 3600
_LOG_FILE: Final = pattern(r"(.+\.log)(\.[0-9]+)?")
_OWN: Final = "/proc/self/fd"


class OldFile(NamedTuple):
    """A regular file. modified: seconds since the epoch."""

    path: str
    identity: Identity
    modified: float


class Sweep:
    """One look through the logs.

    open_files: asks what logs are written to now; stop: set when the sweep has to end early.
    """

    def __init__(
        self,
        root: str,
        max_age_days: int,
        open_files: Callable[[], set[Identity]],
        stop: threading.Event,
    ) -> None:
        self._root = root
        self._oldest = time.time() - max_age_days * _DAY
        self._open_files = open_files
        self._stop = stop

    def run(self) -> None:
        """Find what is old, and remove it."""
        for path, files in self.stale_chains().items():
            if self._stop.is_set():
                return
            self._remove_chain(path, files)

    def stale_chains(self) -> dict[str, list[OldFile]]:
        """The chains that nobody wrote to for too long, and has not got open: PATH to all its files."""
        kept = self._kept()
        chains: dict[str, list[OldFile]] = {}
        young = set()
        for file in self._files():
            match = _LOG_FILE.fullmatch(file.path)
            if match is None:
                continue
            chains.setdefault(match[1], []).append(file)
            if file.modified >= self._oldest or file.identity in kept:
                young.add(match[1])
        return {path: files for path, files in chains.items() if path not in young}

    def _remove_chain(self, path: str, files: list[OldFile]) -> None:
        """Remove a chain's files, unless one of them was opened or written since it was found."""
        kept = self._kept()
        if any(_look(file.path) != file or file.identity in kept for file in files):
            return
        for file in files:
            try:
                os.unlink(file.path)
            except FileNotFoundError:
                pass
            except OSError as error:
                _log.error("old log not removed", path=file.path, reason=error.strerror)
                return
        _log.info("old log removed", path=path, files=len(files))

    def _kept(self) -> set[Identity]:
        """The open files: logs of guests, and others of this process there, such as its own log."""
        kept = self._open_files()
        below = os.path.realpath(self._root) + "/"
        for number in os.listdir(_OWN):
            name = f"{_OWN}/{number}"
            with contextlib.suppress(OSError):
                # Nothing is asked of other disks, one of which may be stuck.
                if os.readlink(name).startswith(below):
                    found = os.stat(name)
                    kept.add(Identity(found.st_dev, found.st_ino))
        return kept

    def _files(self) -> Iterator[OldFile]:
        """The regular files in the root, and in the folders in it."""
        for entry in _entries(self._root):
            if self._stop.is_set():
                return
            if entry.is_dir(follow_symlinks=False):
                for inner in _entries(entry.path):
                    if (file := _look(inner.path)) is not None:
                        yield file
            elif (file := _look(entry.path)) is not None:
                yield file


def _look(path: str) -> OldFile | None:
    """The file at a path, if it is a regular file."""
    try:
        found = os.lstat(path)
    except OSError:
        return None  # it was rotated away at this moment
    if not stat.S_ISREG(found.st_mode):
        return None
    return OldFile(path, Identity(found.st_dev, found.st_ino), found.st_mtime)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        _log.warning("folder of logs not looked at", path=folder, reason=error.strerror)
        return []
