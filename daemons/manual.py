"""The manual pages and the completion for shells, made from what parses the command lines.

`python -m aiovirt.daemons.manual write|check`, run at the top of the source tree. `check` exits with 1
and names what is stale.

conf/man/ has virtadm(1), for each daemon NAME(8) and NAME.conf(5); conf/completion/ a script for each
shell and program (see `completion`).
"""

from __future__ import annotations

import argparse
import inspect
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

from aiovirt import __version__
from aiovirt.admin.cli.commands import own_table
from aiovirt.admin.cli.manual import OPTIONS, option_rows, synopsis
from aiovirt.daemons import completion
from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.roff import Page
from aiovirt.daemons.runtime.kind import DaemonKind
from aiovirt.daemons.runtime.process.failure import Failure
from aiovirt.daemons.runtime.process.options import _parser
from aiovirt.daemons.runtime.settings.declaration import Live, Same, Setting, Value

COMMAND: Final = "python -m aiovirt.daemons.manual write"

_SOURCE: Final = f"aiovirt {__version__}"

_SIGNALS: Final = (
    (
        "SIGTERM, SIGINT, SIGQUIT",
        "Finish the calls under way, answer them, and end. A second one ends at once.",
    ),
    ("SIGHUP", "Read the settings file again, and open log files that were renamed anew."),
    ("SIGUSR1", "Execute the program anew, with every connection and all state kept."),
)

_STATUSES: Final = {
    0: "The daemon ended because it was told to, or by `--timeout`.",
    Failure.USAGE: "The command line or a setting is wrong, or another daemon has the pid file. With"
    " `--daemon`, also any later failure.",
    Failure.RUNDIR: "The run directory, or the folder of the default log, cannot be made.",
    Failure.INIT: "With `--daemon`: the system allows no further process.",
    Failure.NETWORK: "A socket cannot be opened.",
}

_LOG_VARIABLES: Final = (
    ("LIBVIRT_DEBUG", "Log level, in place of the setting `log_level`."),
    ("LIBVIRT_LOG_FILTERS", "Log filters, in place of the setting `log_filters`."),
    ("LIBVIRT_LOG_OUTPUTS", "Log outputs, in place of the setting `log_outputs`."),
)

_XDG: Final = (
    ("XDG_RUNTIME_DIR", "Where users other than root have sockets; default: the cache directory."),
    ("XDG_CONFIG_HOME", "Where they have settings; default `~/.config`."),
    ("XDG_CACHE_HOME", "Their cache directory; default `~/.cache`."),
)


def documents() -> dict[str, str]:
    """Every document made here: path from the top of the source tree -> text."""
    daemons = kinds()
    pages = [_virtadm(daemons)]
    for kind in daemons:
        pages += [_daemon(kind), _settings(kind)]
    files = {f"conf/man/{page.file}": str(page) for page in pages}
    declared = {kind.name: _options_of(kind) for kind in daemons}
    return files | completion.documents(daemons, declared)


def stale(root: Path) -> list[str]:
    """The documents that are missing, or are not what the declarations say."""
    return [
        path
        for path, text in documents().items()
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != text
    ]


def write(root: Path) -> None:
    """Write all documents. Raises OSError."""
    for path, text in documents().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


# virtadm -----------------------------------------------------------------------------------------


def _virtadm(daemons: list[DaemonKind]) -> Page:
    page = Page(
        "virtadm",
        1,
        "administer daemons of libvirt and aiovirt",
        source=_SOURCE,
        manual="User commands",
    )
    page.section("Synopsis")
    page.synopsis("virtadm", "[options]... <command> [args...]")
    page.synopsis("virtadm", "[options]... '<command>; <command>'")
    page.synopsis("virtadm", "[options]...")
    page.section("Description")
    page.paragraph(
        "`virtadm` administers running daemons over their admin sockets: the daemons of libvirt and"
        f" those of aiovirt ({', '.join(kind.name for kind in daemons)}). It takes the command lines"
        " of `virt-admin` of libvirt 9.0.0. Without a command it is an interactive shell."
    )
    page.paragraph(
        "A line holds any number of commands, separated by `;` or newlines, and is one argument. A"
        " single command may be several arguments. A value is given by name (`--server NAME`,"
        " `--server=NAME`) or by position, in the order of the synopsis."
    )
    page.section("Options")
    for short, long, text in OPTIONS:
        page.tagged(", ".join(filter(None, (short, long))), _sentence(text))
    _virtadm_commands(page)
    _virtadm_places(page, daemons)
    page.see_also(("virt-admin", 1), *((kind.name, 8) for kind in daemons))
    return page


