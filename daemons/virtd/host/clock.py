"""A host's clock: the time of day and the time that passes for its guests, both under control.

It can be stopped, set and sped up, so that a test need not wait for a guest's counters to grow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

NANOSECONDS = 1_000_000_000
#: The highest rate: eleven days in a second.
RATE_MAX: Final = 1e6
#: The last moment that a message can have, and the last one to which a clock can be set.
_LAST: Final = 2**63 - 1
_SET_MAX: Final = 2**62


class ClockState(NamedTuple):
    """A clock. begun: a moment of the clock that drives it; shown: the host's time of day then; rate:
    seconds of the host in one second; lead: how far it was set back since it was made."""

    begun: int
    shown: int
    rate: float
    lead: int = 0


class Clock:
    """A clock in nanoseconds since the epoch.

    Args:
        source: the clock that drives it, in nanoseconds.
    """

    def __init__(self, source: Callable[[], int] = time.time_ns) -> None:
        self._source = source
        self._begun = source()
        self._shown = self._begun
        self._rate = 1.0
        self._lead = 0

    def now(self) -> int:
        """Return the host's time of day, in nanoseconds since the epoch."""
        if self._rate == 1.0:
            return self._source() - self._begun + self._shown
        return min(_LAST, self._shown + int((self._source() - self._begun) * self._rate))

    def passed(self) -> int:
        """Return a moment for counters and work that takes time: `now`, but it never goes back."""
        return min(_LAST, self.now() + self._lead)

    @property
    def rate(self) -> float:
        """Seconds of the host in one second of the clock that drives it; 0 for a stopped clock."""
        return self._rate

    def kept(self) -> ClockState:
        """Return what `restored` takes: the clock goes on while nobody has it."""
        return ClockState(self._begun, self._shown, self._rate, self._lead)

    def restored(self, state: ClockState) -> None:
        """Take what `kept` returned."""
        self._begun, self._shown, self._rate, self._lead = state

    def set(self, now: int | None = None, *, rate: float | None = None) -> None:
        """Change the time, its rate, or both.

        Args:
            now: the new time of day, in nanoseconds since the epoch; None keeps it.
            rate: seconds of the host in one second; 0 stops the clock; None keeps the rate.

        Raises:
            ValueError: the time is negative or far in the future; the rate is not from 0 to RATE_MAX.
        """
        if now is not None and not 0 <= now <= _SET_MAX:
            raise ValueError(f"a clock's time is from 0 to {_SET_MAX} nanoseconds, not {now}")
        if rate is not None and not 0 <= rate <= RATE_MAX:
            raise ValueError(f"a clock's rate is a number from 0 to {RATE_MAX:g}, not {rate}")
        before = self.now()
        self._shown = before if now is None else now
        self._lead += max(0, before - self._shown)
        self._begun = self._source()
        if rate is not None:
            self._rate = float(rate)

    def run_true(self) -> None:
        """Show the time of the clock that drives it from now on."""
        self.set(self._source(), rate=1.0)
