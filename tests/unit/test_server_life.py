"""A daemon's life: its beginning, its automatic end, its graceful end, its end at once."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from aiovirt.rpc.server import Access, Daemon, ServerOptions
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.unit.house import (
    BLOCK,
    ECHO,
    HOOK,
    LARGE,
    PATIENCE,
    STUBBORN,
    WAIT,
    House,
    MakeHouse,
    Number,
    Text,
    call,
    eventually,
    failure,
    result,
)


def exists(path: str) -> bool:
    return os.path.exists(path)


def write(path: str, text: str) -> None:
    Path(path).write_text(text)


def read(path: str) -> str:
    return Path(path).read_text()


async def end_of(house: House) -> None:
    assert house.serving is not None
    await asyncio.wait_for(asyncio.shield(house.serving), PATIENCE)


class TestGracefulEnd:
    @pytest.mark.parametrize("procedure", [WAIT, STUBBORN, BLOCK], ids=lambda one: one.name)
    async def test_calls_in_flight_finish_and_are_answered(
        self, house: House, procedure: Any
    ) -> None:
        wire, client = await house.seat()
        await wire.send(call(procedure, Number(1), 1))
        await eventually(lambda: house.stage.started == [1])
        house.daemon.shutdown()
        await eventually(lambda: house.server.draining)
        house.stage.release(1)
        (reply,) = await wire.ended()
        assert result(procedure, reply) == Number(1)
        await end_of(house)
        assert client.closed

    async def test_calls_that_wait_for_a_worker_are_in_flight_too(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(min_workers=1, max_workers=1, prio_workers=0)
        wire = await house.wire()
        await wire.send(*(call(WAIT, Number(n), n) for n in (1, 2)), call(ECHO, Text(""), 3))
        await eventually(lambda: house.server.workers.queue_depth == 2)
        house.daemon.shutdown()
        await eventually(lambda: house.server.draining)
        house.stage.release(1, 2)
        assert [reply.serial for reply in await wire.ended()] == [1, 2, 3]
        await end_of(house)

    async def test_nothing_new_is_accepted_or_read(self, make_house: MakeHouse) -> None:
        house = await make_house(max_client_requests=1)
        wire = await house.wire()
        idle = await house.wire()
        await idle.ping()
        await wire.send(call(WAIT, Number(1), 1), call(HOOK, Number(2), 2))
        await wire.ping()
        house.daemon.shutdown()
        await eventually(lambda: house.server.draining)
        assert not exists(house.path)
        with pytest.raises(OSError, match="No such file"):
            await house.wire()
        await idle.send(call(HOOK, Number(3)))
        house.stage.release(1)
        assert [reply.serial for reply in await wire.ended()] == [1]
        assert await idle.ended() == []
        await end_of(house)
        assert house.stage.started == [1]

    async def test_the_call_that_asked_for_it_is_answered(self, house: House) -> None:
        house.stage.hook = lambda client, number: house.daemon.shutdown()
        wire = await house.wire()
        await wire.send(call(HOOK, Number(1), 1))
        assert [reply.serial for reply in await wire.ended()] == [1]
        await end_of(house)

    async def test_a_large_last_reply_is_delivered_whole(self, house: House) -> None:
        wire, client = await house.seat()
        await wire.send(call(LARGE, Number(3_000_000)))
        await eventually(lambda: client.unsent)
        house.daemon.shutdown()
        (reply,) = await wire.ended()
        assert len(result(LARGE, reply).text) == 3_000_000
        await end_of(house)

    async def test_over_the_grace_calls_are_cancelled_and_answered_so(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(grace=0.01, min_workers=2, max_workers=2, prio_workers=0)
        wire = await house.wire()
        await wire.send(*(call(WAIT, Number(n), n) for n in (1, 2, 3)), call(HOOK, Number(4), 4))
        await eventually(lambda: house.stage.started == [1, 2])
        house.daemon.shutdown()
        replies = await wire.ended()
        assert sorted(reply.serial for reply in replies) == [1, 2, 3, 4]
        assert house.stage.started == [1, 2]
        for reply in replies:
            assert failure(reply).code == ErrorCode.OPERATION_ABORTED
        await end_of(house)

    async def test_work_that_takes_no_notice_is_answered_and_left_behind(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(grace=0.01)
        wire = await house.wire()
        await wire.send(call(STUBBORN, Number(1), 1), call(BLOCK, Number(2), 2))
        await eventually(lambda: sorted(house.stage.started) == [1, 2])
        house.daemon.shutdown()
        replies = await wire.ended()
        assert sorted(reply.serial for reply in replies) == [1, 2]
        assert {failure(reply).code for reply in replies} == {ErrorCode.OPERATION_ABORTED}
        await end_of(house)

    async def test_work_that_goes_on_after_its_call_was_answered_adds_nothing(
        self, house: House
    ) -> None:
        wire, client = await house.seat()
        await wire.send(call(STUBBORN, Number(1), 1))
        await eventually(lambda: house.stage.started == [1])
        house.server.abort_calls(RpcError(ErrorCode.OPERATION_ABORTED, "enough"))
        assert failure(await wire.receive()).message == "enough"
        house.stage.release(1)
        await eventually(lambda: house.stage.finished == [1])
        await wire.ping()
        assert (client.in_flight, house.server.workers.stats().free) == (0, 5)

    async def test_a_call_that_had_no_time_to_begin_is_answered_too(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(grace=0)
        house.stage.hook = lambda client, number: house.daemon.shutdown()
        wire = await house.wire()
        await wire.send(call(HOOK, Number(1), 1), call(WAIT, Number(2), 2))
        first, second = await wire.ended()
        assert (first.serial, failure(second).code) == (1, ErrorCode.OPERATION_ABORTED)
        await end_of(house)

    async def test_a_second_request_ends_at_once(self, house: House) -> None:
        wire = await house.wire()
        await wire.send(call(STUBBORN, Number(1), 1))
        await eventually(lambda: house.stage.started == [1])
        house.daemon.shutdown()
        await eventually(lambda: house.server.draining)
        house.daemon.shutdown()
        await end_of(house)
        await wire.ended()

    async def test_a_request_before_the_start_ends_it_as_it_starts(
        self, make_house: MakeHouse, tmp_path: Path
    ) -> None:
        house = House(str(tmp_path / "sock"))
        house.daemon.shutdown()
        await asyncio.wait_for(house.daemon.serve(), PATIENCE)
        assert not exists(house.path)

    async def test_a_peer_that_does_not_read_cannot_hold_up_the_end(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("aiovirt.rpc.server.daemon._FLUSH_GRACE", 0.01)
        wire, client = await house.seat()
        await wire.send(call(LARGE, Number(4_000_000)))
        await eventually(lambda: client.unsent)
        house.daemon.shutdown()
        await end_of(house)
        assert client.closed

    async def test_everybody_is_told_when_the_end_begins(self, tmp_path: Path) -> None:
        house = House(str(tmp_path / "sock"))
        told: list[str] = []
        house.serving = asyncio.create_task(
            house.daemon.serve(lambda: told.append("ready"), lambda: told.append("stopping"))
        )
        await eventually(lambda: told == ["ready"])
        house.daemon.shutdown()
        await end_of(house)
        assert told == ["ready", "stopping"]


class TestAutomaticEnd:
    async def test_it_comes_when_nobody_is_connected(self, house: House) -> None:
        house.daemon.set_timeout(0.001)  # type: ignore[arg-type]  # whole seconds would be waited for
        await end_of(house)

    async def test_it_waits_for_the_last_client(self, house: House) -> None:
        wire, other = await house.wire(), await house.wire()
        await wire.ping()
        await other.ping()
        house.daemon.set_timeout(0.001)  # type: ignore[arg-type]  # whole seconds would be waited for
        assert house.daemon._timer is None
        wire.close()
        await eventually(lambda: len(house.server.registry) == 1)
        assert house.daemon._timer is None
        await other.ping()
        other.close()
        await end_of(house)

    async def test_a_newcomer_and_a_timeout_of_zero_call_it_off(self, house: House) -> None:
        house.daemon.set_timeout(1000)
        first = house.daemon._timer
        assert first is not None
        wire = await house.wire()
        await wire.ping()
        assert (first.cancelled(), house.daemon._timer) == (True, None)
        wire.close()
        await eventually(lambda: house.daemon._timer is not None)
        house.daemon.set_timeout(0)
        assert house.daemon._timer is None

    async def test_a_hold_calls_it_off_until_it_is_released(self, house: House) -> None:
        house.daemon.set_timeout(1000)
        house.daemon.inhibit_shutdown()
        assert house.daemon._timer is None
        house.daemon.allow_shutdown()
        assert house.daemon._timer is not None

    async def test_the_longest_timeout_is_no_trouble(self, house: House) -> None:
        house.daemon.set_timeout(0xFFFFFFFF)
        await (await house.wire()).ping()
        house.daemon.set_timeout(0xFFFFFFFF)


class TestServices:
    async def test_a_socket_that_was_handed_in_keeps_its_file(
        self, house: House, tmp_path: Path
    ) -> None:
        path = tmp_path / "handed-in"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        house.server.adopt(listener).update()
        guest = House.__new__(House)
        guest.path, guest._guests = str(path), house._guests
        await (await guest.wire()).ping()
        house.daemon.shutdown()
        await end_of(house)
        assert path.exists()

    async def test_a_file_that_somebody_else_put_there_is_left_alone(self, house: House) -> None:
        os.unlink(house.path)
        write(house.path, "somebody else's")
        house.daemon.shutdown()
        await end_of(house)
        assert read(house.path) == "somebody else's"

    async def test_a_folder_that_is_gone_does_not_keep_clients_from_being_closed(
        self, house: House
    ) -> None:
        _, client = await house.seat()
        folder = os.path.dirname(house.path)
        os.rename(folder, folder + "-moved")
        write(folder, "no folder any more")
        try:
            house.daemon.shutdown()
            await end_of(house)
            assert client.closed
        finally:
            os.unlink(folder)
            os.rename(folder + "-moved", folder)

    async def test_the_sockets_file_has_the_mode_that_was_asked_for(
        self, house: House, tmp_path: Path
    ) -> None:
        mask = os.umask(0)
        os.umask(mask)
        for mode in (0o700, 0o777, 0o600):
            path = tmp_path / oct(mode)
            house.server.listen_unix(str(path), mode=mode, group=os.getgid())
            assert path.stat().st_mode & 0o777 == mode
        assert os.umask(mask) == mask

    async def test_a_path_that_cannot_be_used_is_named_in_the_error(
        self, house: House, tmp_path: Path
    ) -> None:
        for path in (house.path, "/nowhere/sock", "/" + "x" * 200):
            with pytest.raises(OSError, match=r"in use|No such|too long") as caught:
                house.server.listen_unix(path)
            assert caught.value.filename == path
            assert caught.value.errno

    async def test_clients_of_a_read_only_service_are_marked(
        self, house: House, tmp_path: Path
    ) -> None:
        path = str(tmp_path / "ro")
        house.server.listen_unix(path, access=Access(readonly=True)).update()
        ordinary = await house.seat()
        house.path, usual = path, house.path
        readonly = await house.seat()
        house.path = usual
        assert (ordinary[1].readonly, readonly[1].readonly) == (False, True)


async def test_names_are_given_once(tmp_path: Path) -> None:
    daemon = Daemon("test")
    server = daemon.add_server(ServerOptions("one"))
    with pytest.raises(ValueError, match="has a server one already"):
        daemon.add_server(ServerOptions("one"))
    assert daemon.server("one") is server
    with pytest.raises(RpcError) as caught:
        daemon.server("two")
    assert caught.value.code == ErrorCode.NO_SERVER
