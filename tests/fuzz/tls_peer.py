"""The client's end of a TLS connection: an honest engine, and a script that says what is sent."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

from tests.fuzz import pairs
from tests.fuzz.target import expect
from tests.fuzz.tls_records import CIPHER, CLOSE, KINDS, Sealer, bare, secret_in, whole

# What a step can be.
RAW: Final = 0  # any bytes
SHAKE: Final = 1  # what an honest client says next; the argument makes it less honest
SAY: Final = 2  # application data; the argument is padding
INNER: Final = 3  # encrypted, of the kind that the argument says
BARE: Final = 4  # not encrypted, of the kind that the argument says
BROKEN: Final = 5  # application data with a changed byte
AGAIN: Final = 6  # the last record once more
UPDATE: Final = 7  # new keys; the argument says whether the server shall have new ones
BYE: Final = 8  # a close, as TLS has it
END: Final = 9  # a close, as TCP has it
STEPS: Final = 10

_RECORD_KINDS: Final = (20, 21, 22, 23)
_ALERT: Final = 21
_VERSIONS: Final = (0x0301, 0x0302, 0x0303)


class Step(NamedTuple):
    """What to do, an argument from 0 to 255, and its content; packed with a length of two bytes."""

    what: int
    argument: int
    content: bytes

    def pack(self) -> bytes:
        """As it stands in an input."""
        head = struct.pack(">BBH", self.what, self.argument, len(self.content))
        return head + self.content


def script(data: bytes) -> Iterator[Step]:
    """The steps of an input."""
    while data:
        what, argument, size = struct.unpack(">BBH", data[:4].ljust(4, b"\0"))
        yield Step(what % STEPS, argument, data[4 : 4 + size])
        data = data[4 + size :]


class Peer:
    """The other end: an honest engine, its socket, and what can be said beside it."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, log: int) -> None:
        self.sock = sock
        self.sent = 0
        self.said = bytearray()
        #: Whether it has done nothing but say something over keys that both have.
        self.honest = True
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._engine = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._log = log
        self._sealer: Sealer | None = None
        self._last = b""
        self._wire = bytearray()
        self._shaken = False
        self._failed = False
        os.ftruncate(log, 0)

    def read(self) -> bytes:
        """What the server says, as far as the honest engine understands it."""
        data = pairs.read(self.sock)
        self._wire += data
        self._incoming.write(data)
        found = bytearray()
        if self._shaken:
            with contextlib.suppress(ssl.SSLError):
                while piece := self._engine.read(1 << 16):
                    found += piece
        return bytes(found)

    def check_wire(self) -> None:
        """Whatever it was told, a server sends records."""
        try:
            for kind, version, _ in whole(bytes(self._wire)):
                expect(kind in _RECORD_KINDS, "a server's records are of a kind that there is")
                # OpenSSL's alert about a wrong version has that version.
                expect(kind == _ALERT or version in _VERSIONS, "and of a version that there is")
        except ValueError as error:
            expect(False, str(error))

    @property
    def finished(self) -> bool:
        """Whether the honest engine has nothing more to say before application data."""
        return self._shaken or self._failed

    def shake(self) -> bytes:
        """What the honest engine says next."""
        if not self.finished:
            try:
                self._engine.do_handshake()
                self._shaken = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                self._failed = True
            if self._shaken and self._engine.version() == "TLSv1.3":
                expect(self._engine.cipher()[0] == CIPHER, "the cipher that a sealer has")
                self._sealer = Sealer(secret_in(os.pread(self._log, 1 << 14, 0)))
        return self._outgoing.read()

    def say(self, step: Step) -> bytes:
        """The bytes that a step puts on the wire."""
        what, argument, content = step
        self.honest = self.honest and self._shaken and what in (SAY, UPDATE)
        if what == SAY:
            self.said += content
        if what == RAW:
            return content
        if what == SHAKE:
            return _less_honest(self.shake(), argument)
        if what == BARE:
            return bare(KINDS[argument % len(KINDS)], content)
        if what == AGAIN:
            return self._last
        if what == UPDATE:
            return self._sealer.update(argument) if self._sealer else b""
        kind, padding = 23, 0
        if what == INNER:
            kind = KINDS[argument % len(KINDS)] if argument < 250 else argument
        elif what == BYE:
            kind, content = 21, CLOSE
        else:
            padding = argument
        self._last = record = self._seal(kind, content, padding)
        if what == BROKEN and record:
            at = 5 + argument % (len(record) - 5) if len(record) > 5 else 0
            record = record[:at] + bytes((record[at] ^ 1,)) + record[at + 1 :]
        return record

    def _seal(self, kind: int, content: bytes, padding: int) -> bytes:
        if self._sealer is not None:
            return self._sealer.seal(kind, content, padding)
        # TLS 1.2, or a handshake that is not done: as far as the engine goes along.
        with contextlib.suppress(ssl.SSLError):
            if kind == 23:
                self._engine.write(content)
            elif kind == 21:
                self._engine.unwrap()
        return self._outgoing.read()


def _less_honest(data: bytes, how: int) -> bytes:
    random = Random(how)
    at = random.randrange(len(data)) if data else 0
    match how % 5 if how else 0:
        case 1:
            return data[:at]
        case 2:
            return data[:at] + bytes((random.randrange(256),)) + data[at + 1 :]
        case 3:
            return data + data
        case 4:
            return data[:at] + data[at + random.randint(1, 8) :]
    return data
