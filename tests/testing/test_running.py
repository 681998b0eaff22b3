"""`aiovirt.testing` without pytest's fixtures: daemons for the length of a block."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aiovirt.admin.client import Connection, RpcError
from aiovirt.daemons.virtd.client import Host, connect
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from aiovirt.testing import StartFailed, Virtd, running, start
from aiovirt.testing.launching import settings_text

WORLD = "[[domain]]\nname = 'web'\n[[domain]]\nhost = 'qemu'\nname = 'db'\nstate = 'shutoff'\n"
PATIENCE = 30.0


@pytest.fixture(scope="module")
def shared() -> Any:
    with running("virtd", world=WORLD, tcp=True, tls=True, settings={"max_workers": 9}) as virtd:
        yield virtd


async def _names(uri: str) -> list[str]:
    host: Host
    async with connect(uri) as host:
        return [domain.name for domain in await host.list_domains()]


async def _workers(connection: Connection) -> int:
    server = await connection.lookup_server("virtd")
    return (await server.get_threadpool_parameters()).max_workers


async def test_every_uri_leads_to_a_host(shared: Virtd) -> None:
    for uri in (shared.uri, shared.tcp_uri, shared.tls_uri):
        assert await _names(uri) == ["web"]
    for uri in (shared.qemu_uri, shared.qemu_tcp_uri, shared.qemu_tls_uri):
        assert await _names(uri) == ["db"]


def test_settings_are_those_of_its_file(shared: Virtd) -> None:
    assert shared.settings["max_workers"] == 9
    assert shared.admin.run(_workers) == 9


def test_threads_with_loops_of_their_own_call_at_the_same_time(shared: Virtd) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: shared.admin.run(_workers), range(64), timeout=PATIENCE))
    assert found == [9] * 64


async def test_worlds_are_changed_with_a_running_loop_and_without_await(shared: Virtd) -> None:
    saved = shared.world.save()
    assert shared.world.load("[[domain]]\nname = 'other'\n") == ["test"]
    assert await _names(shared.uri) == ["other"]
    assert shared.world.reset("test") == ["test"]
    assert await _names(shared.uri) == ["web"]
    assert shared.world.load(saved) == ["test", "qemu"]
    with pytest.raises(RpcError):
        shared.world.load("<nothing/>")
    shared.world.set_clock("qemu", now=1_000_000_000, rate=0)
    clocks = {clock.host: clock for clock in shared.world.clocks()}
    assert (clocks["qemu"].now, clocks["qemu"].rate) == (1_000_000_000, 0)


async def test_failures_are_commanded_and_cleared(shared: Virtd) -> None:
    rule = shared.faults.add("error", "CONNECT_GET_HOSTNAME", code=ErrorCode.NO_MEMORY, times=1)
    async with shared.connect() as host:
        with pytest.raises(RpcError) as failed:
            await host.hostname()
        assert failed.value.code == ErrorCode.NO_MEMORY
        assert await host.hostname()
    shared.faults.wait(rule, timeout=1.0)
    assert [(one.id, one.strikes) for one in shared.faults.list()] == [(rule, 1)]
    shared.world.load("<node/>")
    shared.reset()
    assert shared.faults.list() == []
    assert await _names(shared.uri) == ["web"]
    with pytest.raises(ValueError, match="'explode' is not an action"):
        shared.faults.add("explode")


async def test_a_world_can_be_a_file(shared: Virtd, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(
        "<domain type='test'><name>a</name><memory>8</memory><os><type>hvm</type></os></domain>"
    )
    (tmp_path / "world.xml").write_text("<node><domain file='a.xml'/></node>")
    shared.world.load(tmp_path / "world.xml")
    assert await _names(shared.uri) == ["a"]
    shared.world.reset()
    async with running("virtd", world=tmp_path / "world.xml") as virtd:
        assert await _names(virtd.uri) == ["a"]


def test_the_log_is_text_and_records(shared: Virtd) -> None:
    line = shared.log.wait_for(r"ready pid=\d+")
    assert line.endswith(f"ready pid={shared.pid}")
    assert shared.pid in [one.fields.get("pid") for one in shared.log.records("info")]
    with pytest.raises(TimeoutError, match="no line of virtd's log matches 'nothing of the kind'"):
        shared.log.wait_for("nothing of the kind", 0.05)


def test_the_other_daemons_have_their_own_clients() -> None:
    with running("lockd") as lockd, running("logd") as logd:
        assert [space.resources for space in lockd.locks.spaces()] == [0]
        assert logd.logs.list() == []
        assert Path(lockd.socket).is_socket()
        assert Path(logd.socket).is_socket()
        with pytest.raises(AttributeError):
            _ = lockd.locks.nothing
    assert not os.path.exists(lockd.rundir)
    assert not os.path.exists(logd.rundir)
    assert "ready pid=" in lockd.log.text()


async def test_a_restart_in_place_keeps_settings_certificates_and_objects() -> None:
    async with running("virtd", tls=True, world=WORLD, settings={"max_workers": 9}) as virtd:
        os.kill(virtd.pid, signal.SIGUSR1)
        virtd.log.wait_for(": took over", PATIENCE)
        assert await _names(virtd.qemu_tls_uri) == ["db"]
        assert virtd.admin.run(_workers) == 9


async def test_a_call_that_a_fault_holds_ends_with_the_daemon() -> None:
    async with running("virtd") as virtd:
        rule = virtd.faults.add("hold-worker", "CONNECT_GET_HOSTNAME")
        async with virtd.connect() as host:
            held = asyncio.create_task(host.hostname())
            await asyncio.to_thread(virtd.faults.wait, rule, timeout=PATIENCE)
            virtd.close()
            with contextlib.suppress(ConnectionError):
                await held
    assert not virtd.is_running
    assert "ready pid=" in virtd.log.text()


def test_a_daemon_may_be_killed_and_leaves_nothing() -> None:
    with running("lockd") as lockd:
        assert lockd.kill() == -signal.SIGKILL
        assert not lockd.is_running
        assert os.path.exists(lockd.rundir)
    assert not os.path.exists(lockd.rundir)


def test_a_daemon_that_ended_by_itself_is_an_error() -> None:
    lockd = start("lockd")
    os.kill(lockd.pid, signal.SIGSEGV)
    os.waitid(os.P_PID, lockd.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(RuntimeError, match="lockd ended by itself with status -11"):
        lockd.close()
    assert not os.path.exists(lockd.rundir)


def test_a_daemon_that_is_about_to_end_by_itself_is_an_error_as_well() -> None:
    lockd = start("lockd")
    os.kill(lockd.pid, signal.SIGSTOP)  # it cannot end before `close` has asked whether it runs
    os.waitid(os.P_PID, lockd.pid, os.WSTOPPED | os.WNOWAIT)
    os.kill(lockd.pid, signal.SIGSEGV)
    threading.Timer(0.1, os.kill, (lockd.pid, signal.SIGCONT)).start()
    with pytest.raises(RuntimeError, match="lockd ended by itself with status -11"):
        lockd.close()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"code": "NO_MEMROY"}, "'NO_MEMROY' is not an error code"),
        ({"code": 2, "domain": "QMEU"}, "'QMEU' is not an error domain"),
        ({"code": 2, "times": "1"}, "'times' is a number, not '1'"),
        ({"code": 2, "guest": 7}, "'guest' is a text, not 7"),
        ({"code": 2.5}, r"'code' is a number, not 2\.5"),
    ],
)
def test_a_rule_with_a_wrong_field_is_refused_by_its_name(
    shared: Virtd, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        shared.faults.add("error", "DOMAIN_*", **fields)
    assert shared.faults.list() == []


def test_codes_and_domains_of_rules_have_names(shared: Virtd) -> None:
    shared.faults.add("error", "DOMAIN_*", code="VIR_ERR_NO_MEMORY", domain="NETWORK")
    (found,) = shared.faults.list()
    shared.faults.clear()
    assert (found.rule.code, found.rule.domain) == (ErrorCode.NO_MEMORY, ErrorDomain.NETWORK)


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_a_start_that_is_cancelled_leaves_no_daemon(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []

    def noted(*arguments: Any, **named: Any) -> Any:
        started.append(start(*arguments, **named))
        return started[-1]

    monkeypatch.setattr(sys.modules["aiovirt.testing.running"], "start", noted)

    async def give_up() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), running("lockd"):
                await asyncio.Event().wait()

    asyncio.run(give_up())  # its end waits for the threads
    assert [one.is_running for one in started] == [False] * len(started)


async def test_an_agent_is_told_its_reply_as_a_value(shared: Virtd) -> None:
    channel = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
    document = f"""<domain type='kvm'><name>agent</name><memory>1024</memory><os><type>hvm</type></os>
        <devices>{channel}</devices></domain>"""
    async with shared.connect() as host:
        guest = await host.create(document)
        shared.faults.inject("agent", "agent-connect")
        for reply, said in (
            ([1, "é"], '[1,"\\u00e9"]'),
            ('{"pid": 5}', '{"pid":5}'),
            (None, "null"),
        ):
            shared.faults.inject("agent", "agent-reply", command="guest-exec", return_=reply)
            answer = await guest.agent_command('{"execute":"guest-exec"}', 5)
            assert json.loads(str(answer)) == {"return": json.loads(said)}
        await guest.destroy()


def test_a_reset_returns_clocks_to_real_time(shared: Virtd) -> None:
    shared.world.set_clock(now=datetime(2001, 1, 1, tzinfo=UTC), rate=0)
    shared.reset()
    for clock in shared.world.clocks():
        assert clock.rate == 1.0
        assert clock.now > time.time_ns() - 60 * 10**9


def test_a_clock_is_set_by_a_date(shared: Virtd) -> None:
    for moment in (datetime(2030, 1, 31, 12, 0, 0, 5, UTC), datetime(2030, 1, 31)):
        shared.world.set_clock("qemu", now=moment, rate=0)
        now = {clock.host: clock.now for clock in shared.world.clocks()}["qemu"]
        assert now == round(moment.timestamp() * 1_000_000) * 1000


@pytest.mark.parametrize("name", ["virtd", "lockd", "logd"])
def test_a_setting_that_does_not_exist_is_refused_with_similar_ones(name: str) -> None:
    with pytest.raises(StartFailed, match="no setting 'max_cleints'; similar: max_clients"):
        start(name, settings={"max_cleints": 3})


def test_a_setting_that_only_libvirt_has_is_accepted() -> None:
    with running("virtd", settings={"audit_level": 2}) as virtd:
        assert "setting of libvirt has no effect here" in virtd.log.text()


def test_a_start_that_fails_tells_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(StartFailed, match=r"(?s)status 1\n.*max_clients = \"x\" is not possible"):
        running("virtd", settings={"max_clients": "x"}).__enter__()
    with pytest.raises(
        StartFailed, match=r"(?s)status 3\n.*world: 'name' of \[\[domain\]\] has to be"
    ):
        running("virtd", world="[[domain]]\nname = 7\n").__enter__()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("virsh", {}, "'virsh' is not one of virtd, lockd, logd"),
        ("lockd", {"tcp": True}, "for virtd, not for lockd"),
        ("virtd", {"world": "world.toml"}, r"pathlib.Path\('world.toml'\) is a file"),
        ("virtd", {"settings": {"a": "\"'"}}, "one kind of quotes"),
    ],
)
def test_impossible_arguments_are_refused(name: str, options: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        running(name, **options).__enter__()


def test_what_was_not_asked_for_is_named() -> None:
    with running("virtd") as virtd, pytest.raises(LookupError, match="use tls=True"):
        _ = virtd.tls_uri


def test_settings_are_written_as_their_file_has_them() -> None:
    text = settings_text({"a": True, "b": "x", "c": 'say "x"', "d": ["x", "y"], "e": r"\d"})
    assert text == 'a = 1\nb = "x"\nc = \'say "x"\'\nd = ["x", "y"]\ne = \'\\d\'\n'
    with pytest.raises(TypeError, match=r"a=1\.5"):
        settings_text({"a": 1.5})  # type: ignore[dict-item]


def test_importing_it_loads_nothing_else() -> None:
    code = (
        "import sys, aiovirt.testing; print([name for name in sys.modules if 'asyncio' in name or"
        " name.startswith('aiovirt.') and not name.startswith('aiovirt.testing')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert done.stdout == "[]\n"
