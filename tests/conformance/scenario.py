"""What a scenario is: several connections, processes and files, who does what, and what becomes of it.

Where a case of `tests/conformance/case.py` is frames on one connection, these are for programs whose
calls meet in a daemon: locks that exclude each other, logs that are written and read. Scenarios are
data, too, and were written from what libvirt 9.0.0 did.

Each has a folder of its own, which stands for `{dir}` in what is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests import harness
from tests.conformance.case import CLOSED, Answer, Outcome, call, describe
from tests.conformance.differences import Difference
from tests.conformance.judge import PATIENCE, Link
from tests.conformance.wire import (
    CALL,
    REPLY_WITH_FDS,
    Frame,
    Reader,
    string,
    u32,
)

_GUEST = """
import signal, socket, sys
path, stubborn, count = sys.argv[1:]
if stubborn == "True": signal.signal(signal.SIGTERM, signal.SIG_IGN)
links = [socket.socket(socket.AF_UNIX) for _ in range(int(count))]
for link in links: link.connect(path)
back = socket.socket(fileno=0)
socket.send_fds(back, [b"."], [link.fileno() for link in links])
for link in links: link.close()
back.recv(1)
"""
"""A process that connects, gives its connections away, and ends when we do."""


class FdLink(Link):
    """A connection over which descriptors come, too."""

    def __init__(self, to: str | socket.socket) -> None:
        super().__init__(to)
        self.descriptors: list[int] = []

    def receive(self) -> Frame | None:
        """The next frame, without its count of descriptors; those are kept here."""
        got = super().receive()
        if got is None or got.type != REPLY_WITH_FDS:
            return got
        for _ in range(int.from_bytes(got.payload[:4])):
            _, found, _, _ = socket.recv_fds(self.socket, 1, 1)
            self.descriptors += found
        return got.but(payload=got.payload[4:])


@dataclass
class Scene:
    """Where a scenario is played: a daemon, a folder, and what was made so far."""

    daemon: harness.RunningDaemon
    folder: Path
    links: dict[str, FdLink] = field(default_factory=dict)
    guests: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    descriptors: dict[str, int] = field(default_factory=dict)
    got: str = ""
    """The last answer, for a person."""

    @property
    def ours(self) -> bool:
        """Whether the daemon is not libvirt's."""
        return not self.daemon.is_real

    def fill(self, text: str | bytes) -> bytes:
        """The bytes that travel for `text`."""
        raw = text.encode() if isinstance(text, str) else text
        return raw.replace(b"{dir}", os.fsencode(self.folder))

    def path(self, name: str) -> Path:
        """A file in the folder."""
        return self.folder / name

    def link(self, name: str) -> FdLink:
        """The connection of this name, made when first needed."""
        if name not in self.links:
            self.links[name] = FdLink(self.daemon.socket)
        return self.links[name]

    def guest(self, name: str) -> subprocess.Popen[bytes]:
        """The process of this name, which has no other purpose than to own locks."""
        if name not in self.guests:
            self.guests[name] = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        return self.guests[name]

    def connect_guest(self, names: tuple[str, ...], stubborn: bool) -> None:
        """A process, called by the first name, that makes connections of all these names itself."""
        here, there = socket.socketpair()
        with here, there:
            here.settimeout(PATIENCE)
            arguments = [self.daemon.socket, str(stubborn), str(len(names))]
            command = [sys.executable, "-ISc", _GUEST, *arguments]
            self.guests[names[0]] = subprocess.Popen(command, stdin=there)
            _, connections, _, _ = socket.recv_fds(here, 1, len(names))
            self.descriptors[f"guest {names[0]}"] = here.detach()
        for name, connection in zip(names, connections, strict=True):
            self.links[name] = FdLink(socket.socket(fileno=connection))

    def clients(self) -> int:
        """How many clients the daemon has."""
        with Link(self.daemon.admin_socket) as link:
            got = link.call(call(8, string(self.daemon.name), u32(16384), u32(0)))
        return Reader(got.payload).u32()

    def close(self) -> None:
        """End everything that was made. Processes first: nobody has to be killed then."""
        for guest in self.guests.values():
            guest.kill()
            guest.wait()
            if guest.stdin:
                guest.stdin.close()
        for link in self.links.values():
            for descriptor in link.descriptors:
                os.close(descriptor)
            link.close()
        for descriptor in self.descriptors.values():
            os.close(descriptor)


OutcomeHere = Outcome | Callable[[Scene], Answer]
"""An outcome, or one that is only known on the scene."""


@dataclass(frozen=True)
class Unlike:
    """An outcome at libvirt, another at ours, and why."""

    libvirt: OutcomeHere
    ours: OutcomeHere
    why: Difference


Outcomes = OutcomeHere | Unlike

Argument = bytes | str | Callable[[Scene], bytes]
"""What is packed already; a string; what is only known on the scene."""


