"""Why a method of the client has another outcome on virtd than on libvirtd, by driver and method.

A method that libvirtd serves and virtd refuses with code 3 needs no entry.
"""

from __future__ import annotations

from typing import Final

UNSERVED: Final = "virtd does not serve the procedure."

_MACHINE: Final = "virtd has a fixed host; libvirtd describes the machine that it runs on."
_LIVE: Final = (
    "The document of a running guest has parts of libvirtd's own process: the balloon's size, "
    "the partition, labels, indices of disks."
)
_ORDER: Final = "Of several mistakes in a call, another one is named."
_CGROUPS: Final = "libvirtd depends on the control groups of its machine."

REASONS: Final[dict[str, str]] = {
    "test Domain.launch_security_info": "libvirt's test driver refuses the flag that its library sends.",
    "test Domain.set_iothread_params": "libvirt's test driver refuses the call without a reason.",
    "test Host.node_device_create": _ORDER,
    "qemu Host.version": "virtd reports QEMU 7.2.0.",
    "qemu Host.capabilities": _MACHINE,
    "qemu Host.domain_capabilities": _MACHINE,
    "qemu Host.storage_pool_capabilities": "virtd supports all kinds of pool.",
    "qemu Host.sysinfo": _MACHINE,
    "qemu Host.compare_cpu": _MACHINE,
    "qemu Host.list_networks": "virtd begins with the network that Debian's package adds to libvirtd.",
    "qemu Domain.xml": _LIVE,
    "qemu Host.save_image_xml": _LIVE,
    "qemu Domain.managed_save_xml": _LIVE,
    "qemu Domain.iothreads": _MACHINE,
    "qemu Domain.vcpu_pin_info": _MACHINE,
    "qemu Domain.emulator_pin_info": _MACHINE,
    "qemu Domain.messages": "Guests of virtd have no process that could be tainted.",
    "qemu Domain.security_labels": "Guests of virtd have no process that could have a label.",
    "qemu Domain.cpu_stats": _CGROUPS,
    "qemu Domain.cpu_stats_each": _CGROUPS,
    "qemu Domain.set_blkio_parameters": _CGROUPS,
    "qemu Domain.set_scheduler_parameters": _CGROUPS,
    "qemu Domain.memory_stats": "libvirtd adds the time of the last report of the guest's driver.",
    "qemu Domain.interface_stats": "A user interface of libvirtd has no device with counters.",
    "qemu Domain.console": "libvirtd locks the terminal of a console, in a folder of the machine.",
    "qemu Domain.set_vcpu": "QEMU unplugs no processor that was there at the start.",
    "qemu Domain.backup_begin": "virtd refuses every backup.",
    "qemu Checkpoint.delete": _ORDER,
    "qemu Host.pool_create": "virtd makes no folders, so a pool starts without its folder.",
    "qemu Host.node_device_by_wwn": "libvirtd gives no reason on a machine without adapters.",
    "qemu Host.node_device_create": _ORDER,
    "qemu NodeDevice.detach": "libvirtd looks for VFIO on the machine before it looks for the device.",
}
