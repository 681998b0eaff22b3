"""virtd: a stand-in for libvirtd, to which libvirt's clients can connect where there is no
hypervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemons.kind import DaemonKind

if TYPE_CHECKING:
    from daemons.instance import Start
    from daemons.kind import Own
    from rpc.server import Daemon, Server


def _programs(daemon: Daemon, main: Server, admin: Server, start: Start) -> Own:
    from daemons.virtd.remote_service import RemoteService
    from daemons.virtd.sasl_service import SaslService

    allowed = start.settings.values["sasl_allowed_username_list"]
    sasl = SaslService(
        start.settings.text("sasl_password_file"), allowed if isinstance(allowed, tuple) else None
    )
    service = RemoteService(sasl)
    service.serve_on(main)
    return service


KIND = DaemonKind(
    "virtd", "Virtualization daemon without a hypervisor, for testing libvirt clients.", _programs
)


def main() -> int:
    """The command `virtd`. Returns its exit status."""
    from daemons.lifecycle import run

    return run(KIND)
