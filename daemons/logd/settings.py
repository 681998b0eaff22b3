"""The settings of logd: the common ones, and the rotation and ageing of guests' logs.

Names and defaults are libvirt's (src/logging/log_daemon_config.c) except where `ours` is set. To add a
setting, add it here and run `python -m aiovirt.daemons.documents write`.
"""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.runtime.settings.catalogue import ABSOLUTE_PATH, daemon_settings
from aiovirt.daemons.runtime.settings.declaration import (
    SIZE_MAX,
    Integer,
    Live,
    Setting,
    Settings,
)
from aiovirt.daemons.runtime.settings.sizes import Size

ROTATION = (
    Setting(
        name="max_size",
        group="Logs of guests",
        kind=Size(SIZE_MAX),
        default=2 * 1024 * 1024,
        change=Live("logs", "max_size"),
        unit="bytes",
        doc="Size of a guest's log in bytes at which it is rotated. 0 switches rotation off.",
    ),
    Setting(
        name="max_backups",
        group="Logs of guests",
        kind=Integer(0, 32),
        default=3,
        change=Live("logs", "max_backups"),
        unit="files",
        doc="Number of rotated files of a log that are kept, as PATH.0 (the newest), PATH.1 and so on.",
    ),
    Setting(
        name="max_age_days",
        group="Logs of guests",
        kind=Integer(0, 36500),
        default=0,
        change=Live("logs", "max_age_days"),
        unit="days",
        doc="Days after which a log without a writer is removed, with its rotated files: at the start"
        " and once a day. 0 keeps logs for ever. Later versions of libvirt have this setting, too.",
    ),
    Setting(
        name="log_root",
        group="Logs of guests",
        kind=ABSOLUTE_PATH,
        default="/var/log/libvirt",
        in_rundir="log",
        change=Live("logs", "log_root"),
        doc="Folder that is searched for old logs, with its folders: NAME.log, NAME.log.0 and so on."
        " Every such file may be removed. Later versions of libvirt have this setting, too.",
    ),
)

SETTINGS: Final[Settings] = daemon_settings(*ROTATION)
