"""lockd: keeps the locks of disks of virtual machines, as virtlockd does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aiovirt.daemons.runtime.kind import DaemonKind
from aiovirt.rpc.security.identity import root_or_self

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.instance import Start
    from aiovirt.daemons.runtime.kind import Own
    from aiovirt.rpc.server import Daemon, Server


def _programs(daemon: Daemon, main: Server, admin: Server, start: Start) -> Own:
    from aiovirt.daemons.lockd.admin_dispatch import LockAdminDispatch
    from aiovirt.daemons.lockd.dispatch import LockSpaceDispatch
    from aiovirt.daemons.lockd.keeper import LockKeeper

    service = LockSpaceDispatch(daemon)
    service.serve_on(main)
    LockAdminDispatch(service).serve_on(admin)
    return LockKeeper(service, f"{os.path.dirname(start.paths.pid_file)}/lockd.journal")


KIND = DaemonKind(
    "lockd", "Lock manager for the disks of virtual machines.", _programs, admit=root_or_self
)


def main() -> int:
    """The command `lockd`. Returns its exit status."""
    from aiovirt.daemons.runtime.lifecycle import run

    return run(KIND)
