"""Values of secrets, sealed: what the store has of them is of no use without the key beside it.

The key of a store is a file of its own, `virtd.sqlite.key`, made when the first secret is defined. A
copy of the store alone, a saved world, or a row of a damaged file then tells no value. A store in memory
keeps its key in a row: it goes where the store goes, to the next program.

The seal is AES-256-GCM, with the UUID of the secret as the associated data: a value that was moved to
another secret does not open. The library is loaded with the first secret, since that takes 50 ms.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from aiovirt.rpc.security.regular import replacing
from aiovirt.rpc.spare import Reserve

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: Bytes of a key, and of the number that is used once for each value.
KEY_SIZE: Final = 32
_NONCE_SIZE: Final = 12
#: Descriptors in reserve: loading the library takes three for a moment, a new key two.
_RESERVE: Final = 4


class SealError(Exception):
    """A key that cannot be used; the text names the file and the reason."""


class Seal:
    """Seals values and opens them.

    path: the file of the key; None for a key in memory. key: None until it is needed.

    Args:
        path: as above.
        key: a key that is known already; it is in no file yet.
    """

    def __init__(self, path: str | None, key: bytes | None = None) -> None:
        self.path = path
        self.key = key
        self._cipher: AESGCM | None = None
        self._reserve = Reserve(_RESERVE)

    def prepare(self) -> AESGCM:
        """Load the library and the key, which is made if it does not exist.

        Raises SealError if the file cannot be read or written, or has no key in it.
        """
        return self._cipher or self._loaded(self._made_key)

    def seal(self, value: bytes, uuid: str) -> bytes:
        """Return a sealed value.

        Args:
            value: any bytes.
            uuid: of its secret.

        Raises:
            SealError: see `prepare`.
        """
        cipher = self.prepare()
        nonce = os.urandom(_NONCE_SIZE)
        return nonce + cipher.encrypt(nonce, value, uuid.encode())

    def open(self, sealed: bytes, uuid: str) -> bytes:
        """Return a value.

        Args:
            sealed: what `seal` returned.
            uuid: of its secret.

        Raises:
            SealError: it was sealed with another key or for another secret, or the key is missing.
        """
        cipher = self._cipher or self._loaded(self._found_key)
        from cryptography.exceptions import InvalidTag

        nonce, data = sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:]
        try:
            return cipher.decrypt(nonce, data, uuid.encode())
        except (InvalidTag, ValueError):
            place = self.path or "the key in memory"
            raise SealError(f"{place}: not the key that the value was sealed with") from None

    def take(self, key: bytes | None) -> None:
        """Have the key of a store that was in memory. Raises SealError if it cannot be written."""
        self.key = key
        if key is not None and self.path is not None:
            try:
                write_key(self.path, key)
            except OSError as error:
                raise SealError(f"{self.path}: {error.strerror}") from error

    def _loaded(self, find: Callable[[], bytes]) -> AESGCM:
        try:
            key = self.key = self.key or self._reserve.use(find)
            self._cipher = self._reserve.use(lambda: _cipher(key))
        except OSError as error:
            raise SealError(f"{self.path or 'the key in memory'}: {error.strerror}") from error
        self._reserve.drain()
        return self._cipher

    def _found_key(self) -> bytes:
        if self.path is None:
            raise SealError("the key in memory: does not exist")
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            found = os.read(descriptor, KEY_SIZE + 1)
        finally:
            os.close(descriptor)
        if len(found) != KEY_SIZE:
            text = f"{self.path}: {len(found)} bytes are not a key; restore it, or remove it"
            raise SealError(f"{text} to begin with a new one")
        return found

    def _made_key(self) -> bytes:
        try:
            return self._found_key()
        except FileNotFoundError:
            pass
        except SealError:
            if self.path is not None:
                raise
        made = os.urandom(KEY_SIZE)
        if self.path is not None:
            write_key(self.path, made)
        return made

    # Descriptors ---------------------------------------------------------------------------------

    def reserve(self) -> None:
        """Keep descriptors for the first secret, which then works at their limit as well."""
        if self._cipher is None:
            self._reserve.fill()

    def release(self) -> None:
        """Close what `reserve` has opened."""
        self._reserve.drain()


def write_key(path: str, key: bytes) -> None:
    """Write a key into a file, as a whole or not at all.

    Args:
        path: of the file; an earlier one is replaced.
        key: the key.

    Raises:
        OSError: it cannot be written; nothing has changed then.
    """
    with replacing(path, 0o600) as file:
        file.write(key)
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _cipher(key: bytes) -> AESGCM:
    """Load the library. Raises OSError, EMFILE whatever keeps it from being opened: it says so in words
    only."""
    try:
        from cryptography.exceptions import InvalidTag  # noqa: F401  it is loaded before it is needed
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise OSError(errno.EMFILE, str(error)) from error
    return AESGCM(key)
