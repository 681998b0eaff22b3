"""Enumerations and flags of the QEMU program.

Source: libvirt's include/libvirt: libvirt-qemu.h.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class DomainQemuMonitorCommandFlags(IntFlag):
    """Flags of DOMAIN_MONITOR_COMMAND of the QEMU program."""

    DEFAULT = 0
    HMP = 1


class DomainQemuAgentCommandTimeoutValues(IntEnum):
    """Special timeouts of DOMAIN_AGENT_COMMAND of the QEMU program."""

    MIN = -2
    BLOCK = -2
    DEFAULT = -1
    NOWAIT = 0
    SHUTDOWN = 60


class ConnectDomainQemuMonitorEventRegisterFlags(IntFlag):
    """Flags of CONNECT_DOMAIN_MONITOR_EVENT_REGISTER of the QEMU program."""

    REGEX = 1
    NOCASE = 2
