"""virtd's components: its hosts, what clients have opened, and how they authenticate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiovirt.daemons.runtime.component import Component, Keep

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.settings.declaration import Value
    from aiovirt.daemons.virtd.dispatch.front import RemoteDispatch
    from aiovirt.daemons.virtd.host.hosts import Hosts
    from aiovirt.daemons.virtd.sasl import SaslDispatch
    from aiovirt.daemons.virtd.state import RemoteState
    from aiovirt.rpc.server import Daemon


class HostsComponent(Component):
    """The hosts; their state is in their store, which the next program reads as well."""

    name = "hosts"

    def __init__(self, hosts: Hosts, daemon: Daemon) -> None:
        self._hosts = hosts
        daemon.on_ending.append(self._end)

    async def _end(self) -> None:
        """Close the store at the daemon's end, so that one file is left, without a log beside it."""
        self._hosts.close()

    @property
    def state_type(self) -> type[bool]:
        """See `Component`."""
        return bool

    def start(self) -> None:
        """See `Component`."""
        from aiovirt.daemons.virtd.host.store import StoreError

        try:
            self._hosts.open()
        except StoreError as error:
            raise ValueError(str(error)) from error

    def save(self, keep: Keep) -> bool:
        """See `Component`."""
        return True

    def restore(self, state: bool) -> None:
        """See `Component`."""
        self._hosts.rehearse()

    def resume(self) -> None:
        """See `Component`."""
        if not self._hosts.is_open:
            self._hosts.open()


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
