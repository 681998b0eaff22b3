"""Every setting there is, in the order in which the documents show them.

Names and defaults are libvirt's (src/remote/remote_daemon_config.c,
src/locking/lock_daemon_config.c, src/logging/log_daemon_config.c) except where `ours` is set. To
add a setting, add it here and run `python -m aiovirt.daemons.runtime.settings write`.
"""

from __future__ import annotations

from aiovirt.daemons.runtime.settings.declaration import (
    INT_MAX,
    SIZE_MAX,
    Choice,
    Fixed,
    Flag,
    Integer,
    Live,
    Permissions,
    Same,
    Setting,
    Text,
    Texts,
    Value,
)
from aiovirt.daemons.runtime.settings.sizes import Size
from aiovirt.daemons.runtime.settings.verify import (
    absolute_path,
    filters,
    formats,
    not_empty,
    outputs,
    port,
    tls_priority,
)

DAEMONS = ("virtd", "lockd", "logd")

_BOUND = "the sockets are made at start-up"
_VIRTD = "virtd"
_LOGD = "logd"


def _like_virtlockd(virtd: Value, others: Value | Same) -> dict[str, Value | Same]:
    """A default that differs between virtd and the two small daemons."""
    return {"virtd": virtd, "lockd": others, "logd": others}


LOGGING = (
    Setting(
        name="log_level",
        group="Logging",
        kind=Integer(0, 4),
        default=3,
        change=Live("log", "level"),
        doc="The lowest level that is logged where no filter says otherwise: 1 debug, 2 info, 3"
        " warning, 4 error. 0 stands for the default. Prefer log_filters to a low level: level 1"
        " writes several lines for each call.",
    ),
    Setting(
        name="log_filters",
        group="Logging",
        kind=Text('filters like "1:rpc.server 4:admin": LEVEL:MATCH, separated by blanks', filters),
        default="",
        change=Live("log", "filters"),
        example='"1:rpc.server 3:rpc.wire"',
        doc="Levels for parts of the daemon: LEVEL:MATCH, separated by blanks; the first one that"
        " matches wins. MATCH is a shell wildcard that may match anywhere in the name of a log"
        " source.",
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
        doc="Where log lines go: LEVEL:stderr, LEVEL:journald, LEVEL:syslog:IDENT or"
        " LEVEL:file:ABSOLUTE_PATH, separated by blanks. When it is empty, the daemon chooses: the"
        " journal if it was started by systemd, a file if it went into the background, else"
        " standard error.",
    ),
    Setting(
        name="log_format",
        group="Logging",
        kind=Text('"text" or "json", and exceptions like "text file=json"', formats),
        default="text",
        change=Live("log", "log_format"),
        ours=True,
        doc='How a line looks: "text" is libvirt\'s layout, "json" is one object a line.'
        ' Exceptions for a destination follow: "text file=json" or "json syslog:virtd=text". The'
        " journal takes fields and has no format.",
    ),
)

CLIENTS = (
    Setting(
        name="max_clients",
        group="Clients",
        kind=Integer(1),
        default=_like_virtlockd(5000, 1024),
        change=Live("main", "registry.max_clients"),
        doc="How many clients may be connected at once, over all sockets. At the limit new ones"
        " wait in the kernel's queue until one leaves.",
    ),
    Setting(
        name="max_anonymous_clients",
        group="Clients",
        kind=Integer(0),
        default=_like_virtlockd(20, Same("max_clients")),
        change=Live("main", "registry.max_anonymous_clients"),
        doc="How many connected clients may be not yet authenticated. At the limit new ones wait."
        " 0 switches the limit off. It may not exceed max_clients.",
    ),
    Setting(
        name="max_client_requests",
        group="Clients",
        kind=Integer(1),
        default=5,
        change=Live("main", "max_client_requests"),
        doc="How many calls of one client may be under way at once. A client at its limit is not"
        " read until a reply has left. Keepalive does not count.",
    ),
)

