"""One daemon as it runs: its servers, what it has of its own, and the settings that it runs with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aiovirt.admin import dispatch as admin_program
from aiovirt.admin import extension_dispatch as extension_program
from aiovirt.daemons.runtime import listening
from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.daemons.runtime.settings import Loaded, Value
from aiovirt.daemons.runtime.settings.live import Running, apply, server_options
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.security.identity import root_or_self
from aiovirt.rpc.server import Daemon

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.handover.document import Document
    from aiovirt.daemons.runtime.kind import DaemonKind
    from aiovirt.daemons.runtime.logging import LogSettings
    from aiovirt.daemons.runtime.process.paths import Paths
    from aiovirt.daemons.runtime.process.pidfile import PidFile
    from aiovirt.daemons.runtime.process.systemd import PassedSocket

_log = get_logger("daemons.runtime.instance")


@dataclass(frozen=True, slots=True)
class Start:
    """What a daemon starts with. pid_file: None if it is only to be seen whether it could start.

    document: what the program before this one left, if there was one.
    """

    settings: Loaded
    paths: Paths
    pid_file: PidFile | None
    passed: list[PassedSocket]
    document: Document | None = None


class Instance:
    """The servers of a daemon with everything on them, made inside a running loop.

    Making it touches nothing outside the process. Raises StartError when a document does not fit, or
    TLS files are not fit for use.
    """

    def __init__(self, kind: DaemonKind, start: Start, log: LogSettings) -> None:
        self._start = start
        self.name = kind.name
        self.daemon = Daemon(kind.name, logging=log.control)
        main = self.daemon.add_server(server_options(kind.name, "main", start.settings))
        main.admit = kind.admit
        listening.prepare_tls(main, start.settings, start.passed)
        admin = self.daemon.add_server(server_options(kind.name, "admin", start.settings))
        admin.admit = root_or_self
        admin.add_program(admin_program.handlers(self.daemon))
        admin.add_program(extension_program.handlers(self.daemon))
        self._own = kind.programs(self.daemon, main, admin, start)
        self.running = Running(main, admin, log, self._own)
        self._own_state: Any = None
        if start.document is not None and self._own is not None:
            from aiovirt.daemons.runtime.handover.document import decode_own

            self._own_state = decode_own(start.document, self._own)

    # Starting ------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin what is this daemon's own, then get the sockets: those that systemd passed, or ours.

        Raises StartError.
        """
        main, admin, start = self.running.main, self.running.admin, self._start
        if self._own is not None:
            try:
                self._own.start()
            except (OSError, ValueError) as error:
                raise StartError(Failure.INIT, str(error)) from error
        if start.passed:
            listening.adopt_sockets(main, admin, start.passed, start.settings, start.paths)
        else:
            listening.open_sockets(main, admin, start.settings, start.paths)

    def take_over(self, document: Document) -> Loaded:
        """Get everything that the program before this one had, and return the settings in force.

        What has changed in the settings file since that program read it is changed here, too.
        """
        from aiovirt.rpc.server.restart import restore

        restore(self.daemon, document.servers)
        self.running.log.restore(document.logging)
        if self._own is not None:
            self._own.restore(self._own_state)
        fresh = self._start.settings
        return apply(self.name, replace(fresh, values=_known(document, fresh)), fresh, self.running)

    # Ending in a new program ---------------------------------------------------------------------

    async def pause(self) -> None:
        """Stop everything that may be stopped without harm. Raises TimeoutError."""
        await self.daemon.pause()
        if self._own is not None:
            await self._own.pause()

    def resume(self) -> None:
        """The counterpart of `pause`."""
        if self._own is not None:
            self._own.resume()
        self.daemon.resume()

    def document(self, settings: Mapping[str, Value], keep: Callable[[int], int]) -> bytes:
        """What the next program needs. keep: called with every descriptor that has to survive.

        settings: what the settings file said last.
        """
        import msgspec

        from aiovirt.daemons.runtime.handover.document import Document, encode
        from aiovirt.rpc.server.restart import save

        own = None if self._own is None else self._own.save(keep)
        return encode(
            Document(
                daemon=self.name,
                settings=dict(settings),
                logging=self.running.log.save(),
                pid_file=keep(self._start.pid_file.descriptor) if self._start.pid_file else -1,
                servers=save(self.daemon, keep),
                own=msgspec.Raw(msgspec.json.encode(own)),
            )
        )


def _known(document: Document, fresh: Loaded) -> dict[str, Value]:
    """The earlier program's values of the settings that this program knows, too."""
    return {name: document.settings.get(name, value) for name, value in fresh.values.items()}
