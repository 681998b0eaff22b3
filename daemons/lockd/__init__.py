"""lockd: keeps the locks of disks of virtual machines, as virtlockd does."""

from daemons.kind import DaemonKind
from rpc.security.identity import root_or_self

KIND = DaemonKind("lockd", "Lock manager for the disks of virtual machines.", admit=root_or_self)


def main() -> int:
    """The command `lockd`. Returns its exit status."""
    from daemons.lifecycle import run

    return run(KIND)
