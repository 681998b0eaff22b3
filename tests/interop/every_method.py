"""A call of every method of the client, in an order that gives each its object, for both drivers.

The same steps run on libvirtd and on virtd. No step asks the machine for more than a folder and a guest
of QEMU without a system: networks have no bridge of their own, and calls that would change the machine
have arguments that are refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiovirt.daemons.virtd import client as clients
from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client import Host
from aiovirt.daemons.virtd.client.objects import RemoteObject
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.constants.domain_flags import DomainModificationImpact

UUID: Final = "11111111-2222-3333-4444-55555555555{}"
CONFIG: Final = DomainModificationImpact.CONFIG
LIVE: Final = DomainModificationImpact.LIVE
MAC: Final = "52:54:00:11:22:33"


class Step(NamedTuple):
    """One call. method: "Class.method" of the client; call: makes it; shape: the values are not the
    same twice, so only their types are compared."""

    method: str
    call: Callable[[Host], Awaitable[Any]]
    shape: bool = False


def documents(driver: str, folder: Path) -> dict[str, str]:
    """The documents of the steps."""
    kind, arch = ("test", "i686") if driver == "test" else ("qemu", "x86_64")
    nic = "network'><source network='default'/>" if driver == "test" else "user'>"
    disk = f"<disk type='file'><driver name='qemu' type='raw'/><source file='{folder}/{{}}'/>"
    return {
        "guest": f"<domain type='{kind}'><name>mine</name><uuid>{UUID.format(1)}</uuid>"
        f"<memory unit='MiB'>64</memory><vcpu current='1'>2</vcpu><iothreads>1</iothreads>"
        f"<os><type arch='{arch}'>hvm</type></os><features><acpi/></features><devices>"
        f"{disk.format('guest.img')}<target dev='vda' bus='virtio'/></disk>"
        f"<interface type='{nic}<mac address='{MAC}'/></interface><serial type='pty'/>"
        "<channel type='pty'><target type='virtio' name='word'/></channel>"
        "<graphics type='vnc' port='-1'/><video><model type='cirrus'/></video></devices></domain>",
        "brief": f"<domain type='{kind}'><name>brief</name><uuid>{UUID.format(2)}</uuid>"
        f"<memory unit='MiB'>64</memory><os><type arch='{arch}'>hvm</type></os></domain>",
        "disk": f"{disk.format('other.img')}<target dev='vdb' bus='virtio'/></disk>",
        "network": f"<network><name>mine</name><uuid>{UUID.format(3)}</uuid>"
        "<forward mode='bridge'/><bridge name='none0'/></network>",
        "portgroup": "<portgroup name='one'/>",
        "port": f"<networkport><uuid>{UUID.format(4)}</uuid><owner><name>mine</name>"
        f"<uuid>{UUID.format(1)}</uuid></owner><mac address='{MAC}'/>"
        "<plug type='bridge' bridge='none0'/></networkport>",
        "pool": f"<pool type='dir'><name>mine</name><uuid>{UUID.format(5)}</uuid>"
        f"<target><path>{folder}/pool</path></target></pool>",
        "other pool": f"<pool type='dir'><name>other</name><target><path>{folder}/other</path>"
        "</target></pool>",
        "volume": "<volume><name>one.img</name><capacity>65536</capacity></volume>",
        "copy": "<volume><name>two.img</name><capacity>65536</capacity></volume>",
        "secret": f"<secret><uuid>{UUID.format(6)}</uuid><usage type='ceph'><name>key</name></usage>"
        "</secret>",
        "filter": f"<filter name='mine'><uuid>{UUID.format(7)}</uuid></filter>",
        "binding": f"<filterbinding><owner><name>mine</name><uuid>{UUID.format(1)}</uuid></owner>"
        f"<portdev name='none1'/><mac address='{MAC}'/><filterref filter='mine'/></filterbinding>",
        "interface": "<interface type='ethernet' name='eth7'><mac address='52:54:00:11:22:44'/>"
        "</interface>",
        "snapshot": "<domainsnapshot><name>{}</name></domainsnapshot>",
        "checkpoint": "<domaincheckpoint><name>one</name></domaincheckpoint>",
        "device": "<device><parent>scsi_host1</parent><capability type='scsi_host'>"
        "<capability type='fc_host'/></capability></device>",
        "cpu": "<cpu><arch>x86_64</arch><model>qemu64</model></cpu>",
        "backup": "<domainbackup mode='pull'/>",
    }


class Script:
    """The steps, as they are written down."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def host(self, method: str, *args: Any, shape: bool = False) -> None:
        """A call of a method of the host."""

        async def call(host: Host) -> Any:
            return await getattr(host, method)(*args)

        self.steps.append(Step(f"Host.{method}", call, shape))

    def own(
        self, name: str, call: Callable[[Host], Awaitable[Any]], *, shape: bool = False
    ) -> None:
        """A call that is more than one method."""
        self.steps.append(Step(name, call, shape))

    def on(self, *found: str) -> Callable[..., None]:
        """Calls of methods of an object: how the host finds it, one method and name after the other."""
        kinds = {
            "domain": "Domain",
            "network": "Network",
            "pool": "StoragePool",
            "volume": "StorageVol",
            "snapshot": "Snapshot",
            "checkpoint": "Checkpoint",
            "port": "NetworkPort",
            "secret_by_uuid": "Secret",
            "nwfilter": "NwFilter",
            "nwfilter_binding": "NwFilterBinding",
            "interface": "Interface",
            "node_device": "NodeDevice",
        }
        kind = kinds[found[-2]]

        def write(method: str, *args: Any, shape: bool = False) -> None:
            async def call(host: Host) -> Any:
                at: Any = host
                for find, name in zip(found[::2], found[1::2], strict=True):
                    at = await getattr(at, find)(name)
                return await getattr(at, method)(*args)

            self.steps.append(Step(f"{kind}.{method}", call, shape))

        return write

    def absent(self, kind: type[RemoteObject[Any]], ref: Any, *methods: str) -> None:
        """Calls of methods of an object that does not exist."""

        def write(method: str) -> None:
            async def call(host: Host) -> Any:
                return await getattr(kind(host, ref), method)()

            self.steps.append(Step(f"{kind.__name__}.{method}", call))

        for method in methods:
            write(method)


