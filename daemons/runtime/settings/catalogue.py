"""The settings that every daemon has, in the order in which the documents show them.

A daemon adds its own and overrides defaults with `daemon_settings`. Names are libvirt's
(src/remote/remote_daemon_config.c, src/locking/lock_daemon_config.c, src/logging/log_daemon_config.c)
except where `ours` is set; defaults are those of libvirt's small daemons.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from aiovirt.daemons.runtime.settings.declaration import (
    INT_MAX,
    Fixed,
    Integer,
    Live,
    Permissions,
    Same,
    Setting,
    Settings,
    Text,
    Value,
)
from aiovirt.daemons.runtime.settings.verify import (
    absolute_path,
    filters,
    formats,
    group,
    outputs,
    version,
)

#: The type of a setting that names a file, a folder or a socket.
ABSOLUTE_PATH: Final = Text("an absolute path in quotes", absolute_path)
#: Why existing connections do not follow some settings.
AGREED: Final = "existing connections keep the interval and the count that they began with"

LOGGING = (
    Setting(
        name="log_level",
        group="Logging",
        kind=Integer(0, 4),
        default=3,
        change=Live("log", "level"),
        doc="Lowest level that is logged where no filter applies: 1 debug, 2 info, 3 warning,"
        " 4 error. 0 stands for the default. Prefer log_filters to a low level: level 1 writes a"
        " line for each call.",
    ),
    Setting(
        name="log_filters",
        group="Logging",
        kind=Text('filters like "1:rpc.server 4:admin": LEVEL:MATCH, separated by blanks', filters),
        default="",
        change=Live("log", "filters"),
        example='"1:rpc.server 3:rpc.wire"',
        doc="Levels for parts of the daemon: LEVEL:MATCH, separated by blanks; the first match wins."
        " MATCH is a shell wildcard that may match anywhere in the name of a log source.",
    ),
    Setting(
        name="log_outputs",
        group="Logging",
        kind=Text(
            'outputs like "3:stderr 1:file:/var/log/x.log": LEVEL:DESTINATION, separated by'
            " blanks, where DESTINATION is stderr, journald, syslog:IDENT or file:ABSOLUTE_PATH",
            outputs,
        ),
        default="",
        change=Live("log", "outputs"),
        example='"3:syslog:aiovirt"',
        doc="Destinations of log lines: LEVEL:stderr, LEVEL:journald, LEVEL:syslog:IDENT or"
        " LEVEL:file:ABSOLUTE_PATH, separated by blanks. If empty, the daemon chooses: the journal if"
        " systemd started it, a file if it went into the background, otherwise standard error.",
    ),
    Setting(
        name="log_format",
        group="Logging",
        kind=Text('"text" or "json", and exceptions like "text file=json"', formats),
        default="text",
        change=Live("log", "log_format"),
        ours=True,
        doc='Layout of log lines: "text" is libvirt\'s layout, "json" is one object on each line.'
        ' Exceptions for a destination follow: "text file=json" or "json syslog:aiovirt=text". The'
        " journal takes fields and has no format.",
    ),
    Setting(
        name="log_buffer_size",
        group="Logging",
        kind=Integer(0, 100_000),
        default=1000,
        change=Live("log", "buffer_size"),
        ours=True,
        doc="Number of the latest log records that are kept in memory for virtadm daemon-log-follow"
        " --last. log_level and log_filters decide which, whatever the outputs take. A record has at"
        " most 16 KiB, usually 250 bytes.",
    ),
)

CLIENTS = (
    Setting(
        name="max_clients",
        group="Clients",
        kind=Integer(1),
        default=1024,
        change=Live("main", "registry.max_clients"),
        unit="clients",
        doc="Maximum number of connected clients, over all sockets. At the limit, new clients wait in"
        " the kernel's queue until one leaves.",
    ),
    Setting(
        name="max_anonymous_clients",
        group="Clients",
        kind=Integer(0),
        default=Same("max_clients"),
        change=Live("main", "registry.max_anonymous_clients"),
        unit="clients",
        doc="Maximum number of clients that have not yet authenticated. At the limit, new clients"
        " wait. 0 switches the limit off. It may not exceed max_clients.",
    ),
    Setting(
        name="max_client_requests",
        group="Clients",
        kind=Integer(1),
        default=5,
        change=Live("main", "max_client_requests"),
        unit="calls",
        doc="Maximum number of calls of one client that run at the same time. A client at its limit"
        " is not read until a reply has left. Keepalive does not count.",
    ),
)

WORKERS = (
    Setting(
        name="min_workers",
        group="Workers",
        kind=Integer(0),
        default=5,
        change=Live("main", "workers.minimum"),
        unit="workers",
        doc="Number of workers that are kept when there is nothing to do. A value above max_workers"
        " counts as max_workers.",
    ),
    Setting(
        name="max_workers",
        group="Workers",
        kind=Integer(0),
        default=20,
        change=Live("main", "workers.maximum"),
        unit="workers",
        doc="Maximum number of waiting calls that run at the same time, over all clients; further"
        " calls queue. 0, where it is allowed, means no pool: every call starts at once, as in"
        " virtlockd.",
    ),
    Setting(
        name="prio_workers",
        group="Workers",
        kind=Integer(0),
        default=5,
        change=Live("main", "workers.priority"),
        unit="workers",
        doc="Number of workers kept for calls of high priority, which thus get through when all"
        " others are stuck.",
    ),
)

KEEPALIVE = (
    Setting(
        name="keepalive_interval",
        group="Keepalive",
        kind=Integer(-1, INT_MAX),
        default=-1,
        change=Live("main", "keepalive_interval", AGREED),
        unit="seconds",
        doc="Seconds of silence after which a client that asked for keepalive is sent a ping. -1"
        " sends none; a client's own pings are answered all the same.",
    ),
    Setting(
        name="keepalive_count",
        group="Keepalive",
        kind=Integer(0),
        default=5,
        change=Live("main", "keepalive_count", AGREED),
        unit="pings",
        doc="Number of pings that may go unanswered. The connection is closed after"
        " keepalive_interval * (keepalive_count + 1) seconds of silence.",
    ),
)

SOCKETS = (
    Setting(
        name="unix_sock_dir",
        group="Sockets",
        kind=ABSOLUTE_PATH,
        default=None,
        change=Fixed("clients find the daemon by the paths of its sockets"),
        example='"/run/aiovirt"',
        doc="Folder of the sockets. If unset, the run directory. --rundir, --socket and"
        " --admin-socket take precedence.",
    ),
    Setting(
        name="unix_sock_group",
        group="Sockets",
        kind=Text("the name or number of a group, in quotes", group),
        default=None,
        change=Live("sockets", "unix_sock_group"),
        example='"libvirt"',
        doc="Group that owns the sockets. If unset, the daemon's own group.",
    ),
    Setting(
        name="unix_sock_rw_perms",
        group="Sockets",
        kind=Permissions(),
        default=0o700,
        change=Live("sockets", "unix_sock_rw_perms"),
        doc="Permissions of the daemon's own socket.",
    ),
    Setting(
        name="unix_sock_admin_perms",
        group="Sockets",
        kind=Permissions(),
        default=0o700,
        change=Live("sockets", "unix_sock_admin_perms"),
        doc="Permissions of the admin socket. In any case only root and the daemon's own user are"
        " admitted.",
    ),
)

ADMIN = (
    Setting(
        name="admin_max_clients",
        group="Administration",
        kind=Integer(1),
        default=5000,
        change=Live("admin", "registry.max_clients"),
        unit="clients",
        doc="max_clients, for the admin server.",
    ),
    Setting(
        name="admin_max_client_requests",
        group="Administration",
        kind=Integer(1),
        default=5,
        change=Live("admin", "max_client_requests"),
        unit="calls",
        doc="max_client_requests, for the admin server.",
    ),
    Setting(
        name="admin_min_workers",
        group="Administration",
        kind=Integer(0),
        default=5,
        change=Live("admin", "workers.minimum"),
        unit="workers",
        doc="min_workers, for the admin server.",
    ),
    Setting(
        name="admin_max_workers",
        group="Administration",
        kind=Integer(0),
        default=20,
        change=Live("admin", "workers.maximum"),
        unit="workers",
        doc="max_workers, for the admin server. 0 means that it has no pool.",
    ),
    Setting(
        name="admin_prio_workers",
        group="Administration",
        kind=Integer(0),
        default=0,
        change=Live("admin", "workers.priority"),
        ours=True,
        unit="workers",
        doc="prio_workers, for the admin server.",
    ),
    Setting(
        name="admin_keepalive_interval",
        group="Administration",
        kind=Integer(-1, INT_MAX),
        default=-1,
        change=Live("admin", "keepalive_interval", AGREED),
        unit="seconds",
        doc="keepalive_interval, for the admin server.",
    ),
    Setting(
        name="admin_keepalive_count",
        group="Administration",
        kind=Integer(0),
        default=5,
        change=Live("admin", "keepalive_count", AGREED),
        unit="pings",
        doc="keepalive_count, for the admin server.",
    ),
)

COMPATIBILITY = (
    Setting(
        name="libvirt_version",
        group="Compatibility",
        kind=Text('a version like "9.0.0"', version),
        default="9.0.0",
        change=Fixed("connected clients have been told the version"),
        ours=True,
        doc="Version of libvirt that clients are told, MAJOR.MINOR.RELEASE with numbers up to 999. It"
        " changes nothing else.",
    ),
)

COMMON: Final[Settings] = {
    setting.name: setting
    for setting in (*LOGGING, *CLIENTS, *WORKERS, *KEEPALIVE, *SOCKETS, *ADMIN, *COMPATIBILITY)
}
"""The settings that every daemon has."""

KNOWN_ELSEWHERE: Final = frozenset(
    (
        "access_drivers",
        "admin_keepalive_required",
        "admin_max_queued_clients",
        "audit_level",
        "audit_logging",
        "host_uuid",
        "host_uuid_source",
        "keepalive_required",
        "max_queued_clients",
        "ovs_timeout",
        "tcp_min_ssf",
    )
)
"""Settings of libvirt's daemons without effect here: a file that sets one is warned about it by name."""


def daemon_settings(
    *own: Setting, defaults: Mapping[str, Value | Same] | None = None
) -> dict[str, Setting]:
    """The settings of a daemon: the common ones and its own.

    Args:
        own: its own settings. Each comes after the one that it names with `after`, or else after the
            one before it; the first without `after` comes at the end. A setting with the name of a
            common one replaces that.
        defaults: other defaults for common settings, by name.

    Raises KeyError when `defaults` or an `after` names an unknown setting, ValueError when an own
    setting is declared twice.
    """
    names = [setting.name for setting in own]
    if len(names) != len(set(names)):
        raise ValueError(f"a setting is declared twice: {', '.join(sorted(names))}")
    found = dict(COMMON)
    for name, default in (defaults or {}).items():
        found[name] = msgspec.structs.replace(found[name], default=default)
    order = list(found)
    place = len(order)
    for setting in own:
        if setting.after:
            if setting.after not in order:
                raise KeyError(setting.after)
            place = order.index(setting.after) + 1
        if setting.name not in found:
            order.insert(place, setting.name)
            place += 1
        found[setting.name] = setting
    return {name: found[name] for name in order}
