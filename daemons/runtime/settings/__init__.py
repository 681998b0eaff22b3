"""The settings of a daemon: declared once, read from TOML, changed while running.

`declaration` says what a setting is, `catalogue` lists those of every daemon, `file` reads them, `live`
changes them in a running daemon and `template` writes the settings file. Start-up, SIGHUP and the
documents all read the same declarations, so they cannot disagree.
"""

from aiovirt.daemons.runtime.settings.declaration import (
    Fixed,
    Live,
    Setting,
    Settings,
    SettingsError,
    Value,
)
from aiovirt.daemons.runtime.settings.file import Loaded, load

__all__ = ["Fixed", "Live", "Loaded", "Setting", "Settings", "SettingsError", "Value", "load"]
