"""The circumstances in which a daemon starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.handover.document import Document
    from aiovirt.daemons.runtime.process.options import Options
    from aiovirt.daemons.runtime.process.paths import Paths
    from aiovirt.daemons.runtime.process.pidfile import HeldFiles
    from aiovirt.daemons.runtime.process.systemd import PassedSocket
    from aiovirt.daemons.runtime.settings import Loaded
    from aiovirt.daemons.runtime.settings.administration import Administration
    from aiovirt.daemons.runtime.settings.live import Override, Running


class Start(msgspec.Struct, frozen=True):
    """The circumstances of one start.

    settings: those to begin with. passed: sockets from systemd. held: the pid file and what
    else is held, None in a rehearsal.
    document: what the program before this one left, if this is a restart. read: the settings of the file
    as far as it has been followed; None for `settings`. administered: names of settings that an
    administrator has changed. fixed: what comes before the file for settings that are not live.
    required: whether the settings file has to exist. own: options of the command line that only some
    daemons have, by name. temporary: whether the run directory is removed at the end.
    """

    settings: Loaded
    paths: Paths
    held: HeldFiles | None
    passed: tuple[PassedSocket, ...] = ()
    document: Document | None = None
    read: Loaded | None = None
    administered: frozenset[str] = frozenset()
    fixed: Mapping[str, Override] = MappingProxyType({})
    required: bool = False
    own: Mapping[str, str | bool] = MappingProxyType({})
    temporary: bool = False

    def administration(self, names: Sequence[str], running: Running) -> Administration:
        """Return the settings of the daemon as it runs.

        Args:
            names: of the daemon, and of libvirt's daemon whose settings file it reads, or empty.
            running: the parts of the daemon.
        """
        from aiovirt.daemons.runtime.settings.administration import Administration

        return Administration(
            [f"{name}.conf" for name in names if name],
            self.read or self.settings,
            running,
            required=self.required,
            fixed=self.fixed,
            started=self.settings.values,
            administered=self.administered,
        )

    @property
    def libvirt_version(self) -> int:
        """The version of libvirt that clients are told, as a number."""
        from aiovirt.admin.compatibility import version_number

        return version_number(self.settings.text("libvirt_version"))


def overridden(options: Options, paths: Paths) -> dict[str, Override]:
    """Return what the command line sets in place of the settings file, for settings that are not live.

    Args:
        options: the command line.
        paths: as they were decided.
    """
    from aiovirt.admin.extension.protocol.settings import Origin
    from aiovirt.daemons.runtime.settings.live import Override

    given = {"--rundir": options.rundir, "--socket": options.socket}
    option = next((name for name, value in given.items() if value), None)
    if option is None:
        return {}
    return {"unix_sock_dir": Override(os.path.dirname(paths.socket), Origin.COMMAND_LINE, option)}
