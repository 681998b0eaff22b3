"""Records of several daemons in the order of their times.

A record is held back until every daemon that is followed has sent a later one, but not longer than
`PATIENCE`: a quiet daemon must not keep the others' records back.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Final, Generic, TypeVar

ItemT = TypeVar("ItemT")

#: Seconds for which a record waits for earlier ones of other daemons.
PATIENCE: Final = 0.3
#: Records that are held back at most.
HELD_MAX: Final = 50_000


class Merger(Generic[ItemT]):
    """Orders what several sources send; each by itself is taken to be in order.

    Args:
        sources: the names of all of them. With a single one nothing is held back.
    """

    def __init__(self, sources: list[str]) -> None:
        self._latest = dict.fromkeys(sources, 0.0)
        self._held: list[tuple[float, int, str, ItemT]] = []
        self._arrivals: deque[tuple[float, float]] = deque()  # when it came, and its time
        self._horizon = 0.0  # everything up to this time has waited long enough
        self._count = 0

    def __len__(self) -> int:
        """The number of items that are held back."""
        return len(self._held)

    def add(self, source: str, when: float | None, item: ItemT, now: float) -> None:
        """Take an item.

        Args:
            source: its source.
            when: its own time; None for the time of the one before it.
            item: what `due` returns.
            now: the time of a clock that does not go back.
        """
        if when is None:
            when = self._latest[source]
        self._latest[source] = max(when, self._latest[source])
        self._count += 1
        heapq.heappush(self._held, (when, self._count, source, item))
        self._arrivals.append((now, when))

    def ended(self, source: str) -> None:
        """Wait for this source no more."""
        self._latest[source] = float("inf")

    def due(self, now: float) -> list[tuple[str, ItemT]]:
        """Return what need not wait any longer, in order. now: as in `add`."""
        while self._arrivals and self._arrivals[0][0] + PATIENCE <= now:
            self._horizon = max(self._horizon, self._arrivals.popleft()[1])
        horizon = max(self._horizon, min(self._latest.values()))
        return self._pop(horizon)

    def rest(self) -> list[tuple[str, ItemT]]:
        """Return everything that is held back, in order."""
        return self._pop(float("inf"))

    def _pop(self, horizon: float) -> list[tuple[str, ItemT]]:
        found = []
        while self._held and (self._held[0][0] <= horizon or len(self._held) > HELD_MAX):
            _, _, source, item = heapq.heappop(self._held)
            found.append((source, item))
        if not self._held:
            self._arrivals.clear()
        return found
