"""Writing the settings down for people: `docs/settings.md` and the three files in `conf/`.

All of them are derived from the catalogue. A test checks that they are current.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from aiovirt.daemons.runtime.settings.catalogue import (
    DAEMONS,
    KNOWN_ELSEWHERE,
    SETTINGS,
    settings_of,
)
from aiovirt.daemons.runtime.settings.declaration import Live, Same, Setting, Value

COMMAND = "python -m aiovirt.daemons.runtime.settings write"
_WIDTH = 96

_LIBVIRT_COUNTERPARTS = {"virtd": "libvirtd", "lockd": "virtlockd", "logd": "virtlogd"}


def documents() -> dict[str, str]:
    """Every derived document: path from the top of the source tree -> text."""
    files = {f"conf/{daemon}.conf": conf(daemon) for daemon in DAEMONS}
    return {"docs/settings.md": reference()} | files


def write(root: Path) -> None:
    """Write all documents. Raises OSError."""
    for path, text in documents().items():
        (root / path).write_text(text)


def stale(root: Path) -> list[str]:
    """The documents which do not say what the catalogue says. Raises OSError when one is
    missing."""
    return [path for path, text in documents().items() if (root / path).read_text() != text]


# The settings files ------------------------------------------------------------------------------


def conf(daemon: str) -> str:
    """The settings file of a daemon: everything explained, everything commented out."""
    blocks = [
        _commented(
            f"Settings of {daemon}. Each is shown with its default, or with an example where there is no"
            f" default; remove the # to change it. The file is TOML, and {daemon} also reads"
            f" {_LIBVIRT_COUNTERPARTS[daemon]}'s own file. SIGHUP reads it again."
        )
    ]
    for group, settings in itertools.groupby(settings_of(daemon).values(), key=lambda s: s.group):
        blocks.append(f"# {group} ".ljust(_WIDTH, "-"))
        blocks.extend(_conf_block(daemon, setting) for setting in settings)
    return "\n\n".join(blocks) + "\n"


def _conf_block(daemon: str, setting: Setting) -> str:
    lines = [_commented(setting.doc)]
    if not isinstance(setting.change, Live):
        lines.append("# A change waits for the next start.")
    if setting.example:
        lines.append("# Not set by default; for example:")
    lines.append(f"#{setting.name} = {_shown(daemon, setting)}")
    return "\n".join(lines)


def _shown(daemon: str, setting: Setting) -> str:
    if setting.example:
        return setting.example
    default = setting.default_for(daemon)
    if isinstance(default, Same):
        default = _plain(settings_of(daemon)[default.name].default_for(daemon))
    return setting.kind.show(default)


def _plain(value: Value | Same) -> Value:
    if isinstance(value, Same):
        raise TypeError(f"a default that follows {value.name}, which follows another")
    return value


def _commented(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# "))


# The reference -----------------------------------------------------------------------------------

_HEAD = f"""\
<!-- Written by `{COMMAND}`; change daemons/runtime/settings/catalogue.py instead. -->

# Settings

Each daemon reads one TOML file: `/etc/aiovirt/NAME.conf` for root,
`$XDG_CONFIG_HOME/aiovirt/NAME.conf` for anybody else, or what `--config` names. Without a file all
defaults apply. Names and defaults are those of libvirt 9.0.0, and its `libvirtd.conf`,
`virtlockd.conf` and `virtlogd.conf` load as they are.

- A wrong value ends the start with status 1 and a message that names the file, the line, the
  setting and what is allowed. At a reload it changes nothing and is logged.
- A setting that has no effect here, or that nobody knows, is logged once, with its line. It is no
  error.
- SIGHUP reads the file again and applies what has changed in it since it was last read. What was
  changed over the admin socket in between stays, unless the file now says something new about it.
- The command line comes before the environment (`LIBVIRT_DEBUG`, `LIBVIRT_LOG_FILTERS`,
  `LIBVIRT_LOG_OUTPUTS`), which comes before the file.
- libvirt's parser takes the last of two lines that set the same name; TOML calls that an error.
- The admin server's workers are those that the comments of `libvirtd.conf` state (1 and 5);
  libvirt 9.0.0 itself starts with 5 and 20.

virtlockd and virtlogd themselves know only the `log_` settings, `max_clients` and
`admin_max_clients`; here all daemons are administered alike.
"""


def reference() -> str:
    """The text of docs/settings.md."""
    return "\n".join(_reference_lines()) + "\n"


def _reference_lines() -> Iterator[str]:
    yield _HEAD
    for group, settings in itertools.groupby(SETTINGS, key=lambda setting: setting.group):
        yield f"## {group}\n"
        for setting in settings:
            yield f"### {setting.name}\n"
            yield textwrap.fill(setting.doc, _WIDTH) + "\n"
            yield _item(f"Allowed: {setting.kind.allowed}")
            yield _item(f"Default: {_defaults(setting)}")
            yield _item(f"A change while running: {_change(setting)}")
            if setting.ours:
                yield _item("libvirt has no such setting.")
            yield ""
    yield "## Settings of libvirt that have no effect here\n"
    names = ", ".join(f"`{name}`" for name in sorted(KNOWN_ELSEWHERE))
    yield textwrap.fill(f"{names}.", _WIDTH)


def _item(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="- ", subsequent_indent="  ")


def _defaults(setting: Setting) -> str:
    if not isinstance(setting.default, Mapping):
        return _default(setting, setting.default)
    shown = {daemon: _default(setting, value) for daemon, value in setting.default.items()}
    by_value = {
        value: [daemon for daemon in shown if shown[daemon] == value] for value in shown.values()
    }
    return "; ".join(f"{value} in {' and '.join(daemons)}" for value, daemons in by_value.items())


def _default(setting: Setting, value: Value | Same) -> str:
    if isinstance(value, Same):
        return f"that of `{value.name}`"
    return "not set" if value in (None, "") else f"`{setting.kind.show(value)}`"


def _change(setting: Setting) -> str:
    if isinstance(setting.change, Live):
        return "takes effect at once"
    return f"waits for the next start: {setting.change.why}"
