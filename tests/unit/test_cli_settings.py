"""The commands about settings, against a daemon of ours."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from aiovirt.admin.cli.commands import command_table
from aiovirt.admin.cli.complete import complete_line
from aiovirt.admin.cli.parser import LineWords, parse
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.terminal import Terminal
from tests import harness
from tests.conftest import StartDaemon
from tests.unit.test_cli_commands import Said, run

TABLE = command_table()


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> harness.RunningDaemon:
    return start_daemon("virtd")


async def at(daemon: harness.RunningDaemon, line: str, *, as_json: bool = False) -> Said:
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal("virtadm", out=out, err=err)
    terminal.json = as_json
    session = AdminSession(TABLE, terminal, daemon.uri)
    try:
        succeeded = await session.run(parse(LineWords(line), TABLE))
    finally:
        await session.close()
    return Said(succeeded, out.getvalue(), err.getvalue())


async def data(daemon: harness.RunningDaemon, line: str) -> Any:
    """The JSON document that a command answers with."""
    return json.loads((await at(daemon, line, as_json=True)).out)


async def test_a_setting_is_changed_shown_saved_and_reset(daemon: harness.RunningDaemon) -> None:
    done = await at(daemon, "daemon-config-set --live --config max_workers=30 log_filters=1:rpc")
    assert (
        "max_workers, log_filters changed in the running daemon and in the settings file"
        in done.out
    )
    assert daemon.conf.read_text().endswith('max_workers = 30\nlog_filters = "1:rpc"\n')
    assert "origin         : file" in (await at(daemon, "daemon-config-get max_workers")).out
    (found,) = await data(daemon, "daemon-config-get virtd.conf/max_workers")
    assert (found["in_force"], found["in_file"], found["origin"]) == ("30", "30", "file")
    answer = await data(daemon, "daemon-config-reset --live --config max_workers")
    assert answer == {"reset": ["max_workers"], "live": True, "config": True}
    assert "max_workers" not in daemon.conf.read_text()


async def test_the_list_can_be_narrowed(daemon: harness.RunningDaemon) -> None:
    await at(daemon, "daemon-config-set prio_workers=9")
    names = [one["name"] for one in await data(daemon, "daemon-config-list *prio_workers")]
    assert names == ["virtd.conf/prio_workers", "virtd.conf/admin_prio_workers"]
    changed = await data(daemon, "daemon-config-list --changed")
    assert "virtd.conf/prio_workers" in [one["name"] for one in changed]
    assert "virtd.conf/admin_prio_workers" not in [one["name"] for one in changed]
    assert (await at(daemon, "daemon-config-list")).out.count("\n") > 40


async def test_the_log_level_is_a_number_or_a_word(daemon: harness.RunningDaemon) -> None:
    await at(daemon, "daemon-log-level error")
    assert (await at(daemon, "daemon-log-level")).out == "4 (error)\n\n"
    await at(daemon, "daemon-log-level 0")
    assert await data(daemon, "daemon-log-level") == {"level": 3, "name": "warning"}
    assert "is not a log level" in (await at(daemon, "daemon-log-level loud")).err


async def test_refusals_say_why_and_that_nothing_has_changed(
    daemon: harness.RunningDaemon,
) -> None:
    said = await at(daemon, "daemon-config-set max_wrokers=1")
    assert not said.succeeded
    assert "nothing has changed" in said.err
    assert "similar: max_workers" in said.err
    assert "is not NAME=VALUE" in (await at(daemon, "daemon-config-set max_workers")).err
    assert "given twice" in (await at(daemon, "daemon-config-set a=1 a=2")).err
    assert "requires <name>" in (await at(daemon, "daemon-config-reset --live")).err


async def test_names_and_words_are_completed(daemon: harness.RunningDaemon) -> None:
    session = AdminSession(TABLE, Terminal("virtadm", out=io.StringIO()), daemon.uri)
    try:
        for line, word, found in (
            ("daemon-config-get tls_po", "tls_po", ["tls_port"]),
            ("daemon-config-set max_wo", "max_wo", ["max_workers="]),
            ("daemon-config-set auth_tls=", "", ["none", "sasl", "polkit"]),
            ("daemon-config-set auth_tls=s", "auth_tls=s", ["auth_tls=sasl"]),
            ("daemon-config-set listen_tcp=", "listen_tcp=", ["listen_tcp=0", "listen_tcp=1"]),
            ("daemon-config-set log_level=", "", ["0", "1", "2", "3", "4"]),
            ("daemon-config-get virtd.conf/tls_p", "virtd.conf/tls_po", ["virtd.conf/tls_port"]),
            ("daemon-log-level w", "w", ["warning"]),
            ("daemon-log-follow --level ", "", ["debug", "info", "warning", "error"]),
        ):
            assert (await complete_line(session, line, word))[: len(found)] == found
    finally:
        await session.close()


async def test_a_daemon_without_the_program_is_named() -> None:
    said = await run("daemon-config-list")
    assert not said.succeeded
    assert "has no admin extension" in said.err
