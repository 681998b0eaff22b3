"""A libvirtd and a virtd for client programs in other languages, and what such a program prints on both.

A program gets a URI and prints its transcript: one line for each call, with the result or the refusal.
It is run on both daemons, and the transcripts have to be the same except for what differs by chance.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Final

from tests import harness
from tests.virtd.interop import performing

HERE: Final = Path(__file__).resolve().parent

#: The two hosts: driver and path of the URI.
HOSTS: Final = {"test": "default", "qemu": "system"}

#: Seconds that a program may take.
PATIENCE: Final = 120.0

#: A command for a URI; it may write into the folder.
Command = Callable[[str, Path], Sequence[str]]

#: Patterns of what differs by chance, with replacements.
Rules = Sequence[tuple[re.Pattern[str], str]]

_MAC: Final = re.compile(r"52:54:00(:[0-9a-f]{2}){3}")
_UUID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
#: UUIDs of documents, which both sides have to show.
_OURS: Final = re.compile(r"11111111-|6695eb01-|dd8fe884-|dfe224cb-")


@dataclass(frozen=True)
class Side:
    """One daemon. name: libvirtd or virtd; socket: its path."""

    name: str
    socket: str

    def uri(self, driver: str) -> str:
        """The URI of a host.

        Args:
            driver: test or qemu.
        """
        return f"{driver}+unix:///{HOSTS[driver]}?socket={self.socket}"


@dataclass(frozen=True)
class Sides:
    """Both daemons, with new worlds."""

    libvirtd: Side
    virtd: Side

    def same(
        self,
        driver: str,
        command: Command,
        environment: dict[str, str] | None = None,
        rules: Rules = (),
    ) -> str:
        """Run a program on both, and fail unless it ends well and prints the same; returns that.

        Args:
            driver: test or qemu.
            command: gives the program for a URI and a folder of its own.
            environment: variables beside PATH and the locale.
            rules: what else differs by chance: a pattern and its replacement.
        """
        with ThreadPoolExecutor(2) as pool:
            theirs, ours = pool.map(
                lambda side: transcript(side.uri(driver), command, environment, rules),
                (self.libvirtd, self.virtd),
            )
        changes = unified_diff(
            theirs.splitlines(), ours.splitlines(), "libvirtd", "virtd", lineterm="", n=2
        )
        assert theirs == ours, "\n".join(changes)
        return theirs


def transcript(
    uri: str,
    command: Command,
    environment: dict[str, str] | None = None,
    rules: Rules = (),
) -> str:
    """Run a program on one daemon, and return what it prints, without what differs by chance.

    Args:
        uri: where to connect.
        command: gives the program for a URI and a folder of its own.
        environment: variables beside PATH and the locale.
        rules: what else differs by chance: a pattern and its replacement.
    """
    with tempfile.TemporaryDirectory(prefix="av-") as name:
        os.chmod(name, 0o755)
        ran = run(command(uri, Path(name)), environment, Path(name))
    text = f"{ran.stdout}{ran.stderr}"
    assert ran.returncode == 0, f"{uri}: status {ran.returncode}\n{text[-6000:]}"
    text = normalized(text, {uri: "URI", name: "DIR", uri.partition("socket=")[2]: "SOCKET"})
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def run(
    command: Sequence[str], environment: dict[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program in the C locale to its end.

    Args:
        command: the program and its arguments.
        environment: variables beside PATH and the locale.
        folder: where it runs; HOME if the environment gives none.
    """
    home = str(folder or harness.HOME)
    return subprocess.run(
        command,
        env={
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "HOME": home,
            **harness.libraries(),
            **(environment or {}),
        },
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE,
        check=False,
    )


def normalized(text: str, names: dict[str, str]) -> str:
    """Return a transcript without what differs by chance: generated UUIDs, MAC addresses, paths.

    Args:
        text: the transcript.
        names: what to replace, by what.
    """
    for found, name in names.items():
        text = text.replace(found, name)
    text = _MAC.sub("MAC", text)
    return _UUID.sub(lambda one: one[0] if _OURS.match(one[0]) else "UUID", text)


@contextmanager
def both_sides() -> Iterator[Sides]:
    """Start both daemons; libvirtd is skipped visibly, or fails in CI, where it is not installed."""
    with (
        performing.libvirtd() as libvirtd,
        harness.running("virtd", {"libvirt_version": harness.libvirt_version_text()}) as virtd,
    ):
        yield Sides(Side("libvirtd", libvirtd), Side("virtd", virtd.socket))
        log = virtd.log.read_text(errors="replace")
        assert virtd.alive, log[-4000:]
        assert "Traceback" not in log, log[-4000:]