WORKERS = (
    Setting(
        name="min_workers",
        group="Workers",
        kind=Integer(0),
        default=5,
        change=Live("main", "workers.minimum"),
        doc="How many workers are kept when there is nothing to do. If it exceeds max_workers,"
        " max_workers counts.",
    ),
    Setting(
        name="max_workers",
        group="Workers",
        kind=Integer(0),
        default=20,
        change=Live("main", "workers.maximum"),
        doc="How many calls that wait for something may be under way at once, over all clients;"
        " further ones queue. virtd needs at least 1; in lockd and logd, 0 means that there is no"
        " pool and every call starts at once, as in virtlockd.",
    ),
    Setting(
        name="prio_workers",
        group="Workers",
        kind=Integer(0),
        default=5,
        change=Live("main", "workers.priority"),
        doc="Workers kept for calls of high priority, which thus get through when all others are"
        " stuck.",
    ),
)

KEEPALIVE = (
    Setting(
        name="keepalive_interval",
        group="Keepalive",
        kind=Integer(-1, INT_MAX),
        default=_like_virtlockd(5, -1),
        change=Live("main", "keepalive_interval"),
        doc="Seconds of silence after which a client that asked for keepalive is sent a ping. -1"
        " sends none; a client's own pings are answered all the same. A change counts for clients"
        " that connect after it.",
    ),
    Setting(
        name="keepalive_count",
        group="Keepalive",
        kind=Integer(0),
        default=5,
        change=Live("main", "keepalive_count"),
        doc="How many pings may go unanswered. The connection is closed after"
        " keepalive_interval * (keepalive_count + 1) seconds of silence.",
    ),
)

SOCKETS = (
    Setting(
        name="unix_sock_dir",
        group="Sockets",
        kind=Text("an absolute path in quotes", absolute_path),
        default=None,
        change=Fixed(_BOUND),
        example='"/run/aiovirt"',
        doc="The folder of the sockets. When it is not set, they are in the run directory."
        " --rundir, --socket and --admin-socket take precedence.",
    ),
    Setting(
        name="unix_sock_group",
        group="Sockets",
        kind=Text("the name or number of a group, in quotes", not_empty),
        default=None,
        change=Fixed(_BOUND),
        example='"libvirt"',
        doc="The group that owns the sockets. When it is not set, the group of the daemon does.",
    ),
    Setting(
        name="unix_sock_rw_perms",
        group="Sockets",
        kind=Permissions(),
        default=0o700,
        change=Fixed(_BOUND),
        doc="Permissions of the daemon's own socket.",
    ),
    Setting(
        name="unix_sock_ro_perms",
        group="Sockets",
        kind=Permissions(),
        default={_VIRTD: 0o700},
        change=Fixed(_BOUND),
        doc="Permissions of the read-only socket, whose clients may look and not change.",
    ),
    Setting(
        name="unix_sock_admin_perms",
        group="Sockets",
        kind=Permissions(),
        default=0o700,
        change=Fixed(_BOUND),
        doc="Permissions of the admin socket. Whatever they are, only root and the daemon's own"
        " user are admitted.",
    ),
)

NETWORK = (
    Setting(
        name="listen_tcp",
        group="Network",
        kind=Flag(),
        default={_VIRTD: False},
        change=Fixed(_BOUND),
        doc="Whether to listen on TCP too. There is no encryption and no authentication on it: for"
        " tests only.",
    ),
    Setting(
        name="listen_addr",
        group="Network",
        kind=Text("an address or a host name, in quotes", not_empty),
        default={_VIRTD: None},
        change=Fixed(_BOUND),
        example='"127.0.0.1"',
        doc="The address to listen on. When it is not set, all addresses of the host.",
    ),
    Setting(
        name="tcp_port",
        group="Network",
        kind=Text("a port number (0 to 65535) or a service name, in quotes", port),
        default={_VIRTD: "16509"},
        change=Fixed(_BOUND),
        doc='The TCP port, by number or by service name. "0" takes a free one.',
    ),
)

_PEM = Text("an absolute path in quotes", absolute_path)

