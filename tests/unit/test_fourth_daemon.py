"""A daemon in a stranger's package, away from this source tree, has all that ours have."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from aiovirt.rpc.client import connect_unix
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests import harness
from tests.restart.conftest import Restarted

SOURCE = harness.ROOT / "examples" / "fourth"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example, as somebody who has only installed aiovirt has it."""
    shutil.copytree(SOURCE, tmp_path / "fourth", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "fourth"


@pytest.fixture
def protocol(folder: Path) -> Iterator[ModuleType]:
    """The example's package, in this process: its program is there."""
    spec = importlib.util.spec_from_file_location("noted", folder / "noted" / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["noted"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["noted"]  # not before: codecs are compiled at their first use, from its names


def _command(*options: str) -> list[str]:
    return [sys.executable, "-m", "noted", *options]


@pytest.fixture
def noted(folder: Path) -> Iterator[Restarted]:
    run, conf, log = folder / "run", folder / "noted.conf", folder / "log"
    conf.write_text("max_notes = 2\nlog_level = 2\n")
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command("--rundir", str(run), "-f", str(conf)),
            cwd=folder,
            stdout=output,
            stderr=output,
        )
    sockets = (f"{run}/noted-sock", f"{run}/noted-admin-sock")
    daemon = harness.RunningDaemon("noted", folder, conf, log, *sockets, process)
    try:
        daemon.wait_ready()
        yield Restarted(daemon)
    finally:
        daemon.kill()


def test_it_takes_under_100_lines() -> None:
    made = ("__pycache__", ".mypy_cache", ".ruff_cache")
    files = [
        path
        for path in SOURCE.rglob("*")
        if path.is_file() and not any(part in made for part in path.parts)
    ]
    lines = {path.name: path.read_text().count("\n") for path in files}
    assert 20 < sum(lines.values()) < 100, lines


def test_it_uses_only_public_names() -> None:
    text = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    assert "aiovirt.daemons.runtime." not in text, "the package itself has all names"
    assert "import _" not in text


async def test_it_serves_and_its_notes_and_clients_survive_a_restart(
    noted: Restarted, protocol: ModuleType
) -> None:
    async with connect_unix(noted.daemon.socket) as connection:
        added = await connection.call(protocol.ADD, protocol.Note("milk"))
        assert added.number == 1
        for _ in range(2):
            await noted.restart()
            assert (await connection.call(protocol.READ, added)).text == "milk"
        assert (await connection.call(protocol.ADD, protocol.Note("bread"))).number == 2
    assert noted.daemon.kill() == 0
    assert os.listdir(noted.daemon.folder / "run") == []


async def test_sighup_changes_its_setting_while_it_runs(
    noted: Restarted, protocol: ModuleType
) -> None:
    async with connect_unix(noted.daemon.socket) as connection:
        for text in ("milk", "bread"):
            await connection.call(protocol.ADD, protocol.Note(text))
        with pytest.raises(RpcError, match="2 notes already") as refusal:
            await connection.call(protocol.ADD, protocol.Note("butter"))
        assert refusal.value.code == ErrorCode.OPERATION_DENIED
        noted.daemon.conf.write_text("max_notes = 3\nlog_level = 2\n")
        os.kill(noted.pid, signal.SIGHUP)
        await noted.wait_for(lambda: "setting changed setting=max_notes old=2 new=3" in noted.said)
        assert (await connection.call(protocol.ADD, protocol.Note("butter"))).number == 3
        noted.daemon.conf.write_text("max_notes = 4000\n")
        os.kill(noted.pid, signal.SIGHUP)
        await noted.wait_for(lambda: "max_notes = 4000 is not possible" in noted.said)


async def test_libvirts_virt_admin_administers_it(noted: Restarted) -> None:
    def ask(*command: str) -> str:
        done = harness.virt_admin(noted.daemon.admin_socket, *command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    servers = await asyncio.to_thread(ask, "srv-list")
    assert [line.split()[-1] for line in servers.splitlines()[2:] if line] == ["admin", "noted"]
    assert "nclients_max" in await asyncio.to_thread(ask, "srv-clients-info", "noted")
    async with connect_unix(noted.daemon.socket):
        clients = await asyncio.to_thread(ask, "client-list", "noted")
        assert "unix" in clients


def test_its_settings_file_can_be_printed(folder: Path) -> None:
    printed = subprocess.run(
        _command("--print-config"), cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    assert "# Maximum number of notes.\n#max_notes = 100\n" in printed
    assert "libvirt" not in printed.splitlines()[0]
