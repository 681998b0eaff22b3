"""The settings of virtd: the common ones with libvirtd's defaults, and network, TLS, authentication.

Names and defaults are libvirt's (src/remote/remote_daemon_config.c) except where `ours` is set. To add a
setting, add it here and run `python -m aiovirt.daemons.documents write`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from aiovirt.daemons.runtime.settings.catalogue import ABSOLUTE_PATH, COMMON, daemon_settings
from aiovirt.daemons.runtime.settings.declaration import (
    Choice,
    Flag,
    Integer,
    Live,
    Permissions,
    Setting,
    Settings,
    Text,
    Texts,
)
from aiovirt.daemons.runtime.settings.verify import (
    absolute_path,
    absolute_path_or_nothing,
    host,
    port,
    tls_priority,
)

#: Why existing connections do not follow settings of authentication and encryption.
ADMITTED: Final = "existing connections have been admitted"

READONLY_SOCKET = (
    Setting(
        name="unix_sock_ro_perms",
        after="unix_sock_rw_perms",
        group="Sockets",
        kind=Permissions(),
        default=0o700,
        change=Live("sockets", "unix_sock_ro_perms"),
        doc="Permissions of the read-only socket, whose clients may look but not change.",
    ),
)

NETWORK = (
    Setting(
        name="listen_tcp",
        after="unix_sock_admin_perms",
        group="Network",
        kind=Flag(),
        default=False,
        change=Live("sockets", "listen_tcp"),
        doc="Listen on TCP, too. TCP has no encryption and no authentication: for tests only.",
    ),
    Setting(
        name="listen_addr",
        group="Network",
        kind=Text("an address or a host name, in quotes", host),
        default=None,
        change=Live("sockets", "listen_addr"),
        example='"127.0.0.1"',
        doc="Address to listen on. If unset, all addresses of the host.",
    ),
    Setting(
        name="tcp_port",
        group="Network",
        kind=Text("a port number (0 to 65535) or a service name, in quotes", port),
        default="16509",
        change=Live("sockets", "tcp_port"),
        doc='TCP port, by number or by service name. "0" takes a free one.',
    ),
)

_PEMS = Texts("a list of absolute paths, each in quotes", absolute_path)

TLS = (
    Setting(
        name="listen_tls",
        group="TLS",
        kind=Flag(),
        default=False,
        change=Live("sockets", "listen_tls"),
        doc="Listen for TLS connections, too. TLS needs a certificate, its key and the CA's certificate;"
        " `virtadm pki-init` makes some for a test.",
    ),
    Setting(
        name="tls_port",
        group="TLS",
        kind=Text("a port number (0 to 65535) or a service name, in quotes", port),
        default="16514",
        change=Live("sockets", "tls_port"),
        doc='Port for TLS, by number or by service name. "0" takes a free one.',
    ),
    Setting(
        name="key_file",
        group="TLS",
        kind=ABSOLUTE_PATH,
        default="/etc/pki/libvirt/private/serverkey.pem",
        in_rundir="pki/serverkey.pem",
        change=Live("tls", "key", ADMITTED),
        doc="File with the key of the server's certificate.",
    ),
    Setting(
        name="cert_file",
        group="TLS",
        kind=ABSOLUTE_PATH,
        default="/etc/pki/libvirt/servercert.pem",
        in_rundir="pki/servercert.pem",
        change=Live("tls", "cert", ADMITTED),
        doc="File with the server's certificate, followed by those between it and the CA, if any. New"
        " connections use a changed file; existing ones are unaffected.",
    ),
    Setting(
        name="key_files",
        group="TLS",
        kind=_PEMS,
        default=None,
        instead_of="key_file",
        change=Live("tls", "keys", ADMITTED),
        example='["/etc/pki/libvirt/private/serverkey.pem", "/etc/pki/libvirt/private/eckey.pem"]',
        doc="Files with keys, one for each certificate of cert_files and in the same order. They"
        " replace key_file, which cannot be set, too.",
    ),
    Setting(
        name="cert_files",
        group="TLS",
        kind=_PEMS,
        default=None,
        instead_of="cert_file",
        change=Live("tls", "certs", ADMITTED),
        example='["/etc/pki/libvirt/servercert.pem", "/etc/pki/libvirt/eccert.pem"]',
        doc="Files with several certificates of the server, each with a key of another kind. Each"
        " client is shown the one that it can verify. They replace cert_file, which cannot be set, too.",
    ),
    Setting(
        name="ca_file",
        group="TLS",
        kind=ABSOLUTE_PATH,
        default="/etc/pki/CA/cacert.pem",
        in_rundir="pki/cacert.pem",
        change=Live("tls", "ca", ADMITTED),
        doc="File with the certificates of the CAs that issued the clients' certificates and the"
        " server's own.",
    ),
    Setting(
        name="crl_file",
        group="TLS",
        kind=ABSOLUTE_PATH,
        default="/etc/pki/CA/cacrl.pem",
        in_rundir="pki/cacrl.pem",
        change=Live("tls", "crl", ADMITTED),
        doc="File with the list of certificates that the CA has revoked. Without the file, none.",
    ),
    Setting(
        name="tls_no_verify_certificate",
        group="TLS",
        kind=Flag(),
        default=False,
        change=Live("tls", "no_verify", ADMITTED),
        doc="1 accepts clients without a certificate; clients are then not asked for one.",
    ),
    Setting(
        name="tls_no_sanity_certificate",
        group="TLS",
        kind=Flag(),
        default=False,
        change=Live("tls", "no_sanity", ADMITTED),
        doc="1 uses the server's own certificate without checking that it is valid now, meant for"
        " servers, and issued by the CA.",
    ),
    Setting(
        name="tls_allowed_dn_list",
        group="TLS",
        kind=Texts("a list of names, in which * and ? are wildcards"),
        default=None,
        change=Live("tls", "allowed", ADMITTED),
        example='["C=GB,ST=London,L=London,O=Example,CN=*"]',
        doc="Distinguished names accepted from clients (wildcards allowed), as client-info shows them."
        " An empty list accepts nobody. If unset, every certificate of the CA is accepted.",
    ),
    Setting(
        name="tls_priority",
        group="TLS",
        kind=Text('a GnuTLS priority such as "NORMAL" or "SECURE256:-VERS-TLS1.2"', tls_priority),
        default="",
        change=Live("tls", "priority", ADMITTED),
        example='"SECURE128:-VERS-TLS1.2"',
        doc="Strength of TLS in GnuTLS's words: NORMAL, PFS, SECURE128, SECURE192 or SECURE256, and"
        " versions to take away. TLS 1.2 is the minimum in any case.",
    ),
)

_AUTH = Choice(("none", "sasl", "polkit"))

AUTHENTICATION = (
    Setting(
        name="auth_unix_rw",
        group="Authentication",
        kind=_AUTH,
        default="none",
        change=Live("sockets", "auth_unix_rw", ADMITTED),
        doc='Authentication of clients of the UNIX socket: "none" leaves it to the permissions of the'
        ' socket, "sasl" asks for a name and a password. "polkit" is refused at the start: it is not'
        " available here.",
    ),
    Setting(
        name="auth_unix_ro",
        group="Authentication",
        kind=_AUTH,
        default="none",
        change=Live("sockets", "auth_unix_ro", ADMITTED),
        doc="Authentication of clients of the read-only UNIX socket.",
    ),
    Setting(
        name="auth_tcp",
        group="Authentication",
        kind=_AUTH,
        default="none",
        change=Live("sockets", "auth_tcp", ADMITTED),
        doc='Authentication of clients of TCP without TLS. "sasl" is refused at the start: nothing would'
        " protect the connection afterwards.",
    ),
    Setting(
        name="auth_tls",
        group="Authentication",
        kind=_AUTH,
        default="none",
        change=Live("sockets", "auth_tls", ADMITTED),
        doc="Authentication of clients of TLS, in addition to their certificate.",
    ),
    Setting(
        name="sasl_allowed_username_list",
        group="Authentication",
        kind=Texts("a list of names, in which * and ? are wildcards"),
        default=None,
        change=Live("sasl", "sasl_allowed_username_list", ADMITTED),
        example='["joe", "*@EXAMPLE.COM"]',
        doc="Names accepted by SASL (wildcards allowed). An empty list accepts nobody. If unset, every"
        " name with a password is accepted.",
    ),
    Setting(
        name="sasl_password_file",
        group="Authentication",
        kind=ABSOLUTE_PATH,
        default="/etc/aiovirt/virtd.passwords",
        in_rundir="virtd.passwords",
        change=Live("sasl", "sasl_password_file"),
        ours=True,
        doc="File with names and verifiers of their passwords, as `virtadm sasl-passwd` writes it; no"
        " password can be read from it. A change counts at once.",
    ),
)

EMULATORS = (
    Setting(
        name="lock_manager",
        group="Locks and logs of guests",
        kind=Choice(("", "lockd")),
        default="",
        change=Live("emulators", "lock_manager"),
        ours=True,
        doc='"lockd" makes guests of the qemu driver lock their disks at lockd, or at libvirt\'s'
        " virtlockd. An empty string means no locks. Running guests keep what they have. libvirt has"
        " this setting in qemu.conf.",
    ),
    Setting(
        name="lockd_socket",
        group="Locks and logs of guests",
        kind=ABSOLUTE_PATH,
        default=None,
        change=Live("emulators", "lockd_socket"),
        example='"/run/libvirt/virtlockd-sock"',
        ours=True,
        doc="Socket of the lock manager. If unset, lockd-sock in the run directory, or else in that of a"
        " daemon without --rundir.",
    ),
    Setting(
        name="file_lockspace_dir",
        group="Locks and logs of guests",
        kind=Text("an absolute path in quotes, or an empty string", absolute_path_or_nothing),
        default="/var/lib/aiovirt/lockspace",
        in_rundir="lockspace",
        change=Live("emulators", "file_lockspace_dir"),
        ours=True,
        doc="Folder with one file for each locked disk, named by a hash of the disk's path. An empty"
        " string locks the files of the disks, which then have to exist. libvirt has this setting in"
        " qemu-lockd.conf.",
    ),
    Setting(
        name="stdio_handler",
        group="Locks and logs of guests",
        kind=Choice(("file", "logd")),
        default="file",
        change=Live("emulators", "stdio_handler"),
        ours=True,
        doc='"logd" has logd, or libvirt\'s virtlogd, write a log for each guest of the qemu driver.'
        ' "file" means no logs. Running guests keep what they have. libvirt has this setting in'
        " qemu.conf.",
    ),
    Setting(
        name="logd_socket",
        group="Locks and logs of guests",
        kind=ABSOLUTE_PATH,
        default=None,
        change=Live("emulators", "logd_socket"),
        example='"/run/libvirt/virtlogd-sock"',
        ours=True,
        doc="Socket of the log manager. If unset, logd-sock in the run directory, or else in that of a"
        " daemon without --rundir.",
    ),
    Setting(
        name="guest_log_dir",
        group="Locks and logs of guests",
        kind=ABSOLUTE_PATH,
        default="/var/log/aiovirt/qemu",
        in_rundir="log/qemu",
        change=Live("emulators", "guest_log_dir"),
        ours=True,
        doc="Folder of the guests' logs; the log manager writes NAME.log there.",
    ),
)

SETTINGS: Final[Settings] = daemon_settings(
    msgspec.structs.replace(
        COMMON["max_workers"], kind=Integer(1)
    ),  # libvirtd cannot do without a pool
    *READONLY_SOCKET,
    *NETWORK,
    *TLS,
    *AUTHENTICATION,
    *EMULATORS,
    defaults={
        "max_clients": 5000,
        "max_anonymous_clients": 20,
        "keepalive_interval": 5,
        "admin_keepalive_interval": 5,
    },
)
