"""The documents made from the settings: `docs/settings.md`, and the settings files in `conf/`.

`python -m aiovirt.daemons.documents write|check`, run at the top of the source tree. `check` exits
with 1 and names what is stale. A test runs it.
"""

from __future__ import annotations

import itertools
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.runtime.kind import DaemonKind
from aiovirt.daemons.runtime.settings.catalogue import KNOWN_ELSEWHERE
from aiovirt.daemons.runtime.settings.declaration import Live, Same, Setting, Settings, Value
from aiovirt.daemons.runtime.settings.template import WIDTH, settings_file

COMMAND: Final = "python -m aiovirt.daemons.documents write"


def documents() -> dict[str, str]:
    """Every derived document: path from the top of the source tree -> text."""
    found = kinds()
    files = {f"conf/{kind.name}.conf": conf(kind) for kind in found}
    return {"docs/settings.md": reference(found)} | files


def write(root: Path) -> None:
    """Write all documents. Raises OSError."""
    for path, text in documents().items():
        (root / path).write_text(text)


def stale(root: Path) -> list[str]:
    """The documents that do not say what the settings say. Raises OSError for a missing one."""
    return [path for path, text in documents().items() if (root / path).read_text() != text]


def conf(kind: DaemonKind) -> str:
    """The settings file of a daemon: everything explained, everything commented out."""
    return settings_file(kind.name, kind.settings(), kind.counterpart)


# The reference -----------------------------------------------------------------------------------

_HEAD: Final = f"""\
<!-- Written by `{COMMAND}`; change the declarations instead (daemons/runtime/settings/catalogue.py,
daemons/*/settings.py). -->

# Settings

Each daemon reads one file: `/etc/aiovirt/NAME.conf` for root,
`$XDG_CONFIG_HOME/aiovirt/NAME.conf` for other users, `DIR/NAME.conf` with `--rundir DIR`, or the file
that `--config` names. Without a file all defaults apply; `--print-config` writes a file with all
defaults to standard output.

Names and defaults are those of libvirt 9.0.0. Its own files load as they are:
{{counterparts}}.

- A wrong value ends the start with status 1 and a message that names the file, the line, the
  setting and what is allowed. At a reload it changes nothing and is logged.
- A setting without effect here, and an unknown one, is logged once, with its line. It is not an
  error.
- SIGHUP reads the file again and applies what has changed in it since it was last read. Each
  difference is logged. A value that an administrator has set stays until its own line changes.
- The command line comes before the environment (`LIBVIRT_DEBUG`, `LIBVIRT_LOG_FILTERS`,
  `LIBVIRT_LOG_OUTPUTS`), which comes before the file.
- A file that libvirt's reader accepts means what it means there: a backslash is a backslash, `0100`
  is one hundred, and bytes that are not UTF-8 may stand in comments. Only the value of a setting has
  to be UTF-8. Any other file is read as TOML, in which tables (`[section]`) are refused.
- Of two lines that set the same name, the first counts, as with libvirt. A warning names both.
- The file has to be a regular file or the null device. A FIFO, a device or a directory is an error.
- With `--rundir DIR`, a default that names a file is below DIR; the lists below say where.
- If systemd passes the sockets, the settings of sockets and addresses have no effect. A warning names
  those that the file sets.
- The admin server's workers are those that libvirt 9.0.0 starts with (5 and 20); the comments of
  `libvirtd.conf` state 1 and 5.

virtlockd and virtlogd themselves know only the `log_` settings, `max_clients` and
`admin_max_clients`; here all daemons are administered alike.

## While the daemon runs

`virtadm` and `admin.client` ([api.md](api.md)) list, describe, set and reset every setting:

    $ virtadm -c virtd:/// daemon-config-list 'max_*'
    $ virtadm -c virtd:/// daemon-config-set max_workers=30 log_filters=1:rpc
    $ virtadm -c virtd:/// daemon-config-set --live --config max_clients=200 max_anonymous_clients=50
    $ virtadm -c virtd:/// daemon-config-reset max_workers

A setting is named as `virtd.conf/max_workers`; `max_workers` means the same. A value is written as in
the file; the quotes of a string may be left out.

- `--live` (the default) changes the running daemon, `--config` the file, both together both. A call
  changes all of its settings or none.
- A setting that is given in `--config` only counts at the next SIGHUP, SIGUSR1 or start.
- `daemon-config-reset` gives the running daemon the value of the file again, or the default. With
  `--config` it takes the setting out of the file.
- The origin of a value in force is the default, the file, the command line, the environment or an
  administrator. A change by libvirt's own program (`server-threadpool-set`, `daemon-log-filters`)
  counts as one by an administrator.
- A value set live survives SIGUSR1. It ends with the daemon, or when its own line in the file changes.
- A default that follows another setting (`max_anonymous_clients` in lockd and logd, `min_workers`
  below `max_workers`) follows a live change as well.
- The file keeps its comments, its order, its owner and its mode. It is replaced at once and written to
  the disk; a symbolic link is followed. A change that somebody else makes meanwhile is kept.
- A new socket is open before the old one closes, and clients that wait at the old one are accepted,
  as far as `max_clients` allows.
- Every change is logged at level 3, the default: the setting, the old and the new value, and the
  user, process and address of the administrator.

| refusal | error |
|---|---|
| unknown setting, or a setting of libvirt without effect here | 67, with similar names |
| a value that is not allowed; values that contradict each other | 8, with what is allowed |
| a setting that cannot change while the daemon runs | 84, with the reason; `--config` takes it |
| a file that cannot be read as a settings file, or cannot be written | 33, 38 |
"""