def steps(driver: str, folder: Path) -> list[Step]:
    """All steps, in their order."""
    script = Script()
    given = documents(driver, folder)
    _host(script, given)
    _domain_off(script, given)
    _domain_on(script, given, folder)
    _moments(script, given)
    _domain_saved(script, given, folder)
    _networks(script, given)
    _storage(script, given, folder)
    _others(script, given, driver)
    return script.steps


def _host(script: Script, given: dict[str, str]) -> None:
    for method in (
        *("type", "version", "lib_version", "remote_uri", "is_secure", "string_okay", "max_vcpus"),
        *("capabilities", "domain_capabilities", "storage_pool_capabilities", "sysinfo"),
        *("node_security_model", "node_sev_info", "node_memory_parameters", "list_domains"),
        *(
            "list_networks",
            "list_pools",
            "list_secrets",
            "list_nwfilters",
            "list_nwfilter_bindings",
        ),
    ):
        script.host(method)
    for method in (
        *("hostname", "node_info", "node_cpu_map", "node_cpu_stats", "node_memory_stats"),
        *("node_free_memory", "node_cells_free_memory", "list_interfaces", "list_node_devices"),
    ):
        script.host(method, shape=True)
    script.host("supports_feature", 10)
    script.host("node_free_pages", [4], shape=True)
    script.host("node_set_memory_parameters", {"unknown": 1})
    script.host("node_suspend", 77, 1)
    script.host("cpu_models", "x86_64", shape=True)
    script.host("compare_cpu", given["cpu"])
    script.host("baseline_cpu", [given["cpu"]])
    script.host("compare_hypervisor_cpu", "<cpu/>")
    script.host("baseline_hypervisor_cpu", ["<cpu/>"])
    script.host("domain_xml_from_native", "unknown", "x")
    script.host("domain_xml_to_native", "unknown", given["brief"])
    script.host("find_storage_pool_sources", "dir")

    async def call(host: Host) -> Any:
        return (await host.call(protocol.CONNECT_NUM_OF_DEFINED_NETWORKS, None)).num

    async def events(host: Host) -> list[str]:
        async with host.events(DomainEventID.LIFECYCLE) as heard:
            await (await host.create(given["brief"])).destroy()
            return [str(await anext(heard)) for _ in range(2)]

    async def closed(host: Host) -> bool:
        heard = host.events(DomainEventID.LIFECYCLE)
        await heard.aclose()
        return host.alive

    script.own("Host.call", call)
    script.own("Host.events", events)
    script.own("Events.aclose", closed)


