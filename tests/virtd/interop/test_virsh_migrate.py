"""A guest that moves between two virtds, by a real virsh: what it prints, and where the guest is.

Texts and events are those of libvirt 9.0.0, from its sources; a guest of virtd moves to a virtd only.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator

import pytest

from aiovirt.daemons.virtd.client import Events, connect
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID, DomainEventType
from tests import harness
from tests.virtd.conftest import DOMAIN
from tests.virtd.test_ephemeral import Ephemeral, ephemeral

#: Seconds that virsh has for a command.
PATIENCE = 30.0
#: MiB per second, by which the migration of a guest with 512 MiB takes minutes.
SLOW = "1"


class Pair:
    """Two virtds. here, there: their URIs."""

    def __init__(self, one: Ephemeral, other: Ephemeral) -> None:
        self.here, self.there = one.told["qemu"], other.told["qemu"]

    async def begin(self, uri: str, *command: str) -> asyncio.subprocess.Process:
        """Start virsh."""
        return await asyncio.create_subprocess_exec(
            harness.require("virsh"),
            "-c",
            uri,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **harness.libraries()},
        )

    async def virsh(self, uri: str, *command: str) -> tuple[str, list[str]]:
        """Run virsh: what it printed, and its lines of error."""
        async with asyncio.timeout(PATIENCE):
            out, error = await (await self.begin(uri, *command)).communicate()
        return out.decode().strip(), error.decode().strip().splitlines()

    async def migrate(self, name: str, *options: str) -> tuple[str, list[str]]:
        """Move a guest there."""
        return await self.virsh(self.here, "migrate", name, self.there, *options)

    async def refused(self, name: str, uri: str, *options: str) -> list[str]:
        """Have a migration refused, and return the lines of error.

        The virsh of 9.0.0 may wait for ever for one that fails at once: its thread ends the main loop
        before that runs. It is started again then.
        """
        while True:
            virsh = await self.begin(self.here, "migrate", name, uri, *options)
            try:
                async with asyncio.timeout(PATIENCE / 3):
                    _, error = await virsh.communicate()
            except TimeoutError:
                virsh.kill()
                await virsh.wait()
            else:
                return error.decode().strip().splitlines()

    async def states(self, name: str) -> tuple[str, str]:
        """State and reason on both sides, "" where the domain is not known."""
        found = [await self.virsh(uri, "domstate", name, "--reason") for uri in self.uris]
        return found[0][0], found[1][0]

    @property
    def uris(self) -> tuple[str, str]:
        """Both URIs."""
        return self.here, self.there


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """One for all tests of this file; each has a guest of its own."""
    with ephemeral() as one, ephemeral() as other:
        yield Pair(one, other)


async def guest(pair: Pair, name: str, *, transient: bool = False) -> None:
    """Start a guest here."""
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write(DOMAIN.format(title="kvm", name=name))
        file.flush()
        _, error = await pair.virsh(pair.here, "create" if transient else "define", file.name)
    assert error == []
    if not transient:
        assert (await pair.virsh(pair.here, "start", name))[1] == []


async def told(events: Events) -> str:
    """The next event: its kind, or what happened in the life of a guest and why."""
    async with asyncio.timeout(PATIENCE):
        event = await anext(events)
    if event.kind is not DomainEventID.LIFECYCLE:
        return event.kind.name
    return f"{DomainEventType(event.data['event']).name} {event.data['detail']}"


#: The events on the side that a guest leaves and on the other, as two libvirtds have told them.
PAUSED, ITERATION = "SUSPENDED 1", "MIGRATION_ITERATION"
LEFT = ("STOPPED 3", "JOB_COMPLETED")


@pytest.mark.parametrize(
    ("options", "left", "arrived"),
    [
        (("--live",), (ITERATION, PAUSED, ITERATION, *LEFT), ("STARTED 1", "RESUMED 1")),
        (("--live", "--p2p"), (ITERATION, PAUSED, ITERATION, *LEFT), ("STARTED 1", "RESUMED 1")),
        ((), (PAUSED, ITERATION, ITERATION, *LEFT), ("STARTED 1", "RESUMED 1")),
        (
            ("--live", "--persistent"),
            (ITERATION, PAUSED, ITERATION, *LEFT),
            ("STARTED 1", "DEFINED 0", "RESUMED 1"),
        ),
        (
            ("--live", "--suspend"),
            (ITERATION, PAUSED, ITERATION, *LEFT),
            ("STARTED 1", "SUSPENDED 0"),
        ),
    ],
)
async def test_events_of_a_migration_come_in_the_order_of_libvirt(
    pair: Pair, options: tuple[str, ...], left: tuple[str, ...], arrived: tuple[str, ...]
) -> None:
    name = "events" + "".join(options)
    await guest(pair, name)
    kinds = (
        DomainEventID.LIFECYCLE,
        DomainEventID.JOB_COMPLETED,
        DomainEventID.MIGRATION_ITERATION,
    )
    async with (
        connect(pair.here) as here,
        connect(pair.there) as there,
        here.events(*kinds) as gone,
        there.events(*kinds) as come,
    ):
        assert (await pair.migrate(name, *options))[1] == []
        assert tuple([await told(gone) for _ in left]) == left
        assert tuple([await told(come) for _ in arrived]) == arrived
    there_now = "paused (user)" if "--suspend" in options else "running (migrated)"
    assert await pair.states(name) == ("shut off (migrated)", there_now)


async def test_from_peer_to_peer_a_daemon_that_is_not_there_is_told_as_by_libvirt(
    pair: Pair,
) -> None:
    await guest(pair, "nowhere")
    uri = "qemu+unix:///system?socket=/nonexistent/x"
    error = await pair.refused("nowhere", uri, "--live", "--p2p")
    assert error == [
        "error: Failed to connect socket to '/nonexistent/x': No such file or directory"
    ]
    assert await pair.states("nowhere") == ("running (booted)", "")


@pytest.mark.parametrize("way", [(), ("--p2p",)])
async def test_a_guest_takes_its_definition_along(pair: Pair, way: tuple[str, ...]) -> None:
    name = "kept" + "".join(way)
    await guest(pair, name)
    options = ("--live", "--persistent", "--undefinesource", *way)
    assert (await pair.migrate(name, *options))[1] == []
    assert await pair.states(name) == ("", "running (migrated)")
    assert "Persistent:     yes" in (await pair.virsh(pair.there, "dominfo", name))[0]


@pytest.mark.parametrize("way", [(), ("--p2p",)])
async def test_an_aborted_migration_leaves_the_guest_where_it_was(
    pair: Pair, way: tuple[str, ...]
) -> None:
    name = "slow" + "".join(way)
    await guest(pair, name)
    virsh = await pair.begin(
        pair.here, "migrate", name, pair.there, "--live", "--bandwidth", SLOW, *way
    )
    async with asyncio.timeout(PATIENCE):
        while "Outgoing migration" not in (await pair.virsh(pair.here, "domjobinfo", name))[0]:
            pass
        while (await pair.states(name))[1] != "paused (migrating)":
            pass
        assert (await pair.virsh(pair.here, "domjobabort", name))[1] == []
        _, error = await virsh.communicate()
    text = "error: operation aborted: job 'migration out' canceled by client"
    assert error.decode().strip() == text
    assert await pair.states(name) == ("running (booted)", "")


async def test_a_client_that_is_gone_leaves_the_guest_where_it_was(pair: Pair) -> None:
    await guest(pair, "alone")
    virsh = await pair.begin(
        pair.here, "migrate", "alone", pair.there, "--live", "--bandwidth", SLOW
    )
    async with asyncio.timeout(PATIENCE):
        while (await pair.states("alone"))[1] != "paused (migrating)":
            pass
        virsh.kill()
        await virsh.wait()
        while (await pair.states("alone")) != ("running (booted)", ""):
            pass
        while (await pair.migrate("alone", "--live", "--suspend"))[1]:
            pass
    assert await pair.states("alone") == ("shut off (migrated)", "paused (user)")


async def test_a_definition_moves_without_a_guest(pair: Pair) -> None:
    await guest(pair, "off")
    await pair.virsh(pair.here, "destroy", "off")
    assert (await pair.migrate("off", "--offline", "--persistent", "--undefinesource"))[1] == []
    assert await pair.states("off") == ("", "shut off (unknown)")


async def test_a_transient_guest_gets_another_name(pair: Pair) -> None:
    await guest(pair, "old", transient=True)
    assert (await pair.migrate("old", "--live", "--dname", "new"))[1] == []
    assert (await pair.states("old"), await pair.states("new")) == (
        ("", ""),
        ("", "running (migrated)"),
    )


@pytest.mark.parametrize("way", [(), ("--p2p",)])
async def test_a_host_does_not_take_its_own_guest(pair: Pair, way: tuple[str, ...]) -> None:
    name = "self" + "".join(way)
    await guest(pair, name)
    error = await pair.refused(name, pair.here, "--live", *way)
    assert error[0].startswith("error: internal error: Attempt to migrate guest to the same host")
    assert await pair.states(name) == ("running (booted)", "")
