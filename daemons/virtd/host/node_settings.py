"""Settings of a host's machine: shared pages, huge pages, and what the machine cannot do.

Source: libvirt's src/util/virhostmem.c, virnuma.c and virnodesuspend.c.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import ParamType, TypedParam, uint, ullong, validate

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host

#: The kind of the row that has the settings of shared pages.
_SHARED: Final = "shared-pages"
_SETTINGS: Final = {
    "shm_pages_to_scan": 100,
    "shm_sleep_millisecs": 20,
    "shm_merge_across_nodes": 1,
}
_COUNTERS: Final = (
    "shm_pages_shared",
    "shm_pages_sharing",
    "shm_pages_unshared",
    "shm_pages_volatile",
    "shm_full_scans",
)
#: Sizes of pages in KiB.
_SMALL: Final = 4
_HUGE: Final = (2048, 1048576)
_SLEEPS: Final = ("Suspend-to-RAM", "Suspend-to-Disk", "Hybrid-Suspend")


def memory_parameters(host: Host) -> list[TypedParam]:
    """Return the settings and the counters of shared pages; nothing is shared here."""
    values = _settings(host)
    return [
        uint("shm_pages_to_scan", values["shm_pages_to_scan"]),
        uint("shm_sleep_millisecs", values["shm_sleep_millisecs"]),
        *(ullong(name, 0) for name in _COUNTERS),
        uint("shm_merge_across_nodes", values["shm_merge_across_nodes"]),
    ]


def _settings(host: Host) -> dict[str, int]:
    found = dict(_SETTINGS)
    for _, data in host.store.load(host.name, _SHARED):
        found.update(msgspec.msgpack.decode(data, type=dict[str, int]))
    return found


def set_memory_parameters(host: Host, params: Iterable[TypedParam]) -> None:
    """Set how pages are shared.

    Args:
        host: whose.
        params: pages to scan, milliseconds between two scans, and whether cells share.

    Raises:
        RpcError: INVALID_ARG or ARGUMENT_UNSUPPORTED for other parameters.
    """
    values = validate(params, dict.fromkeys(_SETTINGS, ParamType.UINT))
    kept = msgspec.msgpack.encode(_settings(host) | values)
    host.store.put(host.name, _SHARED, "", kept)


def allocate_pages(host: Host, sizes: Iterable[int], first_cell: int) -> int:
    """Pretend to change the number of huge pages; no memory is set aside.

    Args:
        host: whose.
        sizes: of the pages, in KiB.
        first_cell: the first NUMA cell.

    Returns:
        How many sizes were changed.

    Raises:
        RpcError: INTERNAL_ERROR for a cell, OPERATION_FAILED for a size that does not exist;
            OPERATION_UNSUPPORTED for pages of the usual size.
    """
    if first_cell > 0:
        raise RpcError.of(
            ErrorCode.INTERNAL_ERROR,
            f"start cell {first_cell} out of range (0-0)",
            domain=ErrorDomain.NONE,
        )
    count = 0
    for size in sizes:
        code, text = ErrorCode.OPERATION_UNSUPPORTED, "system pages pool can't be modified"
        if size != _SMALL:
            code, text = ErrorCode.OPERATION_FAILED, f"page size {size} is not available"
        if size not in _HUGE:
            raise RpcError.of(code, text, domain=ErrorDomain.NONE)
        count += 1
    return count


def refuse_sleep(target: int) -> RpcError:
    """Make the error for a host that is to sleep: the machine supports no kind of sleep.

    Args:
        target: a NodeSuspendTarget.
    """
    if not 0 <= target < len(_SLEEPS):
        detail = "Invalid suspend target"
        return RpcError.of(ErrorCode.INVALID_ARG, detail, domain=ErrorDomain.NONE)
    return RpcError.of(ErrorCode.ARGUMENT_UNSUPPORTED, _SLEEPS[target], domain=ErrorDomain.NONE)
