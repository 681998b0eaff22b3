"""Which lock and log managers guests need, and where they are."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.start import Start
    from aiovirt.daemons.virtd.emulation.locks import LockManager
    from aiovirt.daemons.virtd.emulation.logs import LogManager


class Managers(msgspec.Struct):
    """Which managers guests need, and where they are.

    lock_manager, stdio_handler, lockd_socket, logd_socket, file_lockspace_dir, guest_log_dir: the
    settings; sockets that are not set are looked for in `folders`, in this order. version: of libvirt,
    for logs.
    """

    lock_manager: str
    stdio_handler: str
    lockd_socket: str | None
    logd_socket: str | None
    file_lockspace_dir: str
    guest_log_dir: str
    folders: tuple[str, ...]
    version: int

    @property
    def are_wanted(self) -> bool:
        """Whether a guest needs any of them."""
        return bool(self.lock_manager) or self.stdio_handler == "logd"

    def locks(self) -> LockManager | None:
        """Return the lock manager, None if guests need none. It looks for sockets."""
        if not self.lock_manager:
            return None
        from aiovirt.daemons.virtd.emulation.locks import LockManager

        return LockManager(self._place(self.lockd_socket, "lockd"), self.file_lockspace_dir)

    def logs(self) -> LogManager | None:
        """Return the log manager, None if guests need none; the folder of the logs is made."""
        if self.stdio_handler != "logd":
            return None
        with contextlib.suppress(OSError):  # the log manager says what is wrong with it
            os.makedirs(self.guest_log_dir, mode=0o700, exist_ok=True)
        from aiovirt.daemons.virtd.emulation.logs import LogManager

        return LogManager(self._place(self.logd_socket, "logd"), self.guest_log_dir)

    def _place(self, path: str | None, name: str) -> str:
        if path:
            return path
        places = [f"{folder}/{name}-sock" for folder in self.folders]
        return next(filter(os.path.exists, places), places[-1])


def managers(start: Start) -> Managers:
    """Return what the settings of a start say."""
    from aiovirt.daemons.runtime.process.paths import default_run_directory

    values = start.settings.values
    return Managers(
        lock_manager=start.settings.text("lock_manager"),
        stdio_handler=start.settings.text("stdio_handler"),
        lockd_socket=_optional(values["lockd_socket"]),
        logd_socket=_optional(values["logd_socket"]),
        file_lockspace_dir=start.settings.text("file_lockspace_dir"),
        guest_log_dir=start.settings.text("guest_log_dir"),
        folders=(start.paths.rundir, default_run_directory()),
        version=start.libvirt_version,
    )


def _optional(value: object) -> str | None:
    return None if value is None else str(value)
