"""Every command of virtadm over virtlogd of libvirt: it works, or one line says what virtlogd lacks.

The command table is walked, so that a new command is covered; one that requires words has them below.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from aiovirt.admin.cli.commands import own_table
from aiovirt.admin.cli.table import Command
from aiovirt.admin.client import connect
from tests import harness

#: The words of a command; {server} is the daemon's server, {client} another client of `admin`.
WORDS = {
    "call": ["admin/CONNECT_GET_LIB_VERSION"],
    "client-disconnect": ["admin", "{client}"],
    "client-info": ["admin", "{client}"],
    "daemon-config-get": ["max_clients"],
    "daemon-config-reset": ["max_clients"],
    "daemon-config-set": ["max_clients=10"],
    "daemon-timeout": ["1000"],
    "fault-add": ["delay", "--procedure", "CONNECT_GET_HOSTNAME", "--delay", "1"],
    "fault-event": ["test", "reboot", "--host", "test"],
    "fault-remove": ["4294967295"],
    "fault-script": [str(harness.ROOT / "examples/ten_failures/scenario.toml"), "--check"],
    "lock-break": ["resource", "owner"],
    "log-follow": ["/nosuch"],
    "log-rotate": ["/nosuch"],
    "server-clients-info": ["{server}"],
    "server-clients-set": ["{server}", "--max-clients", "100000"],
    "server-threadpool-info": ["{server}"],
    "server-threadpool-set": ["{server}", "--max-workers", "10"],
    "server-tls-info": ["{server}"],
    "server-update-tls": ["{server}"],
    "world-load": [str(harness.ROOT / "daemons/virtd/worlds/test.xml")],
}

#: The refusals of libvirt's own admin program.
REFUSED = {
    "server-threadpool-set": "must not be switched from zero",  # virtlogd has no workers
    "server-update-tls": "no tls service found",
    "daemon-shutdown": "unknown procedure: 20",
}

_LACKING = re.compile(r"error: .* has no .* \(program 0x[0-9a-f]{8}\)")

#: Commands that go on until they are told to end; they have tests of their own.
_VIEWS = ("exporter", "top")

COMMANDS = [
    command
    for command in own_table().listed()
    if command.connected or (command.together and command.name not in _VIEWS)
]


def virtadm(uri: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aiovirt.admin.cli", "-c", uri, *words],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(harness.ROOT), "HOME": harness.HOME},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=harness.PATIENCE,
        check=False,
    )


@pytest.fixture(scope="module")
def daemon() -> Iterator[harness.RunningDaemon]:
    with harness.running("virtlogd") as running:
        yield running


@pytest.fixture
async def client(daemon: harness.RunningDaemon) -> AsyncIterator[str]:
    """The id of another client of the admin server."""
    async with connect(daemon.uri) as connection:
        admin = await connection.lookup_server("admin")
        yield str(max(each.id for each in await admin.list_clients()))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
async def test_a_command_works_or_names_the_program_that_is_missing(
    daemon: harness.RunningDaemon, client: str, command: Command
) -> None:
    words = WORDS.get(command.name, [])
    assert words or not any(option.required for option in command.options), (
        f"{command.name} requires words: name them in WORDS"
    )
    words = [word.format(server=daemon.name, client=client) for word in words]
    ran = await asyncio.to_thread(virtadm, daemon.uri, command.name, *words)
    errors = ran.stderr.splitlines()
    assert "Traceback" not in ran.stderr
    if ran.returncode == 0:
        assert errors == []
    elif command.name in REFUSED:
        assert re.search(REFUSED[command.name], errors[-1])
    else:
        assert len([line for line in errors if _LACKING.match(line)]) == 1, ran.stderr
        assert ran.stdout.strip() == ""
    assert daemon.alive


def test_after_a_command_that_the_daemon_lacks_the_next_one_works(
    daemon: harness.RunningDaemon,
) -> None:
    ran = virtadm(daemon.uri, "server-tls-info admin; lock-list; uri")
    assert ran.returncode == 0
    assert daemon.uri in ran.stdout
    assert len(_LACKING.findall(ran.stderr)) == 2
