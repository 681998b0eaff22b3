"""SASL: SCRAM on both sides, with passwords that are kept as salted verifiers only.

A verifier proves who knows a password and is not one: who reads the file cannot log in with it. The
exchange itself is the library scramp's.

Source: RFC 5802, RFC 7677; libvirt's src/rpc/virnetsaslcontext.c.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hmac
import os
import re
import secrets
import stat
from dataclasses import dataclass
from typing import Any, Final

import scramp

from aiovirt.rpc.security.regular import read_regular, replacing

#: From the best on. Names are of "SHA-256 and newer"; those that bind a channel are not offered.
MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256")
#: How often a password is hashed for a new verifier.
ITERATIONS: Final = 32768
#: How often a client hashes its password at most: a second or two.
ITERATIONS_MAX: Final = 2_000_000
#: The most that a file of passwords may have, in bytes.
FILE_MAX: Final = 4 << 20
NAME_MAX: Final = 256
#: What salts are made of for names that are not there.
_SECRET: Final = secrets.token_bytes(32)


class SaslError(Exception):
    """An authentication failed; the text is for the log, and not for the other side."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """The proof that somebody knows a password, by one mechanism."""

    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int

    @classmethod
    def of(cls, mechanism: str, password: str) -> Verifier:
        """A new one. Takes some hundredths of a second."""
        made = scramp.ScramMechanism(mechanism).make_auth_info(
            password, iteration_count=ITERATIONS, salt=secrets.token_bytes(16)
        )
        return cls(*made)

    @classmethod
    def for_nobody(cls, mechanism: str, name: str) -> Verifier:
        """One that no password fits, with one salt for a name: who asks must not learn who is there."""
        size = 64 if mechanism.endswith("512") else 32
        salt = hmac.digest(_SECRET, f"{mechanism} {name}".encode(errors="replace"), "sha256")[:16]
        return cls(salt, secrets.token_bytes(size), secrets.token_bytes(size), ITERATIONS)

    def __str__(self) -> str:
        salt, stored, server = (
            base64.b64encode(part).decode()
            for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"{self.iterations}:{salt}${stored}:{server}"

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """The inverse of `str`. Raises ValueError."""
        head, _, keys = text.partition("$")
        iterations, _, salt = head.partition(":")
        stored, _, server = keys.partition(":")
        raw = [base64.b64decode(part, validate=True) for part in (salt, stored, server)]
        if len(raw[0]) < 12 or len(raw[1]) != len(raw[2]) or len(raw[1]) not in (32, 64):
            raise ValueError("it is cut short")
        return cls(raw[0], raw[1], raw[2], int(iterations))


class Passwords:
    """A file of verifiers, one a line: NAME:MECHANISM$ITERATIONS:SALT$KEY:KEY."""

    def __init__(self, path: str) -> None:
        """Read it, if it is there. Raises OSError, and ValueError for a line that is not understood."""
        self.path = path
        self._verifiers: dict[tuple[str, str], Verifier] = {}
        with contextlib.suppress(FileNotFoundError):
            data = read_regular(path, FILE_MAX)
            if len(data) > FILE_MAX:
                raise ValueError(f"{path} is longer than {FILE_MAX} bytes")
            for number, line in enumerate(data.decode(errors="surrogateescape").splitlines(), 1):
                if line and not line.startswith("#"):
                    try:
                        self._take(line)
                    except ValueError as error:
                        raise ValueError(f"{path}, line {number}: {error}") from error

    def _take(self, line: str) -> None:
        name, colon, rest = line.partition(":")
        mechanism, dollar, verifier = rest.partition("$")
        if not (name and colon and dollar) or mechanism not in MECHANISMS:
            raise ValueError("it is not NAME:MECHANISM$ITERATIONS:SALT$KEY:KEY")
        self._verifiers[name, mechanism] = Verifier.parse(verifier)

    def names(self) -> list[str]:
        """Whose passwords are there."""
        return sorted({name for name, _ in self._verifiers})

    def find(self, name: str, mechanism: str) -> Verifier | None:
        """The verifier of a name."""
        return self._verifiers.get((name, mechanism))

    def set(self, name: str, password: str) -> None:
        """Give a name a password. Raises ValueError for what cannot be one."""
        if not name or len(name) > NAME_MAX or set(name) & set(":\n\r\0") or name.startswith("#"):
            raise ValueError(f"'{name}' cannot be a name: it has no colon and no end of a line")
        if not password:
            raise ValueError("an empty password is none")
        try:
            made = {one: Verifier.of(one, password) for one in MECHANISMS}
        except scramp.ScramException as error:
            raise ValueError(f"that cannot be a password: {error}") from error
        self._verifiers.update({(name, one): verifier for one, verifier in made.items()})

    def remove(self, name: str) -> bool:
        """Take a name out; whether it was there."""
        found = [key for key in self._verifiers if key[0] == name]
        for key in found:
            del self._verifiers[key]
        return bool(found)

    def write(self) -> None:
        """Write the file, all or nothing.

        A new file has mode 0600. An existing one keeps its owner and mode, and a link stays a link:
        the file that it leads to is written.

        Raises:
            OSError: the file cannot be written; it is as it was.
        """
        target = os.path.realpath(self.path)
        with replacing(target, 0o600) as file:
            for (name, mechanism), verifier in sorted(self._verifiers.items()):
                line = f"{name}:{mechanism}${verifier}\n"
                file.write(line.encode(errors="surrogateescape"))
            with contextlib.suppress(FileNotFoundError):
                _take_over(target, file.fileno())


def _take_over(path: str, descriptor: int) -> None:
    """Give an open file the owner, group and mode of the file that it is to replace."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    now = os.fstat(descriptor)
    if (status.st_uid, status.st_gid) != (now.st_uid, now.st_gid):
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))


