"""virtd's components: what clients have opened, and how they authenticate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiovirt.daemons.runtime.component import Component, Keep

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.settings.declaration import Value
    from aiovirt.daemons.virtd.dispatch import RemoteDispatch
    from aiovirt.daemons.virtd.sasl import SaslDispatch
    from aiovirt.daemons.virtd.state import RemoteState


class RemoteComponent(Component):
    """The connections that clients have opened."""

    name = "remote"

    @property
    def state_type(self) -> type[RemoteState]:
        """See `Component`."""
        from aiovirt.daemons.virtd.state import RemoteState

        return RemoteState

    def __init__(self, dispatch: RemoteDispatch) -> None:
        self._dispatch = dispatch

    def save(self, keep: Keep) -> RemoteState:
        """See `Component`."""
        from aiovirt.daemons.virtd.state import save

        return save(self._dispatch)

    def restore(self, state: RemoteState) -> None:
        """See `Component`."""
        from aiovirt.daemons.virtd.state import restore

        restore(self._dispatch, state)


class SaslComponent(Component):
    """The settings of SASL."""

    name = "sasl"

    def __init__(self, dispatch: SaslDispatch) -> None:
        self._dispatch = dispatch

    def apply(self, changes: Mapping[str, Value]) -> None:
        """See `Component`."""
        self._dispatch.set(changes)
