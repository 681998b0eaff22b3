"""The paths of a daemon: settings file, sockets, pid file, log.

The command line comes before the settings, which come before the defaults. With `--rundir`, every
default is below that folder, so that a daemon started for a test sees nothing of the host's.
"""

from __future__ import annotations

import os
from collections.abc import Collection

import msgspec

from aiovirt.daemons.runtime.process.failure import Failure, StartError


def default_run_directory() -> str:
    """/run/aiovirt for root; else $XDG_RUNTIME_DIR/aiovirt, or the user's cache folder without a
    session.

    libvirt: src/util/virutil.c, virGetUserRuntimeDirectory.
    """
    if os.geteuid() == 0:
        return "/run/aiovirt"
    return f"{os.environ.get('XDG_RUNTIME_DIR') or _cache_directory()}/aiovirt"


def default_settings_file(name: str, rundir: str | None = None) -> str:
    """Return the path of the settings file that is read if none is named.

    /etc/aiovirt for root, else the user's configuration; with `--rundir`, that folder.

    Args:
        name: of the daemon.
        rundir: from the command line.
    """
    if rundir:
        return f"{rundir}/{name}.conf"
    if os.geteuid() == 0:
        return f"/etc/aiovirt/{name}.conf"
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return f"{home}/aiovirt/{name}.conf"


def default_log_file(name: str, rundir: str | None = None) -> str:
    """Return the path of the log file of a daemon in the background if nothing else is set.

    libvirt: src/util/virlog.c, virLogSetDefaultOutputToFile.

    Args:
        name: of the daemon.
        rundir: from the command line.
    """
    if rundir:
        return f"{rundir}/{name}.log"
    if os.geteuid() == 0:
        return f"/var/log/aiovirt/{name}.log"
    return f"{_cache_directory()}/aiovirt/{name}.log"


def _cache_directory() -> str:
    return os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")


class Paths(msgspec.Struct, frozen=True):
    """The paths of one daemon, all absolute. usual_pid_file: the one without a command line."""

    rundir: str
    socket: str
    admin_socket: str
    pid_file: str
    usual_pid_file: str

    @classmethod
    def decide(
        cls,
        name: str,
        *,
        rundir: str | None = None,
        socket: str | None = None,
        admin_socket: str | None = None,
        pid_file: str | None = None,
        socket_folder: str = "",
    ) -> Paths:
        """Derive the paths from a command line and a settings file. Touches nothing.

        Args:
            name: of the daemon.
            rundir, socket, admin_socket, pid_file: from the command line.
            socket_folder: from the settings, empty if unset; `rundir` comes before it.

        Raises:
            StartError: a path is relative to a folder that was removed.
        """
        folder = absolute(rundir or default_run_directory())
        sockets = folder if rundir else socket_folder or folder
        return cls(
            folder,
            absolute(socket or f"{sockets}/{name}-sock"),
            absolute(admin_socket or f"{sockets}/{name}-admin-sock"),
            absolute(pid_file or f"{folder}/{name}.pid"),
            f"{folder}/{name}.pid",
        )

    def has_sockets_in_rundir(self, passed: Collection[str]) -> bool:
        """Return whether a socket is in the run directory.

        Args:
            passed: the paths of sockets that systemd passed; without any, the daemon makes its own.
        """
        sockets = passed or (self.socket, self.admin_socket)
        return self.rundir in map(os.path.dirname, sockets)


def absolute(path: str) -> str:
    """Make a path absolute. Only a relative path needs the folder in which the daemon was started.

    Raises:
        StartError: the path is relative, and that folder was removed.
    """
    try:
        return os.path.abspath(path)
    except FileNotFoundError as error:
        raise StartError(
            Failure.USAGE,
            f"the path {path} is relative to the folder in which the daemon was started, and that"
            " folder was removed: give an absolute path",
        ) from error


def current_folder() -> str:
    """Return the working directory, or / if it was removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"


def make_folder(path: str) -> None:
    """Make a folder, and those above it: with mode 0755 for root, else 0700.

    An existing folder is left as it is. Raises StartError.
    """
    mode = 0o755 if os.geteuid() == 0 else 0o700
    earlier = os.umask(0o777 & ~mode)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise StartError(
            Failure.RUNDIR, f"the folder {path} cannot be created: {error.strerror}"
        ) from error
    finally:
        os.umask(earlier)
