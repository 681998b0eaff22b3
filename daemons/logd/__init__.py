"""logd: keeps the console logs of virtual machines, as virtlogd does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemons.kind import DaemonKind
from rpc.security.identity import root_or_self

if TYPE_CHECKING:
    from daemons.instance import Start
    from daemons.kind import Own
    from rpc.server import Daemon, Server


def _programs(daemon: Daemon, main: Server, admin: Server, start: Start) -> Own:
    from daemons.logd.admin_service import LogAdminService
    from daemons.logd.rotating import Rotation
    from daemons.logd.service import Ageing, LogService

    settings = start.settings
    rotation = Rotation(settings.integer("max_size"), settings.integer("max_backups"))
    ageing = Ageing(settings.text("log_root"), settings.integer("max_age_days"))
    service = LogService(daemon, rotation, ageing)
    service.serve_on(main)
    LogAdminService(service).serve_on(admin)
    return service


KIND = DaemonKind(
    "logd", "Log manager for the consoles of virtual machines.", _programs, admit=root_or_self
)


def main() -> int:
    """The command `logd`. Returns its exit status."""
    from daemons.lifecycle import run

    return run(KIND)