def reference(found: list[DaemonKind]) -> str:
    """The text of docs/settings.md."""
    return "\n".join(_reference_lines(found)) + "\n"


def _reference_lines(found: list[DaemonKind]) -> Iterator[str]:
    yield _HEAD.replace("{counterparts}", _enumerated(f"`{k.counterpart}.conf`" for k in found))
    by_daemon = {kind.name: kind.settings() for kind in found}
    for group, settings in itertools.groupby(_merged(by_daemon.values()), lambda one: one.group):
        yield f"## {group}\n"
        for setting in settings:
            having = {name: s[setting.name] for name, s in by_daemon.items() if setting.name in s}
            yield f"### {setting.name}\n"
            yield textwrap.fill(setting.doc, WIDTH) + "\n"
            yield _item(f"Allowed: {_by_daemon(having, lambda one: one.kind.allowed)}")
            yield _item(f"Default: {_by_daemon(having, _default, of=len(found))}")
            if setting.in_rundir:
                yield _item(f"Default with `--rundir DIR`: `DIR/{setting.in_rundir}`")
            yield _item(f"A change while running: {_change(setting)}")
            if setting.ours:
                yield _item("libvirt has no such setting.")
            yield ""
    yield "## Settings of libvirt that have no effect here\n"
    names = ", ".join(f"`{name}`" for name in sorted(KNOWN_ELSEWHERE))
    yield textwrap.fill(f"{names}.", WIDTH)


def _merged(several: Iterable[Settings]) -> list[Setting]:
    """Every setting once, each after the one that it follows in its own daemon."""
    order: list[Setting] = []
    for settings in several:
        place = 0
        for setting in settings.values():
            names = [one.name for one in order]
            if setting.name in names:
                place = names.index(setting.name) + 1
            else:
                order.insert(place, setting)
                place += 1
    return order


def _by_daemon(having: dict[str, Setting], show: Callable[[Setting], str], of: int = 0) -> str:
    """A property of a setting; with the daemons' names if they differ, or if not all `of` have it."""
    shown = {name: show(setting) for name, setting in having.items()}
    values = {value: [name for name in shown if shown[name] == value] for value in shown.values()}
    if len(values) == 1 and len(having) >= of:
        return next(iter(values))
    return "; ".join(f"{value} in {_enumerated(names)}" for value, names in values.items())


def _enumerated(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _item(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="- ", subsequent_indent="  ")


def _default(setting: Setting) -> str:
    value: Value | Same = setting.default
    if isinstance(value, Same):
        return f"that of `{value.name}`"
    return "not set" if value in (None, "") else f"`{setting.kind.show(value)}`"


def _change(setting: Setting) -> str:
    if isinstance(setting.change, Live):
        if setting.change.existing:
            return f"takes effect for new connections: {setting.change.existing}"
        return "takes effect at once"
    return f"waits for the next start: {setting.change.why}"


def main() -> int:
    """The exit status: 0, 1 for something stale, 2 for a wrong command line."""
    if sys.argv[1:] == ["write"]:
        write(Path.cwd())
        return 0
    if sys.argv[1:] == ["check"]:
        names = stale(Path.cwd())
        for name in names:
            sys.stderr.write(f"{name} is not what the settings say: run `{COMMAND}`\n")
        return 1 if names else 0
    sys.stderr.write("usage: python -m aiovirt.daemons.documents write|check\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
