"""virtd: a stand-in for libvirtd, to which libvirt's clients can connect where there is no
hypervisor."""

from daemons.kind import DaemonKind

KIND = DaemonKind(
    "virtd", "Virtualization daemon without a hypervisor, for testing libvirt clients."
)


def main() -> int:
    """The command `virtd`. Returns its exit status."""
    from daemons.lifecycle import run

    return run(KIND)
