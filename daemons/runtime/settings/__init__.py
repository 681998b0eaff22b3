"""The settings of the daemons: declared once, read from TOML, changed while running.

`declaration` says what a setting is, `catalogue` lists them all, `file` reads them, `live` changes
them in a running daemon and `reference` writes the documents that are derived from them. Start-up,
SIGHUP and the documents all read the same list, so they cannot disagree.
"""

from aiovirt.daemons.runtime.settings.declaration import Fixed, Live, Setting, SettingsError, Value
from aiovirt.daemons.runtime.settings.file import Loaded, load

__all__ = ["Fixed", "Live", "Loaded", "Setting", "SettingsError", "Value", "load"]
