"""The numbers of a job that copies the memory of a guest, and what clients are told of them.

A job is a migration, a save or a dump. The numbers are a dictionary, for the store and for the other
side of a migration:

- `elapsed`, `setup`, `downtime`: milliseconds; `downtime` is there when the job is done. `network`: the
  milliseconds among them for which the network was waited for, of a migration that is done.
- `total`, `sent`, `remaining`: bytes of memory. `rate`: bytes per second.
- `constant`, `normal`: pages that were empty, and those that were copied. `iteration`: passes over them.
- `disks`: of jobs that may copy disks, their bytes, all of which are copied.
- `operation`: a DomainJobOperation.

Only qemu's guests have such jobs. A client that asks for the numbers of the job that was done last makes
the host forget them, unless they are to be kept.

Source: libvirt's src/qemu/qemu_domainjob.c (qemuDomainMigrationJobDataToParams) and
src/qemu/qemu_driver.c (qemuDomainGetJobStats).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiovirt.rpc.wire.typedparams import TypedParam, int_, ullong

PAGE: Final = 4096
#: The numbers that all jobs have, of one that has copied nothing yet.
NOTHING: Final = dict.fromkeys(
    ("elapsed", "setup", "total", "sent", "remaining", "rate", "constant", "normal", "iteration"), 0
)


def parameters(numbers: Mapping[str, int]) -> list[TypedParam]:
    """Return the statistics of a job as clients get them.

    Args:
        numbers: of the job, see the head of this module.
    """
    network = numbers.get("network")
    told = {"time_elapsed": numbers["elapsed"]}
    if network is not None:
        told["time_elapsed_net"] = max(0, numbers["elapsed"] - network)
    if "downtime" in numbers:
        told["downtime"] = numbers["downtime"]
        if network is not None:
            told["downtime_net"] = max(0, numbers["downtime"] - network)
    told["setup_time"] = numbers["setup"]
    disks = numbers.get("disks", 0)
    for kind, more in (("data", disks), ("memory", 0)):
        told[f"{kind}_total"] = numbers["total"] + more
        told[f"{kind}_processed"] = numbers["sent"] + more
        told[f"{kind}_remaining"] = numbers["remaining"]
    if numbers["rate"]:
        told["memory_bps"] = numbers["rate"]
    told |= {
        "memory_constant": numbers["constant"],
        "memory_normal": numbers["normal"],
        "memory_normal_bytes": numbers["normal"] * PAGE,
        "memory_dirty_rate": 0,
        "memory_iteration": numbers["iteration"],
        "memory_postcopy_requests": 0,
        "memory_page_size": PAGE,
    }
    if "disks" in numbers:
        told |= {"disk_total": disks, "disk_processed": disks, "disk_remaining": 0}
    return [int_("operation", numbers["operation"]), *(ullong(*one) for one in told.items())]
