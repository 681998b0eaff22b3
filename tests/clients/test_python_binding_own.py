"""The own tests and examples of libvirt's Python binding run as they are on virtd.

They are in its source package: its unit tests, and the event test, which subscribes to all kinds of
event of all kinds of object, with three different event loops.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import harness
from tests.clients import walking
from tests.clients.sources import source

#: The tests that ask a host, apart from those of the binding's asyncio loop, which count on a driver
#: within the process.
MODULES = (
    "test_conn",
    "test_domain",
    "test_domain_checkpoint",
    "test_domain_snapshot",
    "test_interface",
    "test_network",
    "test_nodedev",
    "test_storage",
)
LOOPS = ("native", "poll", "asyncio")

#: What the event test prints of `python/walk events` on the qemu driver; the first callback of two.
HEARD = """
Domain walkheard Defined Added
Domain walkheard Resumed Unpaused
Domain walkheard Started Booted
Domain walkheard Suspended Paused
Domain walkheard Resumed Unpaused
myDomainEventRebootCallback: Domain walkheard
myDomainEventBalloonChangeCallback: Domain walkheard 32768
myDomainEventMetadataChangeCallback: Domain walkheard changed metadata mtype=2 nsuri=http://x/y
myDomainEventMetadataChangeCallback: Domain walkheard changed metadata mtype=1 nsuri=None
Domain walkheard Suspended Paused
myDomainEventMigrationIteration: Domain walkheard started migration iteration 1
myDomainEventMigrationIteration: Domain walkheard started migration iteration 2
myDomainEventJobCompletedCallback: Domain walkheard
Domain walkheard Stopped Saved
Domain walkheard Started Restored
Domain walkheard Resumed Snapshot
Domain walkheard Stopped Destroyed
Domain walkheard Undefined Removed
myNetworkEventLifecycleCallback: Network walkheardnet Defined Added
myNetworkEventLifecycleCallback: Network walkheardnet Undefined Removed
myStoragePoolEventLifecycleCallback: Storage pool walkheard Defined 0
myStoragePoolEventLifecycleCallback: Storage pool walkheard Started 0
myStoragePoolEventRefreshCallback: Storage pool walkheard
myStoragePoolEventLifecycleCallback: Storage pool walkheard Stopped 0
myStoragePoolEventLifecycleCallback: Storage pool walkheard Undefined 0
mySecretEventLifecycleCallback: Secret 11111111-2222-3333-4444-000000000008 Defined 0
mySecretEventValueChanged: Secret 11111111-2222-3333-4444-000000000008
mySecretEventLifecycleCallback: Secret 11111111-2222-3333-4444-000000000008 Undefined 0
""".strip().splitlines()


class EventTest:
    """One event test that runs. lines: what it printed, without ids."""

    def __init__(self, uri: str, loop: str) -> None:
        program = binding() / "examples" / "event-test.py"
        # Its own end comes with that of the daemon, or after this time.
        command = [walking.PYTHON, "-u", str(program), "--loop", loop, "--timeout", "60", uri]
        self.process = subprocess.Popen(
            command,
            env=walking.ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self.listens = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "walkpoke" in line:
                self.listens.set()
            self.lines.append(line.rstrip())
        self.listens.set()

    def heard(self) -> list[str]:
        """The events of the walk, as `HEARD` has them."""
        found = [
            one for one in self.lines if "Callback2 EVENT" not in one and "walkpoke" not in one
        ]
        texts = [one.partition("Callback1 EVENT: ")[2] or one for one in found]
        for number in ("(-1)", "(1)", "(2)"):
            texts = [one.replace(number, "") for one in texts]
        return texts

    def wait(self) -> int:
        """Wait for the end, and return the exit status."""
        status = self.process.wait(walking.PATIENCE)
        self._reader.join()
        return status

    def close(self) -> None:
        """End it if it runs."""
        self.process.kill()
        self.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def binding() -> Path:
    """The source package of the binding."""
    walking.require_binding()
    return source("libvirt-python", "9.0.0")


def walk(driver: str, socket: str, topic: str) -> None:
    """Go through one topic on one host."""
    walking.finish(walking.start(driver, socket, topic), socket)


@pytest.fixture
def daemon() -> Iterator[harness.RunningDaemon]:
    """A virtd of one test, which may end it."""
    with harness.running("virtd") as started:
        yield started


def test_the_own_tests_of_the_binding_pass(daemon: harness.RunningDaemon) -> None:
    script = Path(walking.__file__).parent / "python" / "redirected.py"
    ran = subprocess.run(
        [
            walking.PYTHON,
            str(script),
            walking.uri("test", daemon.socket),
            str(binding() / "tests"),
            *MODULES,
        ],
        env=walking.ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=walking.PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "\nOK\n" in ran.stderr
    assert "skipped" not in ran.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="the event test listens to qemu:///system")
def test_the_event_test_hears_everything_with_each_loop(daemon: harness.RunningDaemon) -> None:
    uri = walking.uri("qemu", daemon.socket)
    with contextlib.ExitStack() as stack:
        tests = [EventTest(uri, loop) for loop in LOOPS]
        for one in tests:
            stack.callback(one.close)
        for one in tests:
            while not one.listens.is_set():
                walk("qemu", daemon.socket, "poke")
                one.listens.wait(0.1)
        walk("qemu", daemon.socket, "events")
        daemon.kill()
        for one, loop in zip(tests, LOOPS, strict=True):
            assert one.wait() == 0, one.lines
            heard = one.heard()
            assert heard[0] == f"Using uri '{uri}' and event loop '{loop}'"
            without_numbers = [line.partition(" {")[0] for line in heard]
            assert without_numbers[1 : 1 + len(HEARD)] == HEARD
            # asyncio's loop does not tell the end of a connection from an error of it.
            closed = f"myConnectionCloseCallback: {uri}: "
            assert {f"{closed}End-of-file", f"{closed}Error"} & set(heard)


def test_a_guest_has_addresses_by_lease_by_agent_and_by_arp(daemon: harness.RunningDaemon) -> None:
    found = walking.finish(walking.start("qemu", daemon.socket, "addresses"), daemon.socket)
    told = dict(line.split(": ", 1) for line in found["addresses"])
    assert "ERROR 55 20" in told["while off"]
    address = re.search(r"'addr'='(192\.168\.122\.\d+)'", told["lease"])
    assert address is not None, told
    assert told["lease"].startswith("{'vnet0'=")
    assert told["arp"].startswith("{'vnet0'=")
    assert f"'{address[1]}'" in told["arp"]
    assert "'eth0'=" in told["agent"]
    assert "'lo'=" in told["agent"]
    assert f"'{address[1]}'" in told["agent"]
    assert f"'ipaddr'='{address[1]}'" in told["leases"]
    assert "'hostname'='walkaddr'" in told["leases"]
    assert told["hostname"] == "'walkaddr'"
    assert told["unknown source"].startswith("ERROR 74 10")
    assert f"'{address[1]}'" in told["while paused"]


def test_the_event_test_is_told_that_the_test_driver_has_no_secrets(
    daemon: harness.RunningDaemon,
) -> None:
    one = EventTest(walking.uri("test", daemon.socket), "native")
    try:
        assert one.wait() == 1
        assert "virConnectSecretEventRegisterAny" in "".join(one.lines), one.lines
    finally:
        one.close()
