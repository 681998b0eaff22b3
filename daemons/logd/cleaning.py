"""Removing the logs of guests that are long gone.

As in later versions of libvirt: below `log_root` each driver has a folder with NAME.log, NAME.log.0
and so on; such a chain goes as a whole when its youngest file is older than `max_age_days`.

Source: libvirt's src/logging/log_cleaner.c (not in 9.0.0).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from typing import Final

from aiovirt.rpc.logs import get_logger

_log = get_logger("daemons.logd.cleaning")

#: Seconds between two sweeps.
EVERY: Final = 24 * 3600.0
_DAY: Final = 24 * 3600
_LOG_FILE: Final = re.compile(r"(.+\.log)(\.[0-9]+)?")


def stale_chains(root: str, max_age_days: int, now: float | None = None) -> dict[str, list[str]]:
    """The chains below `root` that nobody wrote to for so many days: PATH to all its files."""
    oldest = (time.time() if now is None else now) - max_age_days * _DAY
    chains: dict[str, list[str]] = {}
    young = set()
    for path, modified in _files(root):
        match = _LOG_FILE.fullmatch(path)
        if match is None:
            continue
        chains.setdefault(match[1], []).append(path)
        if modified >= oldest:
            young.add(match[1])
    return {path: files for path, files in chains.items() if path not in young}


def remove_chain(path: str, files: list[str]) -> None:
    """Remove a chain's files. What cannot be removed is logged and left."""
    for file in files:
        try:
            os.unlink(file)
        except FileNotFoundError:
            pass
        except OSError as error:
            _log.error("old log not removed", path=file, error=error.strerror)
            return
    _log.info("old log removed", path=path, files=len(files))


def _files(root: str) -> Iterator[tuple[str, float]]:
    """Path and time of modification of the regular files in the folders in `root`."""
    for folder in _entries(root):
        if folder.is_dir(follow_symlinks=False):
            for file in _entries(folder.path):
                try:
                    if file.is_file(follow_symlinks=False):
                        yield file.path, file.stat(follow_symlinks=False).st_mtime
                except FileNotFoundError:
                    continue  # it was rotated away at this moment


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        _log.warning("folder of logs not looked at", path=folder, error=error.strerror)
        return []
