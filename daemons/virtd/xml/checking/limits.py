"""Bounds of a guest that keep the work on it small; libvirt has none of them, or higher ones.

They are looked at in the document as it was given, before anything is made of its numbers.
"""

from __future__ import annotations

from typing import Final

#: The greatest number of devices of a guest that are no controllers, and of those that are; of nodes of
#: memory, of processors and of threads.
DEVICES_MAX: Final = 2048
CELLS_MAX: Final = 512
PROCESSORS_MAX: Final = 16384

#: The highest index of a controller, which makes all lower ones.
CONTROLLER_MAX: Final = 1024

_KINDS: Final = {"devices": "*[not(self::controller)]", "controllers": "controller"}

#: Looked at in the completed document, too: what is accepted can be defined again.
DEVICES: Final = tuple(
    (
        "devices",
        "detail",
        f"count(devices/{path}{part}) > {DEVICES_MAX}",
        f"too many {what}: {{}}, at most {DEVICES_MAX}",
        f"string(count(devices/{path}{part}))",
    )
    for what, path in _KINDS.items()
    for part in ("", "/address")
)

LIMITS: Final = (
    *DEVICES,
    (
        "cell",
        "detail",
        f"count(cpu/numa/cell) > {CELLS_MAX}",
        f"too many cells: at most {CELLS_MAX}",
    ),
    *(
        (
            name,
            "detail",
            f"number({name}) > {PROCESSORS_MAX}",
            f"too many {name}: {{}}, at most {PROCESSORS_MAX}",
            f"string({name})",
        )
        for name in ("vcpu", "iothreads")
    ),
    (
        "address",
        "detail",
        f"devices/*/address/@controller > {CONTROLLER_MAX}",
        f"index of a controller is too high: at most {CONTROLLER_MAX}",
    ),
)
