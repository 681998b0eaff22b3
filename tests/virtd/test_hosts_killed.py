"""A virtd that is killed a hundred times under load has everything that it answered."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from aiovirt.daemons.virtd.client import connect
from aiovirt.daemons.virtd.host import lifecycle, saving
from aiovirt.daemons.virtd.host.flavour import FLAVOURS
from aiovirt.daemons.virtd.host.host import Host
from aiovirt.daemons.virtd.host.store import Store
from aiovirt.rpc.client import ConnectionLost
from tests.virtd.conftest import DOMAIN

#: Kills of a process that only has hosts, and of a whole daemon.
KILLS = 100
DAEMONS = 3
GUESTS = 8


def _opened(path: str, *, read_only: bool = False) -> Host:
    host = Host(FLAVOURS["qemu"])
    host.load(Store(path, read_only=read_only))
    return host


def _text(name: str) -> str:
    """A guest without a network, which would have to be active."""
    text = DOMAIN.format(title="kvm", name=name)
    return re.sub("<interface.*</interface>", "", text)


def _change(host: Host, number: int) -> str:
    """Make one change and return what has to be there afterwards: the name and the state."""
    name = f"guest-{number % GUESTS}"
    found = host.domains.by_name(name)
    if found is None:
        found = lifecycle.define(host, _text(name))
    elif found.is_active:
        saving.managed_save(found, 0)
    elif found.record.saved is None:
        lifecycle.start(found)
    else:
        host.domains.remove(found)
        return f"{name} gone"
    return f"{name} {int(found.record.state)} {found.record.saved is not None}"


def _live(path: str, writing: int) -> None:
    """Change things for ever, and answer each of them when it is made."""
    host = _opened(path)
    number = 0
    while True:
        os.write(writing, f"{_change(host, number)}\n".encode())
        number += 1


def _state(host: Host, name: str) -> str:
    found = host.domains.by_name(name)
    if found is None:
        return f"{name} gone"
    return f"{name} {int(found.record.state)} {found.record.saved is not None}"


#: The states through which each guest goes.
ROUND = ("gone", "5 False", "1 False", "5 True")


def test_nothing_that_was_answered_is_lost_in_a_hundred_kills(tmp_path: Path) -> None:
    path = str(tmp_path / "store")
    _opened(path).store.close()
    for kill in range(KILLS):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                _live(path, writing)
            finally:
                os._exit(1)
        os.close(writing)
        answered: dict[str, str] = {}
        with open(reading, "rb") as file:
            for _ in range(1 + kill % 29):
                line = file.readline().decode().strip()
                answered[line.split()[0]] = line
            os.kill(child, signal.SIGKILL)
            for last in file.read().decode().splitlines():
                answered[last.split()[0]] = last  # answered, too
        os.waitpid(child, 0)
        host = _opened(path, read_only=True)
        for name, line in answered.items():
            reached = _state(host, name)
            told = ROUND.index(line.partition(" ")[2])
            after = f"{name} {ROUND[(told + 1) % len(ROUND)]}"
            assert reached in (line, after)  # the next change may be made but not answered
        late = [name for name, line in answered.items() if _state(host, name) != line]
        assert len(late) <= 1
        host.store.close()  # a child must not have it


def _read(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8") as file:
        return file.read()


async def _define_all(uri: str, prefix: str, answered: list[str]) -> None:
    """Define and start guests until the daemon is gone."""
    try:
        async with connect(uri) as host:
            for number in range(10_000):
                name = f"{prefix}-{number}"
                domain = await host.define(DOMAIN.format(title="kvm", name=name))
                answered.append(f"{name} 5 False")
                await domain.create()
                answered.append(f"{name} 1 False")
    except (ConnectionLost, OSError):
        return


async def test_a_daemon_that_is_killed_while_clients_call_has_what_it_answered(
    tmp_path: Path,
) -> None:
    place = tmp_path / "r"
    answered: list[str] = []
    for number in range(DAEMONS):
        reading, writing = os.pipe()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "aiovirt.daemons.virtd"),
            *("--rundir", str(place), "--ready-fd", str(writing)),
            pass_fds=(writing,),
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        uri = json.loads(await asyncio.to_thread(_read, reading))["qemu"]
        clients = [
            asyncio.create_task(_define_all(uri, f"{number}-{one}", answered)) for one in range(4)
        ]
        enough = len(answered) + 30
        while len(answered) < enough:
            await asyncio.sleep(0)
            assert process.returncode is None
        process.kill()
        await asyncio.gather(*clients)
        await process.wait()
    host = _opened(str(place / "virtd.sqlite"), read_only=True)
    latest = {line.split()[0]: line for line in answered}
    for name, line in latest.items():
        assert _state(host, name) in (line, f"{name} 1 False")
