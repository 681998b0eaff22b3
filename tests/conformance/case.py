"""What a case is: frames to send on a fresh connection, and what becomes of each.

Cases are data. Expectations were written from what libvirt 9.0.0 did when it was sent the same
bytes; where ours is meant to act otherwise, the step names the difference and
`tests/conformance/differences.py` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from tests import harness
from tests.conformance.differences import Difference
from tests.conformance.wire import ADMIN, CALL, MESSAGE, PONG, REPLY, Frame, Reader, refusal


class End(Enum):
    """What can happen to a frame other than that it is answered."""

    DROPPED = "dropped"
    """No answer, and the connection lives."""

    CLOSED = "closed"
    """No answer: the connection ends."""


@dataclass(frozen=True)
class Answer:
    """An answer that a frame gets. The numbers of its header are those of the frame, except for
    the type and the status and for what `header` says."""

    type: int
    status: int
    payload: bytes | None = None
    code: int = 0
    domain: int = 0
    result: Callable[[Reader], object] | None = None
    header: dict[str, int] = field(default_factory=dict)

    def complaint(self, sent: Frame, got: Frame) -> str | None:
        """What is wrong with what came back, or None."""
        wanted = sent.but(type=self.type, status=self.status, payload=b"", length=None)
        wanted = wanted.but(**self.header)
        if got.but(payload=b"") != wanted:
            return f"expected {wanted}, got {describe(got)}"
        if self.status:
            return self._complaint_of_refusal(got)
        if self.payload is not None and got.payload != self.payload:
            return f"expected the payload {self.payload!r}, got {got.payload!r}"
        if self.result is not None:
            read = Reader(got.payload)
            try:
                verdict = self.result(read)
                read.end()
            except ValueError as error:
                return f"the payload {got.payload!r} cannot be read: {error}"
            if verdict is False:
                return f"the payload {got.payload!r} is not what was expected"
        return None

    def _complaint_of_refusal(self, got: Frame) -> str | None:
        found = refusal(got.payload)
        if (found.code, found.domain, found.level) != (self.code, self.domain, 2):
            return f"expected error {self.code} of domain {self.domain}, got {describe(got)}"
        return None if found.message else "an error without a message"

    def __str__(self) -> str:
        return f"error {self.code}, domain {self.domain}" if self.status else "served"


Outcome = Answer | End

DROPPED, CLOSED = End.DROPPED, End.CLOSED


def ok(payload: bytes | None = b"", *, result: Callable[[Reader], object] | None = None) -> Answer:
    """A reply with exactly this payload, or with one that `result` can read to its end and does
    not call False."""
    return Answer(REPLY, 0, None if result else payload, result=result)


ANY = ok(None)
"""A reply with any payload."""


def refused(code: int, domain: int, **header: int) -> Answer:
    """An error reply."""
    return Answer(REPLY, 1, code=code, domain=domain, header=header)


RPC = refused(39, 7)
"""The refusal of whatever is wrong with a call before a procedure sees it."""

PONGED = Answer(MESSAGE, 0, b"", header={"procedure": PONG.procedure, "serial": 0})
"""The answer to a ping."""


@dataclass(frozen=True)
class Step:
    """A frame, and what becomes of it at libvirtd and, unless told otherwise, at everyone."""

    frame: Frame | bytes
    outcome: Outcome
    virtlogd: Outcome | None = None
    """For virtlogd, where it differs from libvirtd."""
    ours: Outcome | None = None
    why: Difference | None = None
    """Why ours differ; goes with `ours`."""
    eventually: bool = False
    """Send it again until the answer fits: what it tells changes in the background."""

    def __post_init__(self) -> None:
        if (self.ours is None) != (self.why is None):
            raise ValueError(
                f"{self.frame!r}: a difference needs a reason, and a reason a difference"
            )

    def expected(self, peer: str) -> Outcome:
        """What becomes of it at the daemon called `peer`."""
        if peer in harness.OURS and self.ours is not None:
            return self.ours
        if peer == "virtlogd" and self.virtlogd is not None:
            return self.virtlogd
        return self.outcome

    @property
    def bytes(self) -> bytes:
        """What travels."""
        return self.frame if isinstance(self.frame, bytes) else self.frame.pack()


@dataclass(frozen=True)
class Case:
    """One claim about how a daemon treats what a client sends."""

    name: str
    steps: tuple[Step, ...]
    together: bool = False
    """Send all in one write; otherwise each waits for the answer to the one before."""
    any_order: bool = False
    """Answers may overtake one another. Frames then need serials of their own."""
    piece: int = 0
    """Bytes in one write; 0 is without a limit."""
    undo: tuple[Frame, ...] = ()
    """Calls that put the daemon back as it was, made on another connection afterwards."""

    @property
    def differences(self) -> set[Difference]:
        """How ours are meant to differ here."""
        return {step.why for step in self.steps if step.why}


def case(
    name: str,
    *steps: Step,
    together: bool = False,
    any_order: bool = False,
    piece: int = 0,
    undo: tuple[Frame, ...] = (),
) -> Case:
    """A case, written down as its name and its steps."""
    return Case(name, steps, together, any_order, piece, undo)


def one(
    name: str,
    frame: Frame | bytes,
    outcome: Outcome,
    *,
    virtlogd: Outcome | None = None,
    ours: Outcome | None = None,
    why: Difference | None = None,
    undo: tuple[Frame, ...] = (),
) -> Case:
    """A case of a single frame, which most are."""
    return Case(name, (Step(frame, outcome, virtlogd, ours, why),), undo=undo)


def call(procedure: int, *payload: bytes, serial: int = 7) -> Frame:
    """A call of the admin program."""
    return Frame(procedure, b"".join(payload), ADMIN, type=CALL, serial=serial)


def describe(got: Frame) -> str:
    """A received frame, for a person; an error with what it says."""
    if got.status != 1:
        return str(got)
    return f"{got}: {refusal(got.payload)}"
