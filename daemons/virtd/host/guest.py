"""The system within a guest: its name, its clock, its file systems, users and processors.

The test driver answers for every guest that runs. The qemu driver asks the guest's agent, which is
refused for a guest without one.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c, qemu_agent.c.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import msgspec

from aiovirt.daemons.virtd.constants.domain import DomainState
from aiovirt.daemons.virtd.host import agent, cpumaps, leases, machine, sleeping
from aiovirt.daemons.virtd.host.agent_asking import ask
from aiovirt.rpc.wire.errors import ErrorCode
from aiovirt.rpc.wire.typedparams import TypedParam, string

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

_SECOND: Final = 1_000_000_000
#: The clock of the test driver's guests until it is set, in seconds since the epoch.
_TEST_TIME: Final = 627_319_920
#: The file systems of the test driver's guests.
_TEST_MOUNTED: Final = ("/", "/boot")
_TIME_MAX: Final = (2**63 - 1) // _SECOND


def hostname(domain: Domain, *, by_lease: bool = False) -> str:
    """Return the name that a guest has given itself.

    Args:
        domain: the guest.
        by_lease: the name of its DHCP leases, not of its agent.

    Raises:
        RpcError: OPERATION_INVALID for a guest that does not run; as `agent.require` does; NO_HOSTNAME
            if it has no lease.
    """
    domain.require_active()
    if domain.host.name == "test":
        return f"{domain.name}host"
    if not by_lease:
        return str(ask(domain, "guest-get-host-name")["host-name"])
    for _, given in leases.of_guest(domain):
        for lease in given:
            if lease.hostname:
                return lease.hostname
    detail = f"no hostname found for domain {domain.name}"
    raise domain.refused(ErrorCode.NO_HOSTNAME, detail)


# The clock -----------------------------------------------------------------------------------------


def time(domain: Domain) -> tuple[int, int]:
    """Return a guest's clock, seconds and nanoseconds.

    Raises RpcError OPERATION_INVALID for a guest that does not run, or as `agent.require` does.
    """
    if domain.host.name == "test":
        if domain.record.state != DomainState.RUNNING:
            raise domain.refused(ErrorCode.OPERATION_INVALID, "domain is not running")
        seconds, rest = domain.detail("time", (_TEST_TIME, 0))
        return seconds, rest
    domain.require_active()
    now = ask(domain, "guest-get-time")
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
        RpcError: as `time` does; INVALID_ARG for a time that no agent takes.
    """
    domain.require_active()
    if domain.host.name == "test":
        domain.keep("time", (seconds, rest))
        return
    agent.require(domain)
    if sync:
        ask(domain, "guest-set-time")
        return
    if seconds > _TIME_MAX:
        text = f"Time '{seconds}' is too big for guest agent"
        raise domain.refused(ErrorCode.INVALID_ARG, text)
    ask(domain, "guest-set-time", time=seconds * _SECOND + rest)


# File systems --------------------------------------------------------------------------------------


class Filesystem(msgspec.Struct, frozen=True):
    """A file system of a guest. name: its device in the guest; disk: the target of its disk."""

    mountpoint: str
    name: str
    kind: str
    disk: str


def filesystems(domain: Domain) -> list[Filesystem]:
    """Return the mounted file systems. Raises RpcError as `time` does."""
    domain.require_active()
    if domain.host.name == "test":
        for disk in domain.record.facts.disks:
            if disk.device == "disk":
                return [
                    Filesystem(place, f"{disk.target}{number}", "ext4", disk.target)
                    for number, place in enumerate(_TEST_MOUNTED, 1)
                ]
        return []
    return [
        Filesystem(one["mountpoint"], one["name"], one["type"], target_of(domain, one["disk"][0]))
        for one in ask(domain, "guest-get-fsinfo")
    ]


def target_of(domain: Domain, address: dict[str, Any]) -> str:
    """Return the target of a disk.

    Args:
        domain: the guest.
        address: of the disk, as the agent has it.
    """
    name = str(address["dev"]).removeprefix("/dev/")
    targets = [disk.target for disk in domain.record.facts.disks if name.startswith(disk.target)]
    return max(targets, key=len, default="")


def _test_mounted(domain: Domain, wanted: list[str]) -> list[str]:
    for one in wanted:
        if one not in _TEST_MOUNTED:
            raise domain.refused(ErrorCode.OPERATION_INVALID, f"mount point not found: {one}")
    return wanted or list(_TEST_MOUNTED)


def freeze(domain: Domain, wanted: list[str]) -> int:
    """Freeze file systems.

    Args:
        domain: the guest.
        wanted: where they are mounted; none for all.

    Returns:
        The number of those that were frozen.

    Raises:
        RpcError: as `time` does; OPERATION_INVALID of the test driver for one that does not exist.
    """
    domain.require_active()
    if domain.host.name == "test":
        frozen = set(domain.detail("frozen", []))
        new = set(_test_mounted(domain, wanted)) - frozen
        domain.keep("frozen", sorted(frozen | new))
        return len(new)
    if wanted:
        return int(ask(domain, "guest-fsfreeze-freeze-list", mountpoints=wanted))
    return int(ask(domain, "guest-fsfreeze-freeze"))


def thaw(domain: Domain, wanted: list[str]) -> int:
    """Thaw file systems; arguments, result and errors are those of `freeze`."""
    domain.require_active()
    if domain.host.name == "test":
        frozen = set(domain.detail("frozen", []))
        gone = frozen & set(_test_mounted(domain, wanted))
        domain.keep("frozen", sorted(frozen - gone) or None)
        return len(gone)
    return int(ask(domain, "guest-fsfreeze-thaw"))


