"""Our client's calls on libvirtd's test driver, which begins with the same world each time."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client import (
    ConnectionEvent,
    ConnectionLost,
    Domain,
    Hole,
    Host,
    RpcError,
    connect,
)
from aiovirt.daemons.virtd.constants.connect import CPUCompareResult
from aiovirt.daemons.virtd.constants.domain import (
    DomainDiskErrorCode,
    DomainMetadataType,
    DomainPausedReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.domain_events import (
    DomainEventID,
    DomainEventResumedDetailType,
    DomainEventType,
)
from aiovirt.daemons.virtd.constants.domain_flags import (
    ConnectListAllDomainsFlags,
    DomainModificationImpact,
    DomainStatsTypes,
    DomainXMLFlags,
)
from aiovirt.daemons.virtd.constants.network import NetworkEventID, NetworkEventLifecycleType
from aiovirt.daemons.virtd.constants.storage import StoragePoolEventID, StoragePoolState
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from tests import harness
from tests.interop.conftest import SharedDaemon

GUEST = """
<domain type='test'><name>mine</name><memory>4096</memory><vcpu>2</vcpu><os><type>hvm</type></os>
<devices><disk type='file'><source file='/guest.img'/><target dev='vda'/></disk></devices></domain>
"""
VOLUME = "<volume><name>one.img</name><capacity>1048576</capacity></volume>"


@pytest.fixture
async def host(shared_daemon: SharedDaemon) -> AsyncIterator[Host]:
    """The test driver of libvirtd, which forgets everything with its last connection."""
    daemon = shared_daemon("libvirtd")
    uri = f"test+unix:///default?socket={daemon.socket}"
    while True:
        async with connect(uri, timeout=harness.PATIENCE) as host:
            if await _is_new(host):
                yield host
                return
        await asyncio.sleep(0.05)  # libvirtd has not noticed the end of the test before this one


async def _is_new(host: Host) -> bool:
    domains = [one.name for one in await host.list_domains()]
    networks = [one.name for one in await host.list_networks()]
    return domains == ["test"] and networks == ["default"]


@pytest.fixture
async def guest(host: Host) -> Domain:
    """A running domain of ours."""
    domain = await host.define(GUEST)
    await domain.create()
    return domain


class TestHosts:
    async def test_it_says_where_it_is(self, host: Host) -> None:
        assert await host.type() == "TEST"
        assert await host.remote_uri() == "test:///default"
        assert host.alive
        assert (await host.node_info()).model.rstrip(b"\0") == b"i686"
        assert "<capabilities>" in await host.capabilities()
        assert await host.max_vcpus() == 32
        assert (await host.node_free_memory()) > 0
        number, cpumap, online = await host.node_cpu_map()
        assert 0 < online == int.from_bytes(cpumap, "little").bit_count() <= number
        assert len(await host.node_cells_free_memory(maxcells=2)) == 2

    async def test_its_objects_are_found(self, host: Host) -> None:
        assert [one.name for one in await host.list_domains()] == ["test"]
        assert [one.name for one in await host.list_networks()] == ["default"]
        assert [one.name for one in await host.list_pools()] == ["default-pool"]
        assert [one.name for one in await host.list_interfaces()] == ["eth1"]
        assert "computer" in [one.name for one in await host.list_node_devices()]
        domain = await host.domain("test")
        assert await host.domain_by_uuid(domain.uuid) == domain
        assert await host.domain_by_id(domain.id) == domain
        assert domain != await host.network("default")
        assert (await host.interface("eth1")).mac == "aa:bb:cc:dd:ee:ff"

    async def test_a_refusal_has_libvirts_code_and_domain(self, host: Host) -> None:
        with pytest.raises(RpcError) as refused:
            await host.domain("nobody")
        assert (refused.value.code, refused.value.domain) == (ErrorCode.NO_DOMAIN, ErrorDomain.TEST)

    async def test_any_procedure_can_be_called(self, host: Host) -> None:
        found = await host.call(protocol.CONNECT_NUM_OF_DOMAINS, None)
        assert found.num == 1

    async def test_a_reader_changes_nothing(self, shared_daemon: SharedDaemon) -> None:
        socket = shared_daemon("libvirtd").socket
        async with connect(f"test+unix:///default?socket={socket}", readonly=True) as host:
            domain = await host.domain("test")
            with pytest.raises(RpcError) as refused:
                await domain.destroy()
            assert refused.value.code == ErrorCode.OPERATION_DENIED

    async def test_processors_are_compared(self, host: Host) -> None:
        cpu = "<cpu mode='custom' match='exact'><model>486</model></cpu>"
        with pytest.raises(RpcError) as refused:
            await host.compare_cpu(cpu)
        assert refused.value.code == ErrorCode.NO_SUPPORT
        assert CPUCompareResult.ERROR == -1


class TestDomains:
    async def test_one_lives_and_dies(self, host: Host) -> None:
        domain = await host.define(GUEST)
        assert domain.id == -1
        assert not await domain.is_active()
        await domain.create()
        assert domain.id > 0
        await domain.suspend()
        state = await domain.state()
        assert (state.state, state.reason) == (DomainState.PAUSED, DomainPausedReason.USER)
        await domain.resume()
        assert (await domain.info()).state == DomainState.RUNNING
        await domain.reboot()
        await domain.shutdown()
        assert not await domain.is_active()
        assert await domain.is_persistent()
        await domain.undefine()
        assert domain not in await host.list_domains()

    async def test_its_document_is_read(self, guest: Domain) -> None:
        assert "<name>mine</name>" in await guest.xml(DomainXMLFlags.INACTIVE)
        assert await guest.os_type() == "linux"

    async def test_numbers_are_set(self, guest: Domain) -> None:
        assert await guest.max_memory() == 4096
        await guest.set_memory(2048)
        assert (await guest.info()).memory == 2048
        assert await guest.vcpus() == 2
        await guest.set_vcpus(1)
        assert await guest.vcpus() == 1
        await guest.set_autostart(True)
        assert await guest.autostart()

    async def test_typed_parameters_are_dicts(self, guest: Domain) -> None:
        assert await guest.scheduler_parameters() == {"weight": 50}
        await guest.set_scheduler_parameters({"weight": 60})
        limits = await guest.memory_parameters()
        assert set(limits) == {"hard_limit", "soft_limit", "swap_hard_limit"}
        await guest.set_memory_parameters({"hard_limit": 8000, "soft_limit": 7000})
        assert (await guest.memory_parameters())["hard_limit"] == 8000
        numa = await guest.numa_parameters(DomainModificationImpact.CONFIG)
        assert numa["numa_nodeset"] == ""

    async def test_processors_are_pinned_and_timed(self, guest: Domain) -> None:
        infos = await guest.vcpu_info()
        assert [info.number for info, _ in infos] == [0, 1]
        assert {cpumap for _, cpumap in infos} == {b"\xff\xff"}
        await guest.pin_vcpu(1, b"\x03\x00")
        assert await guest.vcpu_pin_info() == [b"\xff\xff", b"\x03\x00"]
        await guest.pin_emulator(b"\x01\x00")
        assert await guest.emulator_pin_info() == b"\x01\x00"
        assert "cpu_time" in await guest.cpu_stats()
        assert len(await guest.cpu_stats_each()) == 2

    async def test_metadata_is_kept(self, guest: Domain) -> None:
        await guest.set_metadata(DomainMetadataType.TITLE, "A title")
        assert await guest.metadata(DomainMetadataType.TITLE) == "A title"
        await guest.set_metadata(DomainMetadataType.TITLE, None)
        with pytest.raises(RpcError) as refused:
            await guest.metadata(DomainMetadataType.TITLE)
        assert refused.value.code == ErrorCode.NO_DOMAIN_METADATA

    async def test_statistics_are_of_domains(self, host: Host, guest: Domain) -> None:
        found = await host.domain_stats(DomainStatsTypes.STATE, domains=[guest])
        assert found == [(guest, {"state.state": DomainState.RUNNING, "state.reason": 1})]
        everybody = await host.domain_stats(flags=ConnectListAllDomainsFlags.ACTIVE)
        assert len(everybody) == 2

    async def test_disks_have_counters_and_sizes(self, guest: Domain) -> None:
        assert (await guest.block_stats("vda")).rd_req >= 0
        assert (await guest.block_info("vda")).capacity > 0
        assert await guest.disk_errors() == {"vda": DomainDiskErrorCode.UNSPEC}
        limits = await guest.block_io_tune("vda")
        assert limits["total_bytes_sec"] == 0
        await guest.set_block_io_tune("vda", {"total_bytes_sec": 5000, "total_bytes_sec_max": 6000})
        assert (await guest.block_io_tune("vda"))["total_bytes_sec"] == 5000

    async def test_the_guest_is_asked(self, guest: Domain) -> None:
        assert (await guest.time()).seconds > 0
        assert await guest.fs_freeze([]) >= 0
        await guest.send_key(0, 0, [1, 2])
        mime, picture = await guest.screenshot()
        assert mime == "image/png"
        assert picture.startswith(b"\x89PNG")

    async def test_snapshots_are_a_tree(self, guest: Domain) -> None:
        first = await guest.snapshot_create("<domainsnapshot><name>a</name></domainsnapshot>")
        second = await guest.snapshot_create("<domainsnapshot><name>b</name></domainsnapshot>")
        assert set(await guest.list_snapshots()) == {first, second}
        assert await second.parent() == first
        assert await first.list_children() == [second]
        assert await second.is_current()
        assert await guest.current_snapshot() == second
        await first.revert()
        assert await first.is_current()
        await second.delete()
        assert await guest.snapshot_num() == 1

    async def test_memory_is_saved_and_restored(
        self, host: Host, guest: Domain, tmp_path: Path
    ) -> None:
        file = tmp_path / "memory"
        await guest.save(str(file))
        assert not await guest.is_active()
        assert "<name>mine</name>" in await host.save_image_xml(str(file))
        await host.restore(str(file))
        assert await guest.is_active()
        await guest.managed_save()
        assert await guest.has_managed_save()
        await guest.managed_save_remove()


class TestNetworksAndStorage:
    async def test_a_network_lives_and_dies(self, host: Host) -> None:
        xml = "<network><name>mine</name><bridge name='mine0'/><ip address='10.9.8.1'/></network>"
        network = await host.network_define(xml)
        await network.create()
        assert await network.is_active()
        assert await network.bridge_name() == "mine0"
        assert "<name>mine</name>" in await network.xml()
        await network.set_autostart(True)
        assert await network.autostart()
        await network.destroy()
        await network.undefine()
        assert len(await host.list_networks()) == 1

    async def test_a_pool_has_volumes(self, host: Host) -> None:
        pool = await host.pool("default-pool")
        assert (await pool.info()).state == StoragePoolState.RUNNING
        volume = await pool.volume_create(VOLUME)
        assert volume.pool_name == pool.name
        assert await pool.list_volumes() == [volume]
        assert await pool.num_volumes() == 1
        assert (await volume.info()).capacity == 1048576
        assert await host.volume_by_path(await volume.path()) == volume
        assert await host.volume_by_key(volume.key) == volume
        assert await volume.pool() == pool
        await volume.delete()
        assert await pool.list_volumes() == []

    async def test_an_interface_is_changed_and_rolled_back(self, host: Host) -> None:
        await host.interface_change_begin()
        made = await host.interface_define(
            "<interface type='ethernet' name='eth9'><start mode='none'/><mac address='1:2:3:4:5:6'/>"
            "</interface>"
        )
        await made.create()
        assert await made.is_active()
        await host.interface_change_rollback()
        assert made not in await host.list_interfaces()

    async def test_a_device_has_capabilities(self, host: Host) -> None:
        device = await host.node_device("scsi_host1")
        assert await device.parent() == "computer"
        assert "scsi_host" in await device.list_caps()
        assert "<name>scsi_host1</name>" in await device.xml()


class TestStorageOfQemu:
    """Volumes with content, which the test driver has not."""

    @pytest.fixture
    async def host(self, shared_daemon: SharedDaemon) -> AsyncIterator[Host]:
        daemon = shared_daemon("libvirtd")
        uri = f"qemu+unix:///system?socket={daemon.socket}"
        try:
            host = await connect(uri, timeout=harness.PATIENCE)
        except RpcError as error:
            harness.missing(f"no qemu driver: {error}")
        async with host:
            yield host

    async def test_content_comes_back(self, host: Host, tmp_path: Path) -> None:
        pool = await host.pool_create(
            f"<pool type='dir'><name>p</name><target><path>{tmp_path}</path></target></pool>"
        )
        try:
            volume = await pool.volume_create(VOLUME)
            content = bytes(range(256)) * 4096
            assert await volume.upload(content) == len(content)
            pieces = [piece async for piece in volume.download()]
            assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == content
            await volume.upload([b"begin", Hole(65536 * 2), b"end"], offset=0, sparse=True)
            sparse = [piece async for piece in volume.download(0, 4, sparse=True)]
            assert sparse == [b"begi"]
            part = [piece async for piece in volume.download(5 + 131072, 3)]
            assert part == [b"end"]
            assert await volume.upload(io.BytesIO(b"from a file")) == 11
            assert [piece async for piece in volume.download(0, 11)] == [b"from a file"]
        finally:
            await pool.destroy()

    async def test_holes_of_a_file_are_not_sent(self, host: Host, tmp_path: Path) -> None:
        pool = await host.pool_create(
            f"<pool type='dir'><name>p</name><target><path>{tmp_path}</path></target></pool>"
        )
        source = tmp_path / "source"
        with source.open("wb") as file:
            file.truncate(1048576)
            file.seek(524288)
            file.write(b"middle")
        try:
            volume = await pool.volume_create(VOLUME)
            with source.open("rb") as file:
                assert await volume.upload(file, sparse=True) == 1048576
            made = tmp_path / volume.name
            assert await asyncio.to_thread(made.read_bytes) == source.read_bytes()
            holes = [one async for one in volume.download(sparse=True) if isinstance(one, Hole)]
            assert holes
        finally:
            await pool.destroy()

    async def test_a_secret_has_a_value(self, host: Host) -> None:
        secret = await host.secret_define("<secret><description>d</description></secret>")
        await secret.set_value(b"\0\xff")
        assert await secret.value() == b"\0\xff"
        assert await host.secret_by_uuid(secret.uuid) == secret
        await secret.undefine()
        assert await host.list_secrets() == []

    async def test_pages_are_counted(self, host: Host) -> None:
        assert len(await host.node_free_pages([4])) == 1

    async def test_filters_are_listed(self, host: Host) -> None:
        found = await host.nwfilter_define("<filter name='mine' chain='root'/>")
        assert found in await host.list_nwfilters()
        assert await host.nwfilter_by_uuid(found.uuid) == found
        assert "name='mine'" in await found.xml()
        await found.undefine()


class TestEvents:
    async def test_they_come_in_order(self, host: Host) -> None:
        kinds = (DomainEventID.LIFECYCLE, NetworkEventID.LIFECYCLE, StoragePoolEventID.LIFECYCLE)
        async with host.events(*kinds) as events:
            domain = await host.define(GUEST)
            await domain.create()
            await domain.destroy()
            await (await host.network("default")).destroy()
            found = [await anext(events) for _ in range(4)]
        assert [(one.kind, one.data["event"]) for one in found] == [
            (DomainEventID.LIFECYCLE, DomainEventType.DEFINED),
            (DomainEventID.LIFECYCLE, DomainEventType.STARTED),
            (DomainEventID.LIFECYCLE, DomainEventType.STOPPED),
            (NetworkEventID.LIFECYCLE, NetworkEventLifecycleType.STOPPED),
        ]
        assert found[0].object == domain
        assert str(found[0]) == "DomainEventID.LIFECYCLE mine event=0 detail=0"

    async def test_those_of_one_object_are_its_own(self, host: Host, guest: Domain) -> None:
        other = await host.domain("test")
        async with host.events(of=other) as events:
            await guest.suspend()
            await other.suspend()
            event = await anext(events)
        assert event.object == other

    async def test_two_iterators_do_not_disturb_each_other(self, host: Host, guest: Domain) -> None:
        async with host.events() as first:
            async with host.events() as second:
                await guest.suspend()
                assert (await anext(first)).object == (await anext(second)).object == guest
            await guest.resume()
            event = await anext(first)
            assert event.data["event"] == DomainEventType.RESUMED
            assert event.data["detail"] == DomainEventResumedDetailType.UNPAUSED

    async def test_without_a_block_it_begins_with_the_first_wait(self, host: Host) -> None:
        events = host.events()
        waiting = asyncio.ensure_future(anext(events))
        await host.type()
        await host.type()  # the subscription went before this call
        await (await host.domain("test")).suspend()
        assert (await waiting).data["event"] == DomainEventType.SUSPENDED
        await events.aclose()

    async def test_more_than_the_maximum_is_an_error(self, host: Host, guest: Domain) -> None:
        async with host.events(maximum=2) as events:
            for _ in range(2):
                await guest.suspend()
                await guest.resume()
            assert len([await anext(events) for _ in range(2)]) == 2
            with pytest.raises(RpcError, match="more than 2 events"):
                await anext(events)


class TestReconnecting:
    async def test_a_lost_connection_ends_the_iterator(self, host: Host) -> None:
        async with host.events() as events:
            host.rpc.abort()
            with pytest.raises(ConnectionLost):
                await anext(events)

    async def test_it_connects_and_subscribes_again(self, host: Host) -> None:
        async with host.events(reconnect=True) as events:
            host.rpc.abort()
            assert (await anext(events)).kind == ConnectionEvent.RECONNECTED
            await (await host.domain("test")).suspend()
            assert (await anext(events)).data["event"] == DomainEventType.SUSPENDED
