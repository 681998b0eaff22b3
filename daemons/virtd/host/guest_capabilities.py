"""The capabilities of the guests of an emulator and a machine, which clients read before they make one.

Source: the answers of libvirt 9.0.0 with QEMU 7.2.0, src/conf/domain_capabilities.c, and the refusals of
src/qemu/qemu_capabilities.c (virQEMUCapsCacheLookupDefault).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from aiovirt.daemons.virtd.host.capabilities import ALIASES, EMULATORS, MACHINES
from aiovirt.daemons.virtd.host.processors import (
    ARCHITECTURES,
    HOST_FEATURES,
    HOST_MODEL,
    HOST_VENDOR,
    MODELS,
    is_usable,
    vendor,
)
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError


def _words(text: str) -> tuple[str, ...]:
    """The words of a text, so that long lists can be read."""
    return tuple(text.split())


_TYPES: Final = _words(
    "qemu kqemu kvm xen lxc uml openvz test vmware hyperv vbox phyp parallels bhyve vz none"
)
_VIRTIO: Final = "virtio virtio-transitional virtio-non-transitional"
#: The devices, with the values of each of their enumerations.
_DEVICES: Final = {
    "disk": {
        "diskDevice": "disk cdrom floppy lun",
        "bus": "ide fdc scsi virtio usb sata",
        "model": _VIRTIO,
    },
    "graphics": {"type": "sdl vnc spice egl-headless dbus"},
    "video": {"modelType": "vga cirrus vmvga qxl virtio none bochs ramfb"},
    "hostdev": {
        "mode": "subsystem",
        "startupPolicy": "default mandatory requisite optional",
        "subsysType": "usb pci scsi",
        "capsType": "",
        "pciBackend": "default vfio",
    },
    "rng": {"model": _VIRTIO, "backendModel": "random egd builtin"},
    "filesystem": {"driverType": "path handle virtiofs"},
    "tpm": {
        "model": "tpm-tis tpm-crb",
        "backendModel": "passthrough emulator",
        "backendVersion": "1.2 2.0",
    },
    "redirdev": {"bus": "usb"},
    "channel": {"type": "pty unix spicevmc"},
}
_FEATURES: Final = {
    "gic": "no",
    "vmcoreinfo": "yes",
    "genid": "yes",
    "backingStoreInput": "yes",
    "backup": "yes",
    "sev": "no",
    "sgx": "no",
}
_HYPERV: Final = (
    "relaxed vapic spinlocks vpindex runtime synic stimer reset vendor_id frequencies reenlightenment"
    " tlbflush ipi evmcs avic"
)


def _refused(detail: str) -> RpcError:
    return RpcError.of(ErrorCode.INVALID_ARG, detail, domain=ErrorDomain.QEMU)


def text(emulator: str | None, arch: str | None, machine: str | None, kind: str | None) -> str:
    """Return the document for guests.

    Args:
        emulator: the path of the emulator; None for that of the architecture.
        arch: the architecture, None for the host's or the emulator's.
        machine: the machine, None for the emulator's first.
        kind: the type of domain, None for "kvm".

    Raises:
        RpcError: INVALID_ARG for what does not exist, or does not fit together.
    """
    if kind is not None and kind not in _TYPES:
        raise _refused(f"unknown virttype: {kind}")
    if arch is not None and arch not in ARCHITECTURES:
        raise _refused(f"unknown architecture: {arch}")
    by_path = {path: name for name, (path, _) in EMULATORS.items()}
    if emulator is not None:
        if emulator not in by_path:
            raise RpcError(
                ErrorCode.SYSTEM_ERROR,
                f"Cannot check QEMU binary {emulator}: No such file or directory",
                domain=ErrorDomain.QEMU,
            )
        own = by_path[emulator]
        if arch is not None and arch != own:
            raise _refused(
                f"architecture from emulator '{own}' doesn't match given architecture '{arch}'"
            )
        arch = own
    arch = arch or "x86_64"
    if arch not in EMULATORS:
        raise _refused(f"unable to find any emulator to serve '{arch}' architecture")
    emulator = EMULATORS[arch][0]
    if kind not in (None, "kvm", "qemu"):
        raise _refused(f"Emulator '{emulator}' does not support virt type '{kind}'")
    machine = machine or "pc"
    name = ALIASES.get(machine, machine)
    if name not in MACHINES:
        raise _refused(f"the machine '{machine}' is not supported by emulator '{emulator}'")
    return _text(emulator, arch, name, kind or "kvm")


@cache
def _text(emulator: str, arch: str, machine: str, kind: str) -> str:
    lines = [
        "<domainCapabilities>",
        f"  <path>{emulator}</path>",
        f"  <domain>{kind}</domain>",
        f"  <machine>{machine}</machine>",
        f"  <arch>{arch}</arch>",
        f"  <vcpu max='{MACHINES[machine]}'/>",
        "  <iothreads supported='yes'/>",
        *_firmware(machine),
        *_cpu(kind),
        "  <memoryBacking supported='yes'>",
        *_enum("    ", "sourceType", "file anonymous memfd"),
        "  </memoryBacking>",
        "  <devices>",
        *_devices(machine),
        "  </devices>",
        "  <features>",
        *(f"    <{name} supported='{has}'/>" for name, has in _FEATURES.items()),
        *_hyperv(kind),
        "  </features>",
        "</domainCapabilities>",
    ]
    return "\n".join(lines) + "\n"


def _enum(indent: str, name: str, values: str) -> Iterator[str]:
    if not values:
        yield f"{indent}<enum name='{name}'/>"
        return
    yield f"{indent}<enum name='{name}'>"
    for value in values.split():
        yield f"{indent}  <value>{value}</value>"
    yield f"{indent}</enum>"


def _firmware(machine: str) -> Iterator[str]:
    secure = machine.startswith("pc-q35")  # only there can firmware keep its own memory from guests
    yield "  <os supported='yes'>"
    yield from _enum("    ", "firmware", "efi")
    yield "    <loader supported='yes'>"
    for name in (*((".ms", ".secboot") if secure else ()), ""):
        yield f"      <value>/usr/share/OVMF/OVMF_CODE_4M{name}.fd</value>"
    yield from _enum("      ", "type", "rom pflash")
    yield from _enum("      ", "readonly", "yes no")
    yield from _enum("      ", "secure", "yes no" if secure else "no")
    yield "    </loader>"
    yield "  </os>"


def _cpu(kind: str) -> Iterator[str]:
    kvm = kind == "kvm"
    yield "  <cpu>"
    modes = {"host-passthrough": kvm, "maximum": True}
    for mode, supported in modes.items():
        if not supported:
            yield f"    <mode name='{mode}' supported='no'/>"
            continue
        yield f"    <mode name='{mode}' supported='yes'>"
        name = "hostPassthrough" if mode == "host-passthrough" else mode
        yield from _enum("      ", f"{name}Migratable", "on off")
        yield "    </mode>"
    yield "    <mode name='host-model' supported='yes'>"
    yield f"      <model fallback='forbid'>{HOST_MODEL}</model>"
    yield f"      <vendor>{HOST_VENDOR}</vendor>"
    for feature in HOST_FEATURES:
        yield f"      <feature policy='require' name='{feature}'/>"
    yield "    </mode>"
    yield "    <mode name='custom' supported='yes'>"
    for model in sorted(MODELS, reverse=True):
        if not model.startswith("cpu64"):
            usable = "yes" if is_usable(model) else "no"
            yield f"      <model usable='{usable}' vendor='{vendor(model)}'>{model}</model>"
    yield "    </mode>"
    yield "  </cpu>"


def _devices(machine: str) -> Iterator[str]:
    for tag, enums in _DEVICES.items():
        yield f"    <{tag} supported='yes'>"
        for name, values in enums.items():
            if name == "bus" and tag == "disk" and not machine.startswith("pc-i440fx"):
                values = values.removeprefix("ide ")
            yield from _enum("      ", name, values)
        yield f"    </{tag}>"


def _hyperv(kind: str) -> Iterator[str]:
    yield "    <hyperv supported='yes'>"
    yield from _enum("      ", "features", _HYPERV if kind == "kvm" else "spinlocks vendor_id")
    yield "    </hyperv>"
