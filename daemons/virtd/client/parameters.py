"""Typed parameters as dicts: libvirt's public parameters and their types.

A getter gives a dict. A setter takes a dict, or a list of typed parameters where the same name is to be
there several times or where a name is not in the table below.

Source: the names that libvirt's include/libvirt/*.h defines for typed parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from aiovirt.rpc.wire.typedparams import (
    TypedParam,
    boolean,
    double,
    int_,
    llong,
    string,
    to_dict,
    uint,
    ullong,
)

__all__ = ["Params", "Values", "to_dict", "typed"]

#: Values by name, as getters give them.
Values = dict[str, int | float | bool | str]
#: Parameters that a setter takes.
Params = Mapping[str, int | float | bool | str] | Iterable[TypedParam]

_NAMES: Final[Mapping[Callable[..., TypedParam], str]] = {
    ullong: """
        cpu_shares vcpu_period emulator_period global_period iothread_period
        hard_limit soft_limit min_guarantee swap_hard_limit
        total_bytes_sec read_bytes_sec write_bytes_sec total_iops_sec read_iops_sec write_iops_sec
        total_bytes_sec_max read_bytes_sec_max write_bytes_sec_max
        total_iops_sec_max read_iops_sec_max write_iops_sec_max
        total_bytes_sec_max_length read_bytes_sec_max_length write_bytes_sec_max_length
        total_iops_sec_max_length read_iops_sec_max_length write_iops_sec_max_length size_iops_sec
        bandwidth bandwidth.postcopy buf-size poll_max_ns
        compression.xbzrle.cache sev-secret-set-address
    """,
    llong: "vcpu_quota emulator_quota global_quota iothread_quota reservation limit",
    uint: """
        weight cap granularity poll_grow poll_shrink
        inbound.average inbound.peak inbound.burst inbound.floor
        outbound.average outbound.peak outbound.burst
        shm_pages_to_scan shm_sleep_millisecs shm_merge_across_nodes
        sev-policy
    """,
    int_: """
        numa_mode thread_pool_min thread_pool_max disks_port parallel.connections
        compression.mt.level compression.mt.threads compression.mt.dthreads
        auto_converge.initial auto_converge.increment compression.zlib.level compression.zstd.level
    """,
    string: """
        device_weight device_read_iops_sec device_write_iops_sec device_read_bytes_sec
        device_write_bytes_sec group_name numa_nodeset
        migrate_uri destination_name destination_xml persistent_xml graphics_uri listen_address
        migrate_disks disks_uri compression tls.destination
        file dxml image_format
        sev-secret sev-secret-header
    """,
    boolean: """
        cmt mbmt mbml cpu_cycles instructions cache_references cache_misses branch_instructions
        branch_misses bus_cycles stalled_cycles_frontend stalled_cycles_backend ref_cpu_cycles
        cpu_clock task_clock page_faults context_switches cpu_migrations page_faults_min
        page_faults_maj alignment_faults emulation_faults
    """,
}
#: How the parameter of a name is made.
_MAKERS: Final = {name: make for make, names in _NAMES.items() for name in names.split()}
#: How a parameter that is not in the table is made.
_BY_TYPE: Final[Mapping[type, Callable[..., TypedParam]]] = {
    bool: boolean,
    int: int_,
    float: double,
    str: string,
}


def typed(params: Params) -> list[TypedParam]:
    """Return typed parameters for a dict; a list is returned as it is.

    A name that libvirt's headers do not have gets the type of its value: int, double, boolean, string.

    Raises:
        TypeError: a value has a type that its parameter does not take.
        ValueError: a number is out of range, or a text cannot travel.
    """
    if not isinstance(params, Mapping):
        return list(params)
    made = []
    for name, value in params.items():
        make: Any = _MAKERS.get(name) or _BY_TYPE.get(type(value))
        if make is None:
            raise TypeError(f"parameter '{name}' is {value!r}, which no typed parameter can be")
        made.append(make(name, value))
    return made
