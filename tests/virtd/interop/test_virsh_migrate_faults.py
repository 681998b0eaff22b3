"""Guests that migrate by a real virsh while a daemon is killed or restarted, or a client goes.

Where a guest is then, and what virsh prints, is as with libvirt 9.0.0 (src/qemu/qemu_migration.c,
src/qemu/qemu_process.c); two libvirtds with guests in QEMU gave the events and texts of refusals.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from aiovirt.daemons.virtd.client import connect
from tests import harness
from tests.virtd.conftest import DOMAIN

PATIENCE = 40.0
NAME = "guest"
#: States with reasons, as virsh tells them.
HERE, LEFT, THERE = "running (booted)", "shut off (migrated)", "running (migrated)"
WAITS, NOWHERE = "paused (migrating)", ""


class Side:
    """A virtd."""

    def __init__(self, folder: Path, settings: harness.Settings) -> None:
        folder.mkdir()
        self._settings = settings = {**settings, "guest_log_dir": str(folder / "logs")}
        self.daemon = harness.start("virtd", folder, settings)

    @property
    def uri(self) -> str:
        """Of its qemu driver."""
        return f"qemu+unix:///system?socket={self.daemon.socket}"

    def kill(self) -> None:
        """Kill it at once, and start it again."""
        self.daemon.kill(signal.SIGKILL)
        self.daemon = harness.start("virtd", self.daemon.folder, self._settings)

    async def restart(self) -> None:
        """Have it begin anew in its process; it is over when its log says so."""
        begun = self.daemon.log.read_text().count("took over")
        os.kill(self.daemon.pid, signal.SIGUSR1)
        async with asyncio.timeout(PATIENCE):
            while self.daemon.log.read_text().count("took over") == begun:  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.02)


class Two:
    """Two virtds, whose guests lock their disks at one lock manager if they are given one."""

    def __init__(self, folder: Path, settings: harness.Settings) -> None:
        settings = {"log_level": 2, "log_outputs": "2:stderr", **settings}
        self.here, self.there = (Side(folder / name, settings) for name in ("a", "b"))

    def close(self) -> None:
        """End them."""
        for side in (self.here, self.there):
            side.daemon.kill(signal.SIGKILL)

    async def begin(self, uri: str, *command: str) -> asyncio.subprocess.Process:
        """Start virsh."""
        return await asyncio.create_subprocess_exec(
            harness.require("virsh"),
            *("-c", uri, *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **harness.libraries()},
        )

    async def virsh(self, uri: str, *command: str) -> str:
        """Run virsh, and return what it printed to both outputs."""
        async with asyncio.timeout(PATIENCE):
            out, error = await (await self.begin(uri, *command)).communicate()
        return (out + error).decode().strip()

    async def guest(self, speed: int = 0) -> None:
        """Start a guest here. speed: of its migrations, in MiB per second; 0 for no limit."""
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(DOMAIN.format(title="kvm", name=NAME))
            file.flush()
            await self.virsh(self.here.uri, "define", file.name)
        assert "started" in await self.virsh(self.here.uri, "start", NAME)
        if speed:
            await self.virsh(self.here.uri, "migrate-setspeed", NAME, str(speed))

    async def migrate(self, *options: str) -> asyncio.subprocess.Process:
        """Begin a migration, and wait until the guest arrives."""
        command = ("migrate", NAME, self.there.uri, "--live", *options)
        virsh = await self.begin(self.here.uri, *command)
        await self.come_to(HERE, WAITS)
        return virsh

    async def states(self) -> tuple[str, str]:
        """State and reason on both sides."""
        found = []
        for side in (self.here, self.there):
            told = await self.virsh(side.uri, "domstate", NAME, "--reason")
            found.append("" if told.startswith("error") else told)
        return found[0], found[1]

    async def come_to(self, *states: str) -> None:
        """Wait for states on both sides."""
        found: tuple[str, ...] = ()
        try:
            async with asyncio.timeout(PATIENCE):
                while found != states:
                    found = await self.states()
        except TimeoutError:
            pytest.fail(f"{found} instead of {states}")


async def said(virsh: asyncio.subprocess.Process) -> str:
    """The error of a virsh that ends."""
    async with asyncio.timeout(PATIENCE):
        _, error = await virsh.communicate()
    return error.decode().strip()


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    """Two for one test."""
    made = Two(tmp_path, {})
    try:
        yield made
    finally:
        made.close()


async def test_a_destination_that_is_killed_leaves_the_guest_where_it_was(two: Two) -> None:
    await two.guest(1)
    virsh = await two.migrate("--p2p")
    two.there.kill()
    assert await said(virsh) == "error: operation failed: Lost connection to destination host"
    assert await two.states() == (HERE, NOWHERE)


async def test_a_source_that_is_killed_has_the_guest_and_the_destination_ends_its_own(
    two: Two,
) -> None:
    await two.guest(1)
    virsh = await two.migrate()
    two.here.kill()
    assert "error" in await said(virsh)
    await two.come_to(HERE, NOWHERE)


@pytest.mark.parametrize("way", [(), ("--p2p",)])
async def test_a_destination_that_restarts_gets_the_guest_all_the_same(
    two: Two, way: tuple[str, ...]
) -> None:
    await two.guest(1)
    virsh = await two.migrate(*way)
    await two.there.restart()
    await two.virsh(two.here.uri, "migrate-setspeed", NAME, "100000")
    assert await said(virsh) == ""
    assert await two.states() == (LEFT, THERE)


async def test_a_source_that_restarts_keeps_the_guest(two: Two) -> None:
    await two.guest(1)
    virsh = await two.migrate("--p2p")
    await two.here.restart()
    assert await said(virsh) == "error: daemon virtd restarts: the call was cancelled"
    await two.come_to(HERE, NOWHERE)
    await two.virsh(two.here.uri, "migrate-setspeed", NAME, "100000")
    assert await two.virsh(two.here.uri, "migrate", NAME, two.there.uri, "--live") == ""
    assert await two.states() == (LEFT, THERE)


async def test_a_client_from_peer_to_peer_may_go(two: Two) -> None:
    await two.guest(1)
    virsh = await two.migrate("--p2p")
    virsh.kill()
    await virsh.wait()
    await two.virsh(two.here.uri, "migrate-setspeed", NAME, "100000")
    await two.come_to(LEFT, THERE)


async def test_statistics_of_a_migration_are_told_on_both_sides(two: Two) -> None:
    await two.guest()
    assert await two.virsh(two.here.uri, "migrate", NAME, two.there.uri, "--live") == ""
    for side, operation in ((two.here, "Outgoing"), (two.there, "Incoming")):
        told = await two.virsh(side.uri, "domjobinfo", NAME, "--completed")
        assert f"Operation:        {operation} migration" in told
        again = await two.virsh(side.uri, "domjobinfo", NAME, "--completed")
        assert again == "Job type:         None"


async def test_locks_of_disks_go_from_one_side_to_the_other(tmp_path: Path) -> None:
    with ExitStack() as stack:
        settings: harness.Settings = {
            "lock_manager": "lockd",
            "stdio_handler": "logd",
            "lockd_socket": str(stack.enter_context(harness.running("lockd")).socket),
            "logd_socket": str(stack.enter_context(harness.running("logd")).socket),
            "file_lockspace_dir": str(tmp_path / "locks"),
        }
        two = Two(tmp_path, settings)
        stack.callback(two.close)
        await two.guest()
        assert locks(tmp_path / "locks") == ["WRITE"]
        assert await two.virsh(two.here.uri, "migrate", NAME, two.there.uri, "--live") == ""
        assert await two.states() == (LEFT, THERE)
        assert locks(tmp_path / "locks") == ["WRITE"]
        async with connect(two.here.uri) as here:
            domain = await here.domain(NAME)
            with pytest.raises(Exception, match="locked"):
                await domain.create()  # the other side has the lock
        await two.virsh(two.there.uri, "destroy", NAME)
        await until(lambda: locks(tmp_path / "locks") == [])
        for side in (two.here, two.there):
            await two.virsh(side.uri, "destroy", NAME)
            side.daemon.kill()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something of the kernel."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)


def locks(folder: Path) -> list[str]:
    """The kernel's locks of the files in a folder."""
    inodes = {f":{file.stat().st_ino}" for file in folder.glob("*")}
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return [
        line[3] for line in lines if "->" not in line and f":{line[5].split(':')[-1]}" in inodes
    ]
