"""logd: keeps the console logs of virtual machines, as virtlogd does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiovirt.daemons.runtime.kind import DaemonKind
from aiovirt.rpc.security.identity import root_or_self

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.instance import Start
    from aiovirt.daemons.runtime.kind import Own
    from aiovirt.rpc.server import Daemon, Server


def _programs(daemon: Daemon, main: Server, admin: Server, start: Start) -> Own:
    from aiovirt.daemons.logd.admin_dispatch import LogAdminDispatch
    from aiovirt.daemons.logd.dispatch import Ageing, LogManagerDispatch
    from aiovirt.daemons.logd.rotating import Rotation

    settings = start.settings
    rotation = Rotation(settings.integer("max_size"), settings.integer("max_backups"))
    ageing = Ageing(settings.text("log_root"), settings.integer("max_age_days"))
    service = LogManagerDispatch(daemon, rotation, ageing)
    service.serve_on(main)
    LogAdminDispatch(service).serve_on(admin)
    return service


KIND = DaemonKind(
    "logd", "Log manager for the consoles of virtual machines.", _programs, admit=root_or_self
)


def main() -> int:
    """The command `logd`. Returns its exit status."""
    from aiovirt.daemons.runtime.lifecycle import run

    return run(KIND)
