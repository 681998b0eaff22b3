"""Hosts that are killed a hundred times have all that they answered; see test_daemon_killed.py."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from aiovirt.daemons.virtd.host import lifecycle, saving
from aiovirt.daemons.virtd.host.flavour import FLAVOURS
from aiovirt.daemons.virtd.host.host import Host
from aiovirt.daemons.virtd.host.store import Store
from tests.virtd.conftest import DOMAIN

#: Kills of a process that only has hosts.
KILLS = 100
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
