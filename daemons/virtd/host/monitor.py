"""The monitor of a guest: commands in QEMU's protocol, and the few that people type.

A toy guest has no QEMU. Its monitor answers a table of commands from the document, the state and the
counters; a command out of that table is refused as QEMU refuses an unknown one.

Source: libvirt's src/qemu/qemu_monitor_json.c (qemuMonitorJSONArbitraryCommand), QEMU's qapi/*.json.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from aiovirt.daemons.virtd.constants.domain import DomainState
from aiovirt.daemons.virtd.host import ending, lifecycle, machine
from aiovirt.daemons.virtd.xml import devices
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Disk, Domain

_PACKAGE: Final = ""
#: The numbers that libvirt gives to commands.
_numbers: Final = count(1)


class _Refused(Exception):
    """QEMU refuses. kind: the class of the error."""

    def __init__(self, text: str, kind: str = "GenericError") -> None:
        super().__init__(text)
        self.kind = kind


def command(domain: Domain, text: str, *, is_human: bool) -> str:
    """Execute a command, and return QEMU's reply as text.

    Args:
        domain: the guest.
        text: a command in JSON, or as people type it.
        is_human: the latter; the reply is then what the command prints.

    Raises:
        RpcError: OPERATION_INVALID for a guest that does not run; INTERNAL_ERROR for what is not JSON,
            or has an `id`.
    """
    domain.require_active()
    if is_human:
        return _typed(domain, text)
    try:
        request = json.loads(text)
    except (ValueError, RecursionError) as error:
        detail = f"cannot parse json {text[:200]}: parse error"
        raise RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=ErrorDomain.NONE) from error
    tail: dict[str, Any] = {}
    if isinstance(request, dict) and "execute" in request:
        tail = {"id": f"libvirt-{next(_numbers)}"}
        if "id" in request:
            raise domain.refused(ErrorCode.INTERNAL_ERROR, "Unable to append command 'id' string")
    try:
        reply = {"return": _execute(domain, request), **tail}
    except _Refused as error:
        reply = {**tail, "error": {"class": error.kind, "desc": str(error)}}
    return json.dumps(reply, separators=(",", ":"))


def _execute(domain: Domain, request: Any) -> Any:
    if not isinstance(request, dict):
        raise _Refused("QMP input must be a JSON object")
    for key, value in request.items():
        if key == "execute" and not isinstance(value, str):
            raise _Refused("QMP input member 'execute' must be a string")
        if key == "arguments" and not isinstance(value, dict):
            raise _Refused("QMP input member 'arguments' must be an object")
        if key not in ("execute", "arguments"):
            raise _Refused(f"QMP input member '{key[:80]}' is unexpected")
    if "execute" not in request:
        raise _Refused("QMP input lacks member 'execute'")
    name, arguments = request["execute"], request.get("arguments", {})
    if name == _HUMAN:
        line = arguments.pop("command-line", None)
        if not isinstance(line, str):
            raise _Refused("Parameter 'command-line' is missing")
        arguments.pop("cpu-index", None)
    elif name not in COMMANDS:
        raise _Refused(f"The command {name[:80]} has not been found", "CommandNotFound")
    for key in arguments:
        raise _Refused(f"Parameter '{key[:80]}' is unexpected")
    return _typed(domain, line) if name == _HUMAN else COMMANDS[name](domain)


# About the guest -----------------------------------------------------------------------------------


def _status(domain: Domain) -> dict[str, Any]:
    names = {
        DomainState.PAUSED: "paused",
        DomainState.PMSUSPENDED: "suspended",
        DomainState.CRASHED: "guest-panicked",
    }
    status = names.get(DomainState(domain.record.state), "running")
    return {"status": status, "singlestep": False, "running": status == "running"}


def _version(domain: Domain) -> dict[str, Any]:
    rest, micro = divmod(domain.host.flavour.version, 1000)
    major, minor = divmod(rest, 1000)
    return {"qemu": {"micro": micro, "minor": minor, "major": major}, "package": _PACKAGE}


def _name(domain: Domain) -> dict[str, Any]:
    return {"name": domain.name}


def _uuid(domain: Domain) -> dict[str, Any]:
    return {"UUID": domain.record.uuid}


def _kvm(domain: Domain) -> dict[str, Any]:
    return {"enabled": domain.record.facts.root.get("type") == "kvm", "present": True}


def _cpus(domain: Domain) -> list[dict[str, Any]]:
    return [
        {
            "thread-id": 10_000 + domain.record.number * 100 + number,
            "props": {"core-id": 0, "thread-id": 0, "socket-id": number},
            "qom-path": f"/machine/unattached/device[{number}]",
            "cpu-index": number,
            "target": "x86_64",
        }
        for number in range(domain.record.facts.vcpus)
    ]


def _balloon(domain: Domain) -> dict[str, Any]:
    if not domain.record.facts.has_balloon:
        raise _Refused("No balloon device has been activated", "DeviceNotActive")
    return {"actual": domain.record.facts.memory * 1024}


def _memory(domain: Domain) -> dict[str, Any]:
    return {"base-memory": domain.record.facts.maximum * 1024, "plugged-memory": 0}


def _vnc(domain: Domain) -> dict[str, Any]:
    found = domain.record.facts.root.find("devices/graphics[@type='vnc']")
    if found is None:
        return {"enabled": False, "clients": []}
    return {
        "enabled": True,
        "auth": "vnc" if found.get("passwd") else "none",
        "family": "ipv4",
        "clients": [],
        "service": found.get("port") or "",
        "host": devices.value(found, "listen/@address") or "127.0.0.1",
    }


def _chardevs(domain: Domain) -> list[dict[str, Any]]:
    found = []
    for device in domain.record.facts.root.iterfind("devices/*"):
        if device.tag not in ("serial", "parallel", "channel"):
            continue
        path = devices.value(device, "source/@path") or ""
        kind = device.get("type") or ""
        found.append(
            {
                "frontend-open": devices.value(device, "target/@state") != "disconnected",
                "filename": f"{kind}:{path}" if path else kind,
                "label": f"char{devices.value(device, 'alias/@name')}",
            }
        )
    return found


# Disks ---------------------------------------------------------------------------------------------


def _blocks(domain: Domain) -> list[dict[str, Any]]:
    return [_block(domain, number, disk) for number, disk in enumerate(domain.record.facts.disks)]


def _block(domain: Domain, number: int, disk: Disk) -> dict[str, Any]:
    found: dict[str, Any] = {
        "io-status": "ok",
        "device": "",
        "locked": False,
        "removable": disk.device != "disk",
        "qdev": f"/machine/peripheral/{disk.alias}/virtio-backend",
        "type": "unknown",
    }
    if disk.source:
        sizes = machine.sizes(domain, disk)
        found["inserted"] = {
            "image": {
                "virtual-size": sizes.capacity,
                "filename": disk.source,
                "format": "raw",
                "actual-size": sizes.allocation,
                "dirty-flag": False,
            },
            "ro": disk.device == "cdrom",
            "node-name": f"libvirt-{_node(domain, number)}-format",
            "backing_file_depth": 0,
            "drv": "raw",
            "encrypted": False,
            "cache": {"no-flush": False, "direct": False, "writeback": True},
            "file": disk.source,
        }
    return found


def _node(domain: Domain, number: int) -> int:
    """The number in the name of a disk's node: the last disk has the first."""
    return len(domain.record.facts.disks) - number


