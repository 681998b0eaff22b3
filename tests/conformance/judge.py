"""Runs a case against a daemon and says what did not come out as expected.

Nothing here waits for time to pass. That a frame was dropped, and that the connection lives, is
known when a call made afterwards is answered and nothing else came before its reply: the daemons
under test serve their calls in order (one worker).
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from types import TracebackType

from tests.conformance.case import CLOSED, DROPPED, Answer, Case, Step, call, describe
from tests.conformance.wire import MIN_LENGTH, Frame, unpack

PATIENCE = 20.0
"""Seconds for an answer; only a failing case waits that long."""

PROBE = call(3, serial=0x70726F62)


class Link:
    """A client's end of a connection."""

    def __init__(self, to: str | socket.socket) -> None:
        """Connect to the socket with this path, or use a connection that there is."""
        self.socket = to if isinstance(to, socket.socket) else socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        if isinstance(to, str):
            self.socket.connect(to)

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it without a word."""
        self.socket.close()

    def send(self, data: bytes | Frame, piece: int = 0) -> None:
        """Write, `piece` bytes at a time if asked. That the other side has gone is not an error
        here: it shows when reading."""
        raw = data.pack() if isinstance(data, Frame) else data
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for at in range(0, len(raw), piece or len(raw) or 1):
                self.socket.sendall(raw[at : at + (piece or len(raw))])

    def receive(self) -> Frame | None:
        """The next frame, or None at the end of the connection."""
        if len(head := self._read(4)) < 4:
            return None
        length = int.from_bytes(head)
        if length < MIN_LENGTH:
            raise ValueError(f"a frame of {length} bytes")
        body = self._read(length - 4)
        return unpack(head + body) if len(body) == length - 4 else None

    def call(self, frame: Frame) -> Frame:
        """Send a call and return the reply; raises ConnectionError if there is none."""
        self.send(frame)
        while (got := self.receive()) is not None:
            if got.serial == frame.serial and got.program == frame.program:
                return got
        raise ConnectionError(f"no reply to {frame}")

    def lives(self) -> bool:
        """Whether a call is still served."""
        try:
            self.call(PROBE)
        except ConnectionError:
            return False
        return True

    def _read(self, count: int) -> bytes:
        """That many bytes, or fewer at the end."""
        pieces = []
        while count:
            try:
                piece = self.socket.recv(count)
            except ConnectionResetError:
                break
            if not piece:
                break
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)


def judge(case: Case, path: str, peer: str) -> list[str]:
    """Run the case at the daemon `peer` with this admin socket; what went wrong, in words."""
    found: list[str] = []
    with Link(path) as link:
        try:
            found += _judge_batch(link, case, peer) if _at_once(case) else _judge(link, case, peer)
        except TimeoutError:
            found.append(f"no answer in {PATIENCE} s")
    for frame in case.undo:
        with Link(path) as link:
            if (got := link.call(frame)).status:
                found.append(f"not undone: {describe(got)}")
    return found


def _at_once(case: Case) -> bool:
    return case.together or case.any_order


def _judge(link: Link, case: Case, peer: str) -> Iterator[str]:
    for number, step in enumerate(case.steps):
        expected = step.expected(peer)
        link.send(step.bytes, case.piece)
        if isinstance(expected, Answer):
            if complaint := _complaint(link, case, step, expected):
                yield f"step {number}: {complaint}"
                return
        elif expected is CLOSED:
            link.send(PROBE)
            if got := link.receive():
                yield f"step {number}: expected the end of the connection, got {describe(got)}"
            return
    yield from _after(link)


def _complaint(link: Link, case: Case, step: Step, expected: Answer) -> str | None:
    deadline = time.monotonic() + PATIENCE
    while True:
        if (got := link.receive()) is None:
            return f"the connection ended, expected: {expected}"
        complaint = _compare(step, expected, got)
        if complaint is None or not step.eventually or time.monotonic() > deadline:
            return complaint
        link.send(step.bytes, case.piece)


def _judge_batch(link: Link, case: Case, peer: str) -> Iterator[str]:
    link.send(b"".join(step.bytes for step in case.steps), case.piece)
    waiting = [step for step in case.steps if isinstance(step.expected(peer), Answer)]
    while waiting:
        if (got := link.receive()) is None:
            yield f"the connection ended, {len(waiting)} answers are missing"
            return
        complaints = []
        for step in waiting if case.any_order else waiting[:1]:
            expected = step.expected(peer)
            assert isinstance(expected, Answer)
            if (complaint := _compare(step, expected, got)) is None:
                waiting.remove(step)
                break
            complaints.append(complaint)
        else:
            yield " or ".join(complaints)
            return
    if case.steps[-1].expected(peer) is CLOSED:
        link.send(PROBE)
        if got := link.receive():
            yield f"expected the end of the connection, got {describe(got)}"
        return
    yield from _after(link)


def _compare(step: Step, expected: Answer, got: Frame) -> str | None:
    if isinstance(step.frame, bytes):
        raise TypeError("what is answered has to be a Frame, so that the answer can be judged")
    return expected.complaint(step.frame, got)


def _after(link: Link) -> Iterator[str]:
    """Insist that the connection lives and that nothing came that was not expected."""
    link.send(PROBE)
    got = link.receive()
    if got is None:
        yield "the connection ended, expected it to live"
    elif got.serial != PROBE.serial:
        yield f"an answer that nothing asked for: {describe(got)}"


def observe(case: Case, path: str) -> list[str]:
    """What becomes of each frame of a case, without expectations: for looking at a daemon.

    Each frame is followed by a call that every daemon serves, so that silence can be told.
    """
    seen = []
    with Link(path) as link:
        for step in case.steps:
            link.send(step.bytes)
            link.send(PROBE)
            words = []
            while (got := link.receive()) is not None and got.serial != PROBE.serial:
                words.append(describe(got))
            seen.append("; ".join(words) or DROPPED.value)
            if got is None:
                seen[-1] = "; ".join([*words, CLOSED.value])
                break
    if case.undo:
        with Link(path) as link:
            for frame in case.undo:
                link.call(frame)
    return seen