def _virtadm_commands(page: Page) -> None:
    page.section("Commands")
    for group in own_table().groups():
        page.subsection(group.title)
        for command in group.commands:
            if command.hidden:
                continue
            texts = [command.description or _sentence(command.help)]
            if command.aliases:
                texts.append(f"Also: {', '.join(f'`{alias}`' for alias in command.aliases)}.")
            page.tagged(synopsis(command), *texts)
            if rows := option_rows(command):
                page.table((spelling, _sentence(text)) for spelling, text in rows)


def _virtadm_places(page: Page, daemons: list[DaemonKind]) -> None:
    page.section("URIs")
    for uri, meaning in (
        ("libvirtd:///system, libvirtd:///session", "libvirtd, of the system or of this user."),
        ("virtNAME:///system, virtNAME:///session", "Another daemon of libvirt, as virtlogd."),
        (
            ", ".join(f"{kind.name}:///" for kind in daemons),
            "A daemon of aiovirt: for root that of the system, for others their own. The paths"
            " `/system` and `/session` name one of both.",
        ),
        ("ANY:///?socket=PATH", "The daemon at the admin socket PATH."),
    ):
        page.tagged(uri, meaning)
    page.section("Exit status")
    page.paragraph(
        "0 if the last command succeeded (with several daemons: on all of them). 1 if it did not, or"
        " if the line could not be understood; then nothing was run. Every error is a line on the"
        " standard error that begins with `error:`."
    )
    page.section("Environment")
    for variable, meaning in (
        ("LIBVIRT_ADMIN_DEFAULT_URI", "The daemon that is meant when `-c` names none."),
        ("VIRT_ADMIN_DEBUG", "The debug level, as `-d` sets it."),
        ("VIRT_ADMIN_LOG_FILE", "The log file, as `-l` sets it."),
        ("VIRT_ADMIN_HISTSIZE", "Maximum number of lines in the shell's history; default 500."),
        *_XDG,
    ):
        page.tagged(variable, meaning)
    page.section("Files")
    for file, meaning in (
        ("~/.config/aiovirt/virtadm.conf", "This user's settings: `uri_default`, `uri_aliases`."),
        ("/etc/aiovirt/virtadm.conf", "The same settings for all users."),
        (
            "/etc/libvirt/libvirt-admin.conf",
            "libvirt's own settings, which root's virtadm reads last.",
        ),
        ("~/.config/libvirt/libvirt-admin.conf", "The same for users other than root."),
        ("~/.cache/aiovirt/virtadm/history", "The shell's history."),
    ):
        page.tagged(file, meaning)


# The daemons -------------------------------------------------------------------------------------


def _daemon(kind: DaemonKind) -> Page:
    name = kind.name
    title = kind.title.rstrip(".")
    page = Page(
        name, 8, title[0].lower() + title[1:], source=_SOURCE, manual="System administration"
    )
    page.section("Synopsis")
    page.synopsis(name, "[options]...")
    page.section("Description")
    page.paragraph(_about(kind))
    page.paragraph(
        f"`{name}` is administered by `virtadm` and by `virt-admin` over its admin socket. Its settings"
        f" are in `{name}.conf`(5)."
    )
    page.section("Options")
    for action in _options_of(kind):
        spelling = ", ".join(action.option_strings)
        if isinstance(action.metavar, str):
            spelling += f" {action.metavar}"
        page.tagged(spelling, _sentence(action.help or ""))
    page.section("Signals")
    for signal, effect in _SIGNALS:
        page.tagged(signal, effect)
    page.section("Exit status")
    for status, reason in _STATUSES.items():
        page.tagged(f"{status:d}", reason)
    _daemon_places(page, name)
    page.see_also((f"{name}.conf", 5), ("virtadm", 1), ("virt-admin", 1))
    return page


