"""One daemon as it runs: its servers, its components, and the settings that it runs with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from aiovirt.admin import dispatch as admin_program
from aiovirt.admin.extension import dispatch as extension_program
from aiovirt.daemons.runtime.component import Component, Keep, Unsaved
from aiovirt.daemons.runtime.handover.document import (
    VERSION,
    WITHOUT_BUFFERS,
    Document,
    decode_states,
    encode,
    encode_states,
)
from aiovirt.daemons.runtime.listening import Listening
from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.daemons.runtime.settings.live import Running, ServerReceiver, server_options
from aiovirt.daemons.runtime.socket_settings import SocketSettings
from aiovirt.daemons.runtime.tls import TlsSettings
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.security.identity import root_or_self
from aiovirt.rpc.server import Daemon, Server
from aiovirt.rpc.server.restart import restore, save
from aiovirt.rpc.server.restart_buffers import OutgoingBuffers

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.kind import DaemonKind
    from aiovirt.daemons.runtime.logging import LogSettings
    from aiovirt.daemons.runtime.start import Start

_log = get_logger("daemons.runtime.instance")

T = TypeVar("T")


class Instance:
    """The servers of a daemon with everything on them, made inside a running loop.

    Making it touches nothing outside the process. Raises StartError when a document does not fit, or
    when TLS files cannot be used.
    """

    def __init__(self, kind: DaemonKind, start: Start, log: LogSettings) -> None:
        self.name = kind.name
        self.daemon = Daemon(kind.name, logging=log.control)
        self.log = log
        self._start = start
        self._document = start.document
        self._main = self.daemon.add_server(server_options(kind.name, "main", start.settings))
        self._main.admit = kind.admit
        self._listening = Listening(kind.sockets, start.settings, start.paths, start.passed)
        tls = TlsSettings(self._main, start.settings)
        if self._needs_tls():
            tls.begin()
        self._admin = self.daemon.add_server(server_options(kind.name, "admin", start.settings))
        self._admin.admit = root_or_self
        self._components = list(kind.build(self.daemon, self._main, self._admin, start))
        sockets = SocketSettings(
            kind.sockets, start.settings, start.paths.socket, self._main, self._admin, tls
        )
        running = Running(
            {
                "main": ServerReceiver(self._main),
                "admin": ServerReceiver(self._admin),
                "log": log,
                "tls": tls,
                "sockets": sockets,
                **{one.name: one for one in self._components},
            }
        )
        if len(running.receivers) < len(self._components) + 5:
            raise ValueError(f"{kind.name} has two components of one name")
        running.check(start.settings.settings)
        self.administration = start.administration((kind.name, kind.counterpart), running)
        noted = self.administration.noted
        self._admin.add_program(admin_program.handlers(self.daemon, start.libvirt_version, noted))
        self._admin.add_program(extension_program.handlers(self.daemon, self.administration))
        self._states = self._read_states()
        #: Moved into a document whose program has not begun.
        self._buffers: OutgoingBuffers | None = None

    @property
    def main(self) -> Server:
        """The daemon's own server."""
        return self._main

    @property
    def components(self) -> Sequence[Component]:
        """The components of the daemon."""
        return self._components

    def _needs_tls(self) -> bool:
        """Whether any service has TLS; after a restart, the services decide, not the settings."""
        if self._document is None:
            return self._listening.needs_tls(self.name)
        return any(
            service.tls for server in self._document.servers.servers for service in server.services
        )

    def _read_states(self) -> dict[str, Any]:
        if self._document is None:
            return {}
        types = {one.name: one.state_type for one in self._components}
        return decode_states(
            self._document, {name: t for name, t in types.items() if t is not None}
        )

    # Starting ------------------------------------------------------------------------------------

    def open(self) -> None:
        """Start the components, then get the sockets: those that systemd passed, or our own.

        Raises StartError.
        """
        for one in self._components:
            try:
                one.start()
            except (OSError, ValueError) as error:
                raise StartError(Failure.INIT, str(error)) from error
        self._listening.begin(self._main, self._admin)

    def restore(self, document: Document) -> None:
        """Read back everything that the program before this one had, in memory only.

        A rehearsal does exactly this and no more. Raises whatever does not fit.
        """
        restore(self.daemon, document.servers)
        for one in self._components:
            if one.name in self._states:
                one.restore(self._states[one.name])

    def begin(self) -> None:
        """Let the components act after `restore`; one without a state in the document starts empty.

        From here on there is no way back, so a failure is logged and the others go on.
        """
        for one in self._components:
            self._guarded(one.name, one.resume if one.name in self._states else one.start)

    def _guarded(self, name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # one component's failure must not cost the others anything
            _log.error("a component failed", component=name, exc_info=error)

    # Ending in a new program ---------------------------------------------------------------------

    @property
    def is_ending(self) -> bool:
        """Whether the daemon was told to end."""
        return self.daemon.is_ending

    async def settle(self) -> None:
        """Wait for the calls that are in flight now, for a bounded time, and serve as ever meanwhile."""
        await self.daemon.settle()

    def busy(self) -> list[str]:
        """The paths that threads of the components work on at this moment."""
        return sorted({path for one in self._components for path in one.busy()})

    async def pause(self) -> None:
        """Stop everything that can be stopped without harm. Raises TimeoutError."""
        await self.daemon.pause()
        for one in self._components:
            await one.pause()

    def resume(self) -> None:
        """The counterpart of `pause`, also after a document was made."""
        if self._buffers is not None:
            self._guarded("buffers", self._buffers.put_back)
            self._buffers = None
        for one in self._components:
            self._guarded(one.name, one.resume)
        self.daemon.resume()

    def rehearsed(self) -> None:
        """A rehearsal is over: nobody else has our descriptors any more."""
        self.daemon.shares_descriptors = False
        for one in self._components:
            self._guarded(one.name, one.rehearsed)

    def document(self, keep: Keep, *, signals: int, rehearsal: bool) -> bytes:
        """Write the document for the next program. `resume` has to follow if that does not begin.

        A client that cannot be written down costs itself only; the same is asked of a component for each
        of its items. A component that cannot be written down as a whole refuses the restart.

        Args:
            keep: called with every descriptor that has to survive.
            signals: the descriptor of signals that were not acted upon.
            rehearsal: whether the next program only rehearses. The daemon goes on then.

        Raises:
            Unsaved: a component, or the servers, cannot be written down.
        """
        buffers = OutgoingBuffers(rehearsal=rehearsal)
        self.daemon.shares_descriptors = rehearsal
        if not rehearsal:
            self._buffers = buffers
        states = {
            one.name: _saved(one.name, one.save, keep)
            for one in self._components
            if one.state_type is not None
        }
        if not rehearsal:
            self.daemon.count_cancelled()
        held = self._start.held
        servers = _saved("the servers", save, self.daemon, keep, buffers)
        return encode(
            Document(
                daemon=self.name,
                settings=dict(self.administration.loaded.values),
                administered=self.administration.administered,
                given=sorted(self.administration.loaded.given),
                logging=self.log.save(),
                pid_file=-1 if held is None else keep(held.pid_file.descriptor),
                folder=-1 if held is None or not held.folder else keep(held.folder.descriptor),
                servers=servers,
                components=encode_states(states),
                version=VERSION if buffers.are_used else WITHOUT_BUFFERS,
                signals=keep(signals),
                temporary=self._start.paths.rundir if self._start.temporary else "",
            )
        )


def _saved(name: str, save: Callable[..., T], *args: Any) -> T:
    try:
        return save(*args)
    except Exception as error:
        text = " ".join(str(error).split())
        raise Unsaved(f"{name} cannot be saved: {type(error).__name__}: {text}") from error
