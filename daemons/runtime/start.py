"""The circumstances in which a daemon starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.handover.document import Document
    from aiovirt.daemons.runtime.process.paths import Paths
    from aiovirt.daemons.runtime.process.pidfile import PidFile
    from aiovirt.daemons.runtime.process.systemd import PassedSocket
    from aiovirt.daemons.runtime.settings import Loaded


class Start(NamedTuple):
    """The circumstances of one start.

    settings: those to begin with. passed: sockets from systemd. pid_file: None in a rehearsal.
    document: what the program before this one left, if this is a restart.
    """

    settings: Loaded
    paths: Paths
    pid_file: PidFile | None
    passed: tuple[PassedSocket, ...] = ()
    document: Document | None = None

    @property
    def libvirt_version(self) -> int:
        """The version of libvirt that clients are told, as a number."""
        from aiovirt.admin.compatibility import version_number

        return version_number(self.settings.text("libvirt_version"))
