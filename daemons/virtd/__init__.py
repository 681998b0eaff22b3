"""virtd: a stand-in for libvirtd, to which libvirt's clients can connect where there is no
hypervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiovirt.daemons.runtime.kind import DaemonKind

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.instance import Start
    from aiovirt.daemons.runtime.kind import Own
    from aiovirt.rpc.server import Daemon, Server


def _programs(daemon: Daemon, main: Server, admin: Server, start: Start) -> Own:
    from aiovirt.daemons.virtd.dispatch import RemoteDispatch
    from aiovirt.daemons.virtd.sasl import SaslDispatch

    allowed = start.settings.values["sasl_allowed_username_list"]
    sasl = SaslDispatch(
        start.settings.text("sasl_password_file"), allowed if isinstance(allowed, tuple) else None
    )
    service = RemoteDispatch(sasl)
    service.serve_on(main)
    return service


KIND = DaemonKind(
    "virtd", "Virtualization daemon without a hypervisor, for testing libvirt clients.", _programs
)


def main() -> int:
    """The command `virtd`. Returns its exit status."""
    from aiovirt.daemons.runtime.lifecycle import run

    return run(KIND)