def trim(domain: Domain, mountpoint: str | None, minimum: int) -> None:
    """Give unused space back.

    Args:
        domain: the guest.
        mountpoint: of the file system, None for all.
        minimum: bytes of the smallest area that is given back.

    Raises:
        RpcError: as `freeze` does.
    """
    if domain.host.name == "test":
        domain.require_active()
        _test_mounted(domain, [mountpoint] if mountpoint else [])
        return
    ask(domain, "guest-fstrim", minimum=minimum)


# Processors, keys, passwords -----------------------------------------------------------------------


def _numbers(vcpus: list[dict[str, Any]], key: str) -> str:
    return cpumaps.text_of(one["logical-id"] for one in vcpus if one[key])


def vcpus(domain: Domain) -> list[TypedParam]:
    """Return the processors as the guest sees them. Raises RpcError as `agent.require` does."""
    known = ask(domain, "guest-get-vcpus")
    return [
        string("vcpus", cpumaps.text_of(one["logical-id"] for one in known)),
        string("online", _numbers(known, "online")),
        string("offlinable", _numbers(known, "can-offline")),
    ]


def set_vcpus(domain: Domain, numbers: set[int], state: int) -> None:
    """Let the guest switch processors on or off.

    Args:
        domain: the guest.
        numbers: which.
        state: 1 for on, 0 for off.

    Raises:
        RpcError: as `agent.require` does; OPERATION_UNSUPPORTED for one that has to stay on,
            INVALID_ARG for processors that the guest does not have.
    """
    known = ask(domain, "guest-get-vcpus")
    for one in known:
        if one["logical-id"] in numbers and not state and not one["can-offline"]:
            text = f"vCPU '{one['logical-id']}' is not offlinable"
            raise domain.refused(ErrorCode.OPERATION_UNSUPPORTED, text)
    missing = numbers - {one["logical-id"] for one in known}
    if missing:
        text = f"guest is missing vCPUs '{cpumaps.text_of(missing)}'"
        raise domain.refused(ErrorCode.INVALID_ARG, text)
    _switch(domain, sorted(numbers), on=bool(state))


def _switch(domain: Domain, numbers: list[int], *, on: bool) -> None:
    ask(domain, "guest-set-vcpus", vcpus=[{"logical-id": one, "online": on} for one in numbers])


def count_vcpus(domain: Domain, *, maximum: bool) -> int:
    """Return the number of processors that are on in the guest, or of all that it has.

    Args:
        domain: the guest.
        maximum: all of them count.

    Raises:
        RpcError: INVALID_ARG for a guest that is shut off, or as `agent.require` does.
    """
    if not domain.is_active:
        text = "vCPU count provided by the guest agent can only be requested for live domains"
        raise domain.refused(ErrorCode.INVALID_ARG, text)
    return sum(1 for one in ask(domain, "guest-get-vcpus") if maximum or one["online"])


def set_vcpu_count(domain: Domain, count: int) -> None:
    """Let the guest switch processors on or off until so many are on.

    Args:
        domain: the guest.
        count: how many.

    Raises:
        RpcError: as `agent.require` does; INVALID_ARG for more than it has.
    """
    agent.require(domain)
    enabled = domain.record.facts.vcpus
    if count > enabled:
        raise domain.refused(
            ErrorCode.INVALID_ARG,
            "requested vcpu count is greater than the count of enabled vcpus in the domain:"
            f" {count} > {enabled}",
        )
    known = ask(domain, "guest-get-vcpus")
    online = [one["logical-id"] for one in known if one["online"]]
    off = [one["logical-id"] for one in known if not one["online"]]
    if count < len(online):
        _switch(domain, [one for one in online if one][: len(online) - count], on=False)
    else:
        _switch(domain, off[: count - len(online)], on=True)


def keys(domain: Domain, user: str) -> list[str]:
    """Return the SSH keys that may log in as a user. Raises RpcError as `agent.require` does."""
    found: list[str] = ask(domain, "guest-ssh-get-authorized-keys", username=user)["keys"]
    return found


def set_keys(domain: Domain, user: str, new: list[str], *, append: bool, remove: bool) -> None:
    """Set the SSH keys that may log in as a user.

    Args:
        domain: the guest.
        user: of the guest.
        new: the keys.
        append: keep those that exist.
        remove: remove these, and keep the others.

    Raises:
        RpcError: as `agent.require` does; INTERNAL_ERROR for a user who has no keys to remove.
    """
    if remove:
        ask(domain, "guest-ssh-remove-authorized-keys", username=user, keys=new)
    else:
        ask(domain, "guest-ssh-add-authorized-keys", username=user, keys=new, reset=not append)


def set_password(domain: Domain, user: str, password: str, *, crypted: bool) -> None:
    """Set a user's password, which goes nowhere: nobody logs in with it.

    Args:
        domain: the guest.
        user: of the guest.
        password: in the clear, or as a hash.
        crypted: it is a hash.

    Raises:
        RpcError: as `time` does.
    """
    domain.require_active()
    if domain.host.name == "qemu":
        text = base64.b64encode(password.encode(errors="surrogateescape")).decode()
        ask(domain, "guest-set-user-password", username=user, password=text, crypted=crypted)


def sleep(domain: Domain, target: int) -> None:
    """Put a guest to sleep.

    Args:
        domain: the guest.
        target: 0 for sleep to memory, 1 to disk, 2 for both.

    Raises:
        RpcError: INVALID_ARG for another target, or as `time` does.
    """
    if not 0 <= target < len(_SLEEP):
        raise domain.refused(ErrorCode.INVALID_ARG, f"Unknown suspend target: {target}")
    domain.require_active()
    ask(domain, f"guest-suspend-{_SLEEP[target]}")


_SLEEP: Final = ("ram", "disk", "hybrid")
wake_up = sleeping.wake_up


# To look at ----------------------------------------------------------------------------------------


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
