"""What happens in a scenario beside calls: connections, processes and files come and go.

Nothing waits for time to pass: what happens in the background is looked at until it is so.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.conformance.differences import Difference
from tests.conformance.judge import PATIENCE
from tests.conformance.scenario import Act, Scene


@dataclass(frozen=True)
class HangUp(Act):
    """A connection is closed. When the daemon notices is another matter."""

    who: str

    def play(self, scene: Scene) -> str | None:
        scene.links.pop(self.who).close()
        return None


@dataclass(frozen=True)
class Leave(Act):
    """A connection is closed, and the daemon has noticed."""

    who: str

    def play(self, scene: Scene) -> str | None:
        before = scene.clients()
        scene.links.pop(self.who).close()
        went = _until(lambda: scene.clients() == before - 1)
        return None if went else f"{self.who} never went"


@dataclass(frozen=True)
class Connect(Act):
    """A process makes its connections itself; if it is stubborn, it takes no notice of SIGTERM."""

    who: str
    also: tuple[str, ...] = ()
    """Its further connections."""
    stubborn: bool = False

    def play(self, scene: Scene) -> str | None:
        scene.connect_guest((self.who, *self.also), self.stubborn)
        return None


@dataclass(frozen=True)
class EndsBy(Act):
    """The process `who` is ended by this signal."""

    who: str
    number: int

    def play(self, scene: Scene) -> str | None:
        try:
            status = scene.guest(self.who).wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return f"the process {self.who} lives"
        if status != -self.number:
            return f"the process {self.who} ended with {status}, expected {-self.number}"
        return None


@dataclass(frozen=True)
class Dies(Act):
    """The process `who` ends, and not by the daemon."""

    who: str

    def play(self, scene: Scene) -> str | None:
        guest = scene.guest(self.who)
        guest.send_signal(signal.SIGKILL)
        guest.wait()
        return None


@dataclass(frozen=True)
class Lives(Act):
    """The process `who` has not ended."""

    who: str

    def play(self, scene: Scene) -> str | None:
        status = scene.guest(self.who).poll()
        return None if status is None else f"the process {self.who} ended with {status}"


@dataclass(frozen=True)
class Do(Act):
    """Something happens in the folder."""

    what: Callable[[Scene], object]

    def play(self, scene: Scene) -> str | None:
        self.what(scene)
        return None


@dataclass(frozen=True)
class See(Act):
    """Something is so in the folder."""

    what: str
    true: Callable[[Scene], bool]
    eventually: bool = False
    """Wait for it: it happens in the background."""
    why: Difference | None = None
    """Why it is so at ours, and not at libvirt."""

    @property
    def differences(self) -> set[Difference]:
        return {self.why} if self.why else set()

    def play(self, scene: Scene) -> str | None:
        expected = self.why is None or scene.ours
        if self.eventually:
            happened = _until(lambda: self.true(scene) is expected)
        else:
            happened = self.true(scene) is expected
        return None if happened else f"{'not so' if expected else 'it is so'}: {self.what}"


def _until(happened: Callable[[], bool]) -> bool:
    """Look until it is so; whether it came to be."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def make(name: str, content: bytes = b"") -> Do:
    """A file is made."""
    return Do(lambda scene: scene.path(name).write_bytes(content))


def make_folder(name: str) -> Do:
    """A folder is made."""
    return Do(lambda scene: scene.path(name).mkdir())


def make_link(name: str, to: str) -> Do:
    """A symbolic link is made."""
    return Do(lambda scene: scene.path(name).symlink_to(to))


def remove(name: str) -> Do:
    """A file is removed."""
    return Do(lambda scene: scene.path(name).unlink())


def there(name: str, *, eventually: bool = False) -> See:
    """There is such a file."""
    return See(f"{name} is there", lambda scene: scene.path(name).exists(), eventually)


def has_mode(name: str, mode: int) -> See:
    """A file is of this kind and has these permissions, as `st_mode` says it."""
    return See(f"{name} has {mode:o}", lambda scene: scene.path(name).stat().st_mode == mode)


def gone(name: str, *, eventually: bool = False) -> See:
    """There is no such file."""
    return See(f"{name} is gone", lambda scene: not scene.path(name).exists(), eventually)
