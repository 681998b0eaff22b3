"""Where a daemon keeps its settings, its sockets, its pid file and its log.

What the command line says comes before what the settings say, which comes before the defaults.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiovirt.daemons.runtime.process.failure import Failure, StartError

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.process.options import Options
    from aiovirt.daemons.runtime.settings import Loaded


def default_run_directory() -> str:
    """/run/aiovirt for root; else $XDG_RUNTIME_DIR/aiovirt, or the user's cache folder without a
    session.

    libvirt: src/util/virutil.c, virGetUserRuntimeDirectory.
    """
    if os.geteuid() == 0:
        return "/run/aiovirt"
    return f"{os.environ.get('XDG_RUNTIME_DIR') or _cache_directory()}/aiovirt"


def default_settings_file(name: str) -> str:
    """Where the settings are looked for: /etc/aiovirt for root, else the user's configuration."""
    if os.geteuid() == 0:
        return f"/etc/aiovirt/{name}.conf"
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return f"{home}/aiovirt/{name}.conf"


def default_log_file(name: str) -> str:
    """Where a daemon in the background logs when nothing else is set.

    libvirt: src/util/virlog.c, virLogSetDefaultOutputToFile.
    """
    if os.geteuid() == 0:
        return f"/var/log/aiovirt/{name}.log"
    return f"{_cache_directory()}/aiovirt/{name}.log"


def _cache_directory() -> str:
    return os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of one daemon, all absolute."""

    rundir: str
    socket: str
    admin_socket: str
    pid_file: str


def decide(name: str, options: Options, settings: Loaded) -> Paths:
    """The paths that options and settings come to. Touches nothing."""
    rundir = os.path.abspath(options.rundir or default_run_directory())
    sockets = rundir if options.rundir else settings.text("unix_sock_dir") or rundir
    return Paths(
        rundir,
        os.path.abspath(options.socket or f"{sockets}/{name}-sock"),
        os.path.abspath(options.admin_socket or f"{sockets}/{name}-admin-sock"),
        os.path.abspath(options.pid_file or f"{rundir}/{name}.pid"),
    )


def make_folder(path: str) -> None:
    """Make a folder, and those above it, for everyone to enter if we are root, else for its owner
    only.

    Leaves one that is there as it is. Raises StartError.
    """
    mode = 0o755 if os.geteuid() == 0 else 0o700
    earlier = os.umask(0o777 & ~mode)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise StartError(
            Failure.RUNDIR, f"the folder {path} cannot be made: {error.strerror}"
        ) from error
    finally:
        os.umask(earlier)
