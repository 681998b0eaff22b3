"""lockd: keeps the locks of disks of virtual machines, as virtlockd does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from daemons.kind import DaemonKind
from rpc.security.identity import root_or_self

if TYPE_CHECKING:
    from daemons.instance import Start
    from daemons.kind import Own
    from rpc.server import Daemon, Server


def _programs(daemon: Daemon, main: Server, admin: Server, start: Start) -> Own:
    from daemons.lockd.admin_service import LockAdminService
    from daemons.lockd.keeper import LockKeeper
    from daemons.lockd.service import LockService

    service = LockService(daemon)
    service.serve_on(main)
    LockAdminService(service).serve_on(admin)
    return LockKeeper(service, f"{os.path.dirname(start.places.pid_file)}/lockd.journal")


KIND = DaemonKind(
    "lockd", "Lock manager for the disks of virtual machines.", _programs, admit=root_or_self
)


def main() -> int:
    """The command `lockd`. Returns its exit status."""
    from daemons.lifecycle import run

    return run(KIND)
