"""An attack in a process of its own."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import BinaryIO, Final, cast

from tests import harness
from tests.attacks import connecting, frames, handshakes, unread
from tests.attacks.target import Attack, Tally, Target

ATTACKS: Final[Mapping[str, Callable[[Target, Tally, int], Attack]]] = {
    "slow_loris": connecting.slow_loris,
    "silent": connecting.silent,
    "vanished": connecting.vanished,
    "coming_and_going": connecting.coming_and_going,
    "impossible_lengths": frames.impossible_lengths,
    "largest_held": frames.largest_held,
    "largest": frames.largest,
    "lying_counts": frames.lying_counts,
    "small_calls": frames.small_calls,
    "descriptors": frames.descriptors,
    "unread_replies": unread.replies,
    "unread_streams": unread.streams,
    "tls_hanging": handshakes.hanging,
    "tls_garbage": handshakes.garbage,
    "tls_flood": handshakes.flood,
    "tls_silence": handshakes.then_silence,
}
"""All of them. What the last argument, `size`, counts, each says itself."""


class Running:
    """An attack that runs. tally: what became of it so far, when `look` was last called."""

    def __init__(self, process: subprocess.Popen[bytes], output: BinaryIO) -> None:
        self._process = process
        self._output = output
        self.tally: Tally = Counter()

    def look(self) -> Tally:
        """What became of it until a moment ago. Raises RuntimeError if it has failed."""
        while select.select([self._output], [], [], 0)[0]:
            self.wait()
        return self.tally

    def wait(self) -> None:
        """Wait for its next word."""
        line = self._output.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} failed")
        self.tally = Counter(json.loads(line))


@contextlib.contextmanager
def under(name: str, target: Target, size: int) -> Iterator[Running]:
    """Attack for the length of a `with`, which begins when all attackers are in place.

    Raises RuntimeError if it could not begin, or failed later: that is a mistake of the attacker's.
    """
    words = [name, str(size), json.dumps(asdict(target))]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.attacks", *words],
        cwd=harness.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    running = Running(process, cast(BinaryIO, process.stdout))
    with process:
        running.wait()
        try:
            yield running
        finally:
            process.stdin.close()
        with contextlib.suppress(RuntimeError):
            while True:
                running.wait()
    if process.returncode:
        raise RuntimeError(f"attack {name} failed")