def _block_stats(domain: Domain) -> list[dict[str, Any]]:
    found = []
    for number, disk in enumerate(domain.record.facts.disks):
        counts = machine.block_counts(domain, disk)
        found.append(
            {
                "device": "",
                "stats": {
                    "rd_operations": counts.reads,
                    "rd_bytes": counts.read_bytes,
                    "rd_total_time_ns": counts.read_times,
                    "wr_operations": counts.writes,
                    "wr_bytes": counts.written_bytes,
                    "wr_total_time_ns": counts.write_times,
                    "flush_operations": counts.flushes,
                    "flush_total_time_ns": counts.flush_times,
                },
                "qdev": f"/machine/peripheral/{disk.alias}/virtio-backend",
                "node-name": f"libvirt-{_node(domain, number)}-format",
            }
        )
    return found


def _iothreads(domain: Domain) -> list[dict[str, Any]]:
    return [
        {"id": f"iothread{one}", "thread-id": 10_050 + domain.record.number * 100 + one}
        for one in domain.record.facts.iothreads
    ]


# Changes -------------------------------------------------------------------------------------------


def _stop(domain: Domain) -> dict[str, Any]:
    lifecycle.suspend(domain)
    return {}


def _continue(domain: Domain) -> dict[str, Any]:
    if domain.record.state == DomainState.PAUSED:
        lifecycle.resume(domain)
    return {}