def _domain_off(script: Script, given: dict[str, str]) -> None:
    script.host("create", given["brief"])
    script.on("domain", "brief")("destroy")
    script.host("define", given["guest"])
    script.host("domain", "mine")
    script.host("domain_by_uuid", UUID.format(1))
    script.host("domain_by_id", 99)
    do = script.on("domain", "mine")
    for method in (
        *("is_active", "is_persistent", "is_updated", "os_type", "state", "autostart", "xml"),
        *("max_memory", "vcpus", "scheduler_type", "iothreads", "memory_parameters"),
        *("numa_parameters", "blkio_parameters", "scheduler_parameters", "vcpu_pin_info"),
        *("emulator_pin_info", "has_managed_save", "messages", "job_info", "perf_events"),
    ):
        do(method)
    do("set_autostart", True)
    do("set_max_memory", 128 * 1024)
    do("set_memory", 32 * 1024, CONFIG)
    do("set_vcpus", 2, CONFIG)
    do("set_metadata", 1, "a title")
    do("metadata", 1)
    do("set_memory_parameters", {"hard_limit": 9007199254740991}, CONFIG)
    do("set_numa_parameters", {"numa_nodeset": "0"}, CONFIG)
    do("set_blkio_parameters", {"weight": 500}, CONFIG)
    do("set_scheduler_parameters", {"cpu_shares": 300}, CONFIG)
    do("set_perf_events", {"cmt": False}, CONFIG)
    do("set_interface_parameters", MAC, {"inbound.average": 10}, CONFIG)
    do("interface_parameters", MAC, CONFIG)
    do("set_block_io_tune", "vda", {"read_iops_sec": 5}, CONFIG)
    do("block_io_tune", "vda", CONFIG)
    do("pin_vcpu", 0, b"\x01", CONFIG)
    do("pin_emulator", b"\x01", CONFIG)
    do("pin_iothread", 1, b"\x01", CONFIG)
    do("add_iothread", 2, CONFIG)
    do("delete_iothread", 2, CONFIG)
    do("set_memory_stats_period", 5, CONFIG)
    do("attach_device", given["disk"], CONFIG)
    do("update_device", given["disk"], CONFIG)
    do("detach_device", given["disk"], CONFIG)
    do("set_lifecycle_action", 0, 1, CONFIG)
    do("rename", "other")
    script.on("domain", "other")("rename", "mine")
    do("xml")


def _domain_on(script: Script, given: dict[str, str], folder: Path) -> None:
    do = script.on("domain", "mine")
    do("create")

    async def call(host: Host) -> Any:
        domain = await host.domain("mine")
        return (
            await domain.call(protocol.DOMAIN_IS_ACTIVE, protocol.DomainArgs(domain.ref))
        ).active

    script.own("Domain.call", call)
    for method in (
        *("is_active", "state", "is_updated", "max_vcpus", "vcpus", "iothreads"),
        *("scheduler_type", "security_label", "security_labels", "disk_errors", "control_info"),
        *("job_info", "job_stats", "backup_xml", "launch_security_info", "messages"),
        *("migrate_max_speed", "migrate_max_downtime", "guest_vcpus", "guest_info", "fs_info"),
        *("hostname", "time", "abort_job", "pm_wakeup", "xml"),
    ):
        do(method)
    for method in ("info", "cpu_stats", "cpu_stats_each", "memory_stats", "vcpu_info"):
        do(method, shape=True)
    do("block_info", "vda", shape=True)
    do("block_stats", "vda", shape=True)
    do("block_stats_params", "vda", shape=True)
    do("block_peek", "vda", 0, 8)
    do("block_resize", "vda", 2048)
    do("block_job_info", "vda")
    do("interface_stats", MAC, shape=True)
    do("interface_addresses", 0)
    do("memory_peek", 0, 8, 2, shape=True)
    script.host("domain_stats", shape=True)
    _domain_guest(script)
    do("suspend")
    do("suspend")
    do("state")
    do("resume")
    do("set_memory", 32 * 1024, LIVE)
    do("set_vcpus", 2, LIVE)
    do("set_vcpu", "1", 0, LIVE)
    do("set_block_threshold", "vda", 1000)
    do("set_iothread_params", 1, {"poll_max_ns": 1000}, LIVE)
    do("attach_device", given["disk"], LIVE)
    do("detach_device_alias", "virtio-disk1")
    do("migrate_set_max_speed", 10)
    do("migrate_set_max_downtime", 10)
    do("monitor_command", "info status", 1)
    do("start_dirty_rate_calc", 1)
    do("send_process_signal", 1, 1)
    do("backup_begin", "<domain/>")
    do("block_job_set_speed", "vda", 1)
    do("block_pull", "vda", 0)
    do("block_job_abort", "vdz")
    do("block_rebase", "vdz", 0)
    do("block_commit", "vdz", 0)
    do("block_copy", "vda", "<network/>", {})
    do("core_dump", f"{folder}/core", 0, 16)
    do("reset")
    do("reboot")
    do("shutdown")
    do("destroy")
    do("destroy")


