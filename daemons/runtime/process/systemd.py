"""What a daemon and systemd say to each other: readiness, and sockets opened beforehand.

Both are a few lines, so no library is asked. Sources: sd_notify(3), sd_listen_fds(3), and libvirt's
unit files for the names of the sockets.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass

_FIRST_DESCRIPTOR = 3


class Notifier:
    """Tells the service manager how far the daemon is; without one it tells nobody.

    Made by `from_environment`.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address

    @classmethod
    def from_environment(cls) -> Notifier:
        """Take the address from $NOTIFY_SOCKET, and the variable away: it is not for processes we
        start."""
        return cls(os.environ.pop("NOTIFY_SOCKET", None) or None)

    def environment(self) -> dict[str, str]:
        """What makes a notifier like this one in a program that is executed next."""
        return {} if self._address is None else {"NOTIFY_SOCKET": self._address}

    def ready(self) -> None:
        """The daemon can be connected to, at first or again after `reloading`."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The daemon reads its settings again. The time lets systemd match this to its request."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The daemon ends."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if self._address is None:
            return
        address = self._address
        if address.startswith("@"):  # an abstract socket: a name without a file
            address = "\0" + address[1:]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            try:
                sock.sendto(text.encode(), address)
            except OSError:
                return  # nobody there to be told, and no reason not to serve


@dataclass(frozen=True, slots=True)
class PassedSocket:
    """A listening socket that was open when the daemon was started; `name` is empty when it had
    none."""

    name: str
    sock: socket.socket

    @property
    def is_unix(self) -> bool:
        """Whether it is a UNIX socket."""
        return self.sock.family == socket.AF_UNIX

    @property
    def path(self) -> str:
        """The path of a UNIX socket; empty for any other."""
        address = self.sock.getsockname()
        return os.fsdecode(address) if self.is_unix else ""

    def __str__(self) -> str:
        where = self.path if self.is_unix else ":".join(map(str, self.sock.getsockname()[:2]))
        return f"descriptor {self.sock.fileno()} ({self.name or 'without a name'}, {where})"


def passed_sockets() -> list[PassedSocket]:
    """The sockets that systemd passes to this process, if it passes any; asking again gives none.

    Call it before any fork, since they are meant for one process id. Takes the variables away and
    marks the sockets close-on-exec. Raises OSError when a descriptor is no socket.
    """
    pid = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    passed = []
    for index in range(int(count)):
        sock = socket.socket(fileno=_FIRST_DESCRIPTOR + index)
        sock.set_inheritable(False)
        name = names[index] if index < len(names) else ""
        passed.append(PassedSocket("" if name == "unknown" else name, sock))
    return passed
