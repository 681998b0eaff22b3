"""Guests that migrate by a real virsh while a daemon is killed or restarted, or a client goes.

Where a guest is then, and what virsh prints, is as with libvirt 9.0.0 (src/qemu/qemu_migration.c,
src/qemu/qemu_process.c); two libvirtds with guests in QEMU gave the events and texts of refusals.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests import harness
from tests.virtd.conftest import DOMAIN

PATIENCE = 40.0
NAME = "guest"
SETTINGS: harness.Settings = {"log_level": 2, "log_outputs": "2:stderr"}
#: States with reasons, as virsh tells them.
HERE, LEFT, THERE = "running (booted)", "shut off (migrated)", "running (migrated)"
WAITS, NOWHERE = "paused (migrating)", ""


class Side:
    """A virtd."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.daemon = harness.start("virtd", folder, SETTINGS)

    @property
    def uri(self) -> str:
        """Of its qemu driver."""
        return f"qemu+unix:///system?socket={self.daemon.socket}"

    def kill(self) -> None:
        """Kill it at once, and start it again."""
        self.daemon.kill(signal.SIGKILL)
        self.daemon = harness.start("virtd", self.daemon.folder, SETTINGS)

    async def restart(self) -> None:
        """Have it begin anew in its process; it is over when its log says so."""
        begun = self.daemon.log.read_text().count("took over")
        os.kill(self.daemon.pid, signal.SIGUSR1)
        async with asyncio.timeout(PATIENCE):
            while self.daemon.log.read_text().count("took over") == begun:  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.02)


class Two:
    """Two virtds."""

    def __init__(self, folder: Path) -> None:
        self.here, self.there = (Side(folder / name) for name in ("a", "b"))

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
    made = Two(tmp_path)
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