TLS = (
    Setting(
        name="listen_tls",
        group="TLS",
        kind=Flag(),
        default={_VIRTD: False},
        change=Fixed(_BOUND),
        doc="Whether to listen for TLS connections, too. It needs a certificate, its key and the CA's"
        " certificate; `virtadm pki-init` makes some for a test.",
    ),
    Setting(
        name="tls_port",
        group="TLS",
        kind=Text("a port number (0 to 65535) or a service name, in quotes", port),
        default={_VIRTD: "16514"},
        change=Fixed(_BOUND),
        doc='The port for TLS, by number or by service name. "0" takes a free one.',
    ),
    Setting(
        name="key_file",
        group="TLS",
        kind=_PEM,
        default={_VIRTD: "/etc/pki/libvirt/private/serverkey.pem"},
        change=Live("main", "tls.key"),
        doc="The key of the server's certificate.",
    ),
    Setting(
        name="cert_file",
        group="TLS",
        kind=_PEM,
        default={_VIRTD: "/etc/pki/libvirt/servercert.pem"},
        change=Live("main", "tls.cert"),
        doc="The server's certificate, and behind it those between it and the CA, if any. Connections"
        " that there are go on with the old one when it is changed.",
    ),
    Setting(
        name="ca_file",
        group="TLS",
        kind=_PEM,
        default={_VIRTD: "/etc/pki/CA/cacert.pem"},
        change=Live("main", "tls.ca"),
        doc="The certificates of the CAs that clients' certificates, and our own, come from.",
    ),
    Setting(
        name="crl_file",
        group="TLS",
        kind=_PEM,
        default={_VIRTD: "/etc/pki/CA/cacrl.pem"},
        change=Live("main", "tls.crl"),
        doc="Which certificates the CA has revoked. Without the file, none.",
    ),
    Setting(
        name="tls_no_verify_certificate",
        group="TLS",
        kind=Flag(),
        default={_VIRTD: False},
        change=Live("main", "tls.no_verify"),
        doc="1 lets in clients without a certificate; they are not asked for one then.",
    ),
    Setting(
        name="tls_no_sanity_certificate",
        group="TLS",
        kind=Flag(),
        default={_VIRTD: False},
        change=Live("main", "tls.no_sanity"),
        doc="1 uses the server's own certificate without asking whether it is fit: whether it is valid"
        " now, meant for servers, from the CA.",
    ),
    Setting(
        name="tls_allowed_dn_list",
        group="TLS",
        kind=Texts("a list of names, in which * and ? are wildcards"),
        default={_VIRTD: None},
        change=Live("main", "tls.allowed"),
        example='["C=GB,ST=London,L=London,O=Example,CN=*"]',
        doc="Whose certificates admit: the names in them, as client-info shows them. An empty list"
        " admits nobody; without the setting every certificate of the CA does.",
    ),
    Setting(
        name="tls_priority",
        group="TLS",
        kind=Text('a GnuTLS priority such as "NORMAL" or "SECURE256:-VERS-TLS1.2"', tls_priority),
        default={_VIRTD: ""},
        change=Live("main", "tls.priority"),
        example='"SECURE128:-VERS-TLS1.2"',
        doc="How strong TLS has to be, in GnuTLS's words: NORMAL, PFS, SECURE128, SECURE192 or"
        " SECURE256, and versions to take away. TLS 1.2 is the least in any case.",
    ),
)

_AUTH = Choice(("none", "sasl", "polkit"))

AUTHENTICATION = (
    Setting(
        name="auth_unix_rw",
        group="Authentication",
        kind=_AUTH,
        default={_VIRTD: "none"},
        change=Fixed(_BOUND),
        doc='How clients of the UNIX socket say who they are: "none" leaves that to the permissions of'
        ' the socket, "sasl" asks for a name and a password. "polkit", which libvirt has, too, is'
        " refused at the start: there is none here.",
    ),
    Setting(
        name="auth_unix_ro",
        group="Authentication",
        kind=_AUTH,
        default={_VIRTD: "none"},
        change=Fixed(_BOUND),
        doc="The same for the read-only UNIX socket.",
    ),
    Setting(
        name="auth_tcp",
        group="Authentication",
        kind=_AUTH,
        default={_VIRTD: "none"},
        change=Fixed(_BOUND),
        doc='The same for TCP without TLS. "sasl" is refused at the start: nothing would protect what'
        " follows.",
    ),
    Setting(
        name="auth_tls",
        group="Authentication",
        kind=_AUTH,
        default={_VIRTD: "none"},
        change=Fixed(_BOUND),
        doc="The same for TLS, in addition to the client's certificate.",
    ),
    Setting(
        name="sasl_allowed_username_list",
        group="Authentication",
        kind=Texts("a list of names, in which * and ? are wildcards"),
        default={_VIRTD: None},
        change=Live("own", "sasl_allowed_username_list"),
        example='["joe", "*@EXAMPLE.COM"]',
        doc="Which names may come in by SASL. An empty list admits nobody; without the setting everybody"
        " with a password does.",
    ),
    Setting(
        name="sasl_password_file",
        group="Authentication",
        kind=_PEM,
        default={_VIRTD: "/etc/aiovirt/virtd.passwords"},
        change=Live("own", "sasl_password_file"),
        ours=True,
        doc="The names and what proves their passwords, as `virtadm sasl-passwd` writes it; no password"
        " can be read from it. A change counts at once.",
    ),
)