def _domain_guest(script: Script) -> None:
    """What a guest or its agent would have to do."""
    do = script.on("domain", "mine")
    do("fs_freeze", [])
    do("fs_thaw", [])
    do("fs_trim", 0)
    do("set_time", 1, 0)
    do("set_user_password", "root", "word")
    do("set_guest_vcpus", "0", 1)
    do("authorized_ssh_keys", "root")
    do("set_authorized_ssh_keys", "root", ["ssh-rsa key"])
    do("agent_command", '{"execute":"guest-ping"}', 1)
    do("agent_set_response_timeout", 1)
    do("pm_suspend", 0, 0)
    do("inject_nmi")
    do("send_key", 0, 0, [30])
    do("screenshot", shape=True)

    def opened(method: str) -> Callable[[Host], Awaitable[Any]]:
        async def call(host: Host) -> str:
            domain = await host.domain("mine")
            stream = await getattr(domain, method)(*(("word",) if method == "channel" else ()))
            await stream.abort()
            return "stream"

        return call

    async def stream(host: Host) -> str:
        domain = await host.domain("mine")
        args = protocol.DomainOpenConsoleArgs(domain.ref, "unknown", 0)
        async with await host.open_stream(protocol.DOMAIN_OPEN_CONSOLE, args):
            return "stream"

    for method in ("console", "channel"):
        script.own(f"Domain.{method}", opened(method))
    script.own("Host.open_stream", stream)


def _moments(script: Script, given: dict[str, str]) -> None:
    do = script.on("domain", "mine")
    do("has_current_snapshot")
    for name in ("a", "b"):
        do("snapshot_create", given["snapshot"].format(name))
    for method in ("snapshot_num", "list_snapshots", "current_snapshot", "has_current_snapshot"):
        do(method)
    do("snapshot", "a")
    of = script.on("domain", "mine", "snapshot", "a")
    of("xml", shape=True)
    for method in (
        *("is_current", "has_metadata", "num_children", "list_children", "list_children_names"),
        *("parent", "revert", "delete"),
    ):
        of(method)
    ref = protocol.NonnullDomain("mine", bytes.fromhex(UUID.format(1).replace("-", "")), -1)
    script.absent(clients.Snapshot, protocol.NonnullDomainSnapshot("none", ref), "xml", "delete")
    do("checkpoint_create", given["checkpoint"])
    do("list_checkpoints")
    do("checkpoint", "one")
    one = protocol.NonnullDomainCheckpoint("one", ref)
    methods = ("parent", "list_children", "xml", "delete")
    script.absent(clients.Checkpoint, one, *methods)


def _domain_saved(script: Script, given: dict[str, str], folder: Path) -> None:
    do = script.on("domain", "mine")
    do("create")
    do("save", f"{folder}/saved")
    script.host("save_image_xml", f"{folder}/saved")
    script.host("save_image_define_xml", f"{folder}/saved", "<network/>")
    script.host("restore", f"{folder}/saved")
    do("save_params", {"file": f"{folder}/saved"})
    do("managed_save_xml")
    do("create")
    do("managed_save")
    do("managed_save_xml")
    do("managed_save_define_xml", "<network/>")
    do("managed_save_remove")
    do("undefine", 0x1 | 0x2 | 0x10)


def _networks(script: Script, given: dict[str, str]) -> None:
    script.host("network_define", given["network"])
    script.host("network", "mine")
    script.host("network_by_uuid", UUID.format(3))
    do = script.on("network", "mine")
    for method in ("xml", "is_active", "is_persistent", "autostart", "bridge_name", "create"):
        do(method)
    do("set_autostart", True)
    do("update", 3, 9, -1, given["portgroup"], 2)
    do("dhcp_leases")
    do("port_create", given["port"])
    do("list_ports")
    do("port", UUID.format(4))
    of = script.on("network", "mine", "port", UUID.format(4))
    of("xml")
    of("parameters")
    of("set_parameters", {"inbound.average": 5})
    of("delete")
    for method in ("destroy", "destroy", "undefine"):
        do(method)
    script.host("network_create", given["network"])
    do("destroy")


