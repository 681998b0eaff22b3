"""The system within a guest: its name, its clock, its file systems, users and processors.

The test driver answers for every guest that runs. The qemu driver asks the guest agent, and refuses
for a guest whose agent does not answer.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c, qemu_agent.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from aiovirt.daemons.virtd.constants.domain import (
    DomainPMSuspendedReason,
    DomainRunningReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.domain_events import (
    DomainEventID,
    DomainEventPMSuspendedDetailType,
    DomainEventStartedDetailType,
    DomainEventStoppedDetailType,
    DomainEventType,
)
from aiovirt.daemons.virtd.constants.domain_flags import DomainGuestInfoTypes as Info
from aiovirt.daemons.virtd.host import cpumaps, lifecycle, machine
from aiovirt.daemons.virtd.host.ending import require_agent
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.typedparams import TypedParam, boolean, int_, string, uint, ullong

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

_SECOND: Final = 1_000_000_000
#: The clock of the test driver's guests until it is set, in seconds since the epoch.
_TEST_TIME: Final = 627_319_920


def require_guest(domain: Domain) -> None:
    """Refuse unless the system of a guest can be asked.

    Raises:
        RpcError: OPERATION_INVALID for a guest that does not run; of the qemu driver as
            `require_agent`.
    """
    domain.require_active()
    if domain.host.name == "qemu":
        require_agent(domain)


def hostname(domain: Domain) -> str:
    """Return the name that a guest has given itself. Raises RpcError as `require_guest` does."""
    require_guest(domain)
    return f"{domain.name}host" if domain.host.name == "test" else domain.name


# The clock -----------------------------------------------------------------------------------------


def time(domain: Domain) -> tuple[int, int]:
    """Return a guest's clock, seconds and nanoseconds. Raises RpcError as `require_guest` does."""
    if domain.host.name == "test":
        if domain.record.state != DomainState.RUNNING:
            raise RpcError.of(
                ErrorCode.OPERATION_INVALID,
                "domain is not running",
                domain=domain.host.flavour.domain,
            )
        seconds, rest = domain.detail("time", (_TEST_TIME, 0))
        return seconds, rest
    require_guest(domain)
    now = domain.host.clock.now() + domain.detail("clock-offset", 0)
    return int(now // _SECOND), int(now % _SECOND)


def time_set(domain: Domain) -> int:
    """Return the seconds of a clock of the test driver as it was set, whatever the guest's state."""
    return int(domain.detail("time", (_TEST_TIME, 0))[0])


def set_time(domain: Domain, seconds: int, rest: int, *, sync: bool) -> None:
    """Set a guest's clock.

    Args:
        domain: the guest.
        seconds: since the epoch.
        rest: nanoseconds more.
        sync: set it to the host's time instead.

    Raises:
        RpcError: as `require_guest` does.
    """
    require_guest(domain)
    if domain.host.name == "test":
        domain.keep("time", (seconds, rest))
        return
    offset = 0 if sync else seconds * _SECOND + rest - domain.host.clock.now()
    domain.keep("clock-offset", offset)


# File systems --------------------------------------------------------------------------------------


class Filesystem(NamedTuple):
    """A file system of a guest. name: its device in the guest; disk: the target of its disk."""

    mountpoint: str
    name: str
    disk: str


def filesystems(domain: Domain) -> list[Filesystem]:
    """Return the mounted file systems. Raises RpcError as `require_guest` does."""
    require_guest(domain)
    for disk in domain.record.facts.disks:
        if disk.device == "disk":
            name = disk.target
            return [Filesystem("/", f"{name}1", name), Filesystem("/boot", f"{name}2", name)]
    return []


def _mounted(domain: Domain, wanted: list[str]) -> list[str]:
    known = ["/", "/boot"]
    for one in wanted:
        if one not in known:
            raise RpcError.of(
                ErrorCode.OPERATION_INVALID,
                f"mount point not found: {one}",
                domain=domain.host.flavour.domain,
            )
    return wanted or known


def freeze(domain: Domain, wanted: list[str]) -> int:
    """Freeze file systems.

    Args:
        domain: the guest.
        wanted: where they are mounted; none for all.

    Returns:
        The number of those that were not frozen before.

    Raises:
        RpcError: as `require_guest` does; OPERATION_INVALID for one that does not exist.
    """
    require_guest(domain)
    frozen = set(domain.detail("frozen", []))
    new = set(_mounted(domain, wanted)) - frozen
    domain.keep("frozen", sorted(frozen | new))
    return len(new)


def thaw(domain: Domain, wanted: list[str]) -> int:
    """Thaw file systems; arguments, result and errors are those of `freeze`."""
    require_guest(domain)
    frozen = set(domain.detail("frozen", []))
    gone = frozen & set(_mounted(domain, wanted))
    domain.keep("frozen", sorted(frozen - gone) or None)
    return len(gone)


def trim(domain: Domain, mountpoint: str | None) -> None:
    """Give unused space back.

    Args:
        domain: the guest.
        mountpoint: of the file system, None for all.

    Raises:
        RpcError: as `freeze` does.
    """
    require_guest(domain)
    _mounted(domain, [mountpoint] if mountpoint else [])


# Facts ---------------------------------------------------------------------------------------------


def info(domain: Domain, types: int) -> list[TypedParam]:
    """Return facts from a guest's agent.

    Args:
        domain: the guest.
        types: DomainGuestInfoTypes, 0 for all.

    Raises:
        RpcError: as `require_guest` does.
    """
    require_guest(domain)
    wanted = types or sum(Info)
    found: list[TypedParam] = []
    if wanted & Info.USERS:
        found += [
            uint("user.count", 1),
            string("user.0.name", "root"),
            ullong("user.0.login-time", domain.record.booted // 1_000_000),
        ]
    if wanted & Info.OS:
        found += [string(f"os.{name}", value) for name, value in _SYSTEM.items()]
    if wanted & Info.TIMEZONE:
        found += [string("timezone.name", "UTC"), int_("timezone.offset", 0)]
    if wanted & Info.HOSTNAME:
        found.append(string("hostname", domain.name))
    if wanted & Info.FILESYSTEM:
        found += _filesystem_info(domain)
    if wanted & Info.DISKS:
        found += _disk_info(domain)
    if wanted & Info.INTERFACES:
        found += _interface_info(domain)
    return found


_SYSTEM: Final = {
    "id": "debian",
    "name": "Debian GNU/Linux",
    "pretty-name": "Debian GNU/Linux 12 (bookworm)",
    "version": "12 (bookworm)",
    "version-id": "12",
    "machine": "x86_64",
    "kernel-release": "6.1.0-18-amd64",
    "kernel-version": "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)",
}


def _filesystem_info(domain: Domain) -> list[TypedParam]:
    known = filesystems(domain)
    found = [uint("fs.count", len(known))]
    for at, one in enumerate(known):
        head = f"fs.{at}"
        total = 1 << 30 if one.mountpoint == "/boot" else 9 << 30
        found += [
            string(f"{head}.mountpoint", one.mountpoint),
            string(f"{head}.name", one.name),
            string(f"{head}.fstype", "ext4"),
            ullong(f"{head}.total-bytes", total),
            ullong(f"{head}.used-bytes", total // 5),
            uint(f"{head}.disk.count", 1),
            string(f"{head}.disk.0.alias", one.disk),
            string(f"{head}.disk.0.device", f"/dev/{one.name}"),
        ]
    return found


def _disk_info(domain: Domain) -> list[TypedParam]:
    disks = [one for one in domain.record.facts.disks if one.device == "disk"]
    found = [uint("disk.count", len(disks))]
    for at, disk in enumerate(disks):
        found += [
            string(f"disk.{at}.name", f"/dev/{disk.target}"),
            boolean(f"disk.{at}.partition", False),
            string(f"disk.{at}.alias", disk.target),
        ]
    return found


def _interface_info(domain: Domain) -> list[TypedParam]:
    nics = domain.record.facts.nics
    found = [uint("if.count", 1 + len(nics)), string("if.0.name", "lo")]
    found += [
        string("if.0.hwaddr", "00:00:00:00:00:00"),
        uint("if.0.addr.count", 1),
        string("if.0.addr.0.type", "ipv4"),
        string("if.0.addr.0.addr", "127.0.0.1"),
        uint("if.0.addr.0.prefix", 8),
    ]
    for at, nic in enumerate(nics, 1):
        found += [string(f"if.{at}.name", f"eth{at - 1}"), string(f"if.{at}.hwaddr", nic.mac)]
    return found


# Processors, keys, passwords -----------------------------------------------------------------------


def vcpus(domain: Domain) -> list[TypedParam]:
    """Return the processors as the guest sees them. Raises RpcError as `require_guest` does."""
    require_guest(domain)
    everything = range(domain.record.facts.vcpus)
    offline = set(domain.detail("offline", []))
    return [
        string("vcpus", cpumaps.text_of(everything)),
        string("online", cpumaps.text_of(set(everything) - offline)),
        string("offlinable", cpumaps.text_of(set(everything) - {0})),
    ]


def set_vcpus(domain: Domain, text: str, state: int) -> None:
    """Let the guest switch processors on or off.

    Args:
        domain: the guest.
        text: which: "1-2".
        state: 1 for on, 0 for off.

    Raises:
        RpcError: as `require_guest` does; INVALID_ARG for processors that it has not, or that stay on.
    """
    require_guest(domain)
    try:
        numbers = cpumaps.parse(text)
    except ValueError:
        numbers = {-1}
    if not numbers <= set(range(domain.record.facts.vcpus)) or (0 in numbers and not state):
        raise RpcError.of(
            ErrorCode.INVALID_ARG,
            f"guest agent cannot switch the vcpus '{text}'",
            domain=domain.host.flavour.domain,
        )
    offline = set(domain.detail("offline", []))
    domain.keep("offline", sorted(offline - numbers if state else offline | numbers) or None)


def keys(domain: Domain, user: str) -> list[str]:
    """Return the SSH keys that may log in as a user. Raises RpcError as `require_guest` does."""
    require_guest(domain)
    return list(domain.detail("keys", {}).get(user, []))


def set_keys(domain: Domain, user: str, new: list[str], *, append: bool, remove: bool) -> None:
    """Set the SSH keys that may log in as a user.

    Args:
        domain: the guest.
        user: of the guest.
        new: the keys.
        append: keep those that exist.
        remove: remove these, and keep the others.

    Raises:
        RpcError: as `require_guest` does.
    """
    known = keys(domain, user)
    if remove:
        kept = [one for one in known if one not in new]
    else:
        kept = known if append else []
        kept = kept + [one for one in new if one not in kept]
    domain.keep("keys", {**domain.detail("keys", {}), user: kept})


# Sleep ---------------------------------------------------------------------------------------------


def sleep(domain: Domain, target: int) -> None:
    """Put a guest to sleep.

    Args:
        domain: the guest.
        target: 0 for sleep to memory, 1 to disk, 2 for both.

    Raises:
        RpcError: INVALID_ARG for another target, or as `require_guest` does.
    """
    if not 0 <= target <= 2:
        raise RpcError.of(
            ErrorCode.INVALID_ARG,
            f"Unknown suspend target: {target}",
            domain=domain.host.flavour.domain,
        )
    require_guest(domain)
    if target == 1:
        domain.emit(DomainEventID.PMSUSPEND_DISK)
        lifecycle.stop(domain, 1, DomainEventStoppedDetailType.SHUTDOWN)
        return
    domain.change(
        state=DomainState.PMSUSPENDED,
        reason=DomainPMSuspendedReason.UNKNOWN,
        began=None,
        ran=domain.ran(),
    )
    detail = DomainEventPMSuspendedDetailType.MEMORY
    domain.emit(DomainEventID.LIFECYCLE, DomainEventType.PMSUSPENDED, detail)
    domain.emit(DomainEventID.PMSUSPEND)


def wake_up(domain: Domain) -> None:
    """Wake a guest that sleeps. Raises RpcError for one that does not."""
    domain.require_active()
    if domain.record.state != DomainState.PMSUSPENDED:
        raise RpcError.of(
            ErrorCode.INTERNAL_ERROR,
            "unable to execute QEMU command 'system_wakeup':"
            " Unable to wake up: guest is not in suspended state",
            domain=domain.host.flavour.domain,
        )
    domain.change(
        state=DomainState.RUNNING,
        reason=DomainRunningReason.WAKEUP,
        began=domain.host.clock.now(),
    )
    detail = DomainEventStartedDetailType.WAKEUP
    domain.emit(DomainEventID.PMWAKEUP)
    domain.emit(DomainEventID.LIFECYCLE, DomainEventType.STARTED, detail)


def memory(domain: Domain, start: int, size: int) -> bytes:
    """Return bytes of a guest's memory.

    Args:
        domain: the guest.
        start: the address of the first one.
        size: how many.

    Raises:
        RpcError: OPERATION_INVALID for a guest that does not run.
    """
    domain.require_active()
    begin = start % 256
    cycle = bytes(range(256))
    return (cycle * (size // 256 + 2))[begin : begin + size]


def disk_capacity(domain: Domain, path: str) -> int | None:
    """Return the bytes of a disk, None if it does not exist.

    Args:
        domain: the guest.
        path: target or source of the disk.
    """
    disk = domain.record.facts.disk(path)
    return None if disk is None else machine.sizes(domain, disk).capacity
