"""Consoles of running guests: a simulated terminal with a login prompt, and channels that echo.

One session at a time has a console; another one may take its place by force. Sessions end with the
guest.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.xml import devices
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.domain import Domain

_SPECIAL: Final = {3: "^C", 4: "^D"}
_LINE_MAX: Final = 1024


class Terminal:
    """A guest's terminal: bytes typed in, bytes shown. name: of the guest."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._line = bytearray()
        self._user: str | None = None
        self._is_in = False

    def greeting(self) -> bytes:
        """Return what stands on a terminal on which nobody is logged in."""
        return f"\r\nDebian GNU/Linux 12 {self._name} ttyS0\r\n\r\n{self._name} login: ".encode()

    def typed(self, data: bytes) -> bytes:
        """Take what is typed, and return what is shown for it."""
        shown = bytearray()
        for octet in data:
            if octet in (10, 13):
                line = self._line.decode("utf-8", "replace").strip()
                self._line.clear()
                shown += b"\r\n" + self._entered(line)
            elif octet in (8, 127):
                if self._line:
                    self._line.pop()
                    shown += b"" if self._hides else b"\b \b"
            elif octet in _SPECIAL:
                self._line.clear()
                shown += _SPECIAL[octet].encode() + b"\r\n" + self._interrupted(octet)
            elif octet >= 32 and len(self._line) < _LINE_MAX:
                self._line.append(octet)
                if not self._hides:
                    shown.append(octet)
        return bytes(shown)

    @property
    def _hides(self) -> bool:
        """Whether a password is being typed."""
        return self._user is not None and not self._is_in

    def _prompt(self) -> bytes:
        if self._is_in:
            return f"{self._user}@{self._name}:~# ".encode()
        return b"Password: " if self._user is not None else f"{self._name} login: ".encode()

    def _interrupted(self, octet: int) -> bytes:
        if not self._is_in or octet == 4:
            self._user, self._is_in = None, False
        return self._prompt()

    def _entered(self, line: str) -> bytes:
        if self._user is None:
            self._user = line or None
            return self._prompt()
        if not self._is_in:
            self._is_in = True
            return f"Linux {self._name} 6.1.0-18-amd64 x86_64\r\n".encode() + self._prompt()
        if line in ("exit", "logout"):
            self._user, self._is_in = None, False
            return self.greeting()
        return self._command(line) + self._prompt()

    def _command(self, line: str) -> bytes:
        word, _, rest = line.partition(" ")
        answers = {
            "hostname": self._name,
            "whoami": self._user or "",
            "pwd": "/root",
            "echo": rest,
            "uname": "Linux",
        }
        if not word:
            return b""
        return f"{answers.get(word, f'-bash: {word}: command not found')}\r\n".encode()


class Consoles:
    """The sessions of a host, by guest and device."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[bytes, str], asyncio.Event] = {}

    def open(self, domain: Domain, device: str, *, force: bool, what: str) -> asyncio.Event:
        """Begin a session.

        Args:
            domain: the guest.
            device: the alias of the device.
            force: end another session.
            what: the kind of device, for the error.

        Returns:
            An event that is set when the session is to end.

        Raises:
            RpcError: OPERATION_FAILED if another session exists.
        """
        key = (domain.uuid, device)
        if key in self._sessions:
            if not force:
                raise RpcError.of(
                    ErrorCode.OPERATION_FAILED,
                    f"Active {what} exists for this domain",
                    domain=domain.host.flavour.domain,
                )
            self._sessions.pop(key).set()
        ended = self._sessions[key] = asyncio.Event()
        return ended

    def close(self, domain: Domain, device: str, session: asyncio.Event) -> None:
        """Forget a session, if it is still the one of its device.

        Args:
            domain: the guest.
            device: the alias of the device.
            session: what `open` returned.
        """
        if self._sessions.get((domain.uuid, device)) is session:
            del self._sessions[domain.uuid, device]

    def guest_ended(self, uuid: bytes) -> None:
        """End all sessions of a guest. uuid: 16 bytes."""
        for key in [key for key in self._sessions if key[0] == uuid]:
            self._sessions.pop(key).set()


def find_console(domain: Domain, name: str | None) -> str:
    """Return the alias of a console.

    Args:
        domain: the guest.
        name: the alias of a console, a serial or a parallel port; None for the first console.

    Raises:
        RpcError: INTERNAL_ERROR if it does not exist, or leads elsewhere than to a terminal.
    """
    root = domain.record.facts.root
    for kind in ("console", "serial", "parallel"):
        for device in root.iterfind(f"devices/{kind}"):
            alias = devices.value(device, "alias/@name") or ""
            if name is None or alias == name:
                _require(domain, device, name or alias, ("pty", "unix"), "character device", "PTY")
                return alias
    raise RpcError.of(
        ErrorCode.INTERNAL_ERROR,
        f"cannot find character device {name or '<null>'}",
        domain=domain.host.flavour.domain,
    )


def find_channel(domain: Domain, name: str | None) -> str:
    """Return the alias of a channel.

    Args:
        domain: the guest.
        name: the name of its target; None for the first one.

    Raises:
        RpcError: INTERNAL_ERROR if it does not exist, or is no socket.
    """
    for device in domain.record.facts.root.iterfind("devices/channel"):
        target = devices.value(device, "target/@name")
        if name is None or target == name:
            _require(domain, device, name or "", ("unix", "spicevmc"), "channel", "UNIX socket")
            return devices.value(device, "alias/@name") or ""
    raise RpcError.of(
        ErrorCode.INTERNAL_ERROR,
        f"cannot find channel {name or '<null>'}",
        domain=domain.host.flavour.domain,
    )


def _require(
    domain: Domain,
    device: etree._Element,
    name: str,
    types: tuple[str, ...],
    kind: str,
    wanted: str,
) -> None:
    if device.get("type") not in types:
        raise RpcError.of(
            ErrorCode.INTERNAL_ERROR,
            f"{kind} {name} is not using a {wanted}",
            domain=domain.host.flavour.domain,
        )
