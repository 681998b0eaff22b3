"""The extension program, as every daemon of ours serves it on its admin server."""

from __future__ import annotations

from aiovirt.admin.extension.dispatch.introspection import IntrospectionDispatch
from aiovirt.admin.extension.dispatch.logs import LogsDispatch
from aiovirt.admin.extension.dispatch.statistics import StatisticsDispatch
from aiovirt.admin.extension.dispatch.tls import TlsDispatch
from aiovirt.rpc.server import Daemon, Handlers


def handlers(daemon: Daemon) -> Handlers:
    """Return the handlers of the program, for the servers of a daemon."""
    return Handlers.of(
        TlsDispatch(daemon),
        LogsDispatch(daemon),
        StatisticsDispatch(daemon),
        IntrospectionDispatch(daemon),
    )
