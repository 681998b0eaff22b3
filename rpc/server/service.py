"""A listening socket: it accepts while its server has room, and waits while it has not.

When the process runs out of descriptors accepting pauses too, for a moment at a time, and the daemon
goes on.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
from collections.abc import Callable
from typing import Any, Final

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server.access import OPEN, Access

_log = get_logger("rpc.server.service")

#: Connections accepted in one go before other work is done: a flood of them keeps others waiting so
#: long. More make a crowd quicker to let in: 4000 clients in 0.11 s by 8, in 0.17 s by 4.
_ACCEPT_BATCH: Final = 4
_BACKLOG: Final = 4096
#: Seconds until accepting is tried again after the process ran out of descriptors or memory.
_RETRY_AFTER: Final = 0.5
_OUT_OF_RESOURCES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Service:
    """One listening socket of a server.

    server: its server's name, for the log; has_room: asked before every accept; accepted: gets each new
    socket; access: what the clients that come through here have to do and may do; file: device and
    inode of the socket's file, which is removed at the end, or None to leave it.
    """

    def __init__(
        self,
        server: str,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        has_room: Callable[[], bool],
        accepted: Callable[[Service, socket.socket], None],
        *,
        access: Access = OPEN,
        file: tuple[int, int] | None = None,
    ) -> None:
        sock.setblocking(False)
        self._server = server
        self.sock = sock
        self.access = access
        self.file = file
        self._loop = loop
        self._has_room = has_room
        self._accepted = accepted
        self._listening = False
        self._closed = False
        self._retry: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """The address, for people."""
        address = self.sock.getsockname()
        if isinstance(address, (str, bytes)):
            return os.fsdecode(address)
        return f"{address[0]}:{address[1]}"

    def update(self) -> None:
        """Listen if the server has room, and pause if it has not."""
        wanted = self._has_room() and not self._closed and self._retry is None
        if wanted == self._listening:
            return
        self._listening = wanted
        if wanted:
            self._loop.add_reader(self.sock.fileno(), self._acceptable)
        else:
            self._loop.remove_reader(self.sock.fileno())
        if _log.info_on:
            _log.info(
                "accepting" if wanted else "accepting paused",
                server=self._server,
                service=self.name,
            )

    def _acceptable(self) -> None:
        for _ in range(_ACCEPT_BATCH):
            if not self._has_room() or self._closed:
                return
            try:
                sock, _address = self.sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # that one was gone before it was accepted
            except OSError as error:
                self._accept_failed(error)
                return
            sock.setblocking(False)
            self._accepted(self, sock)

    def accept_waiting(self) -> None:
        """Accept the clients that wait now, as far as the server has room."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        while self._listening and poll.poll(0):
            self._acceptable()

    def _accept_failed(self, error: OSError) -> None:
        if error.errno not in _OUT_OF_RESOURCES:
            _log.error(
                "accept failed", server=self._server, service=self.name, reason=error.strerror
            )
            return
        if self._retry is None:
            _log.warning(
                "accepting paused", server=self._server, service=self.name, reason=error.strerror
            )
            self._retry = self._loop.call_later(_RETRY_AFTER, self._try_again)
            self.update()

    def _try_again(self) -> None:
        self._retry = None
        self.update()

    def close(self) -> None:
        """Stop listening and remove the socket's file, if it is still ours."""
        if self._closed:
            return
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self.update()
        path = self.name
        self.sock.close()
        if self.file is not None:
            _unlink(path, self.file)


def listen_unix(path: str, *, mode: int = 0o700, group: int | None = None) -> socket.socket:
    """A listening UNIX socket at `path` whose file never has more rights than `mode`.

    group: the group id of the file, or None to leave it. Raises OSError; an existing file is not
    removed here, since only the caller can know that nobody uses it.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        old_mask = os.umask(0o777)  # nobody connects between bind and chmod
        try:
            sock.bind(path)
        finally:
            os.umask(old_mask)
        if group is not None:
            os.chown(path, -1, group)
        os.chmod(path, mode)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        # Python itself refuses a path that is too long, without a number.
        code = error.errno or errno.ENAMETOOLONG
        raise OSError(code, error.strerror or str(error), path) from None
    return sock


def listen_tcp(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of `host` (empty: all). Raises OSError."""
    socks: list[socket.socket] = []
    try:
        for family, address in tcp_addresses(host, port):
            socks.append(bind_tcp(family, address))
    except OSError:
        for sock in socks:
            sock.close()
        raise
    return socks


def tcp_addresses(host: str, port: int) -> list[tuple[int, Any]]:
    """Return family and address of every address of `host` (empty: all). Raises OSError."""
    infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(family, address) for family, _, _, _, address in infos]


def bind_tcp(family: int, address: Any, *, share: bool = False) -> socket.socket:
    """Return a listening socket. Raises OSError.

    Args:
        family: of the address.
        address: as of `tcp_addresses`.
        share: whether another socket of this user that shares may have the port, too.
    """
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
    except OSError:
        sock.close()
        raise
    return sock


def file_of(sock: socket.socket) -> tuple[int, int] | None:
    """Device and inode of a UNIX socket's file; None where there is none."""
    address = sock.getsockname()
    if sock.family != socket.AF_UNIX or not isinstance(address, str) or address.startswith("\0"):
        return None
    status = os.stat(address)
    return status.st_dev, status.st_ino


def _unlink(path: str, identity: tuple[int, int]) -> None:
    try:
        status = os.stat(path)
        if (status.st_dev, status.st_ino) == identity:
            os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:  # no reason to leave the rest of the daemon's end undone
        _log.warning("socket file not removed", path=path, reason=error.strerror)
