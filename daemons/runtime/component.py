"""A component: a part of a daemon that has a life of its own beside the servers.

Its calls come in one of these orders:

    start, then apply, pause, save, resume ... as things happen   (a first start)
    restore, resume, then as above                                (after a restart)

`save` is also called while it runs, for a rehearsal: what it writes then is only read by a process that
restores it and goes away (see `handover.reexec`). Everything is called on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from aiovirt.daemons.runtime.settings.declaration import Value

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.settings.live import Override

Keep = Callable[[int], int]
"""Notes a descriptor that has to survive a restart, and returns it."""


class Unsaved(Exception):
    """A part without which the daemon cannot go on cannot be written down; the text says which."""


class Component:
    """A part of a daemon; every method does nothing unless a subclass defines it.

    name: unique in its daemon; it is the key of its state in the restart document and the `where` of its
    settings (`Live("NAME", ...)`).
    """

    name: ClassVar[str]

    @property
    def state_type(self) -> Any:
        """The type, as msgspec knows types, of what `save` returns; None without a state."""
        return None

    def start(self) -> None:
        """Begin, before the first client comes, at a start that is not a restart.

        Raises OSError or ValueError when the daemon cannot serve like this.
        """

    def apply(self, changes: Mapping[str, Value]) -> None:
        """Take changed settings, keyed by the knobs of their `Live`; all or none.

        Raises ValueError or RpcError when they are refused.
        """

    async def change(self, changes: Mapping[str, Value]) -> None:
        """Take changed settings as `apply` does, and wait for what has to be waited for."""
        self.apply(changes)

    def in_force(self, knob: str, last: Value) -> Value:
        """Return the value in force; `last`, the one that the settings gave, if nobody else changes it.

        Args:
            knob: of the setting.
            last: the value that was applied last, or that the daemon started with.
        """
        return last

    def override(self, knob: str, value: Value) -> Override | None:
        """Return what comes before this value of the settings file, if anything does."""
        return None

    def as_in_force(self, knob: str, value: Value) -> Value:
        """Return a value of the settings as `in_force` tells it once it is in force."""
        return value

    def check(self, values: Mapping[str, Value]) -> None:
        """Raise ValueError for values, of all knobs, with which the daemon would not start."""

    def rank(self, changes: Mapping[str, Value]) -> int:
        """Return when these changes are made: -1 before those of others, 0, or 1 after them."""
        return 0

    def busy(self) -> list[str]:
        """Return the paths that its threads work on at this moment, for a refused restart's message."""
        return []

    async def pause(self) -> None:
        """Stop, so that everything can be written down. Raises TimeoutError; `resume` follows."""

    def resume(self) -> None:
        """Begin to act: after `restore`, or after a pause, whole or in part, that came to nothing."""

    def save(self, keep: Keep) -> Any:
        """Write down the state, and change nothing. keep: called with each descriptor in it."""
        return None

    def restore(self, state: Any) -> None:
        """Read back what `save` wrote, in memory only.

        Nothing outside the process is touched: no file is written or renamed, nothing is read from a
        descriptor. Another process still uses all of them when this is a rehearsal. Whatever is raised
        refuses the restart then.
        """

    def rehearsed(self) -> None:
        """A rehearsal is over: the descriptors that `save` named are shared with nobody any more."""
