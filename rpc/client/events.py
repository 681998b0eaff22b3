"""Events, as the calling side has them: who wants to hear of which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiovirt.rpc.wire.program import Procedure


class Subscribers:
    """Everybody who wants to hear of one event."""

    __slots__ = ("callbacks", "event")

    def __init__(self, event: Procedure[Any, Any]) -> None:
        self.event = event
        self.callbacks: list[Callable[[Any], None]] = []

    def tell(self, args: Any) -> None:
        """Call all of them; one that raises harms nobody else."""
        for callback in tuple(self.callbacks):
            try:
                callback(args)
            except Exception:
                import logging  # here, since a command that ends at once needs no logging

                logging.getLogger("rpc.client.events").exception(
                    "a callback for event %s failed", self.event.name
                )
