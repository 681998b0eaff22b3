"""virtd: a stand-in for libvirtd, to which libvirt's clients can connect where there is no
hypervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiovirt.daemons.runtime.kind import DaemonKind, TcpSocket, UnixSocket
from aiovirt.daemons.runtime.process.own_options import FOR_TESTS, CommandOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiovirt.daemons.runtime.component import Component
    from aiovirt.daemons.runtime.process.paths import Paths
    from aiovirt.daemons.runtime.settings.declaration import Settings
    from aiovirt.daemons.runtime.start import Start
    from aiovirt.rpc.server import Daemon, Server


def _build(daemon: Daemon, main: Server, admin: Server, start: Start) -> list[Component]:
    from aiovirt.daemons.virtd.admin_dispatch import WorldAdminDispatch
    from aiovirt.daemons.virtd.component import HostsComponent, RemoteComponent, SaslComponent
    from aiovirt.daemons.virtd.dispatch.front import RemoteDispatch
    from aiovirt.daemons.virtd.emulation.component import EmulatorsComponent
    from aiovirt.daemons.virtd.emulation.managers import managers
    from aiovirt.daemons.virtd.faults.component import FaultsComponent
    from aiovirt.daemons.virtd.faults.dispatch import FaultAdminDispatch
    from aiovirt.daemons.virtd.faults.striking import FaultRules
    from aiovirt.daemons.virtd.host.hosts import FILE, Hosts
    from aiovirt.daemons.virtd.sasl import SaslDispatch

    allowed = start.settings.values["sasl_allowed_username_list"]
    sasl = SaslDispatch(
        start.settings.text("sasl_password_file"), allowed if isinstance(allowed, tuple) else None
    )
    world = start.own.get("world")
    file = f"{start.paths.rundir}/{FILE}"
    hosts = Hosts(
        None if start.temporary else file, None if world is None else str(world), place=file
    )
    dispatch = RemoteDispatch(sasl, hosts.all, start.libvirt_version)
    dispatch.serve_on(main)
    rules = FaultRules(main, dispatch)
    faults = FaultAdminDispatch(rules, hosts.all, dispatch.private_hosts)
    WorldAdminDispatch(hosts.all).serve_on(admin, faults)
    emulators = EmulatorsComponent(
        hosts.all["qemu"], managers(start), daemon, dispatch.wait_for_emulators
    )
    return [
        HostsComponent(hosts, daemon),
        emulators,
        RemoteComponent(dispatch),
        SaslComponent(sasl),
        FaultsComponent(rules, daemon),
    ]


def _settings() -> Settings:
    from aiovirt.daemons.virtd.settings import SETTINGS

    return SETTINGS


def _uris(paths: Paths, main: Server) -> Mapping[str, str]:
    from aiovirt.daemons.virtd.told import uris

    return uris(paths, main)


KIND = DaemonKind(
    "virtd",
    "Virtualization daemon without a hypervisor, for testing libvirt clients.",
    _build,
    _settings,
    sockets=(
        UnixSocket(auth="auth_unix_rw"),
        UnixSocket("-ro", "unix_sock_ro_perms", "auth_unix_ro", readonly=True),
        TcpSocket("-tcp", "listen_tcp", "listen_addr", "tcp_port", "auth_tcp"),
        TcpSocket("-tls", "listen_tls", "listen_addr", "tls_port", "auth_tls", tls=True),
    ),
    counterpart="libvirtd",
    options=(
        *FOR_TESTS,
        CommandOption("world", "what new hosts begin with; see virtd.md", "FILE", is_path=True),
    ),
    uris=_uris,
)


def main() -> int:
    """The command `virtd`. Returns its exit status."""
    from aiovirt.daemons.runtime.entry import run

    return run(KIND)