def _options_of(kind: DaemonKind) -> list[argparse.Action]:
    """The options as they are declared; argparse has no public list of them."""
    return _parser(kind.name, kind.title, str, kind.options)._actions


def _settings_of(kind: DaemonKind) -> list[tuple[Setting, Value | Same]]:
    """The daemon's settings, each with its default."""
    return [(setting, setting.default) for setting in kind.settings().values()]


def _about(kind: DaemonKind) -> str:
    """The docstring of the daemon's package."""
    package = import_module(f"aiovirt.daemons.{kind.name}")
    text = " ".join((inspect.getdoc(package) or kind.title).partition("\n\n")[0].split())
    return _sentence(text.removeprefix(f"{kind.name}: "))


def _daemon_places(page: Page, name: str) -> None:
    page.section("Environment")
    for variable, meaning in (
        *_LOG_VARIABLES,
        *_XDG,
        ("LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PID", "Sockets that systemd passes."),
        ("NOTIFY_SOCKET", "Where systemd is told that the daemon is ready."),
    ):
        page.tagged(variable, meaning)
    page.section("Files")
    page.paragraph("The paths of a daemon that root starts; see `--help` for the caller's own.")
    for file, meaning in (
        (f"/etc/aiovirt/{name}.conf", "The settings; without the file all defaults apply."),
        (f"/run/aiovirt/{name}-sock", "The daemon's own socket."),
        (f"/run/aiovirt/{name}-admin-sock", "The admin socket."),
        (f"/run/aiovirt/{name}.pid", "The process id; the file is locked while the daemon runs."),
        (
            f"/var/log/aiovirt/{name}.log",
            "The log of a daemon in the background without a journal.",
        ),
    ):
        page.tagged(file, meaning)


# Settings files ----------------------------------------------------------------------------------


def _settings(kind: DaemonKind) -> Page:
    name = kind.name
    page = Page(f"{name}.conf", 5, f"settings of {name}", source=_SOURCE, manual="Settings files")
    page.section("Description")
    page.paragraph(
        f"`{name}` reads one settings file: `/etc/aiovirt/{name}.conf` for root,"
        f" `~/.config/aiovirt/{name}.conf` for others, or the file that `--config` names. The format"
        " is TOML: one `name = value` on a line. SIGHUP makes a running daemon read the file again."
    )
    group = ""
    for setting, default in _settings_of(kind):
        if setting.group != group:
            group = setting.group
            page.section(group)
        change = setting.change
        when = "at once" if isinstance(change, Live) else f"at the next start: {change.why}"
        page.tagged(
            setting.name,
            setting.doc,
            f"Allowed: {setting.kind.allowed}. Default: {_default(setting, default)}. A change takes"
            f" effect {when}.",
        )
    page.see_also((name, 8), ("virtadm", 1))
    return page


def _default(setting: Setting, value: Value | Same) -> str:
    if isinstance(value, Same):
        return f"that of `{value.name}`"
    return "not set" if value in (None, "") else f"`{setting.kind.show(value)}`"


def _sentence(text: str) -> str:
    """The phrase as a sentence; a word that is not plain stays as it is."""
    first = text[:1].upper() if text[:1].islower() else text[:1]
    return f"{first}{text[1:]}".rstrip(".") + "."


def main(words: list[str]) -> int:
    """Write or check. Returns the exit status: 0, 1 for stale documents, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="python -m aiovirt.daemons.manual", description=__doc__)
    parser.add_argument("act", choices=("write", "check"))
    if parser.parse_args(words).act == "write":
        write(Path.cwd())
        return 0
    names = stale(Path.cwd())
    for name in names:
        sys.stderr.write(f"{name} is not what the declarations say: run `{COMMAND}`\n")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
