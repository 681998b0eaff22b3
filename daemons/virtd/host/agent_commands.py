"""The commands of a guest's agent, as QEMU's agent has them: names, arguments, values, refusals.

Each function takes the domain and the arguments, and returns the value of the reply.

Source: QEMU's qga/qapi-schema.json; the refusals are those of a Linux guest's agent 7.2.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from aiovirt.daemons.virtd.host import ending, guest_system, sleeping

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

_SECOND: Final = 1_000_000_000
#: The small thing of a domain that has replies on command: a value or an error, by command.
REPLIES: Final = "agent-replies"
VERSION: Final = "7.2.22"
#: Commands that a host may ask while the file systems are frozen.
_ICE: Final = frozenset(
    (
        "guest-ping",
        "guest-info",
        "guest-sync",
        "guest-sync-delimited",
        "guest-fsfreeze-status",
        "guest-fsfreeze-thaw",
    )
)
#: Commands that are known and disabled: a toy guest runs no programs and has no files.
_DISABLED: Final = (
    "guest-exec",
    "guest-exec-status",
    "guest-file-open",
    "guest-file-close",
    "guest-file-read",
    "guest-file-write",
    "guest-file-seek",
    "guest-file-flush",
    "guest-get-devices",
)
_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "integer": int,
    "string": str,
    "boolean": bool,
    "array": list,
}


class AgentError(Exception):
    """The agent refuses; the text is its description. is_unknown: it has no such command now."""

    def __init__(self, text: str, *, is_unknown: bool = False) -> None:
        super().__init__(text)
        self.is_unknown = is_unknown


class Later(msgspec.Struct, frozen=True):
    """A command to which the agent does not reply. happen: what it does."""

    happen: Callable[[], object]


class Command(msgspec.Struct, frozen=True):
    """A command. takes: its arguments and their types; one with a `?` may be left out."""

    function: Callable[..., Any]
    takes: Mapping[str, str] = {}


def execute(domain: Domain, request: Any) -> Any:
    """Execute a request.

    Args:
        domain: the guest.
        request: what came, read from JSON.

    Returns:
        The value of the reply, or Later.

    Raises:
        AgentError: the agent refuses.
    """
    name, arguments = _checked(request)
    scripted = domain.detail(REPLIES, {}).get(name)
    if scripted is not None:
        if "error" in scripted:
            raise AgentError(scripted["error"])
        return scripted["return"]
    found = COMMANDS.get(name)
    if found is None and name not in _DISABLED:
        raise AgentError(f"The command {name} has not been found", is_unknown=True)
    if found is None:
        raise AgentError(f"Command {name} has been disabled", is_unknown=True)
    if name not in _ICE and guest_system.frozen(domain):
        raise AgentError(
            f"Command {name} has been disabled: the agent is in frozen state", is_unknown=True
        )
    return found.function(domain, **_arguments(found, arguments))


def _checked(request: Any) -> tuple[str, dict[str, Any]]:
    """The name and the arguments of a request. Raises AgentError for one that is not a request."""
    if not isinstance(request, dict):
        raise AgentError("QMP input must be a JSON object")
    for key, value in request.items():
        if key == "execute" and not isinstance(value, str):
            raise AgentError("QMP input member 'execute' must be a string")
        if key == "arguments" and not isinstance(value, dict):
            raise AgentError("QMP input member 'arguments' must be an object")
        if key not in ("execute", "arguments", "id"):
            raise AgentError(f"QMP input member '{key[:80]}' is unexpected")
    if "execute" not in request:
        raise AgentError("QMP input lacks member 'execute'")
    return request["execute"][:200], request.get("arguments", {})


def _arguments(command: Command, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call, by the names of Python. Raises AgentError for others than it takes."""
    made = {}
    for key, kind in command.takes.items():
        name = key.rstrip("?")
        if name not in given:
            if name == key:
                raise AgentError(f"Parameter '{name}' is missing")
            continue
        value = given[name]
        if not isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, bool)):
            raise AgentError(f"Invalid parameter type for '{name}', expected: {kind}")
        made[name.replace("-", "_")] = value
    for key in given:
        if key not in command.takes and f"{key}?" not in command.takes:
            raise AgentError(f"Parameter '{key[:80]}' is unexpected")
    return made


# About the agent itself ----------------------------------------------------------------------------


def _nothing(domain: Domain) -> dict[str, Any]:
    return {}


def _sync(domain: Domain, id: int) -> int:
    return id


