"""A daemon that is killed under load, again and again, has everything that it answered.

    AIOVIRT_KILLS=100 python -m pytest tests/virtd/test_daemon_killed.py    # also part of `make soak`

Each client works on its own objects, one call after the other. After a kill the next daemon must show
every object as the last answer left it, or as the call that was not answered would have.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiovirt.daemons.virtd.client import ConnectionLost, Host, RpcError, connect
from tests.virtd.conftest import DOMAIN

KILLS = int(os.environ.get("AIOVIRT_KILLS", "4"))
#: Answers before a kill, at least and at most.
ANSWERS = (20, 120)
#: Objects of each client.
OBJECTS = 3

NETWORK = (
    "<network><name>{0}</name><bridge name='{0}'/>"
    "<ip address='10.{1}.{2}.1' prefix='24'/></network>"
)
POOL = "<pool type='dir'><name>pool</name><target><path>/pools/pool</path></target></pool>"
VOLUME = "<volume><name>{}</name><capacity>1048576</capacity></volume>"
SECRET = "<secret><uuid>{}</uuid><usage type='ceph'><name>{}</name></usage></secret>"
SNAPSHOT = "<domainsnapshot><name>one</name></domainsnapshot>"
FILTER = "<filter name='{}'/>"

State = Any
#: What a change makes of an object: the call, and the state after it.
Change = tuple[Callable[[], Awaitable[Any]], State]


class Worker:
    """A client with objects of one kind.

    known: their states, by the last answers; doing: the object and the state of a call under way.
    """

    def __init__(self, number: int) -> None:
        self.names = [f"{type(self).__name__.lower()}{number}{one}" for one in range(OBJECTS)]
        self.number = number
        self.known: dict[str, State] = dict.fromkeys(self.names)
        self.doing: tuple[str, State] | None = None
        self.answers = 0

    async def seen(self, host: Host, name: str) -> State:
        """The state of an object, None if it does not exist."""
        raise NotImplementedError

    def change(self, host: Host, name: str, state: State) -> Change:
        """The next change of an object in this state."""
        raise NotImplementedError

    async def check(self, host: Host) -> None:
        """Require that nothing is lost; what is seen is known from then on."""
        for name, state in self.known.items():
            try:
                found = await self.seen(host, name)
            except RpcError as error:
                if "not found" not in error.message.lower():
                    raise
                found = None
            assert found == state or self.doing == (name, found), (name, state, self.doing, found)
            self.known[name] = found
        self.doing = None

    async def work(self, host: Host) -> None:
        """Make changes until the daemon is gone."""
        try:
            while True:
                for name in self.names:
                    call, after = self.change(host, name, self.known[name])
                    self.doing = (name, after)
                    await call()
                    self.known[name], self.doing = after, None
                    self.answers += 1
        except (ConnectionLost, OSError):
            return


class Guest(Worker):
    """Defined, started, with a snapshot, destroyed, undefined."""

    async def seen(self, host: Host, name: str) -> State:
        domain = await host.domain(name)
        return await domain.is_active(), [one.name for one in await domain.list_snapshots()]

    def change(self, host: Host, name: str, state: State) -> Change:
        text = re.sub("<interface.*</interface>", "", DOMAIN.format(title="kvm", name=name))
        text = text.replace("<source file", "<driver name='qemu' type='qcow2'/><source file")

        async def on(method: str, *args: Any) -> None:
            await getattr(await host.domain(name), method)(*args)

        steps: dict[str, Change] = {
            "None": (lambda: host.define(text), (False, [])),
            "(False, [])": (lambda: on("create"), (True, [])),
            "(True, [])": (lambda: on("snapshot_create", SNAPSHOT), (True, ["one"])),
            "(True, ['one'])": (lambda: on("destroy"), (False, ["one"])),
            "(False, ['one'])": (lambda: on("undefine", 2), None),
        }
        return steps[str(state)]


class Net(Worker):
    """Defined, started, stopped, undefined."""

    async def seen(self, host: Host, name: str) -> State:
        network = await host.network(name)
        return await network.is_active(), await network.autostart()

    def change(self, host: Host, name: str, state: State) -> Change:
        text = NETWORK.format(name, 50 + self.number, self.names.index(name))

        async def on(method: str, *args: Any) -> None:
            await getattr(await host.network(name), method)(*args)

        steps: dict[State, Change] = {
            None: (lambda: host.network_define(text), (False, False)),
            (False, False): (lambda: on("create"), (True, False)),
            (True, False): (lambda: on("set_autostart", True), (True, True)),
            (True, True): (lambda: on("destroy"), (False, True)),
            (False, True): (lambda: on("undefine"), None),
        }
        return steps[state]


class Vol(Worker):
    """Created, resized, deleted."""

    async def seen(self, host: Host, name: str) -> State:
        return (await (await (await host.pool("pool")).volume(name)).info()).capacity

    def change(self, host: Host, name: str, state: State) -> Change:
        async def make() -> None:
            await (await host.pool("pool")).volume_create(VOLUME.format(name))

        async def on(method: str, *args: Any) -> None:
            await getattr(await (await host.pool("pool")).volume(name), method)(*args)

        steps: dict[State, Change] = {
            None: (make, 1 << 20),
            1 << 20: (lambda: on("resize", 2 << 20), 2 << 20),
            2 << 20: (lambda: on("delete"), None),
        }
        return steps[state]


class Key(Worker):
    """A secret: defined, with a value, with another one, undefined."""

    def _uuid(self, name: str) -> str:
        return f"{self.number:08}-0000-4000-8000-{self.names.index(name):012}"

    async def seen(self, host: Host, name: str) -> State:
        secret = await host.secret_by_uuid(self._uuid(name))
        try:
            return await secret.value()
        except RpcError as error:
            if "does not have a value" not in error.message:
                raise
            return b""

    def change(self, host: Host, name: str, state: State) -> Change:
        async def on(method: str, *args: Any) -> None:
            await getattr(await host.secret_by_uuid(self._uuid(name)), method)(*args)

        text = SECRET.format(self._uuid(name), name)
        steps: dict[State, Change] = {
            None: (lambda: host.secret_define(text), b""),
            b"": (lambda: on("set_value", b"one"), b"one"),
            b"one": (lambda: on("set_value", b"two"), b"two"),
            b"two": (lambda: on("undefine"), None),
        }
        return steps[state]


class Rules(Worker):
    """A network filter: defined and undefined."""

    async def seen(self, host: Host, name: str) -> State:
        return bool(await host.nwfilter(name))

    def change(self, host: Host, name: str, state: State) -> Change:
        async def undefine() -> None:
            await (await host.nwfilter(name)).undefine()

        if state:
            return undefine, None
        return lambda: host.nwfilter_define(FILTER.format(name)), True


def _read(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8") as file:
        return file.read()


@asynccontextmanager
async def _daemon(place: Path) -> AsyncIterator[str]:
    """A daemon with its store in a folder: its URI. It is killed at the end."""
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiovirt.daemons.virtd"),
        *("--rundir", str(place), "--ready-fd", str(writing)),
        pass_fds=(writing,),
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        yield json.loads(await asyncio.to_thread(_read, reading))["qemu"]
        assert process.returncode is None
    finally:
        process.kill()
        await process.wait()


async def test_nothing_that_was_answered_is_lost(tmp_path: Path) -> None:
    place = tmp_path / "r"
    workers = [kind(number) for number in range(2) for kind in (Guest, Net, Vol, Key, Rules)]
    chance = random.Random(0)
    async with _daemon(place) as uri, connect(uri) as host:
        await (await host.pool_define(POOL)).create()
    for _ in range(KILLS):
        enough = sum(one.answers for one in workers) + chance.randint(*ANSWERS)
        async with _daemon(place) as uri:
            async with connect(uri) as host:
                for one in workers:
                    await one.check(host)
            working = [asyncio.create_task(_work(one, uri)) for one in workers]
            while sum(one.answers for one in workers) < enough:
                await asyncio.sleep(0)
                for task in working:
                    assert not task.done(), task
        await asyncio.gather(*working)
    async with _daemon(place) as uri, connect(uri) as host:
        for one in workers:
            await one.check(host)
        assert len(await host.list_domains()) <= 2 * OBJECTS


async def _work(worker: Worker, uri: str) -> None:
    try:
        async with connect(uri) as host:
            await worker.work(host)
    except (ConnectionLost, OSError):
        return
