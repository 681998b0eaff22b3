"""TLS as a filter between a link and its owner.

The TLS engine has no socket of its own: what comes is given to it, and what it makes is written, so that
one read serves many records and one record carries many replies.

libvirt's own addition to TLS: when the handshake is done and the server has accepted the client's
certificate, it sends one byte, 1, before the protocol begins. (By TLS 1.3 a client cannot know
otherwise that it was accepted.) Until then the owner of the link gets nothing.

Source: libvirt's src/rpc/virnetsocket.c, virnetserverclient.c (virNetServerClientCheckAccess) and
virnetclient.c (virNetClientSetTLSSession).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Final

from aiovirt.rpc.transport.passage import READ_SIZE, Passable

#: What a server says when it has accepted the client's certificate.
CONFIRMATION: Final = b"\1"
#: Seconds that a handshake may take, the confirmation included.
HANDSHAKE_TIME: Final = 10.0

#: Plain bytes that are encrypted at a time: a large reply must not exist twice as a whole.
_PIECE: Final = 1 << 20

#: Looks at the certificate that a peer has shown (DER, or None); its chain has been verified. Returns
#: the name in it, or raises ValueError to refuse the peer.
Admit = Callable[[bytes | None], str]


class TlsFilter:
    """One TLS session on one link.

    done: whether the handshake is; peer_name: the name in the peer's certificate, once admitted; timer:
    ends a handshake that takes too long, None afterwards.
    """

    __slots__ = (
        "_admit",
        "_confirmed",
        "_seconds",
        "_server",
        "done",
        "engine",
        "from_peer",
        "peer_name",
        "timer",
        "to_peer",
    )

    def __init__(
        self,
        context: ssl.SSLContext,
        admit: Admit,
        *,
        server: bool,
        host: str | None = None,
        seconds: float = HANDSHAKE_TIME,
    ) -> None:
        """Make a session; `begin` puts it on a link.

        Args:
            context: versions, ciphers, certificates.
            admit: decides on the peer's certificate.
            server: which side this is.
            host: the name that the server's certificate has to have, on the client's side.
            seconds: how long the handshake may take, the confirmation included.
        """
        self.from_peer = ssl.MemoryBIO()
        self.to_peer = ssl.MemoryBIO()
        self.engine = context.wrap_bio(
            self.from_peer, self.to_peer, server_side=server, server_hostname=host
        )
        self.done = False
        self.peer_name = ""
        self.timer: asyncio.TimerHandle | None = None
        self._admit: Admit | None = admit  # until the handshake has ended: it may know the link
        self._server = server
        self._seconds = seconds
        #: On the client's side: done with "" when the server has let us in, else with the reason.
        self._confirmed: asyncio.Future[str] | None = None

    @property
    def peer_certificate(self) -> dict[str, Any]:
        """The certificate that the peer has shown, as `ssl.SSLSocket.getpeercert` gives it."""
        return self.engine.getpeercert() or {}

    # Handshake -----------------------------------------------------------------------------------

    def begin(self, link: Passable) -> None:
        """Put the filter on a link and begin the handshake."""
        loop = asyncio.get_running_loop()
        if not self._server:
            self._confirmed = loop.create_future()
        self.timer = loop.call_later(self._seconds, self._too_late, link)
        link.set_filter(self)
        self._continue_handshake(link)

    async def confirmed(self) -> str:
        """Wait until the server has let us in: "", or the reason why it has not."""
        if self._confirmed is None:
            raise TypeError("only a client waits for the server's confirmation")
        return await asyncio.shield(self._confirmed)

    def _too_late(self, link: Passable) -> None:
        link.abort(f"the TLS handshake was not done within {self._seconds:.0f} seconds")

    def _handshake_ended(self) -> None:
        self._admit = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _continue_handshake(self, link: Passable) -> None:
        try:
            self.engine.do_handshake()
        except ssl.SSLWantReadError:
            self._send_made(link)
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._send_made(link)  # the alert, so that the peer knows
            link.abort(f"the TLS handshake failed: {reason_of(error)}")
        else:
            self.done = True
            self._send_made(link)
            if link.closed:
                return
            try:
                if self._admit is not None:
                    self.peer_name = self._admit(self.engine.getpeercert(binary_form=True))
            except ValueError as error:
                link.abort(f"the peer's certificate was refused: {error}")
                return
            if self._server:
                self._handshake_ended()
                self.outgoing(link, CONFIRMATION)

    def _take_confirmation(self, link: Passable, size: int) -> None:
        """Look at the first byte that the server sends; what follows it is the owner's."""
        if link.buffer[:1] != CONFIRMATION:
            link.abort("the server did not confirm the TLS connection")
            return
        self._handshake_ended()
        if self._confirmed is not None:
            self._confirmed.set_result("")
        if size > 1:
            link.deliver(link.buffer[1:size], size - 1)

    # Reading -------------------------------------------------------------------------------------

    def incoming(self, link: Passable, size: int) -> None:
        """So many encrypted bytes came, in the buffer of the link."""
        self.from_peer.write(memoryview(link.buffer)[:size])
        if not self.done:
            self._continue_handshake(link)
        if self.done and not link.closed and not link.is_paused:
            self._decrypt(link)

    def _decrypt(self, link: Passable) -> None:
        """Give on what the engine can decrypt now, as much at a time as fits."""
        read = self.engine.read
        view = memoryview(link.buffer)
        while True:
            size = 0
            failure = ""
            over = False
            try:
                while size < READ_SIZE:
                    got: Any = read(READ_SIZE - size, view[size:])
                    if not got:
                        over = True
                        break
                    size += got
            except ssl.SSLWantReadError:
                pass
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                over = True
            except ssl.SSLError as error:
                failure = f"TLS failed: {reason_of(error)}"
            if self.to_peer.pending:
                self._send_made(link)
            if size and not link.closed:
                if self.timer is None:
                    link.deliver(link.buffer, size)
                else:
                    self._take_confirmation(link, size)
            if failure:
                link.abort(failure)
            elif over:
                link.input_ended("the peer closed the connection")
            if size < READ_SIZE or link.closed or link.is_paused:
                return

    def resumed(self, link: Passable) -> None:
        """Decrypt what was read and not yet decrypted, before anything else is read."""
        if self.done:
            asyncio.get_running_loop().call_soon(self._decrypt_waiting, link)

    def _decrypt_waiting(self, link: Passable) -> None:
        if not link.closed and not link.is_paused:
            self._decrypt(link)

    # Writing -------------------------------------------------------------------------------------

    def outgoing(self, link: Passable, data: bytes) -> None:
        """Encrypt and send."""
        try:
            if len(data) <= _PIECE:
                self.engine.write(data)
                link.write(self.to_peer.read(), raw=True)
                return
            view = memoryview(data)
            for start in range(0, len(data), _PIECE):
                self.engine.write(view[start : start + _PIECE])
                link.write(self.to_peer.read(), raw=True)
                if link.closed:
                    return
        except ssl.SSLError as error:
            link.abort(f"TLS failed: {reason_of(error)}")

    def _send_made(self, link: Passable) -> None:
        """Send what the engine has made by itself."""
        if self.to_peer.pending and not link.closed:
            link.write(self.to_peer.read(), raw=True)

    # Ending --------------------------------------------------------------------------------------

    def ending(self, link: Passable, reason: str) -> None:
        """Take leave, if that goes at once: without it the peer cannot tell the end from a cut."""
        self._handshake_ended()
        if self.done and not link.unsent:
            with contextlib.suppress(ssl.SSLError):
                self.engine.unwrap()
            goodbye = self.to_peer.read()
            if goodbye:
                with contextlib.suppress(OSError):
                    link.sock.send(goodbye)
        if self._confirmed is not None and not self._confirmed.done():
            self._confirmed.set_result(reason)


def reason_of(error: Exception) -> str:
    """The reason that OpenSSL gives, without its own file names and numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or "the certificate does not verify"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return str(error) or type(error).__name__