def _info(domain: Domain) -> dict[str, Any]:
    silent = ("guest-shutdown", "guest-suspend-disk", "guest-suspend-ram", "guest-suspend-hybrid")
    frozen = guest_system.frozen(domain)
    return {
        "version": VERSION,
        "supported_commands": [
            {
                "enabled": name in COMMANDS and (not frozen or name in _ICE),
                "name": name,
                "success-response": name not in silent,
            }
            for name in (*COMMANDS, *_DISABLED)
        ],
    }


# The system ----------------------------------------------------------------------------------------


def _hostname(domain: Domain) -> dict[str, Any]:
    return {"host-name": domain.name}


def _time(domain: Domain) -> int:
    return int(domain.host.clock.now() + domain.detail("clock-offset", 0))


def _set_time(domain: Domain, time: int | None = None) -> dict[str, Any]:
    domain.keep("clock-offset", 0 if time is None else time - domain.host.clock.now())
    return {}


def _osinfo(domain: Domain) -> dict[str, Any]:
    return dict(guest_system.SYSTEM)


def _timezone(domain: Domain) -> dict[str, Any]:
    return {"zone": "UTC", "offset": 0}


def _users(domain: Domain) -> list[dict[str, Any]]:
    return [{"user": "root", "login-time": domain.record.booted / _SECOND}]


def _shutdown(domain: Domain, mode: str = "powerdown") -> Later:
    if mode not in ("powerdown", "halt", "reboot"):
        raise AgentError("Invalid parameter 'mode', expected: halt|powerdown|reboot")
    return Later(partial(ending.reboot if mode == "reboot" else ending.shut_down, domain))


def _suspend(target: int, domain: Domain) -> Later:
    return Later(partial(sleeping.fall_asleep, domain, target))


# Disks and interfaces ------------------------------------------------------------------------------


def _address(domain: Domain, number: int, device: str) -> dict[str, Any]:
    return {
        "bus-type": "virtio",
        "bus": 0,
        "unit": 0,
        "pci-controller": {"bus": 0, "slot": 4 + number, "domain": 0, "function": 0},
        "dev": device,
        "target": 0,
    }


def _filesystems(domain: Domain) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "total-bytes": one.size,
            "mountpoint": one.mountpoint,
            "disk": [_address(domain, 0, f"/dev/{one.name}")],
            "used-bytes": one.size // 5,
            "type": "ext4",
        }
        for one in guest_system.filesystems(domain)
    ]


def _disks(domain: Domain) -> list[dict[str, Any]]:
    found = []
    for number, disk in enumerate(guest_system.disks(domain)):
        name = f"/dev/{disk.target}"
        address = _address(domain, number, name)
        found.append({"name": name, "dependencies": [], "partition": False, "address": address})
        found += [
            {"name": f"/dev/{one.name}", "dependencies": [name], "partition": True}
            for one in guest_system.filesystems(domain)
            if one.disk == disk.target
        ]
    return found


def _freeze(domain: Domain, mountpoints: list[Any] | None = None) -> int:
    known = [one.mountpoint for one in guest_system.filesystems(domain)]
    found = [one for one in known if mountpoints is None or one in mountpoints]
    if found:
        domain.keep("frozen", found)
    return len(found)


def _thaw(domain: Domain) -> int:
    found = guest_system.frozen(domain)
    if found:
        domain.keep("frozen", None)
    return len(found)


def _freeze_status(domain: Domain) -> str:
    return "frozen" if guest_system.frozen(domain) else "thawed"


def _trim(domain: Domain, minimum: int = 0) -> dict[str, Any]:
    known = guest_system.filesystems(domain)
    return {"paths": [{"minimum": minimum, "path": one.mountpoint, "trimmed": 0} for one in known]}


def _interfaces(domain: Domain) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "ip-addresses": [
                {
                    "ip-address-type": f"ipv{address.version}",
                    "ip-address": str(address),
                    "prefix": prefix,
                }
                for address, prefix in one.addresses
            ],
            "statistics": one.statistics,
            "hardware-address": one.mac,
        }
        for one in guest_system.interfaces(domain)
    ]


# Processors, passwords, keys -----------------------------------------------------------------------


def _vcpus(domain: Domain) -> list[dict[str, Any]]:
    offline = set(domain.detail("offline", []))
    return [
        {"online": number not in offline, "can-offline": number > 0, "logical-id": number}
        for number in range(domain.record.facts.vcpus)
    ]