class Act(ABC):
    """One thing that somebody does or finds."""

    @property
    def differences(self) -> set[Difference]:
        """How ours are meant to differ here."""
        return set()

    @abstractmethod
    def play(self, scene: Scene) -> str | None:
        """Do it; what went wrong, or None."""

    def __str__(self) -> str:
        return type(self).__name__


@dataclass(frozen=True)
class Ask(Act):
    """A call over the connection `who`, and what becomes of it."""

    who: str
    program: int
    procedure: int
    arguments: tuple[Argument, ...]
    outcome: Outcomes
    eventually: bool = False
    """Ask again until the answer fits: what it depends on changes in the background."""
    version: int = 1
    keep: str = ""
    """What to call the descriptor that comes with the answer."""

    @property
    def differences(self) -> set[Difference]:
        return {self.outcome.why} if isinstance(self.outcome, Unlike) else set()

    def play(self, scene: Scene) -> str | None:
        deadline = time.monotonic() + PATIENCE
        while True:
            self.send(scene)
            complaint = self.judge(scene)
            if complaint is None or not self.eventually or time.monotonic() > deadline:
                return complaint

    def send(self, scene: Scene) -> None:
        """Make the call."""
        scene.link(self.who).send(self.frame(scene))

    def judge(self, scene: Scene) -> str | None:
        """Wait for the answer; what is wrong with it, or None."""
        link = scene.link(self.who)
        got = link.receive()
        scene.got = "closed" if got is None else _shown(got)
        if self.keep and link.descriptors:
            scene.descriptors[self.keep] = link.descriptors.pop()
        return _complaint(self.expected(scene), self.frame(scene), got)

    def expected(self, scene: Scene) -> Outcome:
        """What becomes of it at this daemon."""
        expected = self.outcome
        if isinstance(expected, Unlike):
            expected = expected.ours if scene.ours else expected.libvirt
        return expected(scene) if callable(expected) else expected

    def frame(self, scene: Scene) -> Frame:
        """What travels."""
        packed = (
            argument
            if isinstance(argument, bytes)
            else string(scene.fill(argument))
            if isinstance(argument, str)
            else argument(scene)
            for argument in self.arguments
        )
        return Frame(self.procedure, b"".join(packed), self.program, self.version, CALL)

    def __str__(self) -> str:
        return f"{self.who} calls procedure {self.procedure}"


def _complaint(expected: Outcome, frame: Frame, got: Frame | None) -> str | None:
    if expected is CLOSED:
        return None if got is None else f"expected the end of the connection, got {describe(got)}"
    assert isinstance(expected, Answer), "silence cannot be told from slowness here"
    if got is None:
        return f"the connection ended, expected: {expected}"
    return expected.complaint(frame, got)


def _shown(got: Frame) -> str:
    return describe(got) if got.status else f"{got} {got.payload[:60]!r}"


@dataclass(frozen=True)
class Held(Act):
    """A call that libvirt does not answer before something else has happened; ours do, and why."""

    ask: Ask
    until: Act
    why: Difference

    @property
    def differences(self) -> set[Difference]:
        return {self.why}

    def play(self, scene: Scene) -> str | None:
        self.ask.send(scene)
        if not scene.ours and (complaint := self.until.play(scene)):
            return complaint
        return self.ask.judge(scene)


@dataclass(frozen=True)
class Scenario:
    """One claim about how a daemon treats several who meet in it."""

    name: str
    acts: tuple[Act, ...]
    alone: bool = False
    """It leaves libvirt's daemon in a state that others must not meet: play it at one of its own."""
    settings: harness.Settings = field(default_factory=dict)
    """What the daemon is started with beside the usual; with any, it is one of its own."""

    @property
    def differences(self) -> set[Difference]:
        """How ours are meant to differ here."""
        return {found for act in self.acts for found in act.differences}

    @property
    def apart(self) -> bool:
        """Whether it needs a daemon of its own."""
        return self.alone or bool(self.settings)


def scenario(
    name: str, *acts: Act, alone: bool = False, settings: harness.Settings | None = None
) -> Scenario:
    """A scenario, written down as its name and its acts."""
    return Scenario(name, acts, alone, settings or {})


def play(told: Scenario, daemon: harness.RunningDaemon, folder: Path) -> list[str]:
    """Play a scenario; what went wrong, in words. It ends with the first thing."""
    scene = Scene(daemon, folder)
    with contextlib.closing(scene):
        for number, act in enumerate(told.acts):
            try:
                complaint = act.play(scene)
            except TimeoutError:
                complaint = f"no answer in {PATIENCE} s"
            if complaint:
                return [f"act {number}, {act}: {complaint}"]
    return []


def observe(told: Scenario, daemon: harness.RunningDaemon, folder: Path) -> list[str]:
    """What becomes of each act, without expectations: for looking at a daemon."""
    scene = Scene(daemon, folder)
    seen = []
    with contextlib.closing(scene):
        for act in told.acts:
            complaint = act.play(scene)
            seen.append(f"{act}: {scene.got or complaint or 'done'}")
            scene.got = ""
    return seen
