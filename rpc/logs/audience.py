"""Those who follow the log of this process, and the ring of its latest records.

Neither changes what the outputs get. A new follower and what it takes out of the ring fit together: no
record is in both, and none in neither.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from .following import Batch, Follower, Ring
from .logger import SWITCHBOARD
from .settings import DEFAULT_LEVEL, parse_filters, parse_level

#: Followers of one process at once. Each has two buffers of `following.BUFFER_MAX` bytes.
FOLLOWERS_MAX: Final = 64
#: Bytes of records that survive a restart.
RESTART_MAX: Final = 1 << 20


class TooManyFollowers(Exception):
    """One more follower would be over the limit."""

    def __init__(self) -> None:
        super().__init__(
            f"{FOLLOWERS_MAX} followers read this log already; another one has to leave first"
        )


class Following:
    """One reader's place at the log; given up by `close`, or when nothing refers to it.

    follower: what comes; earlier: what it begins with, from the ring.
    """

    def __init__(self, audience: Audience, follower: Follower, earlier: list[bytes]) -> None:
        self.follower = follower
        self.earlier = earlier
        self._audience = audience

    def take(self) -> Batch:
        """Return what has come since the last time."""
        return self.follower.take()

    def take_earlier(self) -> Batch:
        """Return what it begins with, and keep it no longer."""
        earlier, self.earlier = self.earlier, []
        return Batch(earlier, 0)

    def close(self) -> None:
        """Leave; the loggers that were on for this reader only are off again."""
        self._audience.leave(self.follower)

    def __del__(self) -> None:
        self._audience.forget(self.follower)  # the client went before its stream began


class Audience:
    """All listeners of the process's loggers."""

    def __init__(self) -> None:
        self._followers: list[Follower] = []
        self._forgotten: deque[Follower] = deque()
        self._ring = Ring(0, lambda _source: DEFAULT_LEVEL)

    def __len__(self) -> int:
        """The number of followers."""
        return len(self._followers)

    @property
    def ring_size(self) -> int:
        """The number of records that the ring keeps."""
        return self._ring.size

    def set_ring(self, size: int, least: Callable[[str], int]) -> None:
        """Change the ring; what is in it stays, as far as there is room.

        Args:
            size: the number of records that it keeps; 0 for none.
            least: gives the lowest level that is kept of a source.
        """
        with SWITCHBOARD.lock:
            self._ring.least = least
            if size != self._ring.size:
                self._ring = Ring(size, least, self._ring.all())
            self._apply()

    def save(self) -> list[str]:
        """Return the records of the ring, for `restore` in the program that is executed next.

        Of many only the latest, RESTART_MAX bytes.
        """
        found: list[str] = []
        room = RESTART_MAX
        for record in reversed(self._ring.all()):
            room -= len(record.data)
            if room < 0:
                break
            found.append(record.data.decode())
        found.reverse()
        return found

    def restore(self, records: Iterable[str]) -> None:
        """Put records into the ring before those that it has. Raises ValueError for other texts."""
        from .capture import recaptured

        earlier = [recaptured(text.encode()) for text in records]
        with SWITCHBOARD.lock:
            self._ring = Ring(self._ring.size, self._ring.least, [*earlier, *self._ring.all()])
            self._apply()

    def follow(
        self,
        wake: Callable[[], object],
        *,
        level: int | str,
        filters: str,
        last: int = 0,
        since: float = 0.0,
    ) -> Following:
        """Begin to follow.

        Args:
            wake: see `Follower`.
            level: 1 (debug) to 4 (error), for sources that no filter matches.
            filters: see `parse_filters`.
            last: the number of records of the ring to begin with, as far as level and filters want them.
            since: of those only the later ones, in seconds since 1970.

        Raises:
            LogSettingError: the level or the filters are wrong.
            TooManyFollowers: there are FOLLOWERS_MAX.
        """
        follower = Follower(parse_level(level), parse_filters(filters), wake, SWITCHBOARD.lock)
        with SWITCHBOARD.lock:
            self._leave_forgotten()
            if len(self._followers) >= FOLLOWERS_MAX:
                raise TooManyFollowers
            self._followers.append(follower)
            self._apply()
            earlier = self._ring.latest(last, follower.least, since)
        return Following(self, follower, earlier)

    def leave(self, follower: Follower) -> None:
        """Forget a follower; does nothing if it is unknown."""
        with SWITCHBOARD.lock:
            if follower in self._followers:
                self._followers.remove(follower)
                self._apply()

    def forget(self, follower: Follower) -> None:
        """Forget a follower as `leave`, but wait for no lock: finalisers run anywhere, under any."""
        self._forgotten.append(follower)
        if SWITCHBOARD.lock.acquire(blocking=False):
            try:
                self._leave_forgotten()
            finally:
                SWITCHBOARD.lock.release()

    def _leave_forgotten(self) -> None:
        while self._forgotten:
            self.leave(self._forgotten.popleft())

    def close(self) -> None:
        """Let nobody listen any more."""
        with SWITCHBOARD.lock:
            self._followers.clear()
            SWITCHBOARD.listen(())

    def _apply(self) -> None:
        ring = (self._ring,) if self._ring.size else ()
        SWITCHBOARD.listen((*ring, *self._followers))
