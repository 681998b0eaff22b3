"""The extension program, as every daemon of ours serves it on its admin server."""

from __future__ import annotations

from aiovirt.admin.extension.dispatch.introspection import IntrospectionDispatch
from aiovirt.admin.extension.dispatch.logs import LogsDispatch
from aiovirt.admin.extension.dispatch.settings import SettingsAdministration, SettingsDispatch
from aiovirt.admin.extension.dispatch.statistics import StatisticsDispatch
from aiovirt.admin.extension.dispatch.tls import TlsDispatch
from aiovirt.rpc.server import Daemon, Handlers


def handlers(daemon: Daemon, settings: SettingsAdministration | None = None) -> Handlers:
    """Return the handlers of the program.

    Args:
        daemon: what is asked and changed.
        settings: its settings; without them, the procedures about settings are not served.
    """
    about_settings = [] if settings is None else [SettingsDispatch(settings)]
    return Handlers.of(
        TlsDispatch(daemon),
        LogsDispatch(daemon),
        StatisticsDispatch(daemon),
        IntrospectionDispatch(daemon),
        *about_settings,
    )
