"""The log of a guest at a log manager: logd, or libvirt's virtlogd.

Source: libvirt's src/logging/log_manager.c and src/qemu/qemu_domain.c (qemuLogContextNew,
qemuDomainLogAppendMessage).
"""

from __future__ import annotations

import os
from typing import Final

import msgspec

from aiovirt.daemons.logd.protocol import (
    DOMAIN_APPEND_LOG_FILE,
    DOMAIN_OPEN_LOG_FILE,
    AppendArgs,
    Domain,
    OpenArgs,
    OpenFlags,
)
from aiovirt.daemons.virtd.emulation.connecting import WAIT, connected

_DRIVER: Final = "qemu"


class LogManager(msgspec.Struct, frozen=True):
    """A log manager. path: its socket; folder: where the guests' logs are."""

    path: str
    folder: str

    def log_of(self, name: str) -> str:
        """Return the path of a guest's log. name: of the guest, without slashes."""
        return f"{self.folder}/{name}.log"

    async def open(self, name: str, uuid: bytes) -> int:
        """Open the log of a guest. Arguments, result and errors are those of `open_file`.

        Args:
            name: of the guest.
            uuid: of the guest.
        """
        return await self.open_file(self.log_of(name), name, uuid, truncate=False)

    async def open_file(self, path: str, name: str, uuid: bytes, *, truncate: bool) -> int:
        """Open a log.

        Args:
            path: its file.
            name: of the guest.
            uuid: of the guest, 16 bytes.
            truncate: remove an earlier content.

        Returns:
            A descriptor for writing; the log is open until it is closed.

        Raises:
            RpcError, OSError, TimeoutError: the log manager refuses, or does not answer.
        """
        flags = OpenFlags.TRUNCATE if truncate else 0
        async with connected(self.path) as connection:
            args = OpenArgs(_DRIVER, Domain(uuid, name), path, flags)
            _, (descriptor,) = await connection.call_for_descriptors(
                DOMAIN_OPEN_LOG_FILE, args, timeout=WAIT
            )
        os.set_blocking(descriptor, False)
        return descriptor

    async def append(self, name: str, uuid: bytes, text: str) -> None:
        """Add a text to the log of a guest, open or not; arguments and errors are those of `open`.

        Args:
            name: of the guest.
            uuid: of the guest.
            text: whole lines.
        """
        async with connected(self.path) as connection:
            args = AppendArgs(_DRIVER, Domain(uuid, name), self.log_of(name), text, 0)
            await connection.call(DOMAIN_APPEND_LOG_FILE, args, timeout=WAIT)
