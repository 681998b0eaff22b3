"""Sockets of a daemon in the file system and on the network, as its settings describe them.

Everything here may block: on a file system, on a name service.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable, Sequence

import msgspec

from aiovirt.daemons.runtime.process.failure import Failure, StartError, quoted
from aiovirt.daemons.runtime.settings.verify import is_number
from aiovirt.rpc.server.service import bind_tcp, tcp_addresses


def group_id(name: object) -> int | None:
    """Return the number of a group; None for none. Raises ValueError for an unknown one.

    A plus sign may be before a number. libvirt: src/util/virutil.c, virGetGroupID.
    """
    if not isinstance(name, str) or not name:
        return None
    number = name.removeprefix("+")
    if is_number(number):
        return int(number.lstrip("0") or "0")
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError) as error:  # the latter for a name that cannot be encoded
        raise ValueError(
            f"unix_sock_group = {quoted(name)}: this host has no such group"
        ) from error


def open_tcp(
    address: object, port: object, beside: Sequence[socket.socket] = ()
) -> list[socket.socket]:
    """Listen on TCP.

    Args:
        address: of the host, or a name; empty or None for all of its addresses.
        port: a number or the name of a service, as text.
        beside: sockets of ours that will be closed afterwards: they may have the same port.

    Returns:
        The sockets, listening.

    Raises:
        ValueError: the text says what could not be done.
    """
    host, wanted = str(address or ""), str(port)
    found: list[socket.socket] = []
    try:
        number = int(wanted) if is_number(wanted) else socket.getservbyname(wanted, "tcp")
        for family, where in tcp_addresses(host, number):
            found.append(_bind(family, where, number, beside))
    except (OSError, ValueError) as error:  # an unknown service or host, or a name that is none
        for sock in found:
            sock.close()
        place = f"{quoted(host) if host else 'any address'}, port {quoted(wanted)}"
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"cannot listen on {place}: {reason}") from error
    return found


def _bind(
    family: int, where: tuple[str, int], port: int, beside: Sequence[socket.socket]
) -> socket.socket:
    """Bind a socket, if need be beside one of ours that has the port on other addresses, too."""
    try:
        return bind_tcp(family, where)
    except OSError as error:
        ours = [one for one in beside if port and one.getsockname()[1] == port]
        if error.errno != errno.EADDRINUSE or not ours:
            raise
    for one in ours:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        return bind_tcp(family, where, share=True)
    finally:
        for one in ours:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)


class FileMode(msgspec.Struct, frozen=True):
    """The mode and the group of a socket's file. identity: its device and inode."""

    path: str
    identity: tuple[int, int]
    mode: int
    group: int | None


def set_modes(files: Iterable[FileMode]) -> None:
    """Give the files of sockets other modes and groups, all or none. Raises ValueError."""
    done: list[FileMode] = []
    try:
        for one in files:
            status = os.stat(one.path)
            if (status.st_dev, status.st_ino) != one.identity:
                raise ValueError(f"{one.path} is not the socket of this daemon any more")
            done.append(
                FileMode(one.path, one.identity, stat.S_IMODE(status.st_mode), status.st_gid)
            )
            _set_mode(one)
    except ValueError:
        _set_back(done)
        raise
    except OSError as error:
        _set_back(done)
        raise ValueError(
            f"the mode or the group of {error.filename} cannot be changed: {error.strerror}"
        ) from error


def _set_back(done: Sequence[FileMode]) -> None:
    for one in reversed(done):
        with contextlib.suppress(OSError):
            _set_mode(one)


def _set_mode(one: FileMode) -> None:
    """Change a file so that nobody ever has a right that neither the old nor the new mode gives."""
    status = os.stat(one.path)
    group = os.getegid() if one.group is None else one.group
    if status.st_gid != group:
        os.chmod(one.path, status.st_mode & one.mode & 0o777)
        os.chown(one.path, -1, group)
    os.chmod(one.path, one.mode)


def remove_stale(path: str) -> None:
    """Remove the socket file of a dead daemon.

    Raises:
        StartError: a process listens there, the file is not a socket, or the path cannot be used.
    """
    try:
        outcome = _connect(path)
        if outcome == errno.ECONNREFUSED:
            os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StartError(
            Failure.NETWORK, f"the socket {path} cannot be opened: {error.strerror or error}"
        ) from error
    if outcome not in (errno.ECONNREFUSED, errno.ENOENT):
        answered = outcome in (0, errno.EAGAIN)
        raise StartError(
            Failure.NETWORK,
            f"the socket {path} is in use: "
            + ("another process answers there" if answered else os.strerror(outcome)),
        )


def _connect(path: str) -> int:
    """Try whether anybody answers at the socket `path`: the error number, 0 for success.

    Raises:
        OSError: there is nothing, or the path cannot be used.
        StartError: it is not a socket.
    """
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise StartError(
            Failure.NETWORK, f"{path} is in the way: it is not a socket, so it was left alone"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path)
