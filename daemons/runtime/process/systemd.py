"""The messages between a daemon and systemd: its state, and sockets opened beforehand.

Both are a few lines, so no library is asked. Sources: sd_notify(3), sd_listen_fds(3), and libvirt's
unit files for the names of the sockets.
"""

from __future__ import annotations

import os
import socket
import time

import msgspec

_FIRST_DESCRIPTOR = 3


class Notifier:
    """Tells the service manager the state of the daemon; without a manager, nobody.

    Made by `from_environment`.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address

    @classmethod
    def from_environment(cls) -> Notifier:
        """Take the address from $NOTIFY_SOCKET, and remove the variable: it is not for processes that
        we start."""
        return cls(os.environ.pop("NOTIFY_SOCKET", None) or None)

    def environment(self) -> dict[str, str]:
        """Return the variables that make such a notifier in a program that is executed next."""
        return {} if self._address is None else {"NOTIFY_SOCKET": self._address}

    def ready(self) -> None:
        """Tell that the daemon can be connected to, at first or again after `reloading`."""
        self._send("READY=1\nSTATUS=Accepting clients")

    def reloading(self) -> None:
        """Tell that the daemon reads its settings again. The time belongs to systemd's request."""
        self._send(
            f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"
            "\nSTATUS=Reading the settings again"
        )

    def stopping(self) -> None:
        """Tell that the daemon ends."""
        self._send("STOPPING=1\nSTATUS=Answering the calls in flight before the end")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for more time for the start or the end: `seconds` from now.

        It never shortens the time that the unit allows.
        """
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

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
                return  # nobody is there to be told, which is no reason not to serve


class PassedSocket(msgspec.Struct, frozen=True):
    """A listening socket that was open when the daemon was started; an empty `name` means none."""

    name: str
    sock: socket.socket

    @property
    def is_unix(self) -> bool:
        """Return whether it is a UNIX socket."""
        return self.sock.family == socket.AF_UNIX

    @property
    def path(self) -> str:
        """Return the path of a UNIX socket; empty for any other."""
        address = self.sock.getsockname()
        return os.fsdecode(address) if self.is_unix else ""

    def __str__(self) -> str:
        where = self.path if self.is_unix else ":".join(map(str, self.sock.getsockname()[:2]))
        return f"descriptor {self.sock.fileno()} ({self.name or 'without a name'}, {where})"


def passed_sockets() -> list[PassedSocket]:
    """Return the sockets that systemd passes to this process; a second call returns none.

    Call it before any fork, since they are meant for one process id. It removes the variables and
    marks the sockets close-on-exec.

    Raises:
        OSError: a descriptor is not a socket.
    """
    pid = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not _is_count(count):
        return []
    passed = []
    for index in range(int(count)):
        sock = socket.socket(fileno=_FIRST_DESCRIPTOR + index)
        sock.set_inheritable(False)
        name = names[index] if index < len(names) else ""
        passed.append(PassedSocket("" if name == "unknown" else name, sock))
    return passed


def _is_count(text: str) -> bool:
    """Return whether a text is a number of descriptors that a process can have."""
    return text.isascii() and text.isdigit() and len(text) <= len(str(2**31))
