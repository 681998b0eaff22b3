"""virtd's components: its hosts, what clients have opened, and how they authenticate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiovirt.daemons.runtime.component import Component, Keep
from aiovirt.rpc.logs import get_logger

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.settings.declaration import Value
    from aiovirt.daemons.virtd.dispatch.front import RemoteDispatch
    from aiovirt.daemons.virtd.host.hosts import Hosts
    from aiovirt.daemons.virtd.sasl import SaslDispatch
    from aiovirt.daemons.virtd.state import HostsState, RemoteState
    from aiovirt.rpc.server import Daemon

_log = get_logger("daemons.virtd.component")


class HostsComponent(Component):
    """The hosts. Their state is in their store, which the next program reads as well.

    A store that has no file goes into the document.
    """

    name = "hosts"

    def __init__(self, hosts: Hosts, daemon: Daemon) -> None:
        self._hosts = hosts
        self._earlier: HostsState | None = None
        daemon.on_ending.append(self._end)

    async def _end(self) -> None:
        """Close the store at the daemon's end, so that one file is left, without a log beside it."""
        if self._hosts.is_lost:
            _log.error("the hosts end with this program: their file is gone", file=self._hosts.path)
        self._hosts.close()

    @property
    def state_type(self) -> Any:
        """See `Component`; programs before this one wrote `true`."""
        from aiovirt.daemons.virtd.state import HostsState

        return HostsState | bool

    def start(self) -> None:
        """See `Component`."""
        from aiovirt.daemons.virtd.host.store import StoreError
        from aiovirt.rpc.wire.errors import RpcError

        try:
            self._hosts.open()
        except (StoreError, RpcError) as error:
            raise ValueError(str(error)) from error
        self._see_to_secrets()

    def _see_to_secrets(self) -> None:
        """Tell of values of secrets that are lost, and be ready for the first secret."""
        lost = self._hosts.seal_secrets()
        if lost is not None:
            _log.error("values of secrets are not available or not sealed", reason=lost)
        self._hosts.reserve()

    def save(self, keep: Keep) -> HostsState:
        """See `Component`."""
        from aiovirt.daemons.virtd.state import save_hosts

        return save_hosts(self._hosts)

    def restore(self, state: HostsState | bool) -> None:
        """See `Component`."""
        from aiovirt.daemons.virtd.state import HostsState

        self._earlier = HostsState() if isinstance(state, bool) else state
        self._hosts.read_back(self._earlier.store)

    def resume(self) -> None:
        """See `Component`."""
        from aiovirt.daemons.virtd.host.store import StoreError
        from aiovirt.daemons.virtd.state import resume_hosts

        earlier, self._earlier = self._earlier, None
        if earlier is None:
            return  # after a pause that came to nothing
        resume_hosts(self._hosts, earlier)
        try:
            self._hosts.go_on()
        except StoreError as error:
            _log.error("changes of the hosts cannot be stored", reason=str(error))
        self._hosts.migrate_on()
        self._see_to_secrets()


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