class ServerExchange:
    """One authentication, on the serving side. name: who it is, once it is complete."""

    def __init__(self, passwords: Passwords) -> None:
        self.name = ""
        self._passwords = passwords
        self._server: Any = None
        self._complete = False

    def start(self, mechanism: str, data: bytes | None) -> bytes:
        """Begin with the client's first words; what to answer. Raises SaslError."""
        if self._server is not None or mechanism not in MECHANISMS:
            raise SaslError(f"mechanism {mechanism} is not offered, or one has begun")
        self._server = scramp.ScramMechanism(mechanism).make_server(
            lambda name: self._verifier_of(name, mechanism)
        )
        return self.step(data) if data is not None else b""

    def _verifier_of(self, name: str, mechanism: str) -> tuple[bytes, bytes, bytes, int]:
        self.name = name
        found = self._passwords.find(name, mechanism) or Verifier.for_nobody(mechanism, name)
        return found.salt, found.stored_key, found.server_key, found.iterations

    @property
    def complete(self) -> bool:
        """Whether the client has proved who it is."""
        return self._complete

    def step(self, data: bytes) -> bytes:
        """Take the client's next words; what to answer. Raises SaslError."""
        if self._server is None or self._complete:
            raise SaslError("a step out of order")
        try:
            text = data.decode()
            if self._server.stage is None:
                self._server.set_client_first(text)
                answer = self._server.get_server_first()
            else:
                self._server.set_client_final(text)
                answer = self._server.get_server_final()
                self._complete = True
        except (scramp.ScramException, UnicodeError, ValueError) as error:
            raise SaslError(f"{self.name or 'somebody'}: {error}") from error
        return str(answer).encode()


class ClientExchange:
    """One authentication, on the calling side."""

    def __init__(self, offered: str, name: str, password: str) -> None:
        """Choose the best of what the server offers, separated by commas or blanks.

        Raises SaslError when there is nothing good enough.
        """
        mechanisms = set(offered.replace(",", " ").split())
        chosen = next((one for one in MECHANISMS if one in mechanisms), None)
        if chosen is None:
            raise SaslError(f"the server offers {offered or 'nothing'}; here are {MECHANISMS}")
        self.mechanism = chosen
        try:
            self._client = scramp.ScramClient([chosen], name, password)
        except (scramp.ScramException, ValueError) as error:
            raise SaslError(str(error)) from error
        self.complete = False

    def first(self) -> bytes:
        """Return the first message."""
        return str(self._client.get_client_first()).encode()

    def step(self, data: bytes) -> bytes:
        """Take the server's words; what to answer, empty at the end. Blocks. Raises SaslError."""
        try:
            text = data.decode()
            if not text.startswith("v=") and not text.startswith("e="):
                _check_iterations(text)
                self._client.set_server_first(text)
                return str(self._client.get_client_final()).encode()
            self._client.set_server_final(text)
        except (scramp.ScramException, UnicodeError, ValueError) as error:
            raise SaslError(str(error)) from error
        self.complete = True  # the server has proved that it knows the password, too
        return b""


def _check_iterations(first: str) -> None:
    """Raise SaslError if the server wants the password to be hashed almost without end."""
    found = re.search(r",i=0*([0-9]+)", first)
    if found is None:
        return
    count = found[1]
    if len(count) > len(str(ITERATIONS_MAX)) or int(count) > ITERATIONS_MAX:
        raise SaslError(f"the server asks for {count[:20]} iterations; at most {ITERATIONS_MAX}")


def allowed(name: str, patterns: tuple[str, ...] | None) -> bool:
    """Whether a name is on `sasl_allowed_username_list`; None for any."""
    from aiovirt.rpc.security.names import name_is_allowed

    return patterns is None or name_is_allowed(name, patterns)
