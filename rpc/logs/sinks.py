"""The far ends of outputs: a stream of lines, syslog, the journal.

Rules of this file: a sink takes finished bytes, one record a call, and either has them delivered or
raises OSError. A peer that does not read is waited for once, for `PATIENCE` milliseconds; as long as it
stays stuck, further records fail at once. A file system that hangs holds up a stream for as long as it
likes, so a stream in force is written by a thread (`writer`). A sink is not thread-safe: the outlet's
lock is around it, or it belongs to that thread.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import select
import socket
import stat
from typing import Protocol

from aiovirt.rpc.wire.records import frozen

PATIENCE = 100
"""How long, in milliseconds, a stuck peer is waited for before its records are given up."""

_SYSLOG_CUT = 8192
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@frozen
class SinkPaths:
    """Where the system's log services are found; tests put their own here."""

    stderr: int = 2
    syslog: str = "/dev/log"
    journal: str = "/run/systemd/journal/socket"


class Condition:
    """How a sink has been doing, kept by the outlet.

    `lost` counts the records that failed since it last worked; `greeted` says that it has had its
    banner.
    """

    __slots__ = ("failing", "greeted", "lost")

    def __init__(self) -> None:
        self.failing = False
        self.lost = 0
        self.greeted = False


class Sink(Protocol):
    """Takes records as bytes and knows whether it can go on serving an output that names it again."""

    condition: Condition

    def write(self, data: bytes) -> None:
        """Delivers one record; raises OSError if it could not be delivered."""

    def current(self) -> bool:
        """Whether opening the same output anew would lead to the same place."""

    def close(self) -> None:
        """Gives up the descriptor; raises nothing."""


class StreamSink:
    """Lines on a descriptor.

    A line goes out in one write where the kernel takes it whole. If it takes only a part (disk
    full, pipe full), the rest is kept and goes ahead of the next line, so lines never tear or mix.
    """

    def __init__(self, fd: int) -> None:
        self.condition = Condition()
        self._fd = fd
        self._rest = b""
        self._stuck = False

    def write(self, data: bytes) -> None:
        """Writes one line, after what an earlier one may have left over."""
        if self._rest:
            self._rest = self._push(self._rest)
            if self._rest:
                raise BlockingIOError(errno.EAGAIN, "the end of an earlier line is still waiting")
        self._rest = self._push(data)

    def _push(self, data: bytes) -> bytes:
        """Writes what can be written; returns the rest, or raises if nothing at all went out."""
        done = 0
        bounded = self._may_block()
        try:
            while done < len(data):
                if bounded:
                    self._await_room()
                    # A pipe that polls as writable takes this much without blocking.
                    done += os.write(self._fd, data[done : done + select.PIPE_BUF])
                else:
                    done += os.write(self._fd, data[done:] if done else data)
        except OSError:
            if not done:
                raise
        return data[done:]

    def _may_block(self) -> bool:
        """Whether a write may wait for a reader. Asked each time: stderr can be replaced under us."""
        return not stat.S_ISREG(os.fstat(self._fd).st_mode)

    def _await_room(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        if not poll.poll(0 if self._stuck else PATIENCE):
            self._stuck = True
            raise BlockingIOError(errno.EAGAIN, "nobody reads what is written there")
        self._stuck = False

    def current(self) -> bool:
        """A descriptor that is not ours stays what it is."""
        return True

    def close(self) -> None:
        """Leaves the descriptor open: it belongs to the process."""


class FileSink(StreamSink):
    """Appends to a file, created with mode 0600 if it is not there.

    Opening a FIFO does not wait for a reader; without one it fails (ENXIO).
    Raises OSError if the file cannot be opened.
    Source: libvirt: src/util/virlog.c, virLogNewOutputToFile.
    """

    def __init__(self, path: str) -> None:
        super().__init__(_open_log(path))
        self._path = path

    def current(self) -> bool:
        """Whether the path still leads to the open file, that is, nobody has renamed or removed it."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except OSError:
            return False

    def open_anew(self) -> int:
        """Returns a descriptor of what the path names now; raises OSError."""
        return _open_log(self._path)

    def turn_to(self, fresh: int) -> None:
        """Goes on with another descriptor, and closes the old one."""
        old, self._fd = self._fd, fresh
        if self._rest:
            with contextlib.suppress(OSError):  # the end of a torn line belongs to the old file
                os.write(old, self._rest)
            self._rest = b""
        with contextlib.suppress(OSError):  # as in `close`
            os.close(old)

    def close(self) -> None:
        """Closes the file."""
        descriptor, self._fd = self._fd, -1
        with contextlib.suppress(OSError):  # an error delayed until close (NFS): nobody hears it
            os.close(descriptor)


def _open_log(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    return os.open(path, flags, 0o600)


class DatagramSink:
    """Records as datagrams to a local service, which may come and go.

    Connects when first needed, and once more when a send fails because the service was restarted.
    """

    def __init__(self, path: str) -> None:
        self.condition = Condition()
        self._path = path
        self._socket: socket.socket | None = None
        self._stuck = False

    def write(self, data: bytes) -> None:
        """Sends one record."""
        fresh = self._socket is None
        try:
            self._send(data)
        except BlockingIOError:
            raise
        except OSError:
            self.close()
            if fresh:
                raise
            self._send(data)

    def _connected(self) -> socket.socket:
        if self._socket is None:
            fresh = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            fresh.setblocking(False)
            try:
                fresh.connect(self._path)
            except OSError:
                fresh.close()
                raise
            self._socket = fresh
        return self._socket

    def _send(self, data: bytes) -> None:
        peer = self._connected()
        try:
            try:
                peer.send(data)
            except BlockingIOError:
                poll = select.poll()
                poll.register(peer, select.POLLOUT)
                if not poll.poll(0 if self._stuck else PATIENCE):
                    self._stuck = True
                    raise
                peer.send(data)
        except OSError as err:
            if err.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_oversize(peer, data)
        self._stuck = False

    def _send_oversize(self, peer: socket.socket, data: bytes) -> None:
        peer.send(data[:_SYSLOG_CUT].decode(errors="ignore").encode() + b" [cut short]")

    def current(self) -> bool:
        """A new connection would lead to the same service."""
        return True

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class JournalSink(DatagramSink):
    """The journal's native protocol; what no datagram holds travels as a sealed memory file."""

    def _send_oversize(self, peer: socket.socket, data: bytes) -> None:
        fd = os.memfd_create("log-record", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            done = 0
            while done < len(data):
                done += os.write(fd, data[done:])
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            rights = array.array("i", [fd])
            peer.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        finally:
            os.close(fd)
