"""Settings that an administrator changes: what is in force, why, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aiovirt.admin.extension.protocol.settings import Effect, Origin, SettingInfo
from aiovirt.daemons.runtime.logging import ENVIRONMENT
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.unit.test_settings_live import Make, Recording, Setup
from tests.unit.test_settings_live import setup as setup  # a fixture

WHO = {"user": "joe", "process": 7, "address": "local"}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT.values():
        monkeypatch.delenv(name, raising=False)


async def change(one: Setup, *, live: bool = True, config: bool = False, **values: str) -> None:
    await one.settings.set(values, WHO, live=live, config=config)


async def reset(one: Setup, *names: str, live: bool = True, config: bool = False) -> None:
    await one.settings.reset(names, WHO, live=live, config=config)


async def shown(one: Setup, name: str) -> SettingInfo:
    (found,) = await one.settings.describe([name])
    return found


async def refused(one: Setup, code: ErrorCode, says: str, **values: Any) -> None:
    """Check that a change is refused, and that nothing is another value then."""
    before = await one.settings.describe(None)
    text = one.file.read_bytes()
    with pytest.raises(RpcError, match=says) as error:
        await change(one, **values)
    assert error.value.code == code
    assert await one.settings.describe(None) == before
    assert one.file.read_bytes() == text


async def test_a_live_value_is_in_force_and_the_file_is_left_alone(setup: Make) -> None:
    one = setup("virtd", "max_workers = 9\n")
    before = one.file.read_bytes()
    await change(one, max_workers="30")
    assert one.main.workers.maximum == 30
    found = await shown(one, "virtd.conf/max_workers")
    assert (found.in_force, found.in_file, found.default) == ("30", "9", "20")
    assert (found.origin, found.effect) == (Origin.ADMINISTRATOR, Effect.AT_ONCE)
    assert one.file.read_bytes() == before


async def test_a_saved_value_is_in_the_file_and_counts_at_the_next_reading(setup: Make) -> None:
    one = setup("virtd", "# about\nmax_workers = 9 # mine\n")
    await change(one, live=False, config=True, max_workers="30")
    assert one.file.read_text() == f"{one.always}# about\nmax_workers = 30 # mine\n"
    found = await shown(one, "max_workers")
    assert (found.in_force, found.in_file, found.origin) == ("9", "30", Origin.FILE)
    await one.reloader.reload()
    assert one.main.workers.maximum == 30


async def test_both_change_both_and_the_origin_is_the_file(setup: Make) -> None:
    one = setup("virtd", "max_workers = 9\n")
    await change(one, config=True, max_workers="30", log_filters="1:rpc")
    found = await shown(one, "max_workers")
    assert (found.in_force, found.in_file, found.origin) == ("30", "30", Origin.FILE)
    found = await shown(one, "log_filters")
    assert (found.in_force, found.in_file, found.origin) == ('"1:rpc"', '"1:rpc"', Origin.FILE)


async def test_a_live_value_stays_until_its_own_line_changes(setup: Make) -> None:
    one = setup("virtd", "max_workers = 9\n")
    await change(one, max_workers="30", prio_workers="3")
    await one.reload("max_workers = 9\nmax_clients = 60\n")
    assert (one.main.workers.maximum, one.main.workers.priority) == (30, 3)
    await one.reload("max_workers = 10\nmax_clients = 60\n")
    assert (one.main.workers.maximum, one.main.workers.priority) == (10, 3)
    assert (await shown(one, "max_workers")).origin == Origin.FILE


async def test_a_live_value_stays_when_another_line_changes_its_default(setup: Make) -> None:
    one = setup("lockd", "max_clients = 100\nmax_workers = 20\n")
    await change(one, max_anonymous_clients="50", min_workers="1")
    await one.reload("max_clients = 120\nmax_workers = 2\n")
    assert (one.main.registry.max_clients, one.main.registry.max_anonymous_clients) == (120, 50)
    assert (one.main.workers.maximum, one.main.workers.minimum) == (2, 1)
    assert (await shown(one, "max_anonymous_clients")).origin == Origin.ADMINISTRATOR
    await reset(one, "max_anonymous_clients", "min_workers")
    assert (one.main.registry.max_anonymous_clients, one.main.workers.minimum) == (120, 2)


async def test_a_default_follows_a_line_that_ends_a_live_value(setup: Make) -> None:
    one = setup("lockd", "max_clients = 100\n")
    await change(one, max_workers="3")
    await one.reload("max_clients = 100\nmax_workers = 10\n")
    assert (one.main.workers.maximum, one.main.workers.minimum) == (10, 5)
    assert (await shown(one, "min_workers")).origin == Origin.DEFAULT


@pytest.mark.parametrize("by_file", [True, False])
async def test_a_default_that_comes_back_follows_what_is_in_force(
    setup: Make, by_file: bool
) -> None:
    one = setup("lockd", "max_anonymous_clients = 30\nmin_workers = 2\n")
    await change(one, max_clients="60", max_workers="3")
    if by_file:
        await one.reload("")
    else:
        await reset(one, "max_anonymous_clients", "min_workers", config=True)
    assert (one.main.registry.max_clients, one.main.registry.max_anonymous_clients) == (60, 60)
    assert (one.main.workers.maximum, one.main.workers.minimum) == (3, 3)
    assert (await shown(one, "min_workers")).origin == Origin.DEFAULT


async def test_a_reload_does_not_take_back_what_is_saved_while_it_waits(setup: Make) -> None:
    one = setup("virtd", "max_workers = 9\n")
    saving = asyncio.create_task(change(one, config=True, max_workers="30"))
    await asyncio.sleep(0)  # the change has begun
    await asyncio.gather(one.reloader.reload(), saving)
    found = await shown(one, "max_workers")
    assert (found.in_force, found.in_file, found.origin) == ("30", "30", Origin.FILE)


async def test_a_line_with_the_default_ends_a_live_value_too(setup: Make) -> None:
    one = setup("virtd", "")
    await change(one, prio_workers="3")
    await one.reload("prio_workers = 5\n")
    assert one.main.workers.priority == 5


async def test_a_reset_gives_the_value_of_the_file_or_the_default(setup: Make) -> None:
    one = setup("virtd", "max_workers = 9\n")
    await change(one, max_workers="30", prio_workers="3", log_level="1")
    await reset(one, "max_workers", "prio_workers", "log_level")
    assert (one.main.workers.maximum, one.main.workers.priority, one.control.level) == (9, 5, 3)
    assert (await shown(one, "prio_workers")).origin == Origin.DEFAULT
    await reset(one, "max_workers", config=True)
    assert one.main.workers.maximum == 20
    assert one.file.read_text() == one.always


async def test_a_change_by_libvirts_program_counts_as_an_administrators(setup: Make) -> None:
    one = setup("virtd", "")
    one.main.workers.set(priority=77)
    one.control.set_filters("1:rpc")
    assert (await shown(one, "prio_workers")).origin == Origin.ADMINISTRATOR
    assert (await shown(one, "log_filters")).in_force == '"1:rpc"'
    assert set(one.settings.administered) == {"prio_workers", "log_filters"}
    await reset(one, "prio_workers", "log_filters")
    assert one.main.workers.priority == 5
    assert one.settings.administered == {}


async def test_the_values_of_a_settings_file_are_not_an_administrators(setup: Make) -> None:
    one = setup("virtd", 'log_filters = "1:rpc   2:admin"\nlog_format = "text"\nlog_level = 0\n')
    assert one.settings.administered == {}
    assert (await shown(one, "log_level")).in_force == "3"


async def test_a_default_that_follows_another_setting_follows_it_live(setup: Make) -> None:
    one = setup("lockd", "")
    await change(one, max_clients="50", max_workers="3")
    assert one.main.registry.max_anonymous_clients == 50
    assert one.main.workers.minimum == 3
    assert (await shown(one, "max_anonymous_clients")).origin == Origin.DEFAULT
    await reset(one, "max_clients", "max_workers")
    assert (one.main.registry.max_anonymous_clients, one.main.workers.minimum) == (1024, 5)


async def test_an_unknown_setting_is_refused_with_similar_names(setup: Make) -> None:
    one = setup("virtd", "")
    await refused(one, ErrorCode.CONFIG_UNSUPPORTED, "similar: max_workers", max_wrokers="1")
    await refused(one, ErrorCode.CONFIG_UNSUPPORTED, "similar: max_workers", MAX_WORKERS="1")
    await refused(
        one,
        ErrorCode.CONFIG_UNSUPPORTED,
        "without effect here; similar: admin_max_clients",
        admin_max_queued_clients="1",
    )
    await refused(
        one, ErrorCode.CONFIG_UNSUPPORTED, "no file 'x.conf'", **{"x.conf/max_workers": "1"}
    )
    with pytest.raises(RpcError) as error:
        await change(one, **{"x" * 1_000_000: "1"})
    assert len(error.value.message) < 200
    await change(one, **{"other.conf/max_workers": "8"})
    assert one.main.workers.maximum == 8


@pytest.mark.parametrize("config", [False, True])
async def test_a_bad_value_is_refused_with_what_is_allowed(setup: Make, config: bool) -> None:
    one = setup("virtd", "")
    for name, value, says in (
        ("max_workers", "0", "from 1 to"),
        ("max_workers", "many", "a whole number"),
        ("max_workers", "5\nmax_clients = 6", "a whole number"),
        ("log_level", "5", "from 0 to 4"),
        ("log_filters", "9:rpc", "LEVEL:MATCH"),
        ("auth_tls", "some", '"none" or "sasl"'),
        ("unix_sock_rw_perms", "0999", "octal digits"),
        ("tls_allowed_dn_list", "CN=x", "a list of names"),
        ("listen_tcp", "2", "0 or 1"),
    ):
        await refused(one, ErrorCode.INVALID_ARG, says, config=config, **{name: value})


async def test_a_setting_that_needs_a_restart_is_refused_with_the_reason_and_can_be_saved(
    setup: Make,
) -> None:
    one = setup("virtd", "")
    await refused(
        one,
        ErrorCode.OPERATION_UNSUPPORTED,
        "have been told the version",
        max_workers="7",
        libvirt_version="9.1.0",
    )
    await change(one, live=False, config=True, libvirt_version="9.1.0")
    found = await shown(one, "libvirt_version")
    assert (found.in_force, found.in_file) == ('"9.0.0"', '"9.1.0"')
    assert found.effect == Effect.RESTART


@pytest.mark.parametrize(("live", "config"), [(True, False), (False, True), (True, True)])
async def test_settings_that_contradict_each_other_are_refused_together(
    setup: Make, live: bool, config: bool
) -> None:
    one = setup("virtd", "")
    how = {"live": live, "config": config}
    bad = ErrorCode.INVALID_ARG
    await refused(
        one, bad, "max_clients", log_level="1", max_clients="5", max_anonymous_clients="6", **how
    )
    await refused(one, bad, "orkers", min_workers="9", max_workers="8", prio_workers="1", **how)


async def test_a_setting_that_another_one_replaces_cannot_be_set_live(setup: Make) -> None:
    one = setup("virtd", "")
    await change(one, key_file="/a", log_level="1")
    await change(one, key_files='["/b"]')
    bad = ErrorCode.INVALID_ARG
    await refused(one, bad, "reset key_files first", key_file="/c", log_level="2")
    await change(one, live=False, config=True, key_file="/c")
    await reset(one, "key_files")
    await change(one, key_file="/d")


async def test_a_pool_that_would_come_or_go_needs_a_restart(setup: Make) -> None:
    one = setup("lockd", "")
    await refused(one, ErrorCode.OPERATION_UNSUPPORTED, "at a restart only", max_workers="0")


async def test_what_was_changed_before_a_refusal_is_changed_back(setup: Make) -> None:
    one = setup("virtd", "")
    part = one.parts["sockets"]
    assert isinstance(part, Recording)
    part.refuse = "the port is taken"
    await refused(
        one,
        ErrorCode.INVALID_ARG,
        "tcp_port not changed: the port is taken",
        log_level="1",
        max_workers="9",
        max_client_requests="3",
        tcp_port="17",
    )
    assert one.control.level == 3


async def test_a_file_that_cannot_be_written_undoes_the_live_change(
    setup: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = setup("virtd", "")

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aiovirt.daemons.runtime.settings.saving.replace", full)
    await refused(one, ErrorCode.SYSTEM_ERROR, "No space left", max_workers="9", config=True)
    assert one.main.workers.maximum == 20


async def test_a_file_that_is_no_settings_file_is_not_edited(setup: Make) -> None:
    one = setup("virtd", "")
    one.file.write_text("max_workers 5\n")
    with pytest.raises(RpcError, match=r"x.conf:1: expected =") as error:
        await change(one, live=False, config=True, max_workers="9")
    assert error.value.code == ErrorCode.CONF_SYNTAX
    assert one.file.read_text() == "max_workers 5\n"


async def test_the_environment_gives_way_to_an_administrator_and_comes_back_at_a_reset(
    setup: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBVIRT_LOG_FILTERS", "1:admin")
    one = setup("virtd", "")
    assert (await shown(one, "log_filters")).origin == Origin.ENVIRONMENT
    await change(one, log_filters="2:rpc")
    found = await shown(one, "log_filters")
    assert (found.in_force, found.origin) == ('"2:rpc"', Origin.ADMINISTRATOR)
    await reset(one, "log_filters")
    assert (await shown(one, "log_filters")).in_force == '"1:admin"'


async def test_every_change_is_logged_with_old_and_new_value_and_its_author(setup: Make) -> None:
    one = setup("virtd", "max_workers = 9\n")  # at the level that a daemon has by default
    await change(one, config=True, max_workers="30")
    said = one.logged()
    who = "user=joe process=7 address=local"
    assert f"setting changed setting=max_workers old=9 new=30 {who}" in said
    assert "setting saved setting=max_workers old=9 new=30" in said
    said = await one.reload("max_workers = 8\n")
    assert 'setting changed setting=max_workers old=30 new=8 by="settings file"' in said


async def test_an_administrator_who_goes_does_not_leave_half_a_change(setup: Make) -> None:
    one = setup("virtd", "")
    task = asyncio.create_task(change(one, config=True, log_level="1", max_workers="9"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await change(one, log_format="text")  # changes wait for each other
    assert (one.control.level, one.main.workers.maximum) == (1, 9)
    assert one.file.read_text().endswith("log_level = 1\nmax_workers = 9\n")


async def test_what_somebody_else_has_changed_in_the_file_waits_for_its_reading(
    setup: Make, tmp_path: Path
) -> None:
    one = setup("virtd", "")
    one.write("max_clients = 60\n")
    await change(one, config=True, max_workers="9")
    assert one.main.registry.max_clients == 5000
    assert one.file.read_text().endswith("max_clients = 60\nmax_workers = 9\n")
    await one.reloader.reload()
    assert one.main.registry.max_clients == 60


async def test_a_change_by_libvirts_program_is_logged_with_its_author(setup: Make) -> None:
    one = setup("virtd", "log_level = 2")
    with one.settings.noted(WHO):
        one.main.workers.set(priority=77)
    said = one.logged()
    assert "setting=prio_workers old=5 new=77 user=joe process=7 address=local" in said


async def test_an_undone_change_leaves_the_default_outputs_to_the_daemon(setup: Make) -> None:
    one = setup("virtd", "")
    one.always = ""
    await one.reload("")
    part = one.parts["sockets"]
    assert isinstance(part, Recording)
    part.refuse = "the port is taken"
    outputs = f"1:file:{one.log_file}"
    with pytest.raises(RpcError):
        await change(one, log_outputs=outputs, tcp_port="17")
    await change(one, log_level="4")
    assert one.control.outputs_text() == "4:stderr"
