"""libvirt's error codes and domains, and the phrase that stands for each code.

Programs and people look for these phrases, so an error's text begins with the one of its code; what
follows is the daemon's own words.

Source of the numbers: libvirt's include/libvirt/virterror.h; of the phrases: src/util/virerror.c
(virErrorMsg).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ErrorLevel(IntEnum):
    """The severity of an error (virErrorLevel)."""

    NONE = 0
    WARNING = 1
    ERROR = 2


class ErrorCode(IntEnum):
    """The kind of an error (virErrorNumber)."""

    OK = 0
    INTERNAL_ERROR = 1
    NO_MEMORY = 2
    NO_SUPPORT = 3
    UNKNOWN_HOST = 4
    NO_CONNECT = 5
    INVALID_CONN = 6
    INVALID_DOMAIN = 7
    INVALID_ARG = 8
    OPERATION_FAILED = 9
    GET_FAILED = 10
    POST_FAILED = 11
    HTTP_ERROR = 12
    SEXPR_SERIAL = 13
    NO_XEN = 14
    XEN_CALL = 15
    OS_TYPE = 16
    NO_KERNEL = 17
    NO_ROOT = 18
    NO_SOURCE = 19
    NO_TARGET = 20
    NO_NAME = 21
    NO_OS = 22
    NO_DEVICE = 23
    NO_XENSTORE = 24
    DRIVER_FULL = 25
    CALL_FAILED = 26
    XML_ERROR = 27
    DOM_EXIST = 28
    OPERATION_DENIED = 29
    OPEN_FAILED = 30
    READ_FAILED = 31
    PARSE_FAILED = 32
    CONF_SYNTAX = 33
    WRITE_FAILED = 34
    XML_DETAIL = 35
    INVALID_NETWORK = 36
    NETWORK_EXIST = 37
    SYSTEM_ERROR = 38
    RPC = 39
    GNUTLS_ERROR = 40
    NO_DOMAIN = 42
    NO_NETWORK = 43
    INVALID_MAC = 44
    AUTH_FAILED = 45
    INVALID_STORAGE_POOL = 46
    INVALID_STORAGE_VOL = 47
    NO_STORAGE_POOL = 49
    NO_STORAGE_VOL = 50
    INVALID_NODE_DEVICE = 52
    NO_NODE_DEVICE = 53
    NO_SECURITY_MODEL = 54
    OPERATION_INVALID = 55
    NO_INTERFACE = 57
    INVALID_INTERFACE = 58
    MULTIPLE_INTERFACES = 59
    INVALID_NWFILTER = 61
    NO_NWFILTER = 62
    BUILD_FIREWALL = 63
    INVALID_SECRET = 65
    NO_SECRET = 66
    CONFIG_UNSUPPORTED = 67
    OPERATION_TIMEOUT = 68
    MIGRATE_PERSIST_FAILED = 69
    HOOK_SCRIPT_FAILED = 70
    INVALID_DOMAIN_SNAPSHOT = 71
    NO_DOMAIN_SNAPSHOT = 72
    INVALID_STREAM = 73
    ARGUMENT_UNSUPPORTED = 74
    STORAGE_PROBE_FAILED = 75
    STORAGE_POOL_BUILT = 76
    SNAPSHOT_REVERT_RISKY = 77
    OPERATION_ABORTED = 78
    AUTH_CANCELLED = 79
    NO_DOMAIN_METADATA = 80
    MIGRATE_UNSAFE = 81
    OVERFLOW = 82
    BLOCK_COPY_ACTIVE = 83
    OPERATION_UNSUPPORTED = 84
    SSH = 85
    AGENT_UNRESPONSIVE = 86
    RESOURCE_BUSY = 87
    ACCESS_DENIED = 88
    DBUS_SERVICE = 89
    STORAGE_VOL_EXIST = 90
    CPU_INCOMPATIBLE = 91
    XML_INVALID_SCHEMA = 92
    MIGRATE_FINISH_OK = 93
    AUTH_UNAVAILABLE = 94
    NO_SERVER = 95
    NO_CLIENT = 96
    AGENT_UNSYNCED = 97
    LIBSSH = 98
    DEVICE_MISSING = 99
    INVALID_NWFILTER_BINDING = 100
    NO_NWFILTER_BINDING = 101
    INVALID_DOMAIN_CHECKPOINT = 102
    NO_DOMAIN_CHECKPOINT = 103
    NO_DOMAIN_BACKUP = 104
    INVALID_NETWORK_PORT = 105
    NETWORK_PORT_EXIST = 106
    NO_NETWORK_PORT = 107
    NO_HOSTNAME = 108
    CHECKPOINT_INCONSISTENT = 109
    MULTIPLE_DOMAINS = 110


class ErrorDomain(IntEnum):
    """The part of the software that found an error (virErrorDomain)."""

    NONE = 0
    XEN = 1
    XEND = 2
    XENSTORE = 3
    SEXPR = 4
    XML = 5
    DOM = 6
    RPC = 7
    PROXY = 8
    CONF = 9
    QEMU = 10
    NET = 11
    TEST = 12
    REMOTE = 13
    OPENVZ = 14
    XENXM = 15
    STATS_LINUX = 16
    LXC = 17
    STORAGE = 18
    NETWORK = 19
    DOMAIN = 20
    UML = 21
    NODEDEV = 22
    XEN_INOTIFY = 23
    SECURITY = 24
    VBOX = 25
    INTERFACE = 26
    ONE = 27
    ESX = 28
    PHYP = 29
    SECRET = 30
    CPU = 31
    XENAPI = 32
    NWFILTER = 33
    HOOK = 34
    DOMAIN_SNAPSHOT = 35
    AUDIT = 36
    SYSINFO = 37
    STREAMS = 38
    VMWARE = 39
    EVENT = 40
    LIBXL = 41
    LOCKING = 42
    HYPERV = 43
    CAPABILITIES = 44
    URI = 45
    AUTH = 46
    DBUS = 47
    PARALLELS = 48
    DEVICE = 49
    SSH = 50
    LOCKSPACE = 51
    INITCTL = 52
    IDENTITY = 53
    CGROUP = 54
    ACCESS = 55
    SYSTEMD = 56
    BHYVE = 57
    CRYPTO = 58
    FIREWALL = 59
    POLKIT = 60
    THREAD = 61
    ADMIN = 62
    LOGGING = 63
    XENXL = 64
    PERF = 65
    LIBSSH = 66
    RESCTRL = 67
    FIREWALLD = 68
    DOMAIN_CHECKPOINT = 69
    TPM = 70
    BPF = 71
    CH = 72


#: The phrase of each code.
PHRASES: Final[dict[int, str]] = {
    ErrorCode.INTERNAL_ERROR: "internal error",
    ErrorCode.NO_MEMORY: "out of memory",
    ErrorCode.NO_SUPPORT: "this function is not supported by the connection driver",
    ErrorCode.UNKNOWN_HOST: "unknown host",
    ErrorCode.NO_CONNECT: "no connection driver available",
    ErrorCode.INVALID_CONN: "invalid connection pointer in",
    ErrorCode.INVALID_DOMAIN: "invalid domain pointer in",
    ErrorCode.INVALID_ARG: "invalid argument",
    ErrorCode.OPERATION_FAILED: "operation failed",
    ErrorCode.GET_FAILED: "GET operation failed",
    ErrorCode.POST_FAILED: "POST operation failed",
    ErrorCode.HTTP_ERROR: "got unknown HTTP error code",
    ErrorCode.SEXPR_SERIAL: "failed to serialize S-Expr",
    ErrorCode.NO_XEN: "could not use Xen hypervisor entry",
    ErrorCode.XEN_CALL: "failed Xen syscall",
    ErrorCode.OS_TYPE: "unknown OS type",
    ErrorCode.NO_KERNEL: "missing kernel information",
    ErrorCode.NO_ROOT: "missing root device information",
    ErrorCode.NO_SOURCE: "missing source information for device",
    ErrorCode.NO_TARGET: "missing target information for device",
    ErrorCode.NO_NAME: "missing name information",
    ErrorCode.NO_OS: "missing operating system information",
    ErrorCode.NO_DEVICE: "missing devices information",
    ErrorCode.NO_XENSTORE: "could not connect to Xen Store",
    ErrorCode.DRIVER_FULL: "too many drivers registered",
    ErrorCode.CALL_FAILED: "library call failed",
    ErrorCode.XML_ERROR: "XML description is invalid or not well formed",
    ErrorCode.DOM_EXIST: "this domain exists already",
    ErrorCode.OPERATION_DENIED: "operation forbidden for read only access",
    ErrorCode.OPEN_FAILED: "failed to open configuration file",
    ErrorCode.READ_FAILED: "failed to read configuration file",
    ErrorCode.PARSE_FAILED: "failed to parse configuration file",
    ErrorCode.CONF_SYNTAX: "configuration file syntax error",
    ErrorCode.WRITE_FAILED: "failed to write configuration file",
    ErrorCode.XML_DETAIL: "parser error",
    ErrorCode.INVALID_NETWORK: "invalid network pointer in",
    ErrorCode.NETWORK_EXIST: "this network exists already",
    ErrorCode.SYSTEM_ERROR: "system call error",
    ErrorCode.RPC: "RPC error",
    ErrorCode.GNUTLS_ERROR: "GNUTLS call error",
    ErrorCode.NO_DOMAIN: "Domain not found",
    ErrorCode.NO_NETWORK: "Network not found",
    ErrorCode.INVALID_MAC: "invalid MAC address",
    ErrorCode.AUTH_FAILED: "authentication failed",
    ErrorCode.INVALID_STORAGE_POOL: "invalid storage pool pointer in",
    ErrorCode.INVALID_STORAGE_VOL: "invalid storage volume pointer in",
    ErrorCode.NO_STORAGE_POOL: "Storage pool not found",
    ErrorCode.NO_STORAGE_VOL: "Storage volume not found",
    ErrorCode.INVALID_NODE_DEVICE: "invalid node device pointer",
    ErrorCode.NO_NODE_DEVICE: "Node device not found",
    ErrorCode.NO_SECURITY_MODEL: "Security model not found",
    ErrorCode.OPERATION_INVALID: "Requested operation is not valid",
    ErrorCode.NO_INTERFACE: "Interface not found",
    ErrorCode.INVALID_INTERFACE: "invalid interface pointer in",
    ErrorCode.MULTIPLE_INTERFACES: "multiple matching interfaces found",
    ErrorCode.INVALID_NWFILTER: "Invalid network filter",
    ErrorCode.NO_NWFILTER: "Network filter not found",
    ErrorCode.BUILD_FIREWALL: "Error while building firewall",
    ErrorCode.INVALID_SECRET: "Invalid secret",
    ErrorCode.NO_SECRET: "Secret not found",
    ErrorCode.CONFIG_UNSUPPORTED: "unsupported configuration",
    ErrorCode.OPERATION_TIMEOUT: "Timed out during operation",
    ErrorCode.MIGRATE_PERSIST_FAILED: "Failed to make domain persistent after migration",
    ErrorCode.HOOK_SCRIPT_FAILED: "Hook script execution failed",
    ErrorCode.INVALID_DOMAIN_SNAPSHOT: "Invalid domain snapshot",
    ErrorCode.NO_DOMAIN_SNAPSHOT: "Domain snapshot not found",
    ErrorCode.INVALID_STREAM: "invalid stream pointer",
    ErrorCode.ARGUMENT_UNSUPPORTED: "argument unsupported",
    ErrorCode.STORAGE_PROBE_FAILED: "Storage pool probe failed",
    ErrorCode.STORAGE_POOL_BUILT: "Storage pool already built",
    ErrorCode.SNAPSHOT_REVERT_RISKY: "revert requires force",
    ErrorCode.OPERATION_ABORTED: "operation aborted",
    ErrorCode.AUTH_CANCELLED: "authentication cancelled",
    ErrorCode.NO_DOMAIN_METADATA: "metadata not found",
    ErrorCode.MIGRATE_UNSAFE: "Unsafe migration",
    ErrorCode.OVERFLOW: "numerical overflow",
    ErrorCode.BLOCK_COPY_ACTIVE: "block copy still active",
    ErrorCode.OPERATION_UNSUPPORTED: "Operation not supported",
    ErrorCode.SSH: "SSH transport error",
    ErrorCode.AGENT_UNRESPONSIVE: "Guest agent is not responding",
    ErrorCode.RESOURCE_BUSY: "resource busy",
    ErrorCode.ACCESS_DENIED: "access denied",
    ErrorCode.DBUS_SERVICE: "error from service",
    ErrorCode.STORAGE_VOL_EXIST: "this storage volume exists already",
    ErrorCode.CPU_INCOMPATIBLE: "the CPU is incompatible with host CPU",
    ErrorCode.XML_INVALID_SCHEMA: "XML document failed to validate against schema",
    ErrorCode.MIGRATE_FINISH_OK: "migration successfully aborted",
    ErrorCode.AUTH_UNAVAILABLE: "authentication unavailable",
    ErrorCode.NO_SERVER: "Server not found",
    ErrorCode.NO_CLIENT: "Client not found",
    ErrorCode.AGENT_UNSYNCED: "guest agent replied with wrong id to guest-sync command",
    ErrorCode.LIBSSH: "libssh transport error",
    ErrorCode.DEVICE_MISSING: "device not found",
    ErrorCode.INVALID_NWFILTER_BINDING: "Invalid network filter binding",
    ErrorCode.NO_NWFILTER_BINDING: "Network filter binding not found",
    ErrorCode.INVALID_DOMAIN_CHECKPOINT: "Invalid domain checkpoint",
    ErrorCode.NO_DOMAIN_CHECKPOINT: "Domain checkpoint not found",
    ErrorCode.NO_DOMAIN_BACKUP: "Domain backup job id not found",
    ErrorCode.INVALID_NETWORK_PORT: "Invalid network port pointer",
    ErrorCode.NETWORK_PORT_EXIST: "this network port exists already",
    ErrorCode.NO_NETWORK_PORT: "network port not found",
    ErrorCode.NO_HOSTNAME: "no hostname found",
    ErrorCode.CHECKPOINT_INCONSISTENT: "checkpoint inconsistent",
    ErrorCode.MULTIPLE_DOMAINS: "multiple matching domains found",
}

#: The pattern of a text with a detail, where it is not "PHRASE: DETAIL". Four codes have the detail
#: alone: a client compares the text of an RPC error from its first character.
_WITH_DETAIL: Final[dict[int, str]] = {
    ErrorCode.UNKNOWN_HOST: "unknown host %s",
    ErrorCode.NO_CONNECT: "no connection driver available for %s",
    ErrorCode.INVALID_CONN: "invalid connection pointer in %s",
    ErrorCode.INVALID_DOMAIN: "invalid domain pointer in %s",
    ErrorCode.HTTP_ERROR: "got unknown HTTP error code %s",
    ErrorCode.NO_XEN: "could not use Xen hypervisor entry %s",
    ErrorCode.XEN_CALL: "failed Xen syscall %s",
    ErrorCode.OS_TYPE: "unknown OS type %s",
    ErrorCode.NO_ROOT: "missing root device information in %s",
    ErrorCode.NO_SOURCE: "missing source information for device %s",
    ErrorCode.NO_TARGET: "missing target information for device %s",
    ErrorCode.NO_NAME: "missing name information in %s",
    ErrorCode.NO_OS: "missing operating system information for %s",
    ErrorCode.NO_DEVICE: "missing devices information for %s",
    ErrorCode.NO_XENSTORE: "could not connect to Xen Store %s",
    ErrorCode.DRIVER_FULL: "too many drivers registered in %s",
    ErrorCode.XML_ERROR: "XML error: %s",
    ErrorCode.DOM_EXIST: "domain %s exists already",
    ErrorCode.OPERATION_DENIED: "operation forbidden: %s",
    ErrorCode.OPEN_FAILED: "failed to open configuration file %s",
    ErrorCode.READ_FAILED: "failed to read configuration file %s",
    ErrorCode.PARSE_FAILED: "failed to parse configuration file %s",
    ErrorCode.XML_DETAIL: "%s",
    ErrorCode.INVALID_NETWORK: "invalid network pointer in %s",
    ErrorCode.NETWORK_EXIST: "network %s exists already",
    ErrorCode.SYSTEM_ERROR: "%s",
    ErrorCode.RPC: "%s",
    ErrorCode.GNUTLS_ERROR: "%s",
    ErrorCode.INVALID_STORAGE_POOL: "invalid storage pool pointer in %s",
    ErrorCode.INVALID_STORAGE_VOL: "invalid storage volume pointer in %s",
    ErrorCode.INVALID_NODE_DEVICE: "invalid node device pointer in %s",
    ErrorCode.INVALID_INTERFACE: "invalid interface pointer in %s",
    ErrorCode.INVALID_STREAM: "invalid stream pointer in %s",
    ErrorCode.STORAGE_VOL_EXIST: "storage volume %s exists already",
    ErrorCode.NETWORK_PORT_EXIST: "network port %s exists already",
}


def phrase(code: int, detail: str = "") -> str:
    """Return the text of an error, as libvirt would begin it.

    Args:
        code: an `ErrorCode`, or any other number.
        detail: what was wrong, in this program's own words; empty for the phrase alone.
    """
    words = PHRASES.get(code)
    if words is None:
        return detail
    if not detail:
        return words
    return _WITH_DETAIL.get(code, words + ": %s") % detail
