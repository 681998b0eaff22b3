"""Daemons for test suites: a virtd, lockd or logd of its own for a test, and nothing left of it.

    with running("virtd", world=Path("world.toml")) as virtd:
        client = libvirt.open(virtd.qemu_uri)  # or virsh, a Go program, `virtd.connect()`

With pytest, the fixtures of `aiovirt.pytest_fixtures` do this. A daemon ends with the process that
started it, also if that is killed, and its files end with the daemon.

Importing this imports nothing of the rest of the package.
"""

from __future__ import annotations

from aiovirt.testing.daemons import Daemon, Lockd, Logd, Virtd
from aiovirt.testing.launching import Settings, StartFailed
from aiovirt.testing.log import Log
from aiovirt.testing.running import running, start

__all__ = [
    "Daemon",
    "Lockd",
    "Log",
    "Logd",
    "Settings",
    "StartFailed",
    "Virtd",
    "running",
    "start",
]
