"""The declaration of a daemon: everything that tells it from other daemons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.component import Component
    from aiovirt.daemons.runtime.process.own_options import CommandOption
    from aiovirt.daemons.runtime.process.paths import Paths
    from aiovirt.daemons.runtime.settings import Loaded
    from aiovirt.daemons.runtime.settings.declaration import Settings
    from aiovirt.daemons.runtime.start import Start
    from aiovirt.rpc.security.identity import PeerIdentity
    from aiovirt.rpc.server import Daemon, Server

#: The folder of certificates below the run directory, where settings look for them with `--rundir`.
CERTIFICATES: Final = "pki"


class UnixSocket(NamedTuple):
    """A UNIX socket of the daemon's own server.

    suffix: follows the path of the daemon's socket, and its name in that of the systemd unit
    (NAME-ro.socket). permissions, auth: settings by name; without `auth` clients need not authenticate.
    readonly: whether its clients may call only what changes nothing.
    """

    suffix: str = ""
    permissions: str = "unix_sock_rw_perms"
    auth: str = ""
    readonly: bool = False


class TcpSocket(NamedTuple):
    """TCP sockets of the daemon's own server, one for each address.

    suffix: as for `UnixSocket`, for the unit only. enabled, address, port, auth: settings by name.
    tls: whether clients speak TLS.
    """

    suffix: str
    enabled: str
    address: str
    port: str
    auth: str = ""
    tls: bool = False


def _common_settings() -> Settings:
    from aiovirt.daemons.runtime.settings.catalogue import COMMON

    return COMMON


def _no_uris(paths: Paths, main: Server) -> Mapping[str, str]:
    """A daemon that clients do not reach by URIs."""
    return {}


def _nothing(daemon: Daemon, main: Server, admin: Server, start: Start) -> Iterable[Component]:
    """A daemon that serves nothing of its own yet; its admin server works all the same."""
    return ()


@dataclass(frozen=True, slots=True)
class DaemonKind:
    """The declaration of one daemon, `KIND` in its package's `__init__`.

    name: of the process, its server, its sockets, its files and its settings file.
    title: its description in `--help`.
    build: called once as `build(daemon, main, admin, start)`, on the running loop, before any socket
        exists. It adds programs to the daemon's own server and to the admin server, and returns the
        daemon's components; it touches nothing outside the process. It may import what it needs.
    settings: gives the settings of the daemon (see `settings.catalogue.daemon_settings`). It is a
        function so that commands that import the package do not load them.
    sockets: of its own server, in the order in which they are opened; the first is at the path that
        `--socket` names. The admin socket is not among them.
    admit: decides who may connect to its own UNIX sockets; None leaves that to their permissions.
    counterpart: libvirt's daemon whose settings file it reads as well; empty for none.
    options: of the command line, besides those of all daemons (see `process.own_options`); `Start.own`
        has their values.
    uris: gives the URIs for clients by a name for each, as `uris(paths, main)`, when all sockets are
        open; they are told with the admin socket where the options EPHEMERAL and READY_FD say.
    """

    name: str
    title: str
    build: Callable[[Daemon, Server, Server, Start], Iterable[Component]] = _nothing
    settings: Callable[[], Settings] = _common_settings
    sockets: tuple[UnixSocket | TcpSocket, ...] = (UnixSocket(),)
    admit: Callable[[PeerIdentity], bool] | None = None
    counterpart: str = ""
    options: tuple[CommandOption, ...] = ()
    uris: Callable[[Paths, Server], Mapping[str, str]] = _no_uris

    def needs_certificates(self, settings: Loaded) -> bool:
        """Return whether TLS is served, and none of the settings names a file for it.

        Args:
            settings: as they were read.
        """
        given = (settings.settings.get(name) for name in settings.given)
        if any(one is not None and one.in_rundir.startswith(f"{CERTIFICATES}/") for one in given):
            return False
        sockets = (one for one in self.sockets if isinstance(one, TcpSocket) and one.tls)
        return any(settings.integer(one.enabled) for one in sockets)