def _power_down(domain: Domain) -> dict[str, Any]:
    ending.shut_down(domain)
    return {}


def _reset(domain: Domain) -> dict[str, Any]:
    ending.reset(domain)
    return {}


def _quit(domain: Domain) -> dict[str, Any]:
    lifecycle.destroy(domain)
    return {}


def _commands(domain: Domain) -> list[dict[str, Any]]:
    return [{"name": name} for name in (*COMMANDS, _HUMAN)]


_HUMAN: Final = "human-monitor-command"
COMMANDS: Final[Mapping[str, Callable[[Domain], Any]]] = {
    "query-status": _status,
    "query-version": _version,
    "query-name": _name,
    "query-uuid": _uuid,
    "query-kvm": _kvm,
    "query-cpus-fast": _cpus,
    "query-balloon": _balloon,
    "query-memory-size-summary": _memory,
    "query-vnc": _vnc,
    "query-chardev": _chardevs,
    "query-block": _blocks,
    "query-blockstats": _block_stats,
    "query-block-jobs": lambda _: [],
    "query-jobs": lambda _: [],
    "query-migrate": lambda _: {},
    "query-iothreads": _iothreads,
    "query-commands": _commands,
    "stop": _stop,
    "cont": _continue,
    "system_powerdown": _power_down,
    "system_reset": _reset,
    "quit": _quit,
}
"""The commands in QEMU's protocol, without arguments."""


# As people type them -------------------------------------------------------------------------------


def _typed(domain: Domain, line: str) -> str:
    """The output of a command; lines end as on a terminal."""
    words = " ".join(line.split())
    if words in _TYPED_CHANGES:
        _TYPED_CHANGES[words](domain)
        return ""
    if words in _TYPED:
        return f"{_TYPED[words](domain)}\r\n"
    return f"unknown command: '{words[:200]}'\r\n" if words else ""


def _typed_version(domain: Domain) -> str:
    numbers = _version(domain)["qemu"]
    return f"{numbers['major']}.{numbers['minor']}.{numbers['micro']}{_PACKAGE}"


def _typed_balloon(domain: Domain) -> str:
    if not domain.record.facts.has_balloon:
        return "Error: No balloon device has been activated"
    return f"balloon: actual={domain.record.facts.memory // 1024}"


_TYPED: Final[Mapping[str, Callable[[Domain], str]]] = {
    "info status": lambda domain: f"VM status: {_status(domain)['status']}",
    "info version": _typed_version,
    "info name": lambda domain: domain.name,
    "info uuid": lambda domain: domain.record.uuid,
    "info kvm": lambda one: f"kvm support: {'en' if _kvm(one)['enabled'] else 'dis'}abled",
    "info balloon": _typed_balloon,
}
_TYPED_CHANGES: Final = {
    "stop": _stop,
    "c": _continue,
    "cont": _continue,
    "system_powerdown": _power_down,
    "system_reset": _reset,
}
