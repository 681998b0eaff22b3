"""The settings file of a daemon as it is shipped: everything explained, everything commented out."""

from __future__ import annotations

import itertools
import textwrap
from typing import Final

from aiovirt.daemons.runtime.settings.declaration import Live, Same, Setting, Settings, Value

WIDTH: Final = 96


def settings_file(name: str, settings: Settings, counterpart: str = "") -> str:
    """The text of a settings file with all defaults.

    Args:
        name: of the daemon.
        settings: its settings.
        counterpart: libvirt's daemon whose file it reads as well, if any.
    """
    also = f", and {name} also reads {counterpart}'s own file" if counterpart else ""
    blocks = [
        _commented(
            f"Settings of {name}. Each is shown with its default, or with an example if it has no"
            " default; remove the # to change it. The syntax is that of libvirt's files, or"
            f" TOML{also}. SIGHUP reads it again."
        )
    ]
    for group, members in itertools.groupby(settings.values(), key=lambda setting: setting.group):
        blocks.append(f"# {group} ".ljust(WIDTH, "-"))
        blocks.extend(_block(settings, setting) for setting in members)
    return "\n\n".join(blocks) + "\n"


def _block(settings: Settings, setting: Setting) -> str:
    lines = [_commented(setting.doc)]
    if not isinstance(setting.change, Live):
        lines.append("# A change waits for the next start.")
    if setting.example:
        lines.append("# Not set by default; for example:")
    lines.append(f"#{setting.name} = {_shown(settings, setting)}")
    return "\n".join(lines)


def _shown(settings: Settings, setting: Setting) -> str:
    if setting.example:
        return setting.example
    default = setting.default
    if isinstance(default, Same):
        default = _plain(settings[default.name].default)
    return setting.kind.show(default)


def _plain(value: Value | Same) -> Value:
    if isinstance(value, Same):
        raise TypeError(f"a default that follows {value.name}, which follows another")
    return value


def _commented(text: str) -> str:
    return "\n".join(textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# "))
