"""Facts from a guest's agent as typed parameters, by their kinds.

Source: libvirt's src/qemu/qemu_driver.c (qemuDomainGetGuestInfo) and qemu_agent.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from aiovirt.daemons.virtd.constants.domain_flags import DomainGuestInfoTypes as Info
from aiovirt.daemons.virtd.host import agent, guest_system
from aiovirt.daemons.virtd.host.agent_asking import ask
from aiovirt.daemons.virtd.host.guest import target_of
from aiovirt.rpc.wire.errors import ErrorCode
from aiovirt.rpc.wire.typedparams import TypedParam, boolean, int_, string, uint, ullong

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain


def info(domain: Domain, types: int) -> list[TypedParam]:
    """Return facts from a guest's agent.

    Args:
        domain: the guest.
        types: DomainGuestInfoTypes, 0 for all.

    Raises:
        RpcError: INVALID_ARG for unknown types; as `agent.require` does; INTERNAL_ERROR if the agent
            refuses one of the types that were named.
    """
    foreign = types & ~sum(Info)
    if foreign:
        text = f"unsupported guest information types '0x{foreign:x}'"
        raise domain.refused(ErrorCode.INVALID_ARG, text)
    agent.require(domain)
    if not types and guest_system.frozen(domain):
        return []  # no command is there, and none was asked for by its name
    return [
        one
        for kind, (command, made) in _KINDS.items()
        if not types or types & kind
        for one in made(domain, ask(domain, command))
    ]


def _users(domain: Domain, found: list[dict[str, Any]]) -> list[TypedParam]:
    params = [uint("user.count", len(found))]
    for at, one in enumerate(found):
        params.append(string(f"user.{at}.name", one["user"]))
        params.append(ullong(f"user.{at}.login-time", int(one["login-time"] * 1000)))
    return params


def _system(domain: Domain, found: dict[str, str]) -> list[TypedParam]:
    return [string(f"os.{name}", found[name]) for name in _SYSTEM]


_SYSTEM: Final = (
    "id",
    "name",
    "pretty-name",
    "version",
    "version-id",
    "machine",
    "kernel-release",
    "kernel-version",
)


def _timezone(domain: Domain, found: dict[str, Any]) -> list[TypedParam]:
    return [string("timezone.name", found["zone"]), int_("timezone.offset", found["offset"])]


def _hostname(domain: Domain, found: dict[str, str]) -> list[TypedParam]:
    return [string("hostname", found["host-name"])]


def _filesystems(domain: Domain, found: list[dict[str, Any]]) -> list[TypedParam]:
    params = [uint("fs.count", len(found))] if found else []
    for at, one in enumerate(found):
        head = f"fs.{at}"
        params += [
            string(f"{head}.name", one["name"]),
            string(f"{head}.mountpoint", one["mountpoint"]),
            string(f"{head}.fstype", one["type"]),
            ullong(f"{head}.total-bytes", one["total-bytes"]),
            ullong(f"{head}.used-bytes", one["used-bytes"]),
            uint(f"{head}.disk.count", len(one["disk"])),
        ]
        for number, disk in enumerate(one["disk"]):
            params.append(string(f"{head}.disk.{number}.alias", target_of(domain, disk)))
            params.append(string(f"{head}.disk.{number}.device", disk["dev"]))
    return params


def _disks(domain: Domain, found: list[dict[str, Any]]) -> list[TypedParam]:
    params = [uint("disk.count", len(found))] if found else []
    for at, one in enumerate(found):
        head = f"disk.{at}"
        params.append(string(f"{head}.name", one["name"]))
        params.append(boolean(f"{head}.partition", one["partition"]))
        if one["dependencies"]:
            params.append(uint(f"{head}.dependency.count", len(one["dependencies"])))
        for number, name in enumerate(one["dependencies"]):
            params.append(string(f"{head}.dependency.{number}.name", name))
        if "address" in one:
            params.append(string(f"{head}.alias", target_of(domain, one["address"])))
    return params


def _interfaces(domain: Domain, found: list[dict[str, Any]]) -> list[TypedParam]:
    params = [uint("if.count", len(found))]
    for at, one in enumerate(found):
        head = f"if.{at}"
        params.append(string(f"{head}.name", one["name"]))
        params.append(string(f"{head}.hwaddr", one["hardware-address"]))
        params.append(uint(f"{head}.addr.count", len(one["ip-addresses"])))
        for number, address in enumerate(one["ip-addresses"]):
            params += [
                string(f"{head}.addr.{number}.type", address["ip-address-type"]),
                string(f"{head}.addr.{number}.addr", address["ip-address"]),
                uint(f"{head}.addr.{number}.prefix", address["prefix"]),
            ]
    return params


_KINDS: Final[Mapping[int, tuple[str, Callable[[Domain, Any], list[TypedParam]]]]] = {
    Info.USERS: ("guest-get-users", _users),
    Info.OS: ("guest-get-osinfo", _system),
    Info.TIMEZONE: ("guest-get-timezone", _timezone),
    Info.HOSTNAME: ("guest-get-host-name", _hostname),
    Info.FILESYSTEM: ("guest-get-fsinfo", _filesystems),
    Info.DISKS: ("guest-get-disks", _disks),
    Info.INTERFACES: ("guest-network-get-interfaces", _interfaces),
}
