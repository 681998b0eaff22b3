"""logd: keeps the console logs of virtual machines, as virtlogd does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiovirt.daemons.runtime.kind import DaemonKind
from aiovirt.daemons.runtime.process.own_options import FOR_TESTS
from aiovirt.rpc.security.identity import root_or_self

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.component import Component
    from aiovirt.daemons.runtime.settings.declaration import Settings
    from aiovirt.daemons.runtime.start import Start
    from aiovirt.rpc.server import Daemon, Server


def _build(daemon: Daemon, main: Server, admin: Server, start: Start) -> list[Component]:
    from aiovirt.daemons.logd.admin_dispatch import LogAdminDispatch
    from aiovirt.daemons.logd.component import Ageing, LogsComponent
    from aiovirt.daemons.logd.dispatch import LogManagerDispatch
    from aiovirt.daemons.logd.rotating import Rotation

    settings = start.settings
    rotation = Rotation(settings.integer("max_size"), settings.integer("max_backups"))
    ageing = Ageing(settings.text("log_root"), settings.integer("max_age_days"))
    dispatch = LogManagerDispatch(daemon, rotation)
    dispatch.serve_on(main)
    LogAdminDispatch(dispatch).serve_on(admin)
    return [LogsComponent(dispatch, ageing)]


def _settings() -> Settings:
    from aiovirt.daemons.logd.settings import SETTINGS

    return SETTINGS


KIND = DaemonKind(
    "logd",
    "Log manager for the consoles of virtual machines.",
    _build,
    _settings,
    admit=root_or_self,
    options=FOR_TESTS,
    counterpart="virtlogd",
)


def main() -> int:
    """The command `logd`. Returns its exit status."""
    from aiovirt.daemons.runtime.entry import run

    return run(KIND)