def _set_vcpus(domain: Domain, vcpus: list[Any]) -> int:
    known = {one["logical-id"]: one for one in _vcpus(domain)}
    offline = set(domain.detail("offline", []))
    for done, one in enumerate(vcpus):
        number = one.get("logical-id") if isinstance(one, dict) else None
        online = one.get("online") if isinstance(one, dict) else None
        text = ""
        if not isinstance(number, int) or not isinstance(online, bool):
            text = f"Invalid parameter type for 'vcpus[{done}]', expected: object"
        elif number not in known:
            text = f'open("/sys/devices/system/cpu/cpu{number}/"): No such file or directory'
        elif not online and not known[number]["can-offline"]:
            text = f"logical processor #{number} can't be offlined"
        if text and not done:
            raise AgentError(text)
        if text:
            break
        offline = offline - {number} if online else offline | {number}
    else:
        done = len(vcpus)
    domain.keep("offline", sorted(offline) or None)
    return done


def _set_password(domain: Domain, username: str, password: str, crypted: bool) -> dict[str, Any]:
    """The password goes nowhere: nobody logs in with it."""
    try:
        base64.b64decode(password, validate=True)
    except (binascii.Error, ValueError):
        raise AgentError("Base64 data contains invalid characters") from None
    return {}


def _keys(domain: Domain, username: str) -> dict[str, Any]:
    return {"keys": _known_keys(domain, username)}


def _known_keys(domain: Domain, user: str) -> list[str]:
    found: list[str] | None = domain.detail("keys", {}).get(user)
    if found is None:
        home = "/root" if user == "root" else f"/home/{user}"
        name = f"{home}/.ssh/authorized_keys"
        raise AgentError(
            f"failed to read '{name}': Failed to open file “{name}”: No such file or directory"
        )
    return found


def _add_keys(
    domain: Domain, username: str, keys: list[Any], reset: bool = False
) -> dict[str, Any]:
    known = [] if reset else domain.detail("keys", {}).get(username, [])
    added = [one for one in map(str, keys) if one not in known]
    return _keep_keys(domain, username, [*known, *added])


def _remove_keys(domain: Domain, username: str, keys: list[Any]) -> dict[str, Any]:
    known = _known_keys(domain, username)
    return _keep_keys(domain, username, [one for one in known if one not in keys])


def _keep_keys(domain: Domain, user: str, keys: list[str]) -> dict[str, Any]:
    domain.keep("keys", {**domain.detail("keys", {}), user: keys})
    return {}


_USER: Final = {"username": "string"}
_USER_KEYS: Final = {**_USER, "keys": "array"}
_PASSWORD: Final = {**_USER, "password": "string", "crypted": "boolean"}
COMMANDS: Final[Mapping[str, Command]] = {
    "guest-ssh-remove-authorized-keys": Command(_remove_keys, _USER_KEYS),
    "guest-ssh-add-authorized-keys": Command(_add_keys, {**_USER_KEYS, "reset?": "boolean"}),
    "guest-ssh-get-authorized-keys": Command(_keys, _USER),
    "guest-get-osinfo": Command(_osinfo),
    "guest-get-timezone": Command(_timezone),
    "guest-get-users": Command(_users),
    "guest-get-host-name": Command(_hostname),
    "guest-set-user-password": Command(_set_password, _PASSWORD),
    "guest-get-fsinfo": Command(_filesystems),
    "guest-get-disks": Command(_disks),
    "guest-set-vcpus": Command(_set_vcpus, {"vcpus": "array"}),
    "guest-get-vcpus": Command(_vcpus),
    "guest-network-get-interfaces": Command(_interfaces),
    "guest-suspend-hybrid": Command(partial(_suspend, 2)),
    "guest-suspend-ram": Command(partial(_suspend, 0)),
    "guest-suspend-disk": Command(partial(_suspend, 1)),
    "guest-fstrim": Command(_trim, {"minimum?": "integer"}),
    "guest-fsfreeze-thaw": Command(_thaw),
    "guest-fsfreeze-freeze-list": Command(_freeze, {"mountpoints?": "array"}),
    "guest-fsfreeze-freeze": Command(_freeze),
    "guest-fsfreeze-status": Command(_freeze_status),
    "guest-shutdown": Command(_shutdown, {"mode?": "string"}),
    "guest-info": Command(_info),
    "guest-set-time": Command(_set_time, {"time?": "integer"}),
    "guest-get-time": Command(_time),
    "guest-ping": Command(_nothing),
    "guest-sync": Command(_sync, {"id": "integer"}),
    "guest-sync-delimited": Command(_sync, {"id": "integer"}),
}
"""The commands that the agent of a toy guest executes, in the order of QEMU's agent."""
