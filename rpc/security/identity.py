"""The identity of a peer on a UNIX socket, as the kernel vouches for it.

Source: unix(7) SO_PEERCRED and SO_PEERSEC; libvirt's src/rpc/virnetsocket.c.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Final, NamedTuple

_CREDENTIALS: Final = struct.Struct("iII")
_SELINUX_LABEL_MAX: Final = 4096
_SELINUX_MOUNT: Final = "/sys/fs/selinux/enforce"


class PeerIdentity(NamedTuple):
    """Process, user and group ids of the process that connected, at the moment it did."""

    pid: int
    uid: int
    gid: int

    @classmethod
    def of(cls, sock: socket.socket) -> PeerIdentity:
        """Ask the kernel. Raises OSError when `sock` is not a connected UNIX socket."""
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return cls(*_CREDENTIALS.unpack(raw))

    def user_name(self) -> str | None:
        """The user's name, or None without an account. May block: name services can be remote."""
        import pwd

        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return None

    def group_name(self) -> str | None:
        """The group's name, or None without an entry. May block: name services can be remote."""
        import grp

        try:
            return grp.getgrgid(self.gid).gr_name
        except KeyError:
            return None


def selinux_context(sock: socket.socket) -> str | None:
    """The peer's SELinux context, or None where SELinux is not in force.

    SO_PEERSEC answers for other security modules too, so the SELinux mount is looked for first.
    """
    if not os.path.exists(_SELINUX_MOUNT):
        return None
    try:
        label = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERSEC, _SELINUX_LABEL_MAX)
    except OSError:
        return None
    return label.rstrip(b"\0").decode("utf-8", "surrogateescape") or None


def root_or_self(peer: PeerIdentity) -> bool:
    """Whether a peer is root or the user this process runs as: who may administer a daemon.

    libvirt admits the daemon's own user only; root can become that user anyway. Socket modes alone
    are not enough: CVE-2019-10132.
    """
    return peer.uid in (0, os.geteuid())
