"""Calls of the client, one for each method where it can be told apart, for libvirtd and virtd alike.

The calls of a list are made one after the other on a host that begins fresh, so a later one may use what
an earlier one has made. Fields that time or chance decides are left out of the comparison.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiovirt.daemons.virtd.client import Domain, Host
from aiovirt.daemons.virtd.constants.domain import DomainMetadataType
from aiovirt.daemons.virtd.constants.domain_flags import DomainModificationImpact, DomainXMLFlags
from tests.interop.comparison import Call

#: Fields that are not the same twice.
ANY: Final = frozenset(
    (
        *("cpuTime", "cpu_time", "seconds", "nseconds", "timeElapsed", "stateTime", "memory"),
        *("rd_req", "rd_bytes", "wr_req", "wr_bytes", "errs"),
        *("rx_bytes", "rx_packets", "rx_errs", "rx_drop"),
        *("tx_bytes", "tx_packets", "tx_errs", "tx_drop"),
        *("kernel", "user", "idle", "iowait", "utilization"),
    )
)

GUEST: Final = """
<domain type='{type}'><name>mine</name><uuid>11111111-2222-3333-4444-555555555555</uuid>
<memory>8192</memory><vcpu>2</vcpu><os><type arch='{arch}'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/guest.img'/>
<target dev='vda' bus='virtio'/></disk>
<interface type='network'><mac address='52:54:00:11:22:33'/><source network='default'/></interface>
</devices></domain>
"""
NETWORK: Final = (
    "<network><name>mine</name><uuid>11111111-2222-3333-4444-666666666666</uuid>"
    "<bridge name='mine0'/><ip address='10.9.8.1' netmask='255.255.255.0'><dhcp>"
    "<range start='10.9.8.2' end='10.9.8.99'/></dhcp></ip></network>"
)
POOL: Final = (
    "<pool type='dir'><name>mine</name><uuid>11111111-2222-3333-4444-777777777777</uuid>"
    "<target><path>/tmp/mine</path></target></pool>"
)
VOLUME: Final = "<volume><name>one.img</name><capacity>1048576</capacity></volume>"
SNAPSHOT: Final = "<domainsnapshot><name>{}</name></domainsnapshot>"

Method = Callable[..., Awaitable[Any]]


def _on(find: str, name: str, method: str, *args: Any) -> Call:
    """A call of a method of an object that the host finds by name."""

    async def call(host: Host) -> Any:
        found = await getattr(host, find)(name)
        return await getattr(found, method)(*args)

    return call


def _plain(method: str, *args: Any) -> Call:
    """A call of a method of the host."""

    async def call(host: Host) -> Any:
        return await getattr(host, method)(*args)

    return call


def _named(calls: list[tuple[str, Call]], prefix: str, found: list[tuple[str, Call]]) -> None:
    calls += [(f"{prefix}.{name}", call) for name, call in found]


HOST: Final[list[tuple[str, Call]]] = [
    (name, _plain(name))
    for name in (
        *("type", "version", "lib_version", "hostname", "remote_uri", "is_secure"),
        *("capabilities", "domain_capabilities", "storage_pool_capabilities", "max_vcpus"),
        *("sysinfo", "node_info", "node_cpu_stats", "node_memory_stats", "node_free_memory"),
        *("node_cells_free_memory", "node_memory_parameters", "node_security_model"),
        *(
            "node_sev_info",
            "node_cpu_map",
            "list_domains",
            "list_networks",
            "list_pools",
            "list_secrets",
        ),
        *("list_interfaces", "list_node_devices", "list_nwfilters", "list_nwfilter_bindings"),
    )
] + [
    ("cpu_models", _plain("cpu_models", "x86_64")),
    ("compare_cpu", _plain("compare_cpu", "<cpu><arch>x86_64</arch><model>486</model></cpu>")),
    ("baseline_cpu", _plain("baseline_cpu", ["<cpu><arch>i686</arch><model>486</model></cpu>"])),
    ("domain of no name", _plain("domain", "nobody")),
    ("domain_by_id of none", _plain("domain_by_id", 99)),
    ("domain_by_uuid of none", _plain("domain_by_uuid", "00000000-0000-0000-0000-00000000000f")),
    ("network of no name", _plain("network", "nobody")),
    ("pool of no name", _plain("pool", "nobody")),
    ("node_device of no name", _plain("node_device", "nobody")),
    ("interface of no name", _plain("interface", "nobody")),
    ("volume_by_path of none", _plain("volume_by_path", "/nowhere")),
    ("volume_by_key of none", _plain("volume_by_key", "/nowhere")),
    ("define without a document", _plain("define", "<domain")),
    ("define another document", _plain("define", "<network/>")),
]

_DOMAIN_READS: Final = (
    *("info", "state", "xml", "is_active", "is_persistent", "is_updated", "autostart", "os_type"),
    *("max_memory", "max_vcpus", "vcpus", "scheduler_type", "scheduler_parameters"),
    *("memory_parameters", "numa_parameters", "blkio_parameters", "perf_events", "iothreads"),
    *("vcpu_info", "vcpu_pin_info", "emulator_pin_info"),
    *("memory_stats", "security_label", "security_labels", "job_info", "job_stats"),
    *("control_info", "has_managed_save", "list_snapshots", "snapshot_num", "current_snapshot"),
    *("has_current_snapshot", "list_checkpoints", "disk_errors", "hostname", "time", "fs_info"),
    *("guest_info", "guest_vcpus", "messages", "launch_security_info", "migrate_max_speed"),
    *("migrate_max_downtime", "backup_xml", "managed_save_xml"),
)


def _domain(name: str) -> list[tuple[str, Call]]:
    """The calls of a domain that change nothing."""
    calls = [(method, _on("domain", name, method)) for method in _DOMAIN_READS]
    more: list[tuple[str, tuple[Any, ...]]] = [
        ("xml", (DomainXMLFlags.INACTIVE,)),
        ("metadata", (DomainMetadataType.TITLE,)),
        ("block_stats", ("vda",)),
        ("block_stats_params", ("vda",)),
        ("block_info", ("vda",)),
        ("block_job_info", ("vda",)),
        ("block_io_tune", ("vda",)),
        ("interface_stats", ("52:54:00:11:22:33",)),
        ("interface_parameters", ("52:54:00:11:22:33",)),
        ("interface_addresses", (0,)),
        ("snapshot", ("nothing",)),
        ("checkpoint", ("nothing",)),
    ]
    calls += [(f"{method} {args[0]}", _on("domain", name, method, *args)) for method, args in more]
    return calls


def _defining(kind: str, arch: str) -> Call:
    return _plain("define", GUEST.format(type=kind, arch=arch))


async def _stats(host: Host) -> Any:
    found = await host.domain_stats()
    return [(domain, sorted(values)) for domain, values in found]


def guest_calls(kind: str, arch: str) -> list[tuple[str, Call]]:
    """The life of a domain of ours, and what it says while it is off and while it runs.

    Args:
        kind: the type of the domain.
        arch: its architecture.
    """
    config = DomainModificationImpact.CONFIG
    calls: list[tuple[str, Call]] = [("define", _defining(kind, arch))]
    _named(calls, "off", _domain("mine"))

    def do(method: str, *args: Any) -> None:
        label = f"{method} {args[0]}" if args and len(str(args[0])) < 30 else method
        calls.append((label, _on("domain", "mine", method, *args)))

    do("set_autostart", True)
    do("autostart")
    do("set_vcpus", 1, config)
    do("set_memory", 4096, config)
    do("set_max_memory", 16384)
    do("set_metadata", DomainMetadataType.TITLE, "a title")
    do("metadata", DomainMetadataType.TITLE)
    do("set_memory_parameters", {"hard_limit": 9000, "soft_limit": 8000}, config)
    do("memory_parameters", config)
    do("set_numa_parameters", {"numa_nodeset": "0"}, config)
    do("set_scheduler_parameters", {"cpu_shares": 3}, config)
    do("rename", "other")
    calls.append(("rename back", _on("domain", "other", "rename", "mine")))
    do("suspend")
    do("create")
    do("create")
    if kind == "test":  # starting a guest of qemu is another matter
        _named(calls, "running", _domain("mine"))
        calls.append(("domain_stats", _stats))
        do("suspend")
        do("suspend")
        do("state")
        do("resume")
        do("set_memory", 2048)
        do("set_vcpus", 1)
        do("set_block_io_tune", "vda", {"read_iops_sec": 5, "read_iops_sec_max": 6})
        do("send_key", 0, 0, [30])
        do("fs_freeze", [])
        do("fs_thaw", [])
        do("inject_nmi")
        do("pm_suspend", 0, 0)
        do("attach_device", "<disk type='file'><source file='/x'/><target dev='vdb'/></disk>")
        do("detach_device", "<disk type='file'><source file='/x'/><target dev='vdb'/></disk>")
        do("snapshot_create", SNAPSHOT.format("a"))
        do("snapshot_create", SNAPSHOT.format("b"))
        do("current_snapshot")
        for method in ("parent", "list_children", "num_children", "is_current", "has_metadata"):
            calls.append((f"snapshot.{method}", _of_snapshot("b", method)))
        calls.append(("snapshot.revert", _of_snapshot("a", "revert")))
        calls.append(("snapshot.delete", _of_snapshot("b", "delete")))
        do("snapshot_num")
        do("undefine")
        do("managed_save")
        do("managed_save")
        do("has_managed_save")
        do("managed_save_remove")
        do("create")
        do("reboot")
        do("shutdown")
        do("state")
        do("destroy")
    do("undefine", 0x1 | 0x2)
    calls.append(("gone", _plain("domain", "mine")))
    return calls


def _of_snapshot(name: str, method: str) -> Call:
    async def call(host: Host) -> Any:
        domain: Domain = await host.domain("mine")
        return await getattr(await domain.snapshot(name), method)()

    return call


def _network() -> list[tuple[str, Call]]:
    calls: list[tuple[str, Call]] = [("network_define", _plain("network_define", NETWORK))]
    for method in (
        *("xml", "is_active", "is_persistent", "autostart", "bridge_name", "dhcp_leases"),
        *("create", "create", "is_active", "list_ports", "destroy", "destroy"),
    ):
        calls.append((f"network.{method}", _on("network", "mine", method)))
    host = "<host mac='52:54:00:00:00:01' ip='10.9.8.50'/>"
    calls.append(("network.update", _on("network", "mine", "update", 3, 4, -1, host, 2)))
    calls.append(("network.set_autostart", _on("network", "mine", "set_autostart", True)))
    calls.append(("network.undefine", _on("network", "mine", "undefine")))
    calls.append(("network of the past", _plain("network", "mine")))
    return calls


def _of_volume(method: str, *args: Any) -> Call:
    async def call(host: Host) -> Any:
        pool = await host.pool("mine")
        return await getattr(await pool.volume("one.img"), method)(*args)

    return call


def _pool() -> list[tuple[str, Call]]:
    calls: list[tuple[str, Call]] = [("pool_define", _plain("pool_define", POOL))]
    for method in ("info", "xml", "is_active", "is_persistent", "autostart", "num_volumes"):
        calls.append((f"pool.{method} while inactive", _on("pool", "mine", method)))
    for method in ("build", "create", "create", "refresh", "info", "list_volumes"):
        calls.append((f"pool.{method}", _on("pool", "mine", method)))
    calls.append(("pool.volume_create", _on("pool", "mine", "volume_create", VOLUME)))
    calls.append(("pool.volume_create again", _on("pool", "mine", "volume_create", VOLUME)))
    for method in ("info", "xml", "path", "pool", "wipe"):
        calls.append((f"volume.{method}", _of_volume(method)))
    calls.append(("volume.resize", _of_volume("resize", 2097152)))
    calls.append(("volume.delete", _of_volume("delete")))
    calls.append(("volume of the past", _of_volume("info")))
    for method in ("destroy", "delete", "undefine"):
        calls.append((f"pool.{method}", _on("pool", "mine", method)))
    return calls


def _rest() -> list[tuple[str, Call]]:
    calls: list[tuple[str, Call]] = []
    for method in ("xml", "is_active", "create", "destroy", "is_active", "create"):
        calls.append((f"interface.{method}", _on("interface", "eth1", method)))
    for method in ("xml", "parent", "list_caps", "is_active", "is_persistent", "autostart"):
        calls.append((f"node_device.{method}", _on("node_device", "computer", method)))
    calls.append(("interface_change_begin", _plain("interface_change_begin")))
    calls.append(("interface_change_begin again", _plain("interface_change_begin")))
    calls.append(("interface_change_rollback", _plain("interface_change_rollback")))
    calls.append(("interface_change_commit", _plain("interface_change_commit")))
    calls.append(
        ("secret_define", _plain("secret_define", "<secret><description>d</description></secret>"))
    )
    calls.append(("nwfilter_define", _plain("nwfilter_define", "<filter name='mine'/>")))
    return calls


def calls_of(uri: str) -> list[tuple[str, Call]]:
    """All calls for the host of a URI, in order, with their names."""
    kind = "test" if uri.startswith("test") else "qemu"
    existing = _domain("test") if kind == "test" else []
    made: list[tuple[str, Call]] = list(HOST)
    _named(made, "test", existing)
    made += guest_calls(kind, "i686" if kind == "test" else "x86_64")
    made += [*_network(), *_pool(), *_rest()]
    return made