ADMIN = (
    Setting(
        name="admin_max_clients",
        group="Administration",
        kind=Integer(1),
        default=5000,
        change=Live("admin", "registry.max_clients"),
        doc="max_clients, for the admin server.",
    ),
    Setting(
        name="admin_max_client_requests",
        group="Administration",
        kind=Integer(1),
        default=5,
        change=Live("admin", "max_client_requests"),
        doc="max_client_requests, for the admin server.",
    ),
    Setting(
        name="admin_min_workers",
        group="Administration",
        kind=Integer(0),
        default=5,
        change=Live("admin", "workers.minimum"),
        doc="min_workers, for the admin server.",
    ),
    Setting(
        name="admin_max_workers",
        group="Administration",
        kind=Integer(0),
        default=20,
        change=Live("admin", "workers.maximum"),
        doc="max_workers, for the admin server. 0 means that it has no pool.",
    ),
    Setting(
        name="admin_prio_workers",
        group="Administration",
        kind=Integer(0),
        default=0,
        change=Live("admin", "workers.priority"),
        ours=True,
        doc="prio_workers, for the admin server.",
    ),
    Setting(
        name="admin_keepalive_interval",
        group="Administration",
        kind=Integer(-1, INT_MAX),
        default=_like_virtlockd(5, -1),
        change=Live("admin", "keepalive_interval"),
        doc="keepalive_interval, for the admin server.",
    ),
    Setting(
        name="admin_keepalive_count",
        group="Administration",
        kind=Integer(0),
        default=5,
        change=Live("admin", "keepalive_count"),
        doc="keepalive_count, for the admin server.",
    ),
)

ROTATION = (
    Setting(
        name="max_size",
        group="Logs of guests",
        kind=Size(SIZE_MAX),
        default={_LOGD: 2 * 1024 * 1024},
        change=Live("own", "max_size"),
        doc="Bytes that a guest's log may have; then it is rotated. 0 switches rotation off.",
    ),
    Setting(
        name="max_backups",
        group="Logs of guests",
        kind=Integer(0, 32),
        default={_LOGD: 3},
        change=Live("own", "max_backups"),
        doc="How many rotated files of a log are kept, as PATH.0 (the newest), PATH.1 and so on.",
    ),
    Setting(
        name="max_age_days",
        group="Logs of guests",
        kind=Integer(0, 36500),
        default={_LOGD: 0},
        change=Live("own", "max_age_days"),
        doc="Days after which a log that nobody writes to is removed, with its rotated files: at the"
        " start and once a day. 0 keeps logs for ever. Later versions of libvirt have it, too.",
    ),
    Setting(
        name="log_root",
        group="Logs of guests",
        kind=Text("an absolute path in quotes", absolute_path),
        default={_LOGD: "/var/log/libvirt"},
        change=Live("own", "log_root"),
        doc="Where old logs are looked for: NAME.log, NAME.log.0 and so on, in this folder and the"
        " folders in it. Every such file there may be removed. Later versions of libvirt have it, too.",
    ),
)

SETTINGS = (
    *LOGGING,
    *CLIENTS,
    *WORKERS,
    *KEEPALIVE,
    *SOCKETS,
    *NETWORK,
    *TLS,
    *AUTHENTICATION,
    *ADMIN,
    *ROTATION,
)

KNOWN_ELSEWHERE = frozenset(
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
"""Settings of libvirt's daemons that have no effect here: a file that sets one is warned about it
by name."""


def settings_of(daemon: str) -> dict[str, Setting]:
    """The settings that the daemon of that name has, by name, in the order of the documents."""
    return {s.name: s for s in SETTINGS if s.applies_to(daemon)}
