"""virtd's components: its hosts, what clients have opened, and how they authenticate."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiovirt.daemons.runtime.component import Component, Keep

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.settings.declaration import Value
    from aiovirt.daemons.virtd.dispatch.front import RemoteDispatch
    from aiovirt.daemons.virtd.host.hosts import Hosts
    from aiovirt.daemons.virtd.sasl import SaslDispatch
    from aiovirt.daemons.virtd.state import RemoteState
    from aiovirt.rpc.server import Daemon


class HostsComponent(Component):
    """The hosts. Their state is in their store, which the next program reads as well; a store in memory
    goes to it as the contents of a descriptor."""

    name = "hosts"

    def __init__(self, hosts: Hosts, daemon: Daemon) -> None:
        self._hosts = hosts
        self._descriptor = -1
        daemon.on_ending.append(self._end)

    async def _end(self) -> None:
        """Close the store at the daemon's end, so that one file is left, without a log beside it."""
        self._hosts.close()

    @property
    def state_type(self) -> Any:
        """See `Component`: the descriptor, or true if there is a file."""
        return bool | int

    def start(self) -> None:
        """See `Component`."""
        from aiovirt.daemons.virtd.host.store import StoreError
        from aiovirt.rpc.wire.errors import RpcError

        try:
            self._hosts.open()
        except (StoreError, RpcError) as error:
            raise ValueError(str(error)) from error

    def save(self, keep: Keep) -> bool | int:
        """See `Component`."""
        if self._hosts.path is not None:
            return True
        self._close()
        self._descriptor = os.memfd_create("aiovirt-hosts", os.MFD_CLOEXEC)
        with open(self._descriptor, "wb", closefd=False) as file:
            file.write(self._hosts.dump())
        return keep(self._descriptor)

    def restore(self, state: bool | int) -> None:
        """See `Component`."""
        if isinstance(state, bool):
            self._hosts.rehearse()
            return
        self._descriptor = state
        os.set_inheritable(state, False)
        self._hosts.restored(os.pread(state, os.fstat(state).st_size, 0))

    def resume(self) -> None:
        """See `Component`."""
        self._close()
        if not self._hosts.is_open:
            self._hosts.open()

    def rehearsed(self) -> None:
        """See `Component`."""
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


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