def _storage(script: Script, given: dict[str, str], folder: Path) -> None:
    script.host("pool_define", given["pool"])
    script.host("pool", "mine")
    script.host("pool_by_uuid", UUID.format(5))
    do = script.on("pool", "mine")
    for method in ("is_active", "is_persistent", "autostart", "xml", "build", "create"):
        do(method)
    do("set_autostart", True)
    do("info", shape=True)
    do("refresh")
    script.host("pool_by_target_path", f"{folder}/pool")
    do("volume_create", given["volume"])
    do("num_volumes")
    do("list_volumes")
    do("volume", "one.img")
    script.host("volume_by_path", f"{folder}/pool/one.img")
    script.host("volume_by_key", f"{folder}/pool/one.img")
    of = script.on("pool", "mine", "volume", "one.img")
    for method in ("info", "path", "pool"):
        of(method)
    of("xml", shape=True)
    of("resize", 131072)
    of("upload", b"content", 0, 7)

    async def download(host: Host) -> bytes:
        volume = await (await host.pool("mine")).volume("one.img")
        return b"".join([bytes(piece) async for piece in volume.download(0, 7)])  # type: ignore[arg-type]  # no hole is asked for

    async def copy(host: Host) -> Any:
        pool = await host.pool("mine")
        return await pool.volume_create_from(given["copy"], await pool.volume("one.img"))

    script.own("StorageVol.download", download)
    script.own("StoragePool.volume_create_from", copy)
    of("wipe")
    of("wipe_pattern", 0)
    of("delete")
    script.on("pool", "mine", "volume", "two.img")("delete")
    for method in ("destroy", "delete", "undefine"):
        do(method)
    script.host("pool_create", given["other pool"], shape=True)


def _others(script: Script, given: dict[str, str], driver: str) -> None:
    script.host("secret_define", given["secret"])
    script.host("secret_by_uuid", UUID.format(6))
    script.host("secret_by_usage", 2, "key")
    secret = protocol.NonnullSecret(bytes.fromhex(UUID.format(6).replace("-", "")), 2, "key")

    async def set_value(host: Host) -> Any:
        return await clients.Secret(host, secret).set_value(b"value")

    script.own("Secret.set_value", set_value)
    script.absent(clients.Secret, secret, "value", "xml", "undefine")
    script.host("nwfilter_define", given["filter"])
    script.host("nwfilter", "mine")
    script.host("nwfilter_by_uuid", UUID.format(7))
    script.host("nwfilter_binding", "none1")
    script.host("nwfilter_binding_create", given["binding"])
    binding = protocol.NonnullNwfilterBinding("none1", "mine")
    script.absent(clients.NwFilterBinding, binding, "xml", "delete")
    filter_ = protocol.NonnullNwfilter("mine", bytes.fromhex(UUID.format(7).replace("-", "")))
    script.absent(clients.NwFilter, filter_, "xml", "undefine")
    script.host("interface", "lo" if driver == "qemu" else "eth1", shape=True)
    script.host("interface_by_mac", "aa:bb:cc:dd:ee:ff")
    if driver == "test":
        for method in ("is_active", "xml", "destroy", "create"):
            script.on("interface", "eth1")(method)
    for method in ("begin", "rollback", "begin", "commit"):
        script.host(f"interface_change_{method}")
    script.host("interface_define", given["interface"])
    interface = protocol.NonnullInterface("eth7", "52:54:00:11:22:44")
    script.absent(clients.Interface, interface, "xml", "is_active", "create", "destroy", "undefine")
    _devices(script, given)


def _devices(script: Script, given: dict[str, str]) -> None:
    script.host("node_device", "computer")
    script.host("node_device_by_wwn", "2000000012341234", "1000000012341234")
    script.host("node_device_create", given["device"])
    script.host("node_device_define", given["device"])
    do = script.on("node_device", "computer")
    do("xml", shape=True)
    for method in ("parent", "list_caps", "is_active", "is_persistent", "autostart"):
        do(method)
    none = protocol.NonnullNodeDevice("none")
    methods = ("create", "destroy", "detach", "reattach", "reset", "undefine")
    script.absent(clients.NodeDevice, none, *methods)

    async def autostart(host: Host) -> Any:
        return await clients.NodeDevice(host, none).set_autostart(True)

    script.own("NodeDevice.set_autostart", autostart)
    script.host("reconnect")
    script.host("close")


def methods() -> list[str]:
    """The public methods of the client's classes, as "Class.method".

    What all objects have in common is there once, as a method of `Domain`.
    """
    classes = [
        found
        for name in clients.__all__
        if isinstance(found := getattr(clients, name), type)
        and (issubclass(found, RemoteObject) or found in (Host, clients.Events))
    ]
    return [
        f"{cls.__name__}.{name}"
        for cls in classes
        for name in sorted(dir(cls))
        if not name.startswith("_")
        and inspect.isfunction(getattr(cls, name))
        and (cls in (Host, clients.Domain) or name not in vars(RemoteObject))
    ]
