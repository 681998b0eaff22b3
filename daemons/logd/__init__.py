"""logd: keeps the console logs of virtual machines, as virtlogd does."""

from daemons.kind import DaemonKind
from rpc.security.identity import root_or_self

KIND = DaemonKind("logd", "Log manager for the consoles of virtual machines.", admit=root_or_self)


def main() -> int:
    """The command `logd`. Returns its exit status."""
    from daemons.lifecycle import run

    return run(KIND)
