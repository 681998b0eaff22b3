"""A link whose bytes go through TLS: a class for each end adds it to a `SocketLink`.

The TLS engine has no socket of its own: what comes is given to it, and what it makes is written, so that
one read serves many records and one record carries many replies.

libvirt's own addition to TLS: when the handshake is done and the server has accepted the client's
certificate, it sends one byte, 1, before the protocol begins. (By TLS 1.3 a client cannot know
otherwise that it was accepted.)

Source: libvirt's src/rpc/virnetsocket.c, virnetserverclient.c (virNetServerClientCheckAccess) and
virnetclient.c (virNetClientSetTLSSession).
"""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING, Any, Final

from aiovirt.rpc.transport.link import READ_SIZE, SHARED_BUFFER, FrameWithFds, SocketLink, discard

if TYPE_CHECKING:
    import asyncio

#: What a server says when it has accepted the client's certificate.
CONFIRMATION: Final = b"\1"
#: Seconds that a handshake may take, the confirmation included.
HANDSHAKE_TIME: Final = 10.0

_VIEW: Final = memoryview(SHARED_BUFFER)
#: Plain bytes that are encrypted at a time: a large reply must not exist twice as a whole.
_PIECE: Final = 1 << 20
_READS_IN_A_ROW: Final = 16


class TlsSession:
    """One TLS session: the engine, its two buffers, and how far the handshake is."""

    __slots__ = ("done", "engine", "incoming", "outgoing", "timer")

    def __init__(self, context: ssl.SSLContext, *, server: bool, host: str | None = None) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.engine = context.wrap_bio(
            self.incoming, self.outgoing, server_side=server, server_hostname=host
        )
        self.done = False
        self.timer: asyncio.TimerHandle | None = None


class TlsLink(SocketLink):
    """A `SocketLink` whose bytes are encrypted. Mixed into a subclass in front of it.

    tls: the session. A subclass says in `handshake_done` what follows a handshake.
    """

    __slots__ = ()

    tls: TlsSession
    #: Seconds that the handshake may take, the confirmation included.
    handshake_time = HANDSHAKE_TIME

    # What a subclass says ------------------------------------------------------------------------

    def handshake_done(self) -> None:
        """The handshake is done; raise ValueError to refuse the peer."""
        raise NotImplementedError

    # Handshake -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin the handshake; `start` has to follow."""
        self.tls.timer = self._loop.call_later(self.handshake_time, self._too_late)
        self._continue_handshake()

    def _too_late(self) -> None:
        self._end(f"the TLS handshake was not done within {self.handshake_time:.0f} seconds")

    def handshake_ended(self) -> None:
        """It is done, and so is what belongs to it."""
        if self.tls.timer is not None:
            self.tls.timer.cancel()
            self.tls.timer = None

    def _continue_handshake(self) -> None:
        try:
            self.tls.engine.do_handshake()
        except ssl.SSLWantReadError:
            self._send_made()
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._send_made()  # the alert, so that the peer knows
            self._end(f"the TLS handshake failed: {reason_of(error)}")
        else:
            self.tls.done = True
            self._send_made()
            if self.closed:
                return
            try:
                self.handshake_done()
            except ValueError as error:
                self._end(f"the peer's certificate was refused: {error}")

    # Reading -------------------------------------------------------------------------------------

    def _readable(self) -> None:
        for _ in range(_READS_IN_A_ROW):
            try:
                size = self.sock.recv_into(SHARED_BUFFER)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._end(f"read failed: {error.strerror}")
                return
            if not size:
                self._end("the peer closed the connection")
                return
            self._alive = False
            self.tls.incoming.write(_VIEW[:size])
            if not self.tls.done:
                self._continue_handshake()
            if self.tls.done and not self.closed and not self._paused:
                self._decrypt()
            if self._alive or self._paused or self.closed:
                return
        self._loop.call_soon(self._read_again)

    def _decrypt(self) -> None:
        """Give on what the engine can decrypt now, as much at a time as fits."""
        read = self.tls.engine.read
        while True:
            size = 0
            reason = ""
            try:
                while size < READ_SIZE:
                    got: Any = read(READ_SIZE - size, _VIEW[size:])
                    if not got:
                        reason = "the peer closed the connection"
                        break
                    size += got
            except ssl.SSLWantReadError:
                pass
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                reason = "the peer closed the connection"
            except ssl.SSLError as error:
                reason = f"TLS failed: {reason_of(error)}"
            if self.tls.outgoing.pending:
                self._send_made()
            if size and not self.closed:
                self.received(SHARED_BUFFER, size)
            if reason:
                self._end(reason)
            if self.closed or self._paused or size < READ_SIZE:
                return

    def resume(self, why: int) -> None:
        """Take one reason back; what was read and not yet decrypted comes first."""
        super().resume(why)
        if not self._paused and not self.closed and self.tls.done:
            self._loop.call_soon(self._decrypt_waiting)

    def _decrypt_waiting(self) -> None:
        if not self.closed and not self._paused:
            self._decrypt()

    # Writing -------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        if self.closed:
            return
        try:
            if len(data) <= _PIECE:
                self.tls.engine.write(data)
                super().write(self.tls.outgoing.read())
                return
            view = memoryview(data)
            for start in range(0, len(data), _PIECE):
                self.tls.engine.write(view[start : start + _PIECE])
                super().write(self.tls.outgoing.read())
                if self.closed:
                    return
        except ssl.SSLError as error:
            self._end(f"TLS failed: {reason_of(error)}")

    def write_with_fds(self, data: FrameWithFds) -> None:
        """Descriptors stay on their machine: such a reply ends the connection."""
        discard(data)
        self._end("a reply has descriptors, which cannot travel over TLS")

    def _send_made(self) -> None:
        """Send what the engine has made by itself."""
        if self.tls.outgoing.pending and not self.closed:
            super().write(self.tls.outgoing.read())

    # Ending --------------------------------------------------------------------------------------

    def _end(self, reason: str) -> None:
        if self.closed:
            return
        self.handshake_ended()
        if self.tls.done and self._out is None:
            # A goodbye, if it goes at once: without it the peer cannot tell the end from a cut.
            with contextlib.suppress(ssl.SSLError):
                self.tls.engine.unwrap()
            goodbye = self.tls.outgoing.read()
            if goodbye:
                with contextlib.suppress(OSError):
                    self.sock.send(goodbye)
        super()._end(reason)


def reason_of(error: Exception) -> str:
    """What OpenSSL says, for people: without its own file names and numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or "the certificate does not verify"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return str(error) or type(error).__name__
