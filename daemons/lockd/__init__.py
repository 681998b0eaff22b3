"""lockd: keeps the locks of disks of virtual machines, as virtlockd does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aiovirt.daemons.runtime.kind import DaemonKind
from aiovirt.daemons.runtime.process.own_options import FOR_TESTS
from aiovirt.rpc.security.identity import root_or_self

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.component import Component
    from aiovirt.daemons.runtime.start import Start
    from aiovirt.rpc.server import Daemon, Server


def _build(daemon: Daemon, main: Server, admin: Server, start: Start) -> list[Component]:
    from aiovirt.daemons.lockd.admin_dispatch import LockAdminDispatch
    from aiovirt.daemons.lockd.component import LocksComponent
    from aiovirt.daemons.lockd.dispatch import LockSpaceDispatch

    dispatch = LockSpaceDispatch(daemon)
    dispatch.serve_on(main)
    LockAdminDispatch(dispatch).serve_on(admin)
    return [LocksComponent(dispatch, f"{os.path.dirname(start.paths.pid_file)}/lockd.journal")]


KIND = DaemonKind(
    "lockd",
    "Lock manager for the disks of virtual machines.",
    _build,
    admit=root_or_self,
    options=FOR_TESTS,
    counterpart="virtlockd",
)


def main() -> int:
    """The command `lockd`. Returns its exit status."""
    from aiovirt.daemons.runtime.entry import run

    return run(KIND)
