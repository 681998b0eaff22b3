"""Records of TLS 1.3 that no honest client makes: sealed with its keys, of any kind and content.

Source: RFC 8446, sections 5 and 7.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

#: Kinds of records: change of cipher, alert, handshake, application data, and an obsolete heartbeat.
KINDS: Final = (20, 21, 22, 23, 24)
CIPHER: Final = "TLS_AES_256_GCM_SHA384"
CLOSE: Final = b"\1\0"
#: Of an encrypted record, its header not counted.
_LARGEST: Final = (1 << 14) + 256


def bare(kind: int, content: bytes) -> bytes:
    """A record that is not encrypted."""
    return struct.pack(">BHH", kind, 0x0303, len(content) & 0xFFFF) + content


def whole(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, version and length of every record that is whole. Raises ValueError for one too long."""
    at = 0
    while len(stream) - at >= 5:
        kind, version, length = struct.unpack_from(">BHH", stream, at)
        if length > _LARGEST:
            raise ValueError(f"a record of {length} bytes")
        if at + 5 + length > len(stream):
            return
        at += 5 + length
        yield kind, version, length


class Sealer:
    """Encrypts as a client whose handshake is done. secret: its traffic secret, from a key log."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._begin()

    def _begin(self) -> None:
        self._cipher = AESGCM(self._expand("key", 32))
        self._nonce = int.from_bytes(self._expand("iv", 12), "big")
        self._number = 0

    def _expand(self, label: str, size: int) -> bytes:
        name = b"tls13 " + label.encode()
        info = struct.pack(">HB", size, len(name)) + name + b"\0"
        return HKDFExpand(hashes.SHA384(), size, info).derive(self._secret)

    def seal(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        """The next record."""
        inner = content + bytes((kind,)) + bytes(padding)
        header = struct.pack(">BHH", 23, 0x0303, len(inner) + 16)
        nonce = (self._nonce ^ self._number).to_bytes(12, "big")
        self._number += 1
        return header + self._cipher.encrypt(nonce, inner, header)

    def update(self, wants_one: int) -> bytes:
        """New keys from the next record on, and the record that says so."""
        record = self.seal(22, bytes((24, 0, 0, 1, wants_one & 0xFF)))
        self._secret = self._expand("traffic upd", 48)
        self._begin()
        return record


def secret_in(log: bytes) -> bytes:
    """The last client's first traffic secret in a key log."""
    line = log.rpartition(b"CLIENT_TRAFFIC_SECRET_0 ")[2].split(b"\n", 1)[0]
    return bytes.fromhex(line.split()[1].decode())
